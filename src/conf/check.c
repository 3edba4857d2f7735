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

#define CHECK_TEXT_MAX	512

/*
 * Postfix keeps an idle connection up to this long
 * (smtpd_policy_service_max_idle of postconf(5)).
 */
#define CHECK_POSTFIX_KEEPS	1000

/* Adds advice at the place of a setting's value. */
static void	 check_advise(const struct settings *, struct faults *,
		    const char *name, const char *, ...)
		    __attribute__((__format__(printf, 4, 5)));

static void
check_advise(const struct settings *s, struct faults *faults, const char *name,
    const char *fmt, ...)
{
	const struct value	*v;
	char			 text[CHECK_TEXT_MAX];
	va_list			 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v = settings_lookup(s, name);
	fault_warning(faults, v->line, v->column, "%s", text);
}

/* Whether the file has this setting: there is no advice about defaults. */
static bool
check_is_given(const struct settings *s, const char *name)
{
	return settings_lookup(s, name)->line != 0;
}

/* --- actions --- */

/* access(5): PREPEND must be used before smtpd_end_of_data_restrictions. */
static void
check_prepend(const char *name, const struct value *v, bool at_end,
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

static void
check_all_prepends(const struct settings *s, struct faults *faults)
{
	static const char *const	names[] = {
		"success_action", "fail_action", "db_error_action"
	};
	const struct value		*rules = settings_lookup(s, "rules");
	const struct value		*action;
	char				 name[48];
	bool				 at_end, any, all;
	size_t				 i;

	any = all = s->count_mode == COUNT_AUTO;
	for (i = 0; i < s->nrules; i++) {
		at_end = all || s->rules[i].count == RULE_BYTES;
		any = any || at_end;
		if ((action = value_get(rules->items[i], "action")) == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "rules[%zu].action", i);
		check_prepend(name, action, at_end, faults);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_prepend(names[i], settings_lookup(s, names[i]), any,
		    faults);
}

/* `lock` is the field of rule `i`, or NULL. */
static void
check_lock_action(const struct settings *s, size_t i, const struct value *lock,
    struct faults *faults)
{
	const struct value	*action;
	char			 name[48];

	/* A charge has keys for the mail that passes: decide_lock.h. */
	if (s->rules[i].lock.except != NULL && s->nrules > RULES_MAX - 2)
		fault_error(faults, lock->line, lock->column,
		    "rules[%zu].lock has except_recipients, and there are "
		    "more than %d rules", i, RULES_MAX - 2);
	if (s->rules[i].lock.action == NULL)
		return;
	action = value_get(lock, "action");
	(void)snprintf(name, sizeof(name), "rules[%zu].lock.action", i);
	check_action(name, action, FILLED_LOCK, faults);
	if (!access_closes(s->rules[i].lock.action))
		fault_error(faults, action->line, action->column,
		    "%s must refuse, HOLD or DISCARD", name);
}

static void
check_actions(const struct settings *s, struct faults *faults)
{
	const struct value	*action, *rules;
	char			 name[48];
	size_t			 i;

	check_action("success_action", settings_lookup(s, "success_action"),
	    FILLED_NOT, faults);
	check_action("fail_action", settings_lookup(s, "fail_action"),
	    FILLED_LIMIT, faults);
	action = settings_lookup(s, "never_action");
	check_action("never_action", action, FILLED_LIMIT, faults);
	if (s->never_action != NULL && !access_refuses(s->never_action))
		fault_error(faults, action->line, action->column,
		    "never_action must refuse: REJECT, DEFER, DEFER_IF_PERMIT, "
		    "4NN or 5NN");
	action = settings_lookup(s, "block_action");
	check_action("block_action", action, FILLED_BLOCK, faults);
	if (!access_closes(s->block_action))
		fault_error(faults, action->line, action->column,
		    "block_action must refuse, HOLD or DISCARD");
	if (strcmp(s->db_error_action, "memory") != 0)
		check_action("db_error_action",
		    settings_lookup(s, "db_error_action"), FILLED_NOT, faults);

	check_all_prepends(s, faults);
	rules = settings_lookup(s, "rules");
	for (i = 0; i < s->nrules; i++) {
		check_lock_action(s, i, value_get(rules->items[i], "lock"),
		    faults);
		action = value_get(rules->items[i], "action");
		if (action == NULL)
			continue;
		snprintf(name, sizeof(name), "rules[%zu].action", i);
		check_action(name, action, FILLED_LIMIT, faults);
	}
}

/* --- queries --- */

/*
 * Skips a quoted string, a quoted name or a comment; otherwise returns the same
 * place.
 */
static const char *
check_skip(const char *p)
{
	const char	*end;

	if (*p == '\'' || *p == '"' || *p == '`') {
		end = strchr(p + 1, *p);
		return end == NULL ? p + strlen(p) : end + 1;
	}
	if (strncmp(p, "--", 2) == 0)
		return p + strcspn(p, "\n");
	if (strncmp(p, "/*", 2) == 0) {
		end = strstr(p + 2, "*/");
		return end == NULL ? p + strlen(p) : end + 2;
	}
	return p;
}

/*
 * A question mark is an operator in some of PostgreSQL's expressions, so it
 * counts only if neither of the other placeholders is there. $1 may occur
 * several times.
 */
static void
check_query(const char *name, const struct value *v, struct faults *faults)
{
	unsigned int	 dollar, format, question;
	const char	*p, *past;

	/* The reader has rejected a query with a NUL. */
	if (v == NULL || v->type != VALUE_STR || v->len == 0 ||
	    strlen(v->bytes) != v->len)
		return;
	dollar = format = question = 0;
	for (p = v->bytes; *p != '\0';) {
		if ((past = check_skip(p)) != p) {
			p = past;
			continue;
		}
		dollar += strncmp(p, "$1", 2) == 0;
		question += *p == '?';
		if (strncmp(p, "%s", 2) == 0)
			format++;
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
check_queries(const struct settings *s, struct faults *faults)
{
	const struct value	*rules;
	char			 name[48];
	size_t			 i;

	check_query("sql_limits_by_id", settings_lookup(s, "sql_limits_by_id"),
	    faults);
	rules = settings_lookup(s, "rules");
	for (i = 0; i < s->nrules; i++) {
		snprintf(name, sizeof(name), "rules[%zu].sql_limits_by_id", i);
		check_query(name,
		    value_get(rules->items[i], "sql_limits_by_id"), faults);
		snprintf(name, sizeof(name), "rules[%zu].id_sql", i);
		check_query(name, value_get(rules->items[i], "id_sql"), faults);
	}
}

/* --- sockets --- */

static bool
check_is_address(const char *host)
{
	const struct addrinfo	 hints = {
		.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM
	};
	struct addrinfo		*ai;

	if (getaddrinfo(host, NULL, &hints, &ai) != 0)
		return false;
	freeaddrinfo(ai);
	return true;
}

void
check_addresses(const struct settings *s, struct faults *faults)
{
	struct sockaddr_un	 sun;
	const struct value	*v;
	size_t			 i;

	v = settings_lookup(s, "SOCKET");
	for (i = 0; i < s->nsockets; i++) {
		if (s->sockets[i].host != NULL &&
		    !check_is_address(s->sockets[i].host))
			fault_error(faults, v->line, v->column,
			    "SOCKET: \"%s\" is not an address",
			    s->sockets[i].host);
		if (s->sockets[i].path != NULL &&
		    strlen(s->sockets[i].path) >= sizeof(sun.sun_path))
			fault_error(faults, v->line, v->column,
			    "SOCKET: \"%s\" is longer than the %zu bytes that "
			    "a socket may have",
			    s->sockets[i].path, sizeof(sun.sun_path) - 1);
	}
}

static bool
check_same_socket(const struct settings_socket *a,
    const struct settings_socket *b)
{
	if (a->path != NULL || b->path != NULL)
		return a->path != NULL && b->path != NULL &&
		    strcmp(a->path, b->path) == 0;
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void
check_absolute(const struct settings *s, struct faults *faults,
    const char *name, const char *path)
{
	if (path != NULL && path[0] != '/')
		check_advise(s, faults, name, "%s: \"%s\" is a path relative "
		    "to where the daemon is started", name, path);
}

static void
check_control(const struct settings *s, struct faults *faults)
{
	static const char *const	groups[] = {
		"control_group", "operator_group"
	};
	const struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	const struct value		*v;
	size_t				i, longest = sizeof(sun.sun_path) - 1;

	check_absolute(s, faults, "control_socket", s->control_socket);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (s->control_socket == NULL && check_is_given(s, groups[i]) &&
		    settings_lookup(s, groups[i])->type != VALUE_NONE)
			check_advise(s, faults, groups[i], "%s has no effect: "
			    "control_socket is None", groups[i]);
	if (s->control_socket == NULL || s->operator_group == NULL ||
	    strlen(s->control_socket) + strlen(SETTINGS_OPERATOR) <= longest)
		return;
	v = settings_lookup(s, "operator_group");
	fault_error(faults, v->line, v->column, "operator_group: the path "
	    "\"%s%s\" is longer than the %zu bytes that a socket may have",
	    s->control_socket, SETTINGS_OPERATOR, longest);
}

static void
check_sockets(const struct settings *s, struct faults *faults)
{
	const struct value		*v;
	const struct settings_socket	*socket;
	bool				 open, tcp, path;
	size_t				 i, j;

	v = settings_lookup(s, "SOCKET");
	open = tcp = path = false;
	for (i = 0; i < s->nsockets; i++) {
		socket = &s->sockets[i];
		for (j = 0; j < i; j++)
			if (check_same_socket(socket, &s->sockets[j]))
				fault_error(faults, v->line, v->column,
				    "SOCKET names \"%s\" twice", socket->path !=
				    NULL ? socket->path : socket->host);
		if (socket->path != NULL)
			path = true;
		else
			tcp = true;
		if (socket->host != NULL && !addr_names_loopback(socket->host))
			open = true;
		if (socket->path != NULL)
			check_absolute(s, faults, "SOCKET", socket->path);
	}
	check_control(s, faults);
	check_absolute(s, faults, "pidfile", s->pidfile);
	v = value_get(s->sqlite_config, "database");
	if (s->backend == BACKEND_SQLITE && v != NULL && v->type == VALUE_STR)
		check_absolute(s, faults, "sqlite_config", v->bytes);
	if (open && s->allowed_clients.count == 0)
		check_advise(s, faults, "SOCKET",
		    "SOCKET listens on the network for everybody: name those "
		    "who may ask in allowed_clients");
	if (!tcp && s->allowed_clients.count > 0)
		check_advise(s, faults, "allowed_clients",
		    "allowed_clients has no effect: SOCKET has no TCP address");
	if (!path && s->socket_user != NULL)
		check_advise(s, faults, "socket_user",
		    "socket_user has no effect: SOCKET has no path");
	if (!path && s->socket_group != NULL)
		check_advise(s, faults, "socket_group",
		    "socket_group has no effect: SOCKET has no path");
	if (s->delay_to_close <= CHECK_POSTFIX_KEEPS)
		check_advise(s, faults, "delay_to_close",
		    "delay_to_close of %d: Postfix keeps an idle connection "
		    "for up to %d seconds and loses a second if it was closed",
		    s->delay_to_close, CHECK_POSTFIX_KEEPS);
}

/* --- limits --- */

static bool
check_has_window(const struct settings *s, int64_t seconds)
{
	size_t	i;

	for (i = 0; i < s->limits.count; i++)
		if (s->limits.list[i].seconds == seconds)
			return true;
	return false;
}

static void
check_limits(const struct settings *s, struct faults *faults)
{
	size_t	i;

	if (s->count_mode == COUNT_RCPT)
		check_advise(s, faults, "count_mode",
		    "count_mode 0 is deprecated: Postfix delivers the "
		    "recipients before the refused one, and they are not "
		    "counted; write \"auto\"");
	for (i = 0; i < s->nrules; i++)
		if (s->rules[i].max_per_mail > 0 &&
		    s->rules[i].count == RULE_RECIPIENTS &&
		    s->count_mode == COUNT_MESSAGES)
			check_advise(s, faults, "count_mode",
			    "rules[%zu].max_per_mail has no effect: with "
			    "count_mode 2 a mail counts as one recipient", i);
	if (s->nrules == 0 && !s->limit_by_sasl && !s->limit_by_sender &&
	    !s->limit_by_ip)
		check_advise(s, faults, "limit_by_sasl", "nothing is limited: "
		    "limit_by_sasl, limit_by_sender and limit_by_ip are off");
	if (s->limited_networks.count > 0 && !s->limit_by_ip)
		check_advise(s, faults, "limited_networks",
		    "limited_networks has no effect: limit_by_ip is off");
	if (s->limit_by_ip && s->limited_networks.count == 0)
		check_advise(s, faults, "limit_by_ip",
		    "limit_by_ip has no effect: limited_networks names no "
		    "network");
	if (s->nrules == 0 && access_permits(s->fail_action))
		check_advise(s, faults, "fail_action",
		    "fail_action refuses nothing: limits have no effect");
}

/* --- reports --- */

static void
check_report_limits(const struct settings *s, struct faults *faults)
{
	size_t	i, found = 0;

	/* Ids with limits of their own may have windows of any length. */
	if (settings_lookup(s, "limits_by_id")->count > 0 ||
	    *s->sql_limits_by_id != '\0' || s->nrules > 0)
		return;
	for (i = 0; i < s->nreport_limits; i++)
		if (check_has_window(s, s->report_limits[i]))
			found++;
		else if (check_is_given(s, "report_limits"))
			check_advise(s, faults, "report_limits",
			    "report_limits: no limit has a window of %lld "
			    "second%s", (long long)s->report_limits[i],
			    s->report_limits[i] == 1 ? "" : "s");
	if (found == 0 && s->limits.count > 0 &&
	    !check_is_given(s, "report_limits"))
		check_advise(s, faults, "report", "nothing is reported: no "
		    "limit has a window of those in report_limits");
}

static void
check_report_user(const struct settings *s, struct faults *faults)
{
	if (s->report_user == NULL) {
		if (s->report_user_domains.count > 0)
			check_advise(s, faults, "report_user_domains",
			    "report_user_domains has no effect: report_user is "
			    "not set");
		return;
	}
	if (!s->report)
		check_advise(s, faults, "report_user",
		    "report_user has no effect: report is off");
	if (s->report_user_domains.count == 0)
		check_advise(s, faults, "report_user", "report_user has no "
		    "effect: report_user_domains names no domain");
	if (s->nrules == 0 && !s->limit_by_sasl)
		check_advise(s, faults, "report_user",
		    "report_user has no effect: no login is limited");
}

static void
check_reports(const struct settings *s, struct faults *faults)
{
	check_report_user(s, faults);
	if (!s->report) {
		if (s->report_immediately)
			check_advise(s, faults, "report_immediately",
			    "report_immediately has no effect: report is off");
		return;
	}
	if (s->report_to.count == 0)
		check_advise(s, faults, "report", "report is on, but report_to "
		    "names nobody: hits are kept, and no mail is sent");
	check_report_limits(s, faults);
	if (s->smtp_user != NULL && s->smtp_tls == SMTP_TLS_NONE &&
	    !addr_names_loopback(s->smtp_host))
		check_advise(s, faults, "smtp_credentials",
		    "smtp_credentials are never sent to \"%s\" without TLS: "
		    "set smtp_tls",
		    s->smtp_host);
	if (s->smtp_tls_cafile != NULL &&
	    (s->smtp_tls == SMTP_TLS_NONE || !s->smtp_tls_verify))
		check_advise(s, faults, "smtp_tls_cafile",
		    "smtp_tls_cafile has no effect: no certificate is checked");
	if (check_is_given(s, "smtp_tls") &&
	    check_is_given(s, "smtp_starttls") &&
	    settings_lookup(s, "smtp_starttls")->boolean &&
	    s->smtp_tls != SMTP_TLS_STARTTLS)
		check_advise(s, faults, "smtp_starttls",
		    "smtp_starttls has no effect: smtp_tls says otherwise");
}

void
check_settings(const struct settings *s, struct faults *faults)
{
	check_actions(s, faults);
	check_queries(s, faults);
	check_sockets(s, faults);
	check_limits(s, faults);
	check_rules(s, faults);
	check_reports(s, faults);
}
