#ifndef EXPRESSION_H
#define EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/fault.h"
#include "conf/syntax/token.h"
#include "conf/value.h"

/*
 * The values of the .conf syntax: a recursive descent parser for the part of
 * Python's grammar that is data. It recognises what goes beyond that, so that
 * the fault can say what to write instead.
 */
struct expression {
	struct tokenizer t;
	struct faults	*faults;
	unsigned int	 depth;		/* open containers */
	size_t		 values;	/* values made so far */
};

/*
 * Reads from the current token to the end of the statement; commas without
 * brackets make a tuple. NULL on a fault, with the tokenizer at its place.
 */
struct value	*expression_read(struct expression *);

/*
 * Whether the statement ends here: at the end of its line, or, outside of
 * brackets, at a semicolon.
 */
bool		 expression_at_end(const struct expression *);

/*
 * Adds a fault: the current token cannot stand here, but `expected` could.
 * Never shows the content of a string.
 */
void		 expression_unexpected(struct expression *,
		    const char *expected);

/* Adds a fault at the current token. */
#define expression_fault(e, ...) \
	fault_error((e)->faults, (e)->t.token.line, (e)->t.token.column, \
	    __VA_ARGS__)

#endif
