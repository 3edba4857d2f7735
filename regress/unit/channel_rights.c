#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

#include "ends.h"
#include "random.h"

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

/*
 * Each with its own message, however they are mixed and however much is
 * waiting.
 */
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
		while (sent < 600 && sent < got + 100 &&
		    random_below(&r, 12) != 0) {
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

/*
 * Freed with descriptors queued at both ends: none is left open (nothing_open).
 */
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

/* A header that comes with descriptors, in one piece. */
static void
refuses(enum role self, enum role peer, enum message_type type, uint16_t flags,
    const int *fds, size_t n)
{
	struct channel	*c;
	uint8_t		 out[HEADER];
	int		 fd;

	c = bare(&fd, self, peer);
	/* From a child not even while the rest of the message is awaited. */
	header(out, peer == ROLE_PARENT ? 0 : 5000, (uint16_t)type, flags, 0);
	put_rights(fd, out, HEADER, fds, n);
	if (n == 1 && peer == ROLE_PARENT)
		assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);
}

static void
surplus_descriptors(void **state)
{
	int	fds[6], i;

	(void)state;
	for (i = 0; i < 6; i++)
		fds[i] = marked((uint8_t)i);
	refuses(ROLE_ENGINE, ROLE_PARENT, MSG_LISTENER, 1, fds, 2);
	/* More than there is room for. */
	refuses(ROLE_ENGINE, ROLE_PARENT, MSG_LISTENER, 1, fds, 6);
	/* One with a message that does not say so, though it could. */
	refuses(ROLE_ENGINE, ROLE_PARENT, MSG_LISTENER, 0, fds, 1);
	refuses(ROLE_ENGINE, ROLE_PARENT, MSG_STOP, 0, fds, 1);
	/* From a child, which may send none. */
	refuses(ROLE_LEDGER, ROLE_ENGINE, MSG_CHARGE, 0, fds, 1);
	refuses(ROLE_PARENT, ROLE_ENGINE, MSG_TASK, 0, fds, 1);
	for (i = 0; i < 6; i++)
		close(fds[i]);
}

/* One with each half of a message, and one with the second half only. */
static void
descriptors_with_half_a_message(void **state)
{
	struct channel	*c;
	uint8_t		 out[HEADER];
	int		 fd, mark;

	(void)state;
	mark = marked(1);
	header(out, 0, MSG_LISTENER, 1, 0);
	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	put_rights(fd, out, 8, &mark, 1);
	put_rights(fd, out + 8, 8, &mark, 1);
	assert_int_equal(channel_read(c), 1);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);

	c = bare(&fd, ROLE_ENGINE, ROLE_PARENT);
	put(fd, out, 8);
	assert_int_equal(channel_read(c), 1);
	put_rights(fd, out + 8, 8, &mark, 1);
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);
	close(mark);
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

/*
 * No room in the receiver's table: the kernel drops it, which must not go
 * unseen.
 */
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
			    random_below(&r, 2) == 0 ? MSG_LISTENER : MSG_STOP,
			    0, round);
			memset(out + len + HEADER, 'p', n);
			len += HEADER + n;
		}
		for (i = (int)random_below(&r, 4); i > 0; i--)
			out[random_below(&r, len)] = random_below(&r, 2) == 0 ?
			    (uint8_t)random_below(&r, 4) :
			    (uint8_t)random_next(&r);
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
		TEST(descriptors_stay_with_their_message),
		TEST(descriptors_under_way),
		TEST(surplus_descriptors),
		TEST(descriptors_with_half_a_message),
		TEST(missing_descriptors),
		TEST(descriptor_lost),
		TEST(mutated_streams)
	};

	return cmocka_run_group_tests_name("channel_rights", tests, quiet,
	    NULL);
}
