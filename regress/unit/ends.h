#ifndef ENDS_H
#define ENDS_H

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "lib/log.h"
#include "random.h"

/* What the tests of channels share; to be included after cmocka.h. */
#define HEADER	16

#define WATCHED	200

/* Descriptors that were open before any test. */
static bool	inherited[WATCHED];

static inline int
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

static inline int
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
static inline void
ends(struct channel **a, enum role ra, struct channel **b, enum role rb)
{
	int	fd[2];

	assert_int_equal(channel_pair(fd), 0);
	assert_true(fcntl(fd[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd[1], F_GETFD) & FD_CLOEXEC);
	*a = channel_new(fd[0], ra, rb);
	*b = channel_new(fd[1], rb, ra);
	assert_int_equal(channel_fd(*a), fd[0]);
	assert_true(fcntl(fd[0], F_GETFL) & O_NONBLOCK);
}

/*
 * A channel whose other end is a bare socket, for what no channel would send.
 */
static inline struct channel *
bare(int *fd, enum role self, enum role peer)
{
	int	pair[2];

	assert_int_equal(channel_pair(pair), 0);
	*fd = pair[0];
	return channel_new(pair[1], self, peer);
}

static inline void
header(uint8_t *p, uint32_t len, uint16_t type, uint16_t flags,
    uint64_t request)
{
	memcpy(p, &len, 4);
	memcpy(p + 4, &type, 2);
	memcpy(p + 6, &flags, 2);
	memcpy(p + 8, &request, 8);
}

static inline void
put(int fd, const void *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void
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

/* `len` bytes that are the same for the same seed. */
static inline void
fill(struct str *s, size_t len, uint64_t seed)
{
	struct random	r = { seed * 2 + 1 };
	size_t		i;

	s->len = 0;
	str_add(s, NULL, 0);
	for (i = 0; i < len; i++)
		str_addc(s, (int)random_next(&r));
}

#endif
