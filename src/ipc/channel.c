#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/buffer.h"
#include "ipc/channel.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define FLAG_FD		1
#define READ_MIN	(16 * 1024)	/* least room for one recvmsg */
#define RIGHTS_MAX	4		/* room for so many in a recvmsg */

/* What precedes each payload; as it is in memory, both ends are on one host. */
struct header {
	uint32_t	len;
	uint16_t	type;
	uint16_t	flags;
	uint64_t	request;
};

#define HEADER		sizeof(struct header)

/*
 * A descriptor and its place in the stream, counted in bytes since the channel
 * was made. Sent: it goes with the byte at `first`. Received: it came with some
 * byte in [first, last), and a message that carries one must begin there.
 */
struct carried {
	struct carried	*next;
	int		 fd;
	uint64_t	 first;
	uint64_t	 last;
};

struct channel {
	int		 fd;
	enum role	 self;
	enum role	 peer;
	int		 error;		/* for channel_flush to tell */
	bool		 broken;
	bool		 filled;	/* `in`, by the last channel_read */
	struct buffer	 in;
	uint64_t	 inpos;		/* place of in.data[in.start] */
	size_t		 used_secret;	/* bytes of a setting before in.start */
	struct carried	*received;
	struct buffer	 out;
	bool		 out_secret;	/* settings are or were in `out` */
	uint64_t	 outpos;	/* place of out.data[out.start] */
	struct carried	*sending;
	struct carried	**sending_end;
};

/* --- the channel --- */

struct channel *
channel_new(int fd, enum role self, enum role peer)
{
	struct channel	*c;
	int		 flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		log_fatal("channel on descriptor %d: %s", fd, strerror(errno));
	c = alloc_zero(1, sizeof(*c));
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	c->sending_end = &c->sending;
	return c;
}

static void
carried_free(struct carried *d)
{
	struct carried	*next;

	for (; d != NULL; d = next) {
		next = d->next;
		close(d->fd);
		free(d);
	}
}

void
channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	carried_free(c->received);
	carried_free(c->sending);
	buffer_free(&c->in);
	buffer_free(&c->out);
	close(c->fd);
	free(c);
}

int
channel_fd(const struct channel *c)
{
	return c->fd;
}

int
channel_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd);
}

/* The parent is trusted and its settings can be large; the others are not. */
static size_t
payload_max(enum role from)
{
	return from == ROLE_PARENT ? CHANNEL_PARENT_MAX : CHANNEL_PAYLOAD_MAX;
}

static int
broke_rules(struct channel *c, const char *what)
{
	if (!c->broken)
		log_error("%s broke the rules of its channel: %s",
		    message_role_name(c->peer), what);
	c->broken = true;
	errno = EBADMSG;
	return -1;
}

/*
 * Whether the call can be tried again later. A kernel without memory is treated
 * like a socket that is not ready.
 */
static bool
not_now(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS ||
	    error == ENOMEM;
}

/* --- receiving --- */

static int
header_check(struct channel *c, const struct header *h)
{
	const struct message_rule	*rule;

	if ((rule = message_rule(h->type)) == NULL)
		return broke_rules(c, "unknown type of message");
	if ((rule->from & 1U << c->peer) == 0 ||
	    (rule->to & 1U << c->self) == 0)
		return broke_rules(c, "a message that is not its to send");
	if (h->len > payload_max(c->peer))
		return broke_rules(c, "a message that is too long");
	if (h->flags != 0 && h->flags != FLAG_FD)
		return broke_rules(c, "unknown flags");
	if (h->flags == FLAG_FD && !rule->fd)
		return broke_rules(c, "a descriptor where none belongs");
	return 0;
}

/*
 * Takes over what came in control messages; `n` bytes came with it. More than
 * one descriptor at once, one that did not fit, or one from a child is against
 * the rules, before they can fill the table of this process.
 */
static int
take_rights(struct channel *c, struct msghdr *mh, size_t n)
{
	struct carried	 *d, **end;
	struct cmsghdr	 *cmsg;
	size_t		  i, count, got = 0;
	int		  fd, first = -1;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd),
			    sizeof(fd));
			if (got++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	if (got == 0 && (mh->msg_flags & MSG_CTRUNC) == 0)
		return 0;
	if (got != 1 || (mh->msg_flags & MSG_CTRUNC) != 0 ||
	    c->peer != ROLE_PARENT) {
		if (first != -1)
			close(first);
		return broke_rules(c, got == 0 ? "a descriptor was lost" :
		    "descriptors where none belong");
	}
	d = alloc_zero(1, sizeof(*d));
	d->fd = first;
	d->first = c->inpos + c->in.len;
	d->last = d->first + n;
	for (end = &c->received; *end != NULL; end = &(*end)->next)
		;
	*end = d;
	return 0;
}

/* Bytes that the message at the start of the buffer still lacks. */
static size_t
in_wanted(const struct channel *c)
{
	struct header	h;
	size_t		have = c->in.len;

	if (have < HEADER)
		return HEADER - have;
	memcpy(&h, c->in.data + c->in.start, HEADER);
	/*
	 * Checked in channel_next; here only the buffer is kept within bounds.
	 */
	if (h.len > payload_max(c->peer) || have >= HEADER + h.len)
		return 0;
	return HEADER + h.len - have;
}

/* The setting that was taken last: passwords do not stay in the buffer. */
static void
forget_secret(struct channel *c)
{
	explicit_bzero(c->in.data + c->in.start - c->used_secret,
	    c->used_secret);
	c->used_secret = 0;
}

/* Reads at most `most` bytes, which are not 0. As channel_read(). */
static int
read_some(struct channel *c, size_t most)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} control;
	struct msghdr	mh;
	struct iovec	iov;
	size_t		wanted;
	ssize_t		n;

	if (c->broken) {
		errno = EBADMSG;
		return -1;
	}
	/* A whole message waits to be taken: that comes first. */
	if ((wanted = in_wanted(c)) == 0)
		return 1;
	if (c->used_secret > 0)
		forget_secret(c);
	if (c->in.len == 0)
		buffer_rewind(&c->in);
	iov.iov_base = buffer_room(&c->in,
	    wanted < READ_MIN ? READ_MIN : wanted);
	iov.iov_len = c->in.size - c->in.start - c->in.len;
	if (iov.iov_len > most)
		iov.iov_len = most;
	memset(&mh, 0, sizeof(mh));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	do {
		n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (not_now(errno))
			return 0;
		/* It ended without reading all: an end like any other. */
		if (errno == ECONNRESET)
			errno = 0;
		return -1;
	}
	if (take_rights(c, &mh, (size_t)n) == -1)
		return -1;
	if (n == 0) {
		errno = 0;
		return -1;
	}
	c->in.len += (size_t)n;
	c->filled = (size_t)n == iov.iov_len;
	return 1;
}

int
channel_read(struct channel *c)
{
	return read_some(c, SIZE_MAX);
}

bool
channel_filled(const struct channel *c)
{
	return c->filled;
}

/*
 * The descriptor for the message from `first` to `last`, if it is to have one.
 * One that came with bytes that are used up by then and that no message asked
 * for is surplus.
 */
static int
match_rights(struct channel *c, bool wanted, uint64_t first, uint64_t last,
    int *fd)
{
	struct carried	*d = c->received;

	*fd = -1;
	if (wanted) {
		if (d == NULL || first < d->first || first >= d->last)
			return broke_rules(c, "a descriptor is missing");
		*fd = d->fd;
		c->received = d->next;
		free(d);
		d = c->received;
	}
	if (d != NULL && d->last <= last) {
		if (*fd != -1)
			close(*fd);
		*fd = -1;
		return broke_rules(c, "a descriptor too many");
	}
	return 0;
}

int
channel_next(struct channel *c, struct message *m)
{
	struct header	h;
	size_t		whole, have = c->in.len;
	const uint8_t	*p;

	if (c->broken) {
		errno = EBADMSG;
		return -1;
	}
	if (c->used_secret > 0)
		forget_secret(c);
	if (have < HEADER)
		return 0;
	p = c->in.data + c->in.start;
	memcpy(&h, p, HEADER);
	if (header_check(c, &h) == -1)
		return -1;
	whole = HEADER + h.len;
	if (have < whole)
		return 0;
	if (match_rights(c, h.flags == FLAG_FD, c->inpos, c->inpos + whole,
	    &m->fd) == -1)
		return -1;
	m->type = (enum message_type)h.type;
	m->request = h.request;
	m->payload = p + HEADER;
	m->len = h.len;
	c->in.start += whole;
	c->in.len -= whole;
	c->inpos += whole;
	if (h.type == MSG_SETTING)
		c->used_secret = whole;
	return 1;
}

/* --- sending --- */

void
channel_send(struct channel *c, enum message_type type, uint64_t request,
    const struct str *payload, int fd)
{
	const struct message_rule	*rule;
	struct carried			*d;
	struct header			 h;
	size_t				 len;
	uint8_t				*p;
	int				 copy = -1;

	len = payload == NULL ? 0 : payload->len;
	if ((rule = message_rule(type)) == NULL ||
	    (rule->from & 1U << c->self) == 0 ||
	    (rule->to & 1U << c->peer) == 0 ||
	    (fd != -1 && !rule->fd))
		log_fatal("message %d is not for %s to send to %s", (int)type,
		    message_role_name(c->self), message_role_name(c->peer));
	if (c->error != 0)
		return;
	if (len > payload_max(c->self)) {
		c->error = EMSGSIZE;
		return;
	}
	if (fd != -1 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		c->error = errno;
		return;
	}
	if (copy != -1) {
		d = alloc_zero(1, sizeof(*d));
		d->fd = copy;
		d->first = c->outpos + c->out.len;
		*c->sending_end = d;
		c->sending_end = &d->next;
	}
	p = buffer_room(&c->out, HEADER + len);
	h.len = (uint32_t)len;
	h.type = (uint16_t)type;
	h.flags = copy == -1 ? 0 : FLAG_FD;
	h.request = request;
	memcpy(p, &h, HEADER);
	if (len > 0)
		memcpy(p + HEADER, payload->data, len);
	c->out.len += HEADER + len;
	if (type == MSG_SETTING)
		c->out_secret = true;
}

void
channel_signal(struct channel *c, enum message_type type, uint64_t request)
{
	channel_send(c, type, request, NULL, -1);
}

void
channel_send_number(struct channel *c, enum message_type type, uint64_t number,
    int fd)
{
	struct str	payload;

	str_init(&payload);
	msg_number_put(&payload, number);
	channel_send(c, type, 0, &payload, fd);
	str_clear(&payload);
}

void
channel_send_text(struct channel *c, enum message_type type, const char *text)
{
	struct str	payload;

	str_init(&payload);
	msg_text_put(&payload, text);
	channel_send(c, type, 0, &payload, -1);
	str_clear(&payload);
}

size_t
channel_queued(const struct channel *c)
{
	return c->out.len;
}

/*
 * One system call, up to the next message that carries a descriptor: a
 * descriptor goes with the first byte of its message and with no byte before
 * it.
 */
static ssize_t
send_some(struct channel *c)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct carried	*d = c->sending, *until = d;
	struct cmsghdr	*cmsg;
	struct msghdr	 mh;
	struct iovec	 iov;
	ssize_t		 n;
	bool		 with;

	with = d != NULL && d->first == c->outpos;
	if (with)
		until = d->next;
	iov.iov_base = c->out.data + c->out.start;
	iov.iov_len = until == NULL ? c->out.len :
	    (size_t)(until->first - c->outpos);
	/* A child sends no descriptor, and its sandbox has no sendmsg(2). */
	if (!with)
		return send(c->fd, iov.iov_base, iov.iov_len, MSG_NOSIGNAL);
	memset(&control, 0, sizeof(control));
	memset(&mh, 0, sizeof(mh));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &d->fd, sizeof(int));
	if ((n = sendmsg(c->fd, &mh, MSG_NOSIGNAL)) > 0) {
		if ((c->sending = d->next) == NULL)
			c->sending_end = &c->sending;
		close(d->fd);
		free(d);
	}
	return n;
}

int
channel_flush(struct channel *c)
{
	ssize_t	n;

	if (c->error != 0) {
		errno = c->error;
		return -1;
	}
	while (c->out.len > 0) {
		if ((n = send_some(c)) == -1) {
			if (errno == EINTR)
				continue;
			if (not_now(errno))
				return 0;
			c->error = errno;
			return -1;
		}
		c->out.start += (size_t)n;
		c->out.len -= (size_t)n;
		c->outpos += (uint64_t)n;
	}
	if (c->out_secret)
		explicit_bzero(c->out.data, c->out.size);
	c->out_secret = false;
	buffer_rewind(&c->out);
	return 1;
}

/* --- blocking, for start-up --- */

/* 0 when the descriptor is ready for any of `events`, -1 with errno. */
static int
wait_ready(struct channel *c, short events, struct mono deadline)
{
	struct pollfd	pfd;
	int		n, left;

	pfd.fd = c->fd;
	pfd.events = events;
	for (;;) {
		left = clock_left(deadline, clock_mono());
		if ((n = poll(&pfd, 1, left)) > 0)
			return 0;
		if (n == -1 && errno != EINTR)
			return -1;
		if (left == 0 && n == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

int
channel_wait(struct channel *c, struct message *m, struct mono deadline)
{
	short	events;
	int	r;

	for (;;) {
		if ((r = channel_next(c, m)) != 0)
			return r == 1 ? 0 : -1;
		/*
		 * A peer that has ended takes nothing more, but what it said
		 * last is still to be read; the end of file comes after it.
		 */
		events = channel_flush(c) == 0 ? POLLIN | POLLOUT : POLLIN;
		if (wait_ready(c, events, deadline) == -1)
			return -1;
		if (read_some(c, in_wanted(c)) == -1)
			return -1;
	}
}

int
channel_drain(struct channel *c, struct mono deadline)
{
	int	r;

	while ((r = channel_flush(c)) == 0)
		if (wait_ready(c, POLLOUT, deadline) == -1)
			return -1;
	return r == 1 ? 0 : -1;
}
