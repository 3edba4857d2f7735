#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * The words of the .conf syntax, cut as Python's tokenizer cuts them. Pure:
 * bytes in, tokens out, one at a time.
 */
enum token_type {
	TOKEN_END,
	TOKEN_NEWLINE,		/* of a statement: not inside brackets */
	TOKEN_NAME,
	TOKEN_INT,		/* magnitude */
	TOKEN_FLOAT,		/* real */
	TOKEN_STRING,		/* tokenizer's `string`, until the next one */
	TOKEN_OPERATOR		/* brackets, commas, signs */
};

#define TOKEN_FAULT_MAX	200

struct token {
	enum token_type	 type;
	unsigned int	 line;
	unsigned int	 column;	/* in characters */
	bool		 first;		/* of its line, but for blanks */
	const char	*text;
	size_t		 len;
	uint64_t	 magnitude;
	double		 real;
	/*
	 * Wrong in itself: said only by who wants to use it, so skipping is
	 * silent.
	 */
	char		 fault[TOKEN_FAULT_MAX];
	unsigned int	 fault_line;
	unsigned int	 fault_column;
};

struct tokenizer {
	const char	*at;
	const char	*end;
	unsigned int	 line;
	unsigned int	 column;
	unsigned int	 nesting;	/* brackets that are open */
	bool		 fresh;		/* only blanks on this line so far */
	struct token	 token;		/* the current one */
	struct str	 string;
};

/*
 * The bytes are well-formed UTF-8 without NUL, or whoever calls has said that.
 */
void	token_init(struct tokenizer *, const char *, size_t);

/* Wipes: strings may be passwords. */
void	token_clear(struct tokenizer *);

/* Makes the next token the current one. At the end it stays TOKEN_END. */
void	token_next(struct tokenizer *);

/* Whether the current token is this operator or name. */
bool	token_is(const struct tokenizer *, const char *);

/*
 * Whether `=` follows the current token. No literal has that, so a name at the
 * start of a line and an `=` begin a statement even where a bracket was left
 * open: there the tokenizer gives a TOKEN_NEWLINE and forgets the brackets.
 */
bool	token_assigns(const struct tokenizer *);

#endif
