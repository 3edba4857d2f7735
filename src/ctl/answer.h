#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * What the daemon answered: records of fields, as engine/reply.h writes them.
 * Texts are printable as they are; answer_text gives the bytes that they stand
 * for. Pure.
 */
struct answer_field {
	const char	*name;
	char		 type;		/* '=', '#' or '?' */
	const char	*value;
};

struct answer_record {
	const char		*kind;	/* "": of the answer as a whole */
	struct answer_field	*field;
	size_t			 nfield;
};

struct answer {
	char			*bytes;	/* what the strings point into */
	bool			 failed;
	const char		*error;
	struct answer_record	*record;
	size_t			 nrecord;
};

/*
 * 0, or -1 for what is not a whole answer. The bytes are copied. answer_clear
 * is due after both.
 */
int	answer_parse(struct answer *, const char *, size_t);
void	answer_clear(struct answer *);

/* "" and 0 where the record has no such field. */
const char	*answer_get(const struct answer_record *, const char *name);
int64_t		 answer_number(const struct answer_record *, const char *name);

/* The field of that name in records without a kind; "" where none has it. */
const char	*answer_whole(const struct answer *, const char *name);

/* Appends the bytes that a printable text stands for. */
void		 answer_text(struct str *, const char *);

#endif
