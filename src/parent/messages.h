#ifndef MESSAGES_H
#define MESSAGES_H

#include "parent/parent.h"

/*
 * What children say. They are less trusted than we are: a message that is
 * broken, or that this child has no business to send now, ends the child.
 */

/* Takes and handles what has come on the slot's channel. */
void	messages_take(struct parent *, enum slot);

#endif
