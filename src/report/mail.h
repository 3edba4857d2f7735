#ifndef MAIL_H
#define MAIL_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/str.h"

/*
 * The report as a mail: rows in, bytes out. What strangers chose,
 * the ids, is made printable; headers are ASCII, whatever the settings hold.
 */
struct mail_row {
	char	*id;		/* any bytes, a NUL behind them */
	size_t	 idlen;
	char	*rule;		/* "": the plain settings */
	int64_t	 mails;		/* 0: nobody knows the limit any more */
	int64_t	 seconds;
	int64_t	 hits[HIT_KIND__MAX];
};

struct mail {
	const char		*from;
	const char *const	*to;
	size_t			 nto;
	const char		*subject;
	const char		*host;		/* letters, digits, ".-" */
	int64_t			 now;		/* seconds since 1970 */
	int64_t			 last;		/* report; 0: none yet */
	uint64_t		 token;		/* makes the mail unique */
	struct mail_row		*rows;
	size_t			 nrows;
	size_t			 later;		/* rows for the next one */
};

#define MAIL_TABLE_MAX	1000	/* rows of a table; the CSV has all */

/*
 * Adds the whole mail, ASCII only, lines ended by CRLF and far below 998 bytes,
 * dots not stuffed. Sorts the rows, and joins those of one id and window: nrows
 * may become less.
 */
void	mail_compose(struct str *, struct mail *);

/* --- its parts, of mail_text.c --- */

/* Most hits first, then most warnings; each (rule, id, window) once. */
void	mail_text_sort(struct mail *);

/* Lines ended by LF, UTF-8. */
void	mail_text_add(struct str *, const struct mail *);
void	mail_text_add_csv(struct str *, const struct mail *);

#endif
