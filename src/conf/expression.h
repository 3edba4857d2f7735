#ifndef EXPRESSION_H
#define EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/fault.h"
#include "conf/token.h"
#include "conf/value.h"

/*
 * The values of the .conf syntax: recursive descent over Python's grammar, as
 * far as it is data. What goes beyond it is recognised so that the fault can
 * say what to write instead.
 */
struct expression {
	struct tokenizer t;
	struct faults	*faults;
	unsigned int	 depth;		/* containers that are open */
	size_t		 values;	/* made so far */
};

/* How a fault goes on after naming what it found. */
#define EXPRESSION_NOT_RUN	" needs Python, which is not run here: "

/*
 * From the current token to the end of the statement, commas without brackets
 * included. NULL on a fault; the tokenizer is then where it was found.
 */
struct value	*expression_read(struct expression *);

/* Says that the current token cannot stand here and that `expected` could. */
void		 expression_unexpected(struct expression *,
		    const char *expected);

/* Whether the current token is wrong in itself; says so. */
bool		 expression_bad_token(struct expression *);

/* A token in short, for a message; never what is in a string. Returns dst. */
const char	*expression_quote(const struct token *, char *dst, size_t);

/* A fault at the current token. */
void		 expression_fault(struct expression *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

#endif
