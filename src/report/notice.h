#ifndef NOTICE_H
#define NOTICE_H

#include "report/mail.h"

/*
 * The mail of report_user: it says that a login reached a limit, and nothing of
 * its mail, since whoever reads it may not be the one who sent that.
 */

/* The subject for a hit of this kind. */
const char	*notice_subject(enum hit_kind);

/* Appends the text; the row is the hit, with the login as its id. */
void	notice_text(struct str *, const char *host, enum hit_kind,
	    const struct mail_row *);

#endif
