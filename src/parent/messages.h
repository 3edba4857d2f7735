#ifndef MESSAGES_H
#define MESSAGES_H

#include "parent/parent.h"

/*
 * Messages of the children. A child is less trusted than we are: if it sends a
 * message that is malformed or not allowed now, it is killed.
 */

/* Handles the messages that have arrived on the slot's channel. */
void	messages_take(struct parent *, enum slot);

#endif
