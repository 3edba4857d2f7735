#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * A parsed answer of the daemon: records of fields, in the form that
 * engine/reply.h writes. Texts are printable; answer_text decodes them to the
 * original bytes. Pure.
 */
struct answer_field {
	const char	*name;
	char		 type;		/* '=', '#' or '?' */
	const char	*value;
};

struct answer_record {
	const char		*kind;	/* "": about the whole answer */
	struct answer_field	*field;
	size_t			 nfield;
};

struct answer {
	char			*bytes;	/* the strings point into it */
	bool			 failed;
	const char		*error;
	struct answer_record	*record;
	size_t			 nrecord;
};

/*
 * Parses a copy of the bytes. 0, or -1 if the answer is malformed or
 * incomplete. Call answer_clear after either.
 */
int	answer_parse(struct answer *, const char *, size_t);
void	answer_clear(struct answer *);

/* The value of a field; "" or 0 if the record has no such field. */
const char	*answer_get(const struct answer_record *, const char *name);
int64_t		 answer_number(const struct answer_record *, const char *name);

/* Whether a field is there and true. */
bool		 answer_is(const struct answer_record *, const char *name);

/*
 * The field of that name in the records without a kind; "" or 0 if there is
 * none.
 */
const char	*answer_whole(const struct answer *, const char *name);
int64_t		 answer_whole_number(const struct answer *, const char *name);

/*
 * The next record of a kind, from index *i on, which moves on behind it; NULL:
 * there is no more.
 */
const struct answer_record	*answer_next(const struct answer *,
				    const char *kind, size_t *i);
size_t		 answer_count(const struct answer *, const char *kind);

/* Appends the original bytes of a printable text. */
void		 answer_text(struct str *, const char *);

#endif
