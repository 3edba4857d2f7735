#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "report/session.h"

#define PIECE	16384

static struct {
	const struct session	*s;
	bool			 inside;	/* TLS has begun */
	bool			 secure;	/* its handshake is done */
	bool			 deaf;		/* the server does not read */
	bool			 taken;		/* on_taken was called */
	bool			 over;
	struct mono		 deadline;
	size_t			 replies;	/* when the deadline was set */
	/* Encrypted output. */
	char			 wire[PIECE];
	size_t			 at;
	size_t			 len;
} run;

static void
lost(const char *reason)
{
	smtp_lost(run.s->smtp, reason);
	run.over = true;
}

/*
 * Restarts the deadline after each piece sent and each reply: a slow server is
 * not dead.
 */
static void
wait_again(void)
{
	run.replies = smtp_replies(run.s->smtp);
	run.deadline = clock_after(clock_mono(),
	    (int64_t)smtp_timeout(run.s->smtp) * 1000);
}

/* --- out --- */

/* The number of bytes written; 0 if none can be written now. */
static size_t
put(const void *bytes, size_t len)
{
	ssize_t	n;

	if (run.deaf || len == 0)
		return 0;
	n = send(run.s->fd, bytes, len, MSG_NOSIGNAL);
	if (n > 0) {
		wait_again();
		return (size_t)n;
	}
	if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	/* The server may have said why before it closed: read that first. */
	if (errno == EPIPE || errno == ECONNRESET)
		run.deaf = true;
	else
		lost(strerror(errno));
	return 0;
}

/* Writes the encrypted output; whether all of it was written. */
static bool
flush_wire(void)
{
	for (;;) {
		if (run.at == run.len) {
			run.at = 0;
			run.len = tls_output(run.s->tls, run.wire,
			    sizeof(run.wire));
		}
		if (run.len == 0)
			return true;
		run.at += put(run.wire + run.at, run.len - run.at);
		if (run.at < run.len)
			return false;
	}
}

/* Writes what it can; whether some is left. */
static bool
flush_output(void)
{
	const char	*bytes;
	size_t		 len, n;

	for (;;) {
		if (run.inside && !flush_wire())
			return true;
		if (run.inside && !run.secure)
			return false;
		bytes = smtp_output(run.s->smtp, &len);
		if (len == 0)
			return false;
		if (!run.inside)
			n = put(bytes, len);
		else {
			n = len < PIECE ? len : PIECE;
			if (tls_write(run.s->tls, bytes, n) == -1) {
				lost(tls_reason(run.s->tls));
				return false;
			}
		}
		if (n == 0)
			return true;
		smtp_wrote(run.s->smtp, n);
	}
}

/* --- in --- */

static void	shake_hands(void);

static void
on_want(enum smtp_want want)
{
	if (smtp_replies(run.s->smtp) != run.replies)
		wait_again();
	if (want == SMTP_WANT_CLOSE)
		run.over = true;
	else if (want == SMTP_WANT_TLS && !run.inside) {
		run.inside = true;
		wait_again();
		shake_hands();
	}
}

/* Decrypts complete records. */
static void
read_inside(void)
{
	char	bytes[4096];
	int	n;

	while (!run.over &&
	    (n = tls_read(run.s->tls, bytes, sizeof(bytes))) != 0) {
		if (n == -1)
			lost(tls_reason(run.s->tls));
		else
			on_want(smtp_input(run.s->smtp, bytes, (size_t)n));
	}
	explicit_bzero(bytes, sizeof(bytes));
}

static void
shake_hands(void)
{
	switch (tls_handshake(run.s->tls)) {
	case TLS_WANT_INPUT:
		break;
	case TLS_FAILED:
		smtp_untrusted(run.s->smtp, tls_reason(run.s->tls));
		run.over = true;
		break;
	case TLS_DONE:
		run.secure = true;
		wait_again();
		if (!run.s->tls_first)
			on_want(smtp_secured(run.s->smtp));
		if (!run.over)
			read_inside();
		break;
	}
}

static void
receive(void)
{
	char	bytes[PIECE];
	ssize_t	n;

	n = recv(run.s->fd, bytes, sizeof(bytes), 0);
	if (n == 0) {
		lost("the server closed the connection");
		return;
	}
	if (n == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			lost(strerror(errno));
		return;
	}
	if (!run.inside) {
		on_want(smtp_input(run.s->smtp, bytes, (size_t)n));
		return;
	}
	tls_feed(run.s->tls, bytes, (size_t)n);
	if (run.secure)
		read_inside();
	else
		shake_hands();
}

/* --- the loop --- */

static void
tell_taken(void)
{
	if (!smtp_taken(run.s->smtp) || run.taken)
		return;
	run.taken = true;
	run.s->on_taken();
}

void
session_run(const struct session *s)
{
	struct pollfd	p[2];
	struct mono	end, now, next;
	bool		left;

	memset(&run, 0, sizeof(run));
	run.s = s;
	end = clock_after(clock_mono(), (int64_t)s->seconds * 1000);
	wait_again();
	if (s->tls_first) {
		run.inside = true;
		shake_hands();
	}
	while (!run.over) {
		now = clock_mono();
		next = run.deadline;
		left = flush_output();
		/* After the flush, so that QUIT is sent. */
		tell_taken();
		if (run.over)
			break;
		if (s->seconds > 0 && clock_passed(end, next))
			next = end;
		if (clock_passed(next, now)) {
			lost("no answer in time");
			break;
		}
		p[0].fd = s->fd;
		p[0].events = left && !run.deaf ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = s->parent_fd;
		p[1].events = POLLIN;
		p[0].revents = p[1].revents = 0;
		if (poll(p, 2, clock_left(next, now)) <= 0)
			continue;
		if (p[1].revents != 0)
			s->on_parent();
		if ((p[0].revents & ~POLLOUT) != 0)
			receive();
	}
	tell_taken();
	/*
	 * Tells the server why the handshake failed, or that this is the end.
	 */
	if (run.secure)
		tls_close(s->tls);
	if (run.inside)
		(void)flush_wire();
	explicit_bzero(run.wire, sizeof(run.wire));
}
