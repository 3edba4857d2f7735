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

/* A fault names what it found, and continues with this. */
#define EXPRESSION_NOT_RUN	" needs Python, which is not run here: "

/*
 * Reads from the current token to the end of the statement; commas without
 * brackets make a tuple. NULL on a fault, with the tokenizer at its place.
 */
struct value	*expression_read(struct expression *);

/* Adds a fault: the current token cannot stand here, but `expected` could. */
void		 expression_unexpected(struct expression *,
		    const char *expected);

/*
 * Shortens a token for a message; never shows the content of a string. Returns
 * dst.
 */
const char	*expression_quote(const struct token *, char *dst, size_t);

/* Adds a fault at the current token. */
void		 expression_fault(struct expression *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

#endif
