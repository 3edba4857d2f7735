#ifndef MAIL_H
#define MAIL_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/str.h"

/*
 * The report as a mail: rows in, bytes out. Ids come from outside and are made
 * printable. Headers are ASCII, whatever the settings contain.
 */
struct mail_row {
	char	*id;		/* any bytes, then a NUL */
	size_t	 idlen;
	char	*rule;		/* "": not from a rule */
	int64_t	 mails;		/* 0: the limit is unknown now */
	int64_t	 seconds;
	int64_t	 hits[HIT_KIND__MAX];
};

/* Where refused mail of an id came from. */
struct mail_evidence {
	enum evidence_kind	 kind;
	struct mail_row		 of;	/* rule and id */
	char			*value;
	size_t			 len;
	int64_t			 times;
};

/* What the ledger tells. */
struct mail_hits {
	struct mail_row		*rows;
	size_t			 nrows;
	size_t			 later;		/* left for the next report */
	struct mail_row		*untold;	/* logins of report_user */
	size_t			 nuntold;
	struct mail_evidence	*evidence;	/* those of an id together */
	size_t			 nevidence;
	int64_t			 last;		/* the last report; 0: none */
};

struct mail {
	const char		*from;
	const char *const	*to;
	size_t			 nto;
	const char		*subject;
	const char		*host;		/* letters, digits, ".-" */
	int64_t			 now;		/* seconds since 1970 */
	uint64_t		 token;		/* for the Message-ID */
	struct mail_hits	*hits;
};

#define MAIL_TABLE_MAX	1000	/* rows of a table; the CSV has all rows */

/*
 * Appends the whole mail: ASCII, lines end in CRLF and are far shorter than 998
 * bytes, dots are not stuffed. Sorts the rows and joins those of one id and
 * window, so nrows may decrease.
 */
void	mail_compose(struct str *, const struct mail *);

/* Appends a mail with this text, in the same way; it has no hits. */
void	mail_compose_text(struct str *, const struct mail *,
	    const struct str *text);

/*
 * The mail of report_user: it says that a login reached a limit, and nothing of
 * its mail, since whoever reads it may not be the one who sent that.
 * mail_notice_subject: the subject for a hit of this kind. mail_notice_add:
 * appends the text; `row` is the hit, with the login as its id.
 */
const char	*mail_notice_subject(enum hit_kind);
void		 mail_notice_add(struct str *, const char *host, enum hit_kind,
		    const struct mail_row *);

/* --- its parts, of mail_text.c --- */

/*
 * Joins rows of one rule, id and window, and sorts: most hits first, then most
 * warnings, refusals in shadow and locks, then by name.
 */
void	mail_text_sort(struct mail_hits *);

/* Appends the text: lines end in LF, UTF-8. */
void	mail_text_add(struct str *, const struct mail *);
void	mail_text_add_csv(struct str *, const struct mail *);

#endif
