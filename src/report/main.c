#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/addressee.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "report/connect.h"
#include "report/hitlist.h"
#include "report/mail.h"
#include "report/session.h"
#include "report/smtp.h"
#include "report/tls.h"
#include "role/role.h"

/*
 * Sends one report: connects, enters its sandbox, and only then receives the
 * hits, sends the mail, tells the parent the result and exits.
 */
#define GOODBYE_MS	(5 * 1000)
#define POLITE_SECONDS	5		/* for a session without a mail */
#define HOST_MAX	256
#define REASON_MAX	480

static struct {
	struct role_start	 start;
	char			 host[HOST_MAX];
	char			 hello[HOST_MAX];	/* our name for EHLO */
	char			 from[HOST_MAX + 32];	/* by default */
	int			 fd;		/* to the server; -1: none */
	struct connect_peer	 peer;
	struct tls		*tls;
	char			 reason[REASON_MAX];	/* why not reachable */
	struct hitlist		 list;
	struct smtp		*smtp;
	struct str		 text;		/* the mail */
} report;

/* --- the end --- */

static void __attribute__((__noreturn__))
end(int status)
{
	smtp_free(report.smtp);
	tls_free(report.tls);
	str_wipe(&report.text);
	hitlist_clear(&report.list);
	settings_free(report.start.settings);
	if (report.fd != -1)
		close(report.fd);
	channel_free(report.start.peer);
	channel_free(report.start.parent);
	exit(status);
}

/* Tells the parent. The reason is printable. */
static void
tell(enum report_outcome outcome, const char *reason)
{
	struct msg_reported	m;
	struct str		payload;

	memset(&m, 0, sizeof(m));
	m.outcome = (uint8_t)outcome;
	if (outcome == REPORT_NEXT)
		strlcpy(m.address, report.peer.address, sizeof(m.address));
	strlcpy(m.reason, reason, sizeof(m.reason));
	str_init(&payload);
	msg_reported_put(&payload, &m);
	channel_send(report.start.parent, MSG_REPORTED, 0, &payload, -1);
	str_clear(&payload);
	if (channel_drain(report.start.parent,
	    clock_after(clock_mono(), GOODBYE_MS)) == -1)
		log_error("the parent does not read: %s", strerror(errno));
}

/*
 * Our name for EHLO and Message-IDs. "host" becomes "host.example.org", if the
 * resolver knows that name.
 */
static void
find_host_name(void)
{
	static const char	 letters[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	struct addrinfo		 hints, *list;
	const char		*whole;
	char			*host = report.host;
	size_t			 len;

	if (gethostname(host, HOST_MAX) == -1)
		*host = '\0';
	host[HOST_MAX - 1] = '\0';
	len = strlen(host);
	memset(&hints, 0, sizeof(hints));
	hints.ai_flags = AI_CANONNAME;
	hints.ai_socktype = SOCK_STREAM;
	if (len > 0 && strchr(host, '.') == NULL &&
	    getaddrinfo(host, NULL, &hints, &list) == 0) {
		whole = list->ai_canonname;
		if (whole != NULL && strncasecmp(whole, host, len) == 0 &&
		    whole[len] == '.' && strlen(whole) < HOST_MAX)
			strlcpy(host, whole, HOST_MAX);
		freeaddrinfo(list);
	}
	if (*host == '\0' || *host == '.' || *host == '-' ||
	    host[strspn(host, letters)] != '\0')
		strlcpy(host, "localhost", HOST_MAX);
}

/* --- before the lock --- */

/*
 * Keeps a reason for failure until it is known that there is something to send.
 */
static void
reach_server(void)
{
	const struct settings	*s = report.start.settings;
	char			 why[400];

	if (tls_load(why, sizeof(why)) == -1)
		goto fail;
	report.fd = connect_to(s->smtp_host, s->smtp_port, &report.start.tried,
	    &report.peer, why, sizeof(why));
	if (report.fd == -1)
		goto fail;
	/*
	 * Servers refuse a name that is not fully qualified (RFC 5321 4.1.4).
	 */
	if (strchr(report.host, '.') != NULL)
		strlcpy(report.hello, report.host, sizeof(report.hello));
	else
		connect_literal(report.fd, report.hello, sizeof(report.hello));
	if (s->smtp_tls == SMTP_TLS_NONE)
		return;
	report.tls = tls_new(s->smtp_host,
	    s->smtp_tls_verify && !report.peer.loopback, s->smtp_tls_cafile,
	    why, sizeof(why));
	if (report.tls != NULL)
		return;
 fail:
	str_printable(report.reason, sizeof(report.reason), why, strlen(why));
	if (report.fd != -1)
		close(report.fd);
	report.fd = -1;
}

/* --- the parent and the ledger --- */

static void
on_parent(void)
{
	struct channel	*parent = report.start.parent;
	struct settings	*fresh = NULL;
	struct message	 m;
	int		 n;

	if (channel_read(parent) == -1)
		end(errno == 0 ? 0 : 1);
	while ((n = channel_next(parent, &m)) == 1) {
		if (m.type == MSG_STOP)
			end(0);
		if (role_message(&report.start, &m, &fresh) == 0 && m.fd != -1)
			close(m.fd);
		/* A reload does not change a report under way. */
		settings_free(fresh);
		fresh = NULL;
	}
	if (n == -1)
		end(1);
}

/* -1: the ledger ended before its list: the database did not answer. */
static int
receive_hits(void)
{
	struct channel	*ledger = report.start.peer;
	struct pollfd	 p[2];
	struct message	 m;
	int		 n;

	if (ledger == NULL)
		return -1;
	p[0].fd = channel_fd(report.start.parent);
	p[1].fd = channel_fd(ledger);
	p[0].events = p[1].events = POLLIN;
	while (!report.list.whole) {
		if (poll(p, 2, -1) == -1) {
			if (errno == EINTR)
				continue;
			log_fatal("poll: %s", strerror(errno));
		}
		if (p[0].revents != 0)
			on_parent();
		if (p[1].revents == 0)
			continue;
		if (channel_read(ledger) == -1)
			return -1;
		while ((n = channel_next(ledger, &m)) == 1)
			if (hitlist_add(&report.list, &m) == -1)
				return -1;
		if (n == -1)
			return -1;
	}
	return 0;
}

/* --- the mail --- */

static void
on_taken(void)
{
	/* The hits may be deleted, whatever the server says after this. */
	tell(REPORT_SENT, "");
	if (*smtp_reason(report.smtp) != '\0')
		log_warning("the report did not go to everybody: %s",
		    smtp_reason(report.smtp));
}

static void
speak(const struct smtp_mail *mail)
{
	const struct settings	*s = report.start.settings;
	struct smtp_config	 config = {
		.name = report.hello,
		.starttls = s->smtp_tls == SMTP_TLS_STARTTLS,
		.tls = s->smtp_tls == SMTP_TLS_TLS,
		.loopback = report.peer.loopback,
		.user = s->smtp_user,
		.password = s->smtp_password != NULL ? s->smtp_password : "",
		.hmac = tls_hmac_md5
	};
	struct session		 session = {
		.fd = report.fd,
		.tls = report.tls,
		.tls_first = s->smtp_tls == SMTP_TLS_TLS,
		.seconds = mail == NULL ? POLITE_SECONDS : 0,
		.parent_fd = channel_fd(report.start.parent),
		.on_parent = on_parent,
		.on_taken = on_taken
	};

	session.smtp = report.smtp = smtp_new(&config, mail);
	session_run(&session);
	if (mail != NULL && !smtp_taken(report.smtp))
		tell(report.peer.more && smtp_next(report.smtp) ? REPORT_NEXT :
		    REPORT_FAILED, smtp_reason(report.smtp));
	smtp_free(report.smtp);
	report.smtp = NULL;
}

/* What all mails have. */
static void
begin_mail(struct mail *mail, const char *const *to, size_t nto)
{
	const struct settings	*s = report.start.settings;

	snprintf(report.from, sizeof(report.from), "policyd-rate-limit@%s",
	    report.host);
	memset(mail, 0, sizeof(*mail));
	mail->from = s->report_from != NULL ? s->report_from :
	    report.from;
	mail->to = to;
	mail->nto = nto;
	mail->host = report.host;
	mail->now = clock_wall();
	arc4random_buf(&mail->token, sizeof(mail->token));
}

static void
send_mail(const char *sender, const struct mail *mail)
{
	struct smtp_mail	envelope;

	envelope.from = sender;
	envelope.to = mail->to;
	envelope.nto = mail->nto;
	envelope.data = report.text.data;
	envelope.len = report.text.len;
	speak(&envelope);
}

static void
send_report(void)
{
	const struct settings	*s = report.start.settings;
	struct mail		 mail;

	begin_mail(&mail, (const char *const *)s->report_to.list,
	    s->report_to.count);
	mail.subject = s->report_subject;
	mail.hits = &report.list.hits;
	mail_compose(&report.text, &mail);
	send_mail(mail.from, &mail);
}

/* The ledger has checked the address; this process does not rely on that. */
static void
send_notice(void)
{
	const struct mail_row	*row = report.list.hits.untold;
	char			 address[ADDRESSEE_MAX];
	const char		*to = address;
	struct mail		 mail;
	struct str		 text;

	if (addressee_of(report.start.settings, row->id, row->idlen,
	    address) == -1) {
		tell(REPORT_FAILED, "this login has no address to write to");
		return;
	}
	begin_mail(&mail, &to, 1);
	mail.subject = mail_notice_subject(report.list.kind);
	str_init(&text);
	mail_notice_add(&text, report.host, report.list.kind, row);
	mail_compose_text(&report.text, &mail, &text);
	str_clear(&text);
	send_mail("", &mail);
}

static void
serve(void)
{
	if (receive_hits() == -1)
		tell(REPORT_FAILED, "the ledger did not tell the hits");
	else if (report.list.notice ? report.list.hits.nuntold == 0 :
	    report.list.hits.nrows == 0 && report.list.hits.nuntold == 0 &&
	    report.start.settings->report_only_if_needed) {
		if (report.fd != -1)
			speak(NULL);
		tell(REPORT_EMPTY, "");
	} else if (report.fd == -1)
		tell(REPORT_FAILED, report.reason);
	else if (report.list.notice)
		send_notice();
	else
		send_report();
}

int
main(void)
{
	struct sandbox_needs	needs;

	report.fd = -1;
	str_init(&report.text);
	role_begin(&report.start, ROLE_REPORT, "report");
	memset(&needs, 0, sizeof(needs));
	needs.role = SANDBOX_REPORT;
	needs.directory_fd = -1;
	role_connect(&report.start, &needs);
	find_host_name();
	reach_server();
	role_lock(&report.start, &needs);
	role_ready(&report.start);
	serve();
	end(0);
}
