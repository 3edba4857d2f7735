#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/syntax/number.h"
#include "lib/str.h"

/*
 * The tokens of the .conf syntax, as Python's tokenizer separates them. Pure:
 * bytes to tokens, one at a time.
 */
enum token_type {
	TOKEN_END,
	TOKEN_NEWLINE,		/* of a statement: not inside brackets */
	TOKEN_NAME,
	TOKEN_INT,		/* number.magnitude */
	TOKEN_FLOAT,		/* number.real */
	TOKEN_STRING,		/* struct tokenizer's `string` */
	TOKEN_OPERATOR		/* brackets, commas, signs */
};

struct token {
	enum token_type	 type;
	unsigned int	 line;
	unsigned int	 column;	/* in characters */
	bool		 first;		/* only blanks before it */
	const char	*text;
	size_t		 len;
	struct number	 number;
	/*
	 * The token itself is malformed. The parser reports that when it uses
	 * the token; a token that it skips is not reported.
	 */
	const char	*fault;		/* NULL: none */
	unsigned int	 fault_line;
	unsigned int	 fault_column;
};

struct tokenizer {
	const char	*at;
	const char	*end;
	unsigned int	 line;
	unsigned int	 column;
	unsigned int	 nesting;	/* open brackets */
	bool		 fresh;		/* only blanks on this line so far */
	struct token	 token;		/* the current one */
	struct str	 string;
};

/*
 * The bytes must be well-formed UTF-8 without NUL, unless the caller has
 * already added a fault.
 */
void	token_init(struct tokenizer *, const char *, size_t);

/* Wipes: strings may be passwords. */
void	token_clear(struct tokenizer *);

/* Advances to the next token. At the end the token stays TOKEN_END. */
void	token_next(struct tokenizer *);

/* Whether the current token is this operator or name. */
bool	token_is(const struct tokenizer *, const char *);

/*
 * Whether `=` follows the current token. No literal contains a name and `=`, so
 * at the start of a line they begin a statement even if a bracket is still
 * open: there the tokenizer returns a TOKEN_NEWLINE and forgets the open
 * brackets.
 */
bool	token_assigns(const struct tokenizer *);

#endif
