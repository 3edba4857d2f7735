#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ipc/channel.h"
#include "lib/log.h"
#include "random.h"

#define HEADER	16

#define WATCHED	200

static bool	inherited[WATCHED];	/* descriptors that were open before any test */

static int
quiet(void **state)
{
	int	fd;

	(void)state;
	/* To a log that is not there: faults are said by the thousand here. */
	log_open("test", LOG_TO_SYSLOG, -1, false);
	for (fd = 0; fd < WATCHED; fd++)
		inherited[fd] = fcntl(fd, F_GETFD) != -1;
	return 0;
}

static int
nothing_open(void **state)
{
	int	fd;

	(void)state;
	for (fd = 0; fd < WATCHED; fd++)
		if (!inherited[fd] && fcntl(fd, F_GETFD) != -1)
			return -1;
	return 0;
}

/* Two ends, `a` at home in role `ra`. */
static void
ends(struct channel **a, enum role ra, struct channel **b, enum role rb)
{
	int	fd[2];

	assert_int_equal(channel_pair(fd), 0);
	assert_true(fcntl(fd[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd[1], F_GETFD) & FD_CLOEXEC);
	*a = channel_new(fd[0], ra, rb);
	*b = channel_new(fd[1], rb, ra);
	assert_int_equal(channel_fd(*a), fd[0]);
	assert_int_equal(channel_peer(*a), rb);
	assert_true(fcntl(fd[0], F_GETFL) & O_NONBLOCK);
}

/* A channel whose other end is a bare socket, for what no channel would send. */
static struct channel *
bare(int *fd, enum role self, enum role peer)
{
	int	pair[2];

	assert_int_equal(channel_pair(pair), 0);
	*fd = pair[0];
	return channel_new(pair[1], self, peer);
}

static void
header(uint8_t *p, uint32_t len, uint16_t type, uint16_t flags, uint64_t request)
{
	int	i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(len >> (24 - 8 * i));
	p[4] = (uint8_t)(type >> 8);
	p[5] = (uint8_t)type;
	p[6] = (uint8_t)(flags >> 8);
	p[7] = (uint8_t)flags;
	for (i = 0; i < 8; i++)
		p[8 + i] = (uint8_t)(request >> (56 - 8 * i));
}

static void
put(int fd, const void *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One sendmsg with descriptors. */
static void
put_rights(int fd, const void *p, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr	 mh;
	struct cmsghdr	*cmsg;
	struct iovec	 iov;
	uint8_t		*copy;

	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, p, len);
	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	iov.iov_base = copy;
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), (ssize_t)len);
	free(copy);
}

static void
assert_broken(struct channel *c)
{
	struct message	m;
	int		r;

	errno = 0;
	while ((r = channel_next(c, &m)) == 1)
		if (m.fd != -1)
			close(m.fd);
	if (r == 0) {
		assert_int_equal(channel_read(c), -1);
		assert_int_equal(errno, EBADMSG);
	}
	errno = 0;
	assert_int_equal(channel_next(c, &m), -1);
	assert_int_equal(errno, EBADMSG);
	errno = 0;
	assert_int_equal(channel_read(c), -1);
	assert_int_equal(errno, EBADMSG);
}

/* --- messages --- */

static void
header_on_the_wire(void **state)
{
	static const uint8_t	expected[] = {
		0, 0, 0, 2, 0, MSG_CHARGE, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 'h', 'i'
	};
	struct channel		*c;
	struct str		 s;
	uint8_t			 in[64];
	int			 fd;

	(void)state;
	c = bare(&fd, ROLE_ENGINE, ROLE_LEDGER);
	str_init(&s);
	str_adds(&s, "hi");
	channel_send(c, MSG_CHARGE, UINT64_C(0x0102030405060708), &s, -1);
	assert_int_equal(channel_queued(c), sizeof(expected));
	assert_int_equal(channel_flush(c), 1);
	assert_int_equal(channel_queued(c), 0);
	assert_int_equal(read(fd, in, sizeof(in)), sizeof(expected));
	assert_memory_equal(in, expected, sizeof(expected));
	str_clear(&s);
	channel_free(c);
	channel_free(NULL);
	close(fd);
}

static void
fill(struct str *s, size_t len, uint64_t seed)
{
	struct random	r = { seed * 2 + 1 };
	size_t		i;

	s->len = 0;
	str_add(s, NULL, 0);
	for (i = 0; i < len; i++)
		str_addc(s, (int)random_next(&r));
}

/* Payloads of every size, as they come, while both sides take what they can. */
static void
every_message_arrives_once(void **state)
{
	struct random	 r = { 51 };
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s, expected;
	uint64_t	 sent = 0, got = 0;
	size_t		 len;
	int		 n;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	str_init(&expected);
	while (got < 3000) {
		while (sent < 3000 && channel_queued(a) < CHANNEL_HIGH &&
		    random_below(&r, 8) != 0) {
			len = sent % 500 == 499 ? 300000 : sent % 50 == 49 ?
			    random_below(&r, 70000) : random_below(&r, 300);
			fill(&s, len, sent);
			if (len == 0)
				channel_signal(a, MSG_CHARGE, sent);
			else
				channel_send(a, MSG_CHARGE, sent, &s, -1);
			sent++;
		}
		assert_true(channel_flush(a) >= 0);
		for (n = (int)random_below(&r, 4); n > 0; n--)
			assert_true(channel_read(b) >= 0);
		while (channel_next(b, &m) == 1) {
			assert_int_equal(m.type, MSG_CHARGE);
			assert_int_equal(m.request, got);
			assert_int_equal(m.fd, -1);
			fill(&expected, m.len, got);
			assert_memory_equal(m.payload, expected.data, m.len);
			got++;
			/* At times the rest waits, also behind whole messages. */
			if (random_below(&r, 50) == 0)
				break;
		}
	}
	assert_int_equal(sent, 3000);
	assert_int_equal(channel_next(b, &m), 0);
	assert_int_equal(channel_read(b), 0);
	str_clear(&s);
	str_clear(&expected);
	channel_free(a);
	channel_free(b);
}

static void
two_messages_in_one_write(void **state)
{
	struct channel	*c;
	struct message	 m;
	uint8_t		 out[3 * HEADER + 5];
	int		 fd, i;

	(void)state;
	c = bare(&fd, ROLE_LEDGER, ROLE_ENGINE);
	header(out, 2, MSG_CHARGE, 0, 1);
	memcpy(out + HEADER, "ab", 2);
	header(out + HEADER + 2, 0, MSG_CHARGE, 0, 2);
	header(out + 2 * HEADER + 2, 3, MSG_CHARGE, 0, 3);
	memcpy(out + 3 * HEADER + 2, "cde", 3);
	put(fd, out, sizeof(out));
	assert_int_equal(channel_read(c), 1);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(channel_next(c, &m), 1);
		assert_int_equal(m.request, i);
	}
	assert_memory_equal(m.payload, "cde", 3);
	assert_int_equal(channel_next(c, &m), 0);
	/* And one message in as many writes as it has bytes. */
	for (i = 0; i < HEADER + 2; i++) {
		assert_int_equal(channel_next(c, &m), 0);
		put(fd, out + i, 1);
		assert_int_equal(channel_read(c), 1);
	}
	assert_int_equal(channel_next(c, &m), 1);
	assert_memory_equal(m.payload, "ab", 2);
	channel_free(c);
	close(fd);
}

static void
nobody_reads(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	uint64_t	 i, got = 0;
	size_t		 queued;
	int		 r;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	fill(&s, 1000, 1);
	for (i = 0; channel_queued(a) < CHANNEL_HIGH; i++) {
		channel_send(a, MSG_CHARGE, i, &s, -1);
		assert_true(channel_flush(a) >= 0);
	}
	queued = channel_queued(a);
	assert_int_equal(channel_flush(a), 0);
	assert_int_equal(channel_queued(a), queued);
	assert_int_equal(channel_drain(a, clock_mono()), -1);
	assert_int_equal(errno, ETIMEDOUT);
	do {
		while (channel_read(b) == 1)
			while (channel_next(b, &m) == 1)
				assert_int_equal(m.request, got++);
		r = channel_flush(a);
	} while (r == 0 || got < i);
	assert_int_equal(r, 1);
	assert_int_equal(got, i);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

static void
end_of_file(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	uint8_t		 out[HEADER];
	int		 fd;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_PARENT);
	channel_signal(a, MSG_WISH, 9);
	assert_int_equal(channel_flush(a), 1);
	channel_free(a);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 1);
	assert_int_equal(m.request, 9);
	assert_int_equal(channel_next(b, &m), 0);
	errno = EXDEV;
	assert_int_equal(channel_read(b), -1);
	assert_int_equal(errno, 0);
	channel_signal(b, MSG_STOP, 0);
	assert_int_equal(channel_flush(b), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(channel_flush(b), -1);
	channel_free(b);

	/* In the middle of a message, and with something of ours unread. */
	b = bare(&fd, ROLE_PARENT, ROLE_ENGINE);
	channel_signal(b, MSG_STOP, 0);
	assert_int_equal(channel_flush(b), 1);
	header(out, 5, MSG_READY, 0, 0);
	put(fd, out, sizeof(out));
	close(fd);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 0);
	errno = EXDEV;
	assert_int_equal(channel_read(b), -1);
	assert_int_equal(errno, 0);
	channel_free(b);
}

/* --- rules --- */

static void
refuses(enum role self, enum role peer, uint32_t len, uint16_t type, uint16_t flags)
{
	struct channel	*c;
	uint8_t		 out[HEADER];
	int		 fd;

	c = bare(&fd, self, peer);
	header(out, len, type, flags, 0);
	put(fd, out, sizeof(out));
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);
}

static void
what_is_not_its_to_send(void **state)
{
	enum role	self, peer;
	unsigned int	type;
	const struct message_rule	*rule;

	(void)state;
	for (self = 0; self < ROLE__MAX; self++)
		for (peer = 0; peer < ROLE__MAX; peer++)
			for (type = 0; type < MSG__MAX; type++) {
				rule = message_rule(type);
				if ((rule->from & 1U << peer) == 0 ||
				    (rule->to & 1U << self) == 0)
					refuses(self, peer, 0, (uint16_t)type, 0);
				else if (!rule->fd)
					refuses(self, peer, 0, (uint16_t)type, 1);
			}
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, MSG__MAX, 0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, 65535, 0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, MSG_CHARGE, 2);
	refuses(ROLE_ENGINE, ROLE_PARENT, 0, MSG_LISTENER, 0x8001);
}

/* Refused by its header: no memory is taken for what would come. */
static void
too_long(void **state)
{
	(void)state;
	refuses(ROLE_LEDGER, ROLE_ENGINE, CHANNEL_PAYLOAD_MAX + 1, MSG_CHARGE, 0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, UINT32_MAX, MSG_CHARGE, 0);
	refuses(ROLE_ENGINE, ROLE_PARENT, CHANNEL_PARENT_MAX + 1, MSG_SETTING, 0);
	refuses(ROLE_ENGINE, ROLE_PARENT, UINT32_MAX - 15, MSG_SETTING, 0);
}

static void
longest(enum role from, enum role to, enum message_type type, size_t max)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	int		 r = 0;

	ends(&a, from, &b, to);
	str_init(&s);
	s.data = calloc(1, max + 2);
	assert_non_null(s.data);
	s.size = max + 2;
	s.len = max;
	s.data[0] = 'a';
	s.data[max - 1] = 'z';
	channel_send(a, type, 1, &s, -1);
	do {
		assert_true(channel_flush(a) >= 0);
		assert_true(channel_read(b) >= 0);
	} while ((r = channel_next(b, &m)) == 0);
	assert_int_equal(r, 1);
	assert_int_equal(m.len, max);
	assert_int_equal(m.payload[0], 'a');
	assert_int_equal(m.payload[max - 1], 'z');
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

static void
longest_payload(void **state)
{
	struct channel	*a, *b;
	struct str	 s;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	s.data = calloc(1, CHANNEL_PAYLOAD_MAX + 2);
	assert_non_null(s.data);
	s.size = CHANNEL_PAYLOAD_MAX + 2;
	s.len = CHANNEL_PAYLOAD_MAX + 1;
	channel_send(a, MSG_CHARGE, 2, &s, -1);
	assert_int_equal(channel_flush(a), -1);
	assert_int_equal(errno, EMSGSIZE);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
	longest(ROLE_ENGINE, ROLE_LEDGER, MSG_CHARGE, CHANNEL_PAYLOAD_MAX);
	longest(ROLE_PARENT, ROLE_LEDGER, MSG_SETTING, 3 * CHANNEL_PAYLOAD_MAX);
}

/* Sending what the role may not is a mistake of ours and ends the process. */
static void
sending_against_the_rules(void **state)
{
	struct channel	*a, *b;
	pid_t		 pid;
	int		 status;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	if ((pid = fork()) == 0) {
		channel_signal(a, MSG_VERDICT, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	if ((pid = fork()) == 0) {
		channel_send(a, MSG_CHARGE, 0, NULL, channel_fd(b));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	channel_free(a);
	channel_free(b);
}

/* --- descriptors --- */

/* A pipe's reading end that holds this one byte. */
static int
marked(uint8_t mark)
{
	int	fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], &mark, 1), 1);
	close(fd[1]);
	return fd[0];
}

static void
assert_marked(int fd, uint8_t mark)
{
	uint8_t	got = 0;

	assert_true(fd != -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(read(fd, &got, 1), 1);
	assert_int_equal(got, mark);
	close(fd);
}

/* Each with its own message, however they are mixed and however much is waiting. */
static void
descriptors_stay_with_their_message(void **state)
{
	struct random	 r = { 61 };
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	bool		 with[600];
	uint64_t	 sent = 0, got = 0;
	int		 fd;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_ENGINE);
	str_init(&s);
	while (got < 600) {
		while (sent < 600 && sent < got + 100 && random_below(&r, 12) != 0) {
			fill(&s, random_below(&r, 10) == 0 ? 30000 :
			    random_below(&r, 200), sent);
			with[sent] = random_below(&r, 2) == 0;
			if (with[sent]) {
				fd = marked((uint8_t)sent);
				channel_send(a, MSG_LISTENER, sent, &s, fd);
				close(fd);
			} else
				channel_send(a, sent % 2 == 0 ? MSG_LOG :
				    MSG_SETTING, sent, &s, -1);
			sent++;
		}
		assert_true(channel_flush(a) >= 0);
		if (random_below(&r, 2) == 0)
			assert_true(channel_read(b) >= 0);
		while (random_below(&r, 20) != 0 && channel_next(b, &m) == 1) {
			assert_int_equal(m.request, got);
			if (with[got])
				assert_marked(m.fd, (uint8_t)got);
			else
				assert_int_equal(m.fd, -1);
			got++;
		}
	}
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

/* Freed with descriptors queued at both ends: none is left open (nothing_open). */
static void
descriptors_under_way(void **state)
{
	struct channel	*a, *b;
	int		 fd, i;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_ENGINE);
	fd = marked(1);
	for (i = 0; i < 5; i++)
		channel_send(a, MSG_LISTENER, 0, NULL, fd);
	assert_int_equal(channel_flush(a), 1);
	for (i = 0; i < 5; i++)
		channel_send(a, MSG_LISTENER, 0, NULL, fd);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_read(b), 1);
	close(fd);
	channel_free(a);
	channel_free(b);
}

static void
surplus_descriptors(void **state)
{
	struct channel	*c;
	uint8_t		 out[2 * HEADER];
	int		 fd, fds[3], i;

	(void)state;
	for (i = 0; i < 3; i++)
		fds[i] = marked((uint8_t)i);

	/* Two with one message. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out, 0, MSG_LISTENER, 1, 0);
	put_rights(fd, out, HEADER, fds, 2);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* One with a message that does not say so, though it could. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out, 0, MSG_LISTENER, 0, 0);
	put_rights(fd, out, HEADER, fds, 1);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* One with each half of a message. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out, 0, MSG_LISTENER, 1, 0);
	put_rights(fd, out, 8, fds, 1);
	put_rights(fd, out + 8, 8, fds + 1, 1);
	assert_int_equal(channel_read(c), 1);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* Only with the second half. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	put(fd, out, 8);
	assert_int_equal(channel_read(c), 1);
	put_rights(fd, out + 8, 8, fds, 1);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* From a child, which may send none. */
	c = bare(&fd, ROLE_LEDGER, ROLE_ENGINE);
	header(out, 5000, MSG_CHARGE, 0, 0);
	put_rights(fd, out, HEADER, fds, 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* More than there is room for. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out, 0, MSG_LISTENER, 1, 0);
	put_rights(fd, out, HEADER, (const int[]){ fds[0], fds[1], fds[2], fds[0],
	    fds[1], fds[2] }, 6);
	assert_broken(c);
	channel_free(c);
	close(fd);
	for (i = 0; i < 3; i++)
		close(fds[i]);
}

static void
missing_descriptors(void **state)
{
	struct channel	*c;
	struct message	 m;
	uint8_t		 out[2 * HEADER];
	int		 fd, mark;

	(void)state;
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out, 0, MSG_LISTENER, 1, 0);
	put(fd, out, HEADER);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	/* One for two messages, both of which say they have one. */
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	header(out + HEADER, 0, MSG_LISTENER, 1, 1);
	mark = marked(5);
	put_rights(fd, out, sizeof(out), &mark, 1);
	close(mark);
	assert_int_equal(channel_read(c), 1);
	assert_int_equal(channel_next(c, &m), 1);
	assert_marked(m.fd, 5);
	assert_broken(c);
	channel_free(c);
	close(fd);
}

/* No room in the receiver's table: the kernel drops it, which must not go unseen. */
static void
descriptor_lost(void **state)
{
	struct channel	*a, *b;
	struct rlimit	 old, none;
	int		 fd;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_ENGINE);
	fd = marked(1);
	channel_send(a, MSG_LISTENER, 0, NULL, fd);
	assert_int_equal(channel_flush(a), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* Nor can one be duplicated to be sent. */
	channel_send(a, MSG_LISTENER, 0, NULL, fd);
	assert_int_equal(channel_flush(a), -1);
	assert_int_equal(errno == EMFILE || errno == EINVAL, 1);
	assert_broken(b);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	close(fd);
	channel_free(a);
	channel_free(b);
}

/* --- secrets --- */

static void
settings_are_wiped(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	const uint8_t	*kept;
	size_t		 i;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_LEDGER);
	str_init(&s);
	str_adds(&s, "password='hunter2'");
	channel_send(a, MSG_SETTING, 0, &s, -1);
	channel_signal(a, MSG_START, 0);
	assert_int_equal(channel_flush(a), 1);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 1);
	assert_memory_equal(m.payload, s.data, s.len);
	kept = m.payload;
	/* Whatever comes next; the buffer itself stays where it is. */
	assert_int_equal(channel_next(b, &m), 1);
	assert_int_equal(m.type, MSG_START);
	for (i = 0; i < s.len; i++)
		assert_int_equal(kept[i], 0);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

/* --- blocking --- */

static void
wait_for_a_message(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct mono	 soon;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_ENGINE);
	errno = 0;
	assert_int_equal(channel_wait(b, &m, clock_mono()), -1);
	assert_int_equal(errno, ETIMEDOUT);
	soon = clock_after(clock_mono(), 20);
	assert_int_equal(channel_wait(b, &m, soon), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(clock_passed(soon, clock_mono()));
	channel_signal(a, MSG_START, 1);
	channel_signal(a, MSG_STOP, 2);
	assert_int_equal(channel_drain(a, clock_after(clock_mono(), 10000)), 0);
	/* What waits to be sent goes out meanwhile. */
	channel_signal(b, MSG_READY, 3);
	assert_int_equal(channel_wait(b, &m, clock_after(clock_mono(), 10000)), 0);
	assert_int_equal(m.type, MSG_START);
	assert_int_equal(channel_wait(b, &m, clock_after(clock_mono(), 10000)), 0);
	assert_int_equal(m.type, MSG_STOP);
	assert_int_equal(channel_wait(b, &m, clock_after(clock_mono(), 1)), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(channel_wait(a, &m, clock_after(clock_mono(), 10000)), 0);
	assert_int_equal(m.type, MSG_READY);
	channel_free(a);
	channel_free(b);
}

/* A child that cannot start says why and ends, whatever else it was being told. */
static void
last_words_are_heard(void **state)
{
	struct channel	*a, *b;
	struct message	 m;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_LEDGER);
	channel_signal(b, MSG_FAULT, 7);
	assert_int_equal(channel_flush(b), 1);
	channel_free(b);
	channel_signal(a, MSG_START, 0);
	assert_int_equal(channel_wait(a, &m, clock_after(clock_mono(), 10000)), 0);
	assert_int_equal(m.type, MSG_FAULT);
	errno = EXDEV;
	assert_int_equal(channel_wait(a, &m, clock_after(clock_mono(), 10000)), -1);
	assert_int_equal(errno, 0);
	assert_int_equal(channel_drain(a, clock_after(clock_mono(), 10000)), -1);
	assert_int_equal(errno, EPIPE);
	channel_free(a);
}

/* --- at random --- */

/* A good stream with bytes changed, in pieces: taken or refused, never more. */
static void
mutated_streams(void **state)
{
	struct random	 r = { 71 };
	struct channel	*c;
	struct message	 m;
	uint8_t		 out[1000];
	size_t		 len, n, at;
	int		 fd, mark, round, i, got;

	(void)state;
	mark = marked(1);
	for (round = 0; round < 3000; round++) {
		len = 0;
		while (len < 600) {
			n = random_below(&r, 60);
			header(out + len, (uint32_t)n,
			    random_below(&r, 2) == 0 ? MSG_LISTENER : MSG_STOP, 0,
			    round);
			memset(out + len + HEADER, 'p', n);
			len += HEADER + n;
		}
		for (i = (int)random_below(&r, 4); i > 0; i--)
			out[random_below(&r, len)] = random_below(&r, 2) == 0 ?
			    (uint8_t)random_below(&r, 4) : (uint8_t)random_next(&r);
		c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
		for (at = 0, got = 0; at < len && got != -1; at += n) {
			n = 1 + random_below(&r, len - at);
			if (random_below(&r, 20) == 0)
				put_rights(fd, out + at, n, &mark, 1);
			else
				put(fd, out + at, n);
			if (channel_read(c) == -1)
				break;
			while ((got = channel_next(c, &m)) == 1) {
				assert_true(m.type == MSG_LISTENER ||
				    message_rule(m.type) != NULL);
				assert_true(m.len <= sizeof(out));
				if (m.fd != -1)
					close(m.fd);
			}
		}
		channel_free(c);
		close(fd);
	}
	close(mark);
}

#define TEST(name)	cmocka_unit_test_teardown(name, nothing_open)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(header_on_the_wire),
		TEST(every_message_arrives_once),
		TEST(two_messages_in_one_write),
		TEST(nobody_reads),
		TEST(end_of_file),
		TEST(what_is_not_its_to_send),
		TEST(too_long),
		TEST(longest_payload),
		TEST(sending_against_the_rules),
		TEST(descriptors_stay_with_their_message),
		TEST(descriptors_under_way),
		TEST(surplus_descriptors),
		TEST(missing_descriptors),
		TEST(descriptor_lost),
		TEST(settings_are_wiped),
		TEST(wait_for_a_message),
		TEST(last_words_are_heard),
		TEST(mutated_streams)
	};

	return cmocka_run_group_tests_name("channel", tests, quiet, NULL);
}
