#include <string.h>

#include "report/notice.h"

#define LOGIN_MAX	300	/* bytes of a login that are shown */

static const struct {
	const char	*subject;
	const char	*what;		/* behind "The account X " */
	const char	*then;
} words[HIT_KIND__MAX] = {
	[HIT_FULL] = { "Limit on outgoing mail reached",
	    "has reached its limit on outgoing mail",
	    "Mail beyond it is refused for now." },
	[HIT_NEAR] = { "Limit on outgoing mail nearly reached",
	    "comes near its limit on outgoing mail",
	    "Mail beyond it will be refused for some time." },
	[HIT_SHADOW] = { "", "", "" },
	[HIT_LOCK] = { "Account locked for outgoing mail",
	    "is locked for outgoing mail",
	    "Ask the administrator of the mail server to open it again." }
};

const char *
notice_subject(enum hit_kind kind)
{
	return words[kind].subject;
}

void
notice_text(struct str *s, const char *host, enum hit_kind kind,
    const struct mail_row *row)
{
	char	login[LOGIN_MAX];

	str_printable(login, sizeof(login), row->id, row->idlen);
	str_addf(s, "The account %s of the mail server %s %s", login, host,
	    words[kind].what);
	if (kind != HIT_LOCK && row->mails > 0) {
		str_adds(s, ": ");
		mail_text_add_limit(s, row);
	}
	str_addf(s, ".\n%s\n\n"
	    "If you did not send that much, somebody else may know the "
	    "password of the\naccount: change it, and tell the administrator "
	    "of the mail server.\n\n"
	    "This message was written by a program. There is at most one a "
	    "day.\n", words[kind].then);
}
