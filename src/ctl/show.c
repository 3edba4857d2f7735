#include <sys/types.h>

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/openmetrics.h"
#include "ctl/show.h"
#include "ctl/terminal.h"
#include "ctl/wrap.h"
#include "lib/num.h"

/* --- parts of lines --- */

static const struct {
	int64_t		 seconds;
	const char	*name;
} units[] = {
	{ 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" }
};

/*
 * Formats a window: "10 s", "5 min", "24 h", "7 d"; in seconds if it is not a
 * whole number of a larger unit.
 */
const char *
show_period(int64_t seconds, char *dst, size_t size)
{
	size_t	i;

	for (i = 0; i < 3; i++)
		if (seconds > 0 && seconds % units[i].seconds == 0)
			break;
	snprintf(dst, size, "%" PRId64 " %s", seconds / units[i].seconds,
	    units[i].name);
	return dst;
}

/* Formats a remaining time in at most two units: "59 s", "23 h 35 min". */
const char *
show_left(int64_t seconds, char *dst, size_t size)
{
	int64_t	n;
	size_t	i, len;

	for (i = 0; i < 3 && seconds < units[i].seconds; i++)
		continue;
	n = seconds / units[i].seconds;
	len = (size_t)snprintf(dst, size, "%" PRId64 " %s", n, units[i].name);
	seconds -= n * units[i].seconds;
	if (i < 3 && len < size && seconds >= units[i + 1].seconds)
		snprintf(dst + len, size - len, " %" PRId64 " %s",
		    seconds / units[i + 1].seconds, units[i + 1].name);
	return dst;
}

const char *
show_uptime(int64_t s, char *dst, size_t size)
{
	if (s >= 86400)
		snprintf(dst, size, "%" PRId64 " d %" PRId64 ":%02" PRId64,
		    s / 86400, s / 3600 % 24, s / 60 % 60);
	else
		snprintf(dst, size, "%" PRId64 ":%02" PRId64 ":%02" PRId64,
		    s / 3600, s / 60 % 60, s % 60);
	return dst;
}

int
show_percent(int64_t used, int64_t limit)
{
	if (used <= 0)
		return 0;
	if (limit <= 0 || used / limit >= 10)
		return 999;
	return (int)((double)used / (double)limit * 100);
}

void
show_bar(struct str *out, int64_t used, int64_t limit, size_t width)
{
	int	full = show_percent(used, limit);
	size_t	n, i;

	n = full >= 100 ? width : (size_t)full * width / 100;
	if (width > 0)
		str_addc(out, '[');
	str_adds(out, terminal_colour(full >= 100 ? TERMINAL_RED :
	    full >= SHOW_NEAR ? TERMINAL_YELLOW : TERMINAL_GREEN));
	for (i = 0; i < width; i++)
		str_addc(out, i < n ? '#' : ' ');
	/* Without a bar the number is coloured. */
	if (width > 0)
		str_addf(out, "%s] %3d %%", terminal_plain(), full);
	else
		str_addf(out, "%3d %%%s", full, terminal_plain());
}

void
show_field(struct str *out, const struct answer_record *r, const char *name,
    const char *before, const char *after)
{
	const char	*value = answer_get(r, name);

	if (*value != '\0')
		str_addf(out, "%s%s%s", before, value, after);
}

/* --- blocks and grants --- */

/* The number behind `name`, which ends at a space or the end; -1: no such. */
static int64_t
who_number(const char *who, const char *name)
{
	const char	*at = strstr(who, name);
	int64_t		 n;

	if (at == NULL)
		return -1;
	at += strlen(name);
	return num_parse(at, strcspn(at, " "), 0, UINT32_MAX, &n) == 0 ? n : -1;
}

static void
add_user(struct str *out, int64_t uid)
{
	struct passwd	*pw;

	if ((pw = getpwuid((uid_t)uid)) != NULL)
		str_adds(out, pw->pw_name);
	else
		str_addf(out, "uid=%" PRId64, uid);
}

/* Adds "uid=0 claimed_sudo_uid=7" with the names that this host has for it. */
void
show_who(struct str *out, const char *who)
{
	int64_t	uid, sudo;

	uid = strncmp(who, "uid=", 4) == 0 ? who_number(who, "uid=") : -1;
	if (uid == -1) {
		str_adds(out, who);
		return;
	}
	add_user(out, uid);
	if ((sudo = who_number(who, " claimed_sudo_uid=")) == -1)
		return;
	str_adds(out, " (SUDO_UID: ");
	add_user(out, sudo);
	str_addc(out, ')');
}

void
show_time(struct str *out, int64_t when, enum show_precision precision)
{
	time_t		 t = (time_t)when;
	struct tm	 tm;
	char		 text[40];

	if (localtime_r(&t, &tm) != NULL && strftime(text, sizeof(text),
	    precision == SHOW_MINUTE ? "%a %Y-%m-%d %H:%M" :
	    "%Y-%m-%d %H:%M:%S", &tm) > 0)
		str_adds(out, text);
}

/* Adds the overrides; returns their number. */
static size_t
add_overrides(struct str *out, const struct answer *a)
{
	const struct answer_record	*r;
	char				 text[32];
	size_t				 i, n = 0;
	bool				 locks, blocks;

	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		locks = strcmp(r->kind, "locks") == 0;
		blocks = strcmp(r->kind, "blocks") == 0;
		if (!locks && !blocks && strcmp(r->kind, "grants") != 0)
			continue;
		n++;
		str_adds(out, answer_get(r, "what"));
		if (blocks)
			str_adds(out, " blocked");
		else if (locks)
			str_adds(out, " locked");
		else
			str_addf(out, " %s mail%s more", answer_get(r, "mails"),
			    answer_number(r, "mails") == 1 ? "" : "s");
		if (answer_is(r, "forever"))
			str_adds(out, " forever");
		else {
			str_adds(out, " until ");
			show_time(out, answer_number(r, "until"), SHOW_MINUTE);
			str_addf(out, " (%s)", show_left(answer_number(r,
			    "left"), text, sizeof(text)));
		}
		if (answer_number(r, "since") > 0) {
			str_adds(out, ", since ");
			show_time(out, answer_number(r, "since"), SHOW_MINUTE);
		}
		if (answer_get(r, "who")[0] != '\0') {
			str_adds(out, locks ? ", by rule " : ", by ");
			show_who(out, answer_get(r, "who"));
		}
		show_field(out, r, "reason", ": ", "");
		str_addc(out, '\n');
	}
	return n;
}

void
show_overrides(struct str *out, const struct answer *a, size_t width)
{
	if (strcmp(answer_whole(a, "source"), "memory") == 0)
		str_addf(out, "as the daemon has read it last: %s\n",
		    answer_whole(a, "reason"));
	if (add_overrides(out, a) == 0)
		str_adds(out, "nothing is blocked or locked, nothing is "
		    "granted\n");
	wrap_lines(out, width);
}

/* --- windows --- */

/* Appends the windows. Returns whether there was one. */
static bool
add_windows(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*id = NULL;
	char				 text[32], line[128];
	int64_t				 used, limit, n;
	size_t				 i = 0, bar;

	while ((r = answer_next(a, "windows", &i)) != NULL) {
		if (id == NULL || strcmp(id, answer_get(r, "id")) != 0) {
			id = answer_get(r, "id");
			str_adds(out, id);
			if (answer_number(r, "granted") > 0)
				str_addf(out, ", %s more granted for %s",
				    answer_get(r, "granted"), show_left(
				    answer_number(r, "granted_for"), text,
				    sizeof(text)));
			str_addc(out, '\n');
		}
		used = answer_number(r, "used");
		limit = answer_number(r, "limit");
		snprintf(line, sizeof(line), "  %8" PRId64 " of %8" PRId64
		    " in %-8s ", used, limit, show_period(answer_number(r,
		    "seconds"), text, sizeof(text)));
		str_adds(out, line);
		/* After the bar: brackets, per cent, "room in 23 h 35 min". */
		bar = strlen(line) + 30;
		bar = width > bar + 5 ? width - bar : 0;
		show_bar(out, used, limit, bar < SHOW_BAR_MOST ? bar :
		    SHOW_BAR_MOST);
		if (answer_is(r, "never"))
			str_adds(out, "  mail exceeds limit\n");
		else if ((n = answer_number(r, "retry_after")) <= 0)
			str_adds(out, "  room now\n");
		else
			str_addf(out, "  room in %s\n", show_left(n, text,
			    sizeof(text)));
	}
	return id != NULL;
}

void
show_id(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*refused = answer_whole(a, "refused");
	const char			*shadow;
	size_t				 i = 0, n;

	n = add_overrides(out, a);
	if (answer_whole_number(a, "exempt") == 1) {
		str_adds(out, "exempt: no limit applies to its mail\n");
		n++;
	}
	for (; (r = answer_next(a, "keys", &i)) != NULL; n++)
		str_addf(out, "%s: at most %" PRId64 " a mail\n",
		    answer_get(r, "id"), answer_number(r, "max_per_mail"));
	if (!add_windows(out, a, width) && n == 0)
		str_adds(out, "no limits for this id\n");
	if (answer_whole(a, "last_refused")[0] != '\0') {
		shadow = answer_whole(a, "would_refuse");
		if (strcmp(refused, "0") != 0 || strcmp(shadow, "0") == 0)
			str_addf(out, "refused %s time%s", refused,
			    strcmp(refused, "1") == 0 ? "" : "s");
		if (strcmp(shadow, "0") != 0)
			str_addf(out, "%s%s would have been, in shadow",
			    strcmp(refused, "0") == 0 ? "" : ", ", shadow);
		str_adds(out, ", the last time ");
		show_time(out, answer_whole_number(a, "last_refused"),
		    SHOW_MINUTE);
		str_addf(out, "\n  client %s, sender <%s>\n", answer_whole(a,
		    "last_client"), answer_whole(a, "last_sender"));
	}
	wrap_lines(out, width);
}

void
show_charge(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	char				 text[32];
	size_t				 i = 0;

	if ((r = answer_next(a, "charges", &i)) != NULL)
		str_addf(out, "%s: %s charged%s\n", answer_get(r, "id"),
		    answer_get(r, "n"), answer_number(r, "n") == 0 ?
		    ": the instance was charged before" :
		    answer_is(r, "locked") ?
		    ", which reaches the limit and locks" :
		    answer_is(r, "reached") ?
		    ", which reaches the limit" : "");
	while ((r = answer_next(a, "windows", &i)) != NULL)
		str_addf(out, "  %8" PRId64 " of %8" PRId64 " in %s\n",
		    answer_number(r, "used"), answer_number(r, "limit"),
		    show_period(answer_number(r, "seconds"), text,
		    sizeof(text)));
	wrap_lines(out, width);
}

void
show_reset(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	size_t				 i = 0;

	while ((r = answer_next(a, "resets", &i)) != NULL)
		str_addf(out, "%s: %" PRId64 " taken back\n",
		    answer_get(r, "id"), answer_number(r, "n"));
	wrap_lines(out, width);
}

/* --- explain --- */

/* Appends what a rule that counts new recipients knows. */
static void
add_habit(struct str *out, const struct answer_record *r)
{
	char	text[64];

	if (answer_get(r, "recipient")[0] == '\0')
		return;
	str_addf(out, "  network <%s> is %s: %s", answer_get(r, "network"),
	    answer_is(r, "familiar") ? "familiar" :
	    "unfamiliar", answer_get(r, "network_why"));
	if (answer_number(r, "familiar_in") > 0)
		str_addf(out, "; familiar in %s",
		    show_left(answer_number(r, "familiar_in"), text,
		    sizeof(text)));
	str_addf(out, "\n  recipient is %s\n", answer_get(r, "recipient"));
	if (answer_number(r, "learning_for") > 0)
		str_addf(out, "  the rule only learns, for another %s\n",
		    show_left(answer_number(r, "learning_for"), text,
		    sizeof(text)));
}

void
show_explain(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	size_t				 i = 0;

	str_addf(out, "%s: %s\naction=%s\n", answer_whole(a, "verdict"),
	    answer_whole(a, "reason"), answer_whole(a, "action"));
	(void)add_overrides(out, a);
	while ((r = answer_next(a, "keys", &i)) != NULL) {
		str_addf(out, "counts %" PRId64 " for %s=<%s>",
		    answer_number(r, "n"), answer_get(r, "key"),
		    answer_get(r, "id"));
		show_field(out, r, "rule", " by rule ", "");
		show_field(out, r, "id_of", ", which is what id_sql gives for "
		    "<", ">");
		show_field(out, r, "max_per_mail", ", at most ", " a mail");
		if (answer_is(r, "refuses"))
			str_adds(out, ", which refuses");
		if (answer_is(r, "over"))
			str_adds(out, ", which is over and lets Postfix take "
			    "the mail");
		if (answer_is(r, "would_refuse"))
			str_addf(out, ", which would refuse but %s",
			    answer_number(r, "learning_for") > 0 ?
			    "only learns" : "is in shadow");
		if (answer_is(r, "warns"))
			str_adds(out, ", which is near its limit");
		str_addc(out, '\n');
		add_habit(out, r);
	}
	(void)add_windows(out, a, width);
	wrap_lines(out, width);
}

/* --- status --- */

void
show_status(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*file, *backend, *fault;
	char				 text[32];
	size_t				 i;

	file = answer_whole(a, "configuration");
	backend = answer_whole(a, "backend");
	fault = answer_whole(a, "fault");
	str_addf(out, "policyd-rate-limit %s\n", answer_whole(a, "version"));
	str_addf(out, "up             %s\n", show_uptime(
	    answer_whole_number(a, "uptime"), text, sizeof(text)));
	str_addf(out, "configuration  %s%s\n",
	    *file != '\0' ? file : "none: built-in defaults",
	    answer_whole_number(a, "reload_failed") == 1 ?
	    " (the last reload failed)" : "");
	str_addf(out, "database       %s", answer_whole(a, "database"));
	if (*backend != '\0')
		str_addf(out, " (%s)", backend);
	str_addf(out, "%s%s\n", *fault != '\0' ? ": " : "", fault);
	str_addf(out, "clients        %s connected\n",
	    answer_whole(a, "clients"));
	str_addf(out, "requests       %s waiting for the database, %s to be "
	    "recorded\n\n", answer_whole(a, "waiting"),
	    answer_whole(a, "to_record"));
	str_addf(out, "%-16s %8s %12s  %s\n", "PROCESS", "PID", "UP",
	    "CONFINED BY");
	for (i = 0; (r = answer_next(a, "processes", &i)) != NULL;)
		str_addf(out, "%-16s %8" PRId64 " %12s  %s%s\n",
		    answer_get(r, "name"), answer_number(r, "pid"),
		    show_uptime(answer_number(r, "uptime"), text, sizeof(text)),
		    answer_get(r, "sandbox"),
		    answer_is(r, "serving") ? "" : "(not serving)");
	str_adds(out, "\nsince the start of the engine:\n");
	for (i = 0; (r = answer_next(a, "counters", &i)) != NULL;)
		str_addf(out, "  %-16s %12" PRId64 "\n", answer_get(r, "name"),
		    answer_number(r, "value"));
	wrap_lines(out, width);
}

/* --- others --- */

void
show_lines(struct str *out, const char *printable)
{
	struct str	text;
	char		*line, *end, clean[2048];

	str_init(&text);
	answer_text(&text, printable);
	str_addc(&text, '\n');
	for (line = text.data; (end = strchr(line, '\n')) != NULL;
	    line = end + 1)
		if (end > line)
			str_addf(out, "%s\n", str_printable(clean,
			    sizeof(clean), line, (size_t)(end - line)));
	str_clear(&text);
}

void
show_text(struct str *out, const struct answer *a, size_t width)
{
	show_lines(out, answer_whole(a, "text"));
	wrap_lines(out, width);
}

void
show_metrics(struct str *out, const struct answer *a, size_t width)
{
	(void)width;
	openmetrics_add(out, a, false);
}
