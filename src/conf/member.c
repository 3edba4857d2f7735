#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/member.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define MEMBER_SOCKETS_MAX		64
#define MEMBER_REPORT_LIMITS_MAX	64
#define MEMBER_SECONDS_MAX		INT64_C(3153600000)

static const struct reader_word	member_tls_words[] = {
	{ "none",	SMTP_TLS_NONE },
	{ "starttls",	SMTP_TLS_STARTTLS },
	{ "tls",	SMTP_TLS_TLS },
	{ NULL,		0 }
};

/* --- SOCKET --- */

/* Whether it has the form [address, port], be these right or wrong. */
static bool
is_pair(const struct value *v)
{
	return READER_IS_LIST(v) && v->count == 2 &&
	    v->items[0]->type == VALUE_STR && v->items[1]->type == VALUE_INT;
}

/*
 * Postfix writes sockets as "unix:path" and "inet:address:port", and other
 * programs have further prefixes. Here each would be a path relative to the
 * working directory. Says what to write instead; always -1.
 */
static int
report_colon(const struct reading *r, const struct value *v)
{
	const char	*text = v->bytes, *rest = text, *colon;
	int64_t		 port;
	size_t		 len;

	len = strcspn(text, ":[].");
	if (text[len] == ':')
		rest += len + 1;
	if (*rest == '/')
		return reader_fault(r, v, "has the prefix \"%.*s:\" in "
		    "\"%.200s\": write \"%.200s\"", (int)len, text, text,
		    rest);
	colon = strrchr(text, ':');
	if (num_parse(colon + 1, strlen(colon + 1), 1, UINT16_MAX, &port) ==
	    -1)
		return reader_fault(r, v, "has \"%.200s\", which is no path: "
		    "write \"/path\" or [\"address\", port]", text);
	rest += *rest == '[';
	len = colon > rest ? (size_t)(colon - rest) : 0;
	len -= len > 0 && rest[len - 1] == ']';
	/* It is a host name, or only a port. */
	if (memchr(rest, '.', len) == NULL && memchr(rest, ':', len) == NULL) {
		rest = "127.0.0.1";
		len = strlen(rest);
	}
	return reader_fault(r, v, "has \"%.200s\", which is not a path: write "
	    "[\"%.*s\", %d]", text, (int)len, rest, (int)port);
}

/* 0 if it can be the path of a socket; -1 with a fault. */
static int
check_path(const struct reading *r, const struct value *v)
{
	if (v->len == 0)
		return reader_fault(r, v, "has an empty path");
	if (memchr(v->bytes, '\0', v->len) != NULL)
		return reader_fault(r, v, "has a NUL character in its path");
	if (isspace((unsigned char)v->bytes[0]) ||
	    isspace((unsigned char)v->bytes[v->len - 1]))
		return reader_fault(r, v, "begins or ends with a blank");
	return v->bytes[strcspn(v->bytes, ":/")] == ':' ?
	    report_colon(r, v) : 0;
}

/*
 * 0 if it is a path, or a pair whose address has a `.` or a `:`; -1 with a
 * fault.
 */
static int
check_socket(const struct reading *r, const struct value *v, bool listed)
{
	const struct value	*host;

	if (v->type == VALUE_STR) {
		if (check_path(r, v) == -1)
			return -1;
		/*
		 * ["127.0.0.1", "10031"] is meant as a pair, not as a list of
		 * paths.
		 */
		if (!listed || strchr(v->bytes, '/') != NULL)
			return 0;
		return reader_fault(r, v, "must be paths with a \"/\" in a "
		    "list; or, as [address, port], with a number as port");
	}
	if (!is_pair(v))
		return reader_fault(r, v, "must be a path or [address, port], "
		    "or a list of these");
	host = v->items[0];
	if (memchr(host->bytes, '\0', host->len) == NULL &&
	    strpbrk(host->bytes, ".:") != NULL)
		return 0;
	return reader_fault(r, host,
	    "has an address without a \".\" or a \":\"");
}

static void
clear_sockets(struct settings *s)
{
	size_t	i;

	for (i = 0; i < s->nsockets; i++) {
		free(s->sockets[i].path);
		free(s->sockets[i].host);
	}
	free(s->sockets);
	s->sockets = NULL;
	s->nsockets = 0;
}

static int
add_socket(const struct reading *r, const struct value *v)
{
	struct settings		*s = r->out;
	struct settings_socket	*socket;
	const struct value	*port;

	if (v->type != VALUE_STR) {
		port = v->items[1];
		if (port->integer < 1 || port->integer > UINT16_MAX)
			return reader_fault(r, port, "must have a port from 1 "
			    "to %d", UINT16_MAX);
	}
	s->sockets =
	    alloc_resize(s->sockets, s->nsockets + 1, sizeof(*s->sockets));
	socket = &s->sockets[s->nsockets++];
	memset(socket, 0, sizeof(*socket));
	if (v->type == VALUE_STR)
		socket->path = alloc_string(v->bytes);
	else {
		socket->host = alloc_string(v->items[0]->bytes);
		socket->port = (uint16_t)v->items[1]->integer;
	}
	return 0;
}

int
member_sockets(const struct reading *r, const struct value *v)
{
	const struct value	*item;
	bool			 listed;
	size_t			 i, n;
	int			 result = 0;

	listed = READER_IS_LIST(v) && !is_pair(v);
	n = listed ? v->count : 1;
	if (n == 0)
		reader_fault(r, v, "names no socket");
	for (i = 0; i < n; i++)
		if (check_socket(r, listed ? v->items[i] : v, listed) == -1)
			break;
	if (n == 0 || i < n) {
		r->faults->sockets++;
		return -1;
	}
	if (n > MEMBER_SOCKETS_MAX)
		return reader_fault(r, v, "names more than %d sockets",
		    MEMBER_SOCKETS_MAX);
	clear_sockets(r->out);
	for (i = 0; i < n; i++) {
		item = listed ? v->items[i] : v;
		if (add_socket(r, item) == -1)
			result = -1;
	}
	return result;
}

int
member_control_socket(const struct reading *r, const struct value *v)
{
	if (v->type == VALUE_STR && v->len > 0 && check_path(r, v) == -1)
		return -1;
	return reader_string_or_none(r, v);
}

/* --- the log --- */

int
member_log(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE)
		return reader_word(r, v);
	*(int *)r->out = LOG_WHERE_AUTO;
	return 0;
}

/* --- the mail server --- */

/*
 * Reads "host", "host:port" and "[2001:db8::1]:port" as Python's smtplib does;
 * two colons without brackets are an IPv6 address.
 */
static int
read_host(const struct reading *r, const struct value *v, char **host,
    int64_t *port)
{
	const char	*colon, *start;
	size_t		 len;

	if (reader_line(r, v) == -1)
		return -1;
	start = v->bytes;
	len = v->len;
	colon = NULL;
	if (*start == '[' && (colon = strchr(start, ']')) != NULL) {
		len = (size_t)(colon - ++start);
		if (*++colon == '\0')
			colon = NULL;
		else if (*colon != ':')
			len = 0;
	} else if ((colon = strchr(start, ':')) != NULL &&
	    strchr(colon + 1, ':') != NULL)
		colon = NULL;
	else if (colon != NULL)
		len = (size_t)(colon - start);
	if (len == 0 || (colon != NULL && num_parse(colon + 1,
	    strlen(colon + 1), 1, UINT16_MAX, port) == -1))
		return reader_fault(r, v,
		    "must name a host, such as [\"mail.example.org\", 587]");
	*host = alloc_copy(start, len);
	return 0;
}

int
member_smtp_server(const struct reading *r, const struct value *v)
{
	struct settings		*s = r->out;
	const struct value	*number;
	char			*host = NULL;
	int64_t			 port = 0;
	int			 bad;

	if (v->type != VALUE_STR && (!READER_IS_LIST(v) || v->count < 1 ||
	    v->count > 2))
		return reader_mismatch(r, v, "[host, port], [host] or a host");
	if (read_host(r, v->type == VALUE_STR ? v : v->items[0], &host,
	    &port) == -1)
		return -1;
	if (v->type != VALUE_STR && v->count == 2) {
		/* A string that is a number is one to smtplib, too. */
		number = v->items[1];
		bad = number->type == VALUE_STR ? num_parse(number->bytes,
		    number->len, 1, UINT16_MAX, &port) :
		    reader_whole(number, &port);
		if (bad == -1 || port < 1 || port > UINT16_MAX) {
			reader_fault(r, number, "must have a port from 1 to %d",
			    UINT16_MAX);
			free(host);
			return -1;
		}
	}
	free(s->smtp_host);
	s->smtp_host = host;
	s->smtp_port = (uint16_t)port;
	return 0;
}

static void
wipe_secret(char **secret)
{
	if (*secret != NULL)
		freezero(*secret, strlen(*secret));
	*secret = NULL;
}

void
member_clear(struct settings *s)
{
	clear_sockets(s);
	free(s->smtp_host);
	wipe_secret(&s->smtp_user);
	wipe_secret(&s->smtp_password);
	free(s->report_limits);
}

int
member_credentials(const struct reading *r, const struct value *v)
{
	struct settings	*s = r->out;
	size_t		 i;

	if (v->type != VALUE_NONE && (!READER_IS_LIST(v) || v->count != 2))
		return reader_mismatch(r, v, "[user, password] or None");
	for (i = 0; i < v->count; i++) {
		if (v->items[i]->type != VALUE_STR)
			return reader_fault(r, v->items[i],
			    "must hold strings, not %s: put it in quotes",
			    value_type_name(v->items[i]->type));
		if (memchr(v->items[i]->bytes, '\0', v->items[i]->len) !=
		    NULL)
			return reader_fault(r, v->items[i],
			    "must not hold a NUL character");
	}
	wipe_secret(&s->smtp_user);
	wipe_secret(&s->smtp_password);
	if (v->type != VALUE_NONE) {
		s->smtp_user = alloc_string(v->items[0]->bytes);
		s->smtp_password = alloc_string(v->items[1]->bytes);
	}
	return 0;
}

int
member_starttls(const struct reading *r, const struct value *v)
{
	struct settings	*s = r->out;
	struct reading	 flag;
	bool		 starttls;

	flag = *r;
	flag.out = &starttls;
	if (reader_truth(&flag, v) == -1)
		return -1;
	s->smtp_tls = starttls ? SMTP_TLS_STARTTLS : SMTP_TLS_NONE;
	return 0;
}

int
member_tls(const struct reading *r, const struct value *v)
{
	struct settings	*s = r->out;
	struct reading	 word;
	int		 tls;

	if (v->type == VALUE_NONE)
		return 0;
	word = *r;
	word.out = &tls;
	word.words = member_tls_words;
	if (reader_word(&word, v) == -1)
		return -1;
	s->smtp_tls = (enum smtp_tls)tls;
	return 0;
}

/* --- reports --- */

int
member_report_subject(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE && (v->type != VALUE_STR || v->len > 0))
		return reader_string(r, v);
	reader_replace(r, alloc_string(MEMBER_REPORT_SUBJECT));
	return 0;
}

int
member_report_limits(const struct reading *r, const struct value *v)
{
	struct settings	*s = r->out;
	int64_t		 list[MEMBER_REPORT_LIMITS_MAX];
	size_t		 i;

	if (!READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of seconds");
	if (v->count > MEMBER_REPORT_LIMITS_MAX)
		return reader_fault(r, v, "has more than %d windows",
		    MEMBER_REPORT_LIMITS_MAX);
	for (i = 0; i < v->count; i++)
		if (reader_whole(v->items[i], &list[i]) == -1 || list[i] < 1 ||
		    list[i] > MEMBER_SECONDS_MAX)
			return reader_fault(r, v->items[i],
			    "must hold numbers of seconds, such as [86400]");
	free(s->report_limits);
	s->report_limits = NULL;
	s->nreport_limits = v->count;
	if (v->count > 0) {
		s->report_limits = alloc_zero(v->count, sizeof(*list));
		memcpy(s->report_limits, list, v->count * sizeof(*list));
	}
	return 0;
}
