#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/control/audit.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define DENIED_SECONDS	10		/* between two such lines in the log */
#define SAID_MAX	200		/* bytes of a change, in the log */

char *
audit_who(const struct audit *a, bool group, char text[AUDIT_PEER_MAX])
{
	char	gid[24] = "", claim[40] = "";

	if (group)
		(void)snprintf(gid, sizeof(gid), " gid=%lu",
		    (unsigned long)a->gid);
	if (a->claims)
		(void)snprintf(claim, sizeof(claim), " claimed_sudo_uid=%lu",
		    (unsigned long)a->sudo_uid);
	(void)snprintf(text, AUDIT_PEER_MAX, "uid=%lu%s%s",
	    (unsigned long)a->uid, gid, claim);
	return text;
}

void
audit_said(struct audit *a, const struct control_word *word, size_t n)
{
	struct str	line;
	char		peer[AUDIT_PEER_MAX], text[SAID_MAX];
	size_t		i;

	str_init(&line);
	for (i = 0; i < n; i++)
		str_addf(&line, "%s%s", i > 0 ? " " : "", str_printable(text,
		    sizeof(text), word[i].bytes, word[i].len));
	log_notice("policyctl: %s asks for: %s", audit_who(a, true, peer),
	    line.data);
	a->said = alloc_string(line.data);
	str_clear(&line);
}

/* A local user must not be able to fill the log. */
void
audit_denied(const struct audit *a, struct log_limit *limit,
    const char *command)
{
	char		peer[AUDIT_PEER_MAX];
	unsigned int	suppressed;

	if (log_allowed(limit, DENIED_SECONDS, &suppressed))
		log_warning("policyctl: %s may not %s (%u more refused and not "
		    "shown)", audit_who(a, true, peer), command, suppressed);
}

void
audit_log(const struct audit *a, const char *how, const char *why)
{
	char	peer[AUDIT_PEER_MAX];

	if (a->said != NULL)
		log_notice("policyctl: %s: %s: %s%s", audit_who(a, true, peer),
		    a->said, how, why);
}

void
audit_ended(struct audit *a, const char *how, const char *why)
{
	audit_log(a, how, why);
	free(a->said);
	a->said = NULL;
}
