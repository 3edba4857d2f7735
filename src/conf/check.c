#include <sys/socket.h>
#include <sys/un.h>

#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/access.h"
#include "conf/check.h"
#include "conf/value.h"
#include "lib/addr.h"

#define CHECK_NAME_MAX	48	/* "rules[31].lock.action" */

/*
 * Postfix keeps an idle connection up to this long
 * (smtpd_policy_service_max_idle of postconf(5)).
 */
#define CHECK_POSTFIX_KEEPS	1000U

/* Adds advice at the place of a setting's value. */
static void	 advise_setting(const struct settings *, struct faults *,
		    const char *name, const char *, ...)
		    __attribute__((__format__(printf, 4, 5)));

static void
advise_setting(const struct settings *s, struct faults *faults,
    const char *name, const char *fmt, ...)
{
	const struct value	*v = settings_lookup(s, name);
	va_list			 ap;

	va_start(ap, fmt);
	fault_add(faults, FAULT_WARNING, v->line, v->column, NULL, fmt, ap);
	va_end(ap);
}

/* Says, if it is true, that a setting has no effect, and why. */
static void
advise_vain(const struct settings *s, struct faults *faults, bool vain,
    const char *name, const char *why)
{
	if (vain)
		advise_setting(s, faults, name, "%s has no effect: %s", name,
		    why);
}

/* Whether the file has this setting: there is no advice about defaults. */
static bool
is_given(const struct settings *s, const char *name)
{
	return settings_lookup(s, name)->line != 0;
}

/* --- actions --- */

/* access(5): PREPEND must be used before smtpd_end_of_data_restrictions. */
static void
warn_of_prepend(const char *name, const struct value *v, bool at_end,
    struct faults *faults)
{
	static const char	word[] = "PREPEND ";

	if (at_end && v->type == VALUE_STR &&
	    strncasecmp(v->bytes, word, strlen(word)) == 0)
		fault_warning(faults, v->line, v->column,
		    "%s can be the answer at END-OF-MESSAGE, where Postfix "
		    "ignores PREPEND: count_mode \"auto\" and rules that count "
		    "bytes answer there too", name);
}

/* The action of a rule, or of its lock; NULL: it has none. */
static const struct value *
find_rule_action(const struct settings *s, size_t i, const char *field,
    char name[CHECK_NAME_MAX])
{
	const struct value	*v = settings_lookup(s, "rules")->items[i];

	(void)snprintf(name, CHECK_NAME_MAX, "rules[%zu].%saction", i,
	    field == NULL ? "" : "lock.");
	return value_get(field == NULL ? v : value_get(v, field), "action");
}

static void
verify_rule_actions(const struct settings *s, struct faults *faults)
{
	const struct settings_lock	*lock;
	const struct value		*v;
	char				 name[CHECK_NAME_MAX];
	size_t				 i;

	for (i = 0; i < s->nrules; i++) {
		lock = &s->rules[i].lock;
		if ((v = find_rule_action(s, i, NULL, name)) != NULL) {
			check_action(name, v, FILLED_LIMIT, faults);
			warn_of_prepend(name, v, s->count_mode == COUNT_AUTO ||
			    s->rules[i].count == RULE_BYTES, faults);
		}
		v = find_rule_action(s, i, "lock", name);
		if (lock->action != NULL && v != NULL) {
			check_action(name, v, FILLED_LOCK, faults);
			if (!access_closes(lock->action))
				fault_error(faults, v->line, v->column,
				    "%s must refuse, HOLD or DISCARD", name);
		}
		/* Mail that passes a lock needs its own keys: apply_lock.h. */
		if (lock->except == NULL || s->nrules <= RULES_MAX - 2)
			continue;
		v = value_get(settings_lookup(s, "rules")->items[i], "lock");
		fault_error(faults, v->line, v->column, "rules[%zu].lock has "
		    "except_recipients, and there are more than %d rules", i,
		    RULES_MAX - 2);
	}
}

static void
verify_actions(const struct settings *s, struct faults *faults)
{
	static const struct {
		const char		*name;
		enum check_filled	 filled;
		bool			 at_end;	/* of a message */
	} actions[] = {
		{ "success_action", FILLED_NOT, true },
		{ "fail_action", FILLED_LIMIT, true },
		{ "never_action", FILLED_LIMIT, false },
		{ "block_action", FILLED_BLOCK, false },
		{ "db_error_action", FILLED_NOT, true }
	};
	const struct value	*v;
	bool			 at_end = s->count_mode == COUNT_AUTO;
	size_t			 i;

	for (i = 0; i < s->nrules; i++)
		at_end = at_end || s->rules[i].count == RULE_BYTES;
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		v = settings_lookup(s, actions[i].name);
		/* "memory" is a word of ours. */
		if (strcmp(actions[i].name, "db_error_action") != 0 ||
		    strcmp(s->db_error_action, "memory") != 0)
			check_action(actions[i].name, v, actions[i].filled,
			    faults);
		warn_of_prepend(actions[i].name, v, at_end && actions[i].at_end,
		    faults);
	}
	v = settings_lookup(s, "never_action");
	if (s->never_action != NULL && !access_refuses(s->never_action))
		fault_error(faults, v->line, v->column,
		    "never_action must refuse: REJECT, DEFER, DEFER_IF_PERMIT, "
		    "4NN or 5NN");
	v = settings_lookup(s, "block_action");
	if (!access_closes(s->block_action))
		fault_error(faults, v->line, v->column,
		    "block_action must refuse, HOLD or DISCARD");
	verify_rule_actions(s, faults);
}

/* --- queries --- */

/*
 * A question mark is an operator in some of PostgreSQL's expressions, so it
 * counts only if neither of the other placeholders is there. $1 may occur
 * several times.
 */
static void
verify_query(const char *name, const struct value *v, struct faults *faults)
{
	unsigned int	 dollar, format, question;
	const char	*p, *end;

	/* The reader has rejected a query with a NUL. */
	if (v == NULL || v->type != VALUE_STR || v->len == 0 ||
	    strlen(v->bytes) != v->len)
		return;
	dollar = format = question = 0;
	for (p = v->bytes; *p != '\0';) {
		/* What is quoted, and comments, have no placeholders. */
		end = p;
		if (*p == '\'' || *p == '"' || *p == '`')
			end = (end = strchr(p + 1, *p)) == NULL ?
			    p + strlen(p) : end + 1;
		else if (strncmp(p, "--", 2) == 0)
			end = p + strcspn(p, "\n");
		else if (strncmp(p, "/*", 2) == 0)
			end = (end = strstr(p + 2, "*/")) == NULL ?
			    p + strlen(p) : end + 2;
		if (end != p) {
			p = end;
			continue;
		}
		dollar += strncmp(p, "$1", 2) == 0;
		question += *p == '?';
		format += strncmp(p, "%s", 2) == 0;
		/* "%%" is how Python's drivers write one of them. */
		p += *p == '%' && (p[1] == 's' || p[1] == '%') ? 2 : 1;
	}
	if (dollar == 0 && format == 0 && question == 0)
		fault_error(faults, v->line, v->column,
		    "%s has no placeholder for the id: write %%s, ? or $1 "
		    "without quotes around it",
		    name);
	else if ((dollar != 0) + (format != 0) > 1 || format > 1 ||
	    (dollar == 0 && format == 0 && question > 1))
		fault_error(faults, v->line, v->column,
		    "%s has more than one placeholder", name);
}

static void
verify_queries(const struct settings *s, struct faults *faults)
{
	const struct value	*rules;
	char			 name[CHECK_NAME_MAX];
	size_t			 i;

	verify_query("sql_limits_by_id", settings_lookup(s, "sql_limits_by_id"),
	    faults);
	rules = settings_lookup(s, "rules");
	for (i = 0; i < s->nrules; i++) {
		snprintf(name, sizeof(name), "rules[%zu].sql_limits_by_id", i);
		verify_query(name,
		    value_get(rules->items[i], "sql_limits_by_id"), faults);
		snprintf(name, sizeof(name), "rules[%zu].id_sql", i);
		verify_query(name, value_get(rules->items[i], "id_sql"),
		    faults);
	}
}

/* --- sockets --- */

void
check_addresses(const struct settings *s, struct faults *faults)
{
	const struct addrinfo		 hints = {
		.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM
	};
	const struct settings_socket	*socket;
	struct addrinfo			*ai;
	struct sockaddr_un		 sun;
	const struct value		*v;
	size_t				 i;

	v = settings_lookup(s, "SOCKET");
	for (i = 0; i < s->nsockets; i++) {
		socket = &s->sockets[i];
		if (socket->host != NULL && getaddrinfo(socket->host, NULL,
		    &hints, &ai) != 0)
			fault_error(faults, v->line, v->column,
			    "SOCKET: \"%s\" is not an address", socket->host);
		else if (socket->host != NULL)
			freeaddrinfo(ai);
		else if (strlen(socket->path) >= sizeof(sun.sun_path))
			fault_error(faults, v->line, v->column,
			    "SOCKET: \"%s\" is longer than the %zu bytes that "
			    "a socket may have", socket->path,
			    sizeof(sun.sun_path) - 1);
	}
}

static void
advise_absolute(const struct settings *s, struct faults *faults,
    const char *name, const char *path)
{
	if (path != NULL && path[0] != '/')
		advise_setting(s, faults, name, "%s: \"%s\" is a path relative "
		    "to where the daemon is started", name, path);
}

static void
verify_paths(const struct settings *s, struct faults *faults)
{
	const struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	const struct value		*v;
	size_t				 longest = sizeof(sun.sun_path) - 1;
	bool				 none = s->control_socket == NULL;

	advise_vain(s, faults, none && s->control_group != NULL,
	    "control_group", "control_socket is None");
	advise_vain(s, faults, none && s->operator_group != NULL,
	    "operator_group", "control_socket is None");
	advise_absolute(s, faults, "control_socket", s->control_socket);
	advise_absolute(s, faults, "pidfile", s->pidfile);
	v = value_get(s->sqlite_config, "database");
	if (s->backend == BACKEND_SQLITE && v != NULL && v->type == VALUE_STR)
		advise_absolute(s, faults, "sqlite_config", v->bytes);
	if (s->control_socket == NULL || s->operator_group == NULL ||
	    strlen(s->control_socket) + strlen(SETTINGS_OPERATOR) <= longest)
		return;
	v = settings_lookup(s, "operator_group");
	fault_error(faults, v->line, v->column, "operator_group: the path "
	    "\"%s%s\" is longer than the %zu bytes that a socket may have",
	    s->control_socket, SETTINGS_OPERATOR, longest);
}

static void
verify_sockets(const struct settings *s, struct faults *faults)
{
	const struct value		*v = settings_lookup(s, "SOCKET");
	const struct settings_socket	*a, *b;
	bool				 open, tcp, path;
	size_t				 i, j;

	open = tcp = path = false;
	for (i = 0; i < s->nsockets; i++) {
		a = &s->sockets[i];
		for (j = 0; j < i; j++) {
			b = &s->sockets[j];
			if (a->path != NULL ? b->path != NULL &&
			    strcmp(a->path, b->path) == 0 : b->path == NULL &&
			    a->port == b->port && strcmp(a->host, b->host) == 0)
				fault_error(faults, v->line, v->column,
				    "SOCKET names \"%s\" twice", a->path !=
				    NULL ? a->path : a->host);
		}
		path = path || a->path != NULL;
		tcp = tcp || a->host != NULL;
		open = open ||
		    (a->host != NULL && !addr_names_loopback(a->host));
		advise_absolute(s, faults, "SOCKET", a->path);
	}
	if (open && s->allowed_clients.count == 0)
		advise_setting(s, faults, "SOCKET",
		    "SOCKET listens on the network for everybody: name those "
		    "who may ask in allowed_clients");
	advise_vain(s, faults, !tcp && s->allowed_clients.count > 0,
	    "allowed_clients", "SOCKET has no TCP address");
	advise_vain(s, faults, !path && s->socket_user != NULL, "socket_user",
	    "SOCKET has no path");
	advise_vain(s, faults, !path && s->socket_group != NULL,
	    "socket_group", "SOCKET has no path");
	if (s->delay_to_close <= CHECK_POSTFIX_KEEPS)
		advise_setting(s, faults, "delay_to_close",
		    "delay_to_close of %u: Postfix keeps an idle connection "
		    "for up to %u seconds and loses a second if it was closed",
		    s->delay_to_close, CHECK_POSTFIX_KEEPS);
}

/* --- limits --- */

static void
verify_limits(const struct settings *s, struct faults *faults)
{
	bool	networks = s->limited_networks.count > 0;
	size_t	i;

	if (s->count_mode == COUNT_RCPT)
		advise_setting(s, faults, "count_mode", "count_mode 0 is "
		    "deprecated: Postfix delivers the recipients before the "
		    "refused one, and they are not counted; write \"auto\"");
	if (s->nrules == 0 && !s->limit_by_sasl && !s->limit_by_sender &&
	    !s->limit_by_ip)
		advise_setting(s, faults, "limit_by_sasl", "nothing is "
		    "limited: limit_by_sasl, limit_by_sender and limit_by_ip "
		    "are off");
	if (s->nrules == 0 && access_permits(s->fail_action))
		advise_setting(s, faults, "fail_action",
		    "fail_action refuses nothing: limits have no effect");
	advise_vain(s, faults, networks && !s->limit_by_ip,
	    "limited_networks", "limit_by_ip is off");
	advise_vain(s, faults, !networks && s->limit_by_ip, "limit_by_ip",
	    "limited_networks names no network");
	for (i = 0; i < s->nrules; i++)
		if (s->rules[i].max_per_mail > 0 &&
		    s->rules[i].count == RULE_RECIPIENTS &&
		    s->count_mode == COUNT_MESSAGES)
			advise_setting(s, faults, "count_mode",
			    "rules[%zu].max_per_mail has no effect: with "
			    "count_mode 2 a mail counts as one recipient", i);
}

/* --- reports --- */

/* Whether hits of the windows in report_limits are possible. */
static void
verify_report_limits(const struct settings *s, struct faults *faults)
{
	bool	given = is_given(s, "report_limits");
	size_t	i, j, found = 0;

	/* Ids with limits of their own may have windows of any length. */
	if (!s->report || settings_lookup(s, "limits_by_id")->count > 0 ||
	    *s->sql_limits_by_id != '\0' || s->nrules > 0)
		return;
	for (i = 0; i < s->nreport_limits; i++) {
		for (j = 0; j < s->limits.count; j++)
			if (s->limits.list[j].seconds == s->report_limits[i])
				break;
		found += j < s->limits.count;
		if (j == s->limits.count && given)
			advise_setting(s, faults, "report_limits",
			    "report_limits: no limit has a window of %lld "
			    "second%s", (long long)s->report_limits[i],
			    s->report_limits[i] == 1 ? "" : "s");
	}
	if (found == 0 && s->limits.count > 0 && !given)
		advise_setting(s, faults, "report", "nothing is reported: no "
		    "limit has a window of those in report_limits");
}

static void
verify_report(const struct settings *s, struct faults *faults)
{
	bool	user = s->report_user != NULL;
	size_t	domains = s->report_user_domains.count;

	advise_vain(s, faults, !user && domains > 0, "report_user_domains",
	    "report_user is not set");
	advise_vain(s, faults, user && !s->report, "report_user",
	    "report is off");
	advise_vain(s, faults, user && domains == 0, "report_user",
	    "report_user_domains names no domain");
	advise_vain(s, faults, user && s->nrules == 0 && !s->limit_by_sasl,
	    "report_user", "no login is limited");
	advise_vain(s, faults, !s->report && s->report_immediately,
	    "report_immediately", "report is off");
	advise_vain(s, faults, s->report && s->smtp_tls_cafile != NULL &&
	    (s->smtp_tls == SMTP_TLS_NONE || !s->smtp_tls_verify),
	    "smtp_tls_cafile", "no certificate is checked");
	advise_vain(s, faults, s->report && is_given(s, "smtp_tls") &&
	    is_given(s, "smtp_starttls") &&
	    settings_lookup(s, "smtp_starttls")->boolean &&
	    s->smtp_tls != SMTP_TLS_STARTTLS, "smtp_starttls",
	    "smtp_tls says otherwise");
	if (s->report && s->report_to.count == 0)
		advise_setting(s, faults, "report", "report is on, but "
		    "report_to names nobody: hits are kept, and no mail is "
		    "sent");
	verify_report_limits(s, faults);
	if (s->report && s->smtp_user != NULL &&
	    s->smtp_tls == SMTP_TLS_NONE && !addr_names_loopback(s->smtp_host))
		advise_setting(s, faults, "smtp_credentials",
		    "smtp_credentials are never sent to \"%s\" without TLS: "
		    "set smtp_tls", s->smtp_host);
}

void
check_settings(const struct settings *s, struct faults *faults)
{
	verify_actions(s, faults);
	verify_queries(s, faults);
	verify_sockets(s, faults);
	verify_paths(s, faults);
	verify_limits(s, faults);
	check_rules(s, faults);
	verify_report(s, faults);
}
