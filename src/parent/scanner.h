#ifndef SCANNER_H
#define SCANNER_H

#include "parent/parent.h"

/*
 * The ledger that reads all rows for `policyctl try` and `top`: one at a time,
 * connected to the engine. It ends when the engine closes the channel.
 */

/* Starts it, or tells the engine why not. */
void	scanner_request(struct parent *);

/* It has sent READY, or has ended. */
void	scanner_on_ready(struct parent *);
void	scanner_on_gone(struct parent *);

#endif
