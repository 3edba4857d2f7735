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

/* A session under way. */
struct run {
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
};

static void
lost(struct run *r, const char *reason)
{
	smtp_lost(r->s->smtp, reason);
	r->over = true;
}

/*
 * Restarts the deadline after each piece sent and each reply: a slow server is
 * not dead.
 */
static void
wait_again(struct run *r)
{
	r->replies = smtp_replies(r->s->smtp);
	r->deadline = clock_after(clock_mono(),
	    (int64_t)smtp_timeout(r->s->smtp) * 1000);
}

/* --- out --- */

/* The number of bytes written; 0 if none can be written now. */
static size_t
put(struct run *r, const void *bytes, size_t len)
{
	ssize_t	n;

	if (r->deaf || len == 0)
		return 0;
	n = send(r->s->fd, bytes, len, MSG_NOSIGNAL);
	if (n > 0) {
		wait_again(r);
		return (size_t)n;
	}
	if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	/* The server may have said why before it closed: read that first. */
	if (errno == EPIPE || errno == ECONNRESET)
		r->deaf = true;
	else
		lost(r, strerror(errno));
	return 0;
}

/* Writes the encrypted output; whether all of it was written. */
static bool
flush_wire(struct run *r)
{
	for (;;) {
		if (r->at == r->len) {
			r->at = 0;
			r->len = tls_output(r->s->tls, r->wire,
			    sizeof(r->wire));
		}
		if (r->len == 0)
			return true;
		r->at += put(r, r->wire + r->at, r->len - r->at);
		if (r->at < r->len)
			return false;
	}
}

/* Writes what it can; whether some is left. */
static bool
flush_output(struct run *r)
{
	const char	*bytes;
	size_t		 len, n;

	for (;;) {
		if (r->inside && !flush_wire(r))
			return true;
		if (r->inside && !r->secure)
			return false;
		bytes = smtp_output(r->s->smtp, &len);
		if (len == 0)
			return false;
		if (!r->inside)
			n = put(r, bytes, len);
		else {
			n = len < PIECE ? len : PIECE;
			if (tls_write(r->s->tls, bytes, n) == -1) {
				lost(r, tls_reason(r->s->tls));
				return false;
			}
		}
		if (n == 0)
			return true;
		smtp_wrote(r->s->smtp, n);
	}
}

/* --- in --- */

static void	shake_hands(struct run *);

static void
on_want(struct run *r, enum smtp_want want)
{
	if (smtp_replies(r->s->smtp) != r->replies)
		wait_again(r);
	if (want == SMTP_WANT_CLOSE)
		r->over = true;
	else if (want == SMTP_WANT_TLS && !r->inside) {
		r->inside = true;
		wait_again(r);
		shake_hands(r);
	}
}

/* Decrypts complete records. */
static void
read_inside(struct run *r)
{
	char	bytes[4096];
	int	n;

	while (!r->over &&
	    (n = tls_read(r->s->tls, bytes, sizeof(bytes))) != 0) {
		if (n == -1)
			lost(r, tls_reason(r->s->tls));
		else
			on_want(r, smtp_input(r->s->smtp, bytes, (size_t)n));
	}
	explicit_bzero(bytes, sizeof(bytes));
}

static void
shake_hands(struct run *r)
{
	switch (tls_handshake(r->s->tls)) {
	case TLS_WANT_INPUT:
		break;
	case TLS_FAILED:
		smtp_untrusted(r->s->smtp, tls_reason(r->s->tls));
		r->over = true;
		break;
	case TLS_DONE:
		r->secure = true;
		wait_again(r);
		if (!r->s->tls_first)
			on_want(r, smtp_secured(r->s->smtp));
		if (!r->over)
			read_inside(r);
		break;
	}
}

static void
receive(struct run *r)
{
	char	bytes[PIECE];
	ssize_t	n;

	n = recv(r->s->fd, bytes, sizeof(bytes), 0);
	if (n == 0) {
		lost(r, "the server closed the connection");
		return;
	}
	if (n == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			lost(r, strerror(errno));
		return;
	}
	if (!r->inside) {
		on_want(r, smtp_input(r->s->smtp, bytes, (size_t)n));
		return;
	}
	tls_feed(r->s->tls, bytes, (size_t)n);
	if (r->secure)
		read_inside(r);
	else
		shake_hands(r);
}

/* --- the loop --- */

static void
tell_taken(struct run *r)
{
	if (!smtp_taken(r->s->smtp) || r->taken)
		return;
	r->taken = true;
	r->s->on_taken();
}

void
session_run(const struct session *s)
{
	struct run	r = { .s = s };
	struct pollfd	p[2];
	struct mono	end, now, next;
	bool		left;

	end = clock_after(clock_mono(), (int64_t)s->seconds * 1000);
	wait_again(&r);
	if (s->tls_first) {
		r.inside = true;
		shake_hands(&r);
	}
	while (!r.over) {
		now = clock_mono();
		next = r.deadline;
		left = flush_output(&r);
		/* After the flush, so that QUIT is sent. */
		tell_taken(&r);
		if (r.over)
			break;
		if (s->seconds > 0 && clock_passed(end, next))
			next = end;
		if (clock_passed(next, now)) {
			lost(&r, "no answer in time");
			break;
		}
		p[0].fd = s->fd;
		p[0].events = left && !r.deaf ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = s->parent_fd;
		p[1].events = POLLIN;
		p[0].revents = p[1].revents = 0;
		if (poll(p, 2, clock_left(next, now)) <= 0)
			continue;
		if (p[1].revents != 0)
			s->on_parent();
		if ((p[0].revents & ~POLLOUT) != 0)
			receive(&r);
	}
	tell_taken(&r);
	/*
	 * Tells the server why the handshake failed, or that this is the end.
	 */
	if (r.secure)
		tls_close(s->tls);
	if (r.inside)
		(void)flush_wire(&r);
	explicit_bzero(r.wire, sizeof(r.wire));
}
