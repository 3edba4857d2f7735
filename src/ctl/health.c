#include <errno.h>
#include <string.h>

#include "ctl/health.h"

static void
add_reason(struct str *reason, const char *what, const char *how)
{
	if (reason->len > 0)
		str_adds(reason, "; ");
	str_addf(reason, "%s %s", what, how);
}

enum health
health_of(const struct answer *a, struct str *reason)
{
	const struct answer_record	*r;
	const char			*database, *fault;
	size_t				 i;

	if (a->failed) {
		str_adds(reason, a->error);
		return HEALTH_UNKNOWN;
	}
	database = answer_whole(a, "database");
	fault = answer_whole(a, "fault");
	if (strcmp(database, "well") != 0) {
		add_reason(reason, "the database:", database);
		if (*fault != '\0')
			str_addf(reason, " (%s)", fault);
	}
	if (strcmp(answer_whole(a, "reload_failed"), "1") == 0)
		add_reason(reason, "the last reload", "failed");
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "processes") == 0 &&
		    strcmp(answer_get(r, "serving"), "0") == 0)
			add_reason(reason, answer_get(r, "name"),
			    "does not serve yet");
	}
	return reason->len > 0 ? HEALTH_DEGRADED : HEALTH_WELL;
}

enum health
health_of_errno(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EAGAIN:		/* stopped, or hanging */
		return HEALTH_DOWN;
	default:
		return HEALTH_UNKNOWN;
	}
}

const char *
health_word(enum health health)
{
	static const char	*const words[] = {
		[HEALTH_WELL] = "well",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_DOWN] = "not serving",
		[HEALTH_UNKNOWN] = "unknown",
	};

	return words[health];
}

void
health_line(struct str *out, enum health health, const char *reason)
{
	str_addf(out, "%s%s%s\n", health_word(health),
	    *reason != '\0' ? ": " : "", reason);
}
