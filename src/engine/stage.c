#include <string.h>
#include <strings.h>

#include "engine/stage.h"

/*
 * The stages at which a count_mode counts recipients, messages and addresses.
 */
static const bool	counts[][STAGE__MAX] = {
	[COUNT_RCPT] =		{ [STAGE_RCPT] = true },
	[COUNT_RECIPIENTS] =	{ [STAGE_DATA] = true },
	[COUNT_MESSAGES] =	{ [STAGE_DATA] = true },
	[COUNT_AUTO] =		{ [STAGE_RCPT] = true, [STAGE_DATA] = true,
				  [STAGE_END] = true },
};

enum stage
stage_of(const struct request *req)
{
	static const struct {
		enum stage	 stage;
		const char	*name;
	} stages[] = {
		{ STAGE_RCPT,	"RCPT" },
		{ STAGE_DATA,	"DATA" },
		{ STAGE_END,	"END-OF-MESSAGE" },
	};
	const struct request_value	*v = &req->attr[ATTR_PROTOCOL_STATE];
	size_t				 i;

	if (v->len == 0)
		return STAGE_NONE;
	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (strlen(stages[i].name) == v->len &&
		    strncasecmp(stages[i].name, v->bytes, v->len) == 0)
			return stages[i].stage;
	return STAGE_OTHER;
}

bool
stage_counts(const struct settings *s, const struct settings_rule *rule,
    enum stage stage)
{
	if (rule != NULL && rule->at_rcpt)
		return stage == STAGE_RCPT;
	if (rule != NULL && rule->count == RULE_BYTES)
		return stage == STAGE_DATA || stage == STAGE_END;
	return counts[s->count_mode][stage];
}

uint32_t
stage_rules(const struct settings *s, enum stage stage)
{
	uint32_t	bits = 0;
	size_t		i;

	if (s->nrules == 0)
		return stage_counts(s, NULL, stage);
	for (i = 0; i < s->nrules; i++)
		if (stage_counts(s, &s->rules[i], stage))
			bits |= UINT32_C(1) << i;
	return bits;
}

/* --- the line for main.cf --- */

void
stage_hint(struct str *out, const struct settings *s, uint32_t rules)
{
	static const char		 queue[] = "/var/spool/postfix/";
	const size_t			 len = sizeof(queue) - 1;
	const struct settings_socket	*where = s->sockets;
	const char			*action = s->db_error_action;
	bool				 data;

	data = (stage_rules(s, STAGE_DATA) & rules) != 0;
	str_addf(out, "smtpd_%s_restrictions = check_policy_service { ",
	    data ? "data" : "recipient");
	if (s->nsockets > 0 && where->path == NULL)
		str_addf(out, strchr(where->host, ':') != NULL ?
		    "inet:[%s]:%u" : "inet:%s:%u", where->host,
		    (unsigned int)where->port);
	/* Postfix's path is relative to its queue, also in its chroot. */
	else if (s->nsockets > 0)
		str_addf(out, "unix:%s", where->path +
		    (strncmp(where->path, queue, len) == 0 ? len : 0));
	/* The answer without a database is also right without a daemon. */
	if (strcasecmp(action, "memory") == 0 ||
	    strcasecmp(action, "dunno") == 0)
		action = "DUNNO";
	str_addf(out, strpbrk(action, " \t,") == NULL ?
	    ", default_action=%s" : ", { default_action=%s }", action);
	str_addf(out, " }%s", data ? "" : ", ...");
}
