#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/num.h"
#include "parent/activation.h"

#define FIRST_FD	3

static bool
number(const char *name, int64_t max, int64_t *out)
{
	const char	*value = getenv(name);

	return value != NULL &&
	    num_parse(value, strlen(value), 0, max, out) == 0;
}

int
activation_take(struct activation *a)
{
	int64_t	pid, count;

	a->count = 0;
	if (number("LISTEN_PID", INT32_MAX, &pid) && pid == getpid() &&
	    number("LISTEN_FDS", ACTIVATION_MAX, &count)) {
		for (; a->count < (size_t)count; a->count++) {
			a->fd[a->count] = FIRST_FD + (int)a->count;
			fcntl(a->fd[a->count], F_SETFD, FD_CLOEXEC);
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return FIRST_FD + (int)a->count - 1;
}

/*
 * Compares paths by name, or, since /run and /var/run may be one directory, by
 * the file.
 */
static bool
same_address(const struct sockaddr_storage *have, socklen_t havelen,
    const struct sockaddr *wanted, socklen_t wantedlen)
{
	struct sockaddr_in	in[2];
	struct sockaddr_in6	in6[2];
	struct sockaddr_un	un[2];
	struct stat		sb[2];
	char			last;

	if (have->ss_family != wanted->sa_family)
		return false;
	switch (wanted->sa_family) {
	case AF_INET:
		memcpy(&in[0], have, sizeof(in[0]));
		memcpy(&in[1], wanted, sizeof(in[1]));
		return in[0].sin_port == in[1].sin_port &&
		    in[0].sin_addr.s_addr == in[1].sin_addr.s_addr;
	case AF_INET6:
		memcpy(&in6[0], have, sizeof(in6[0]));
		memcpy(&in6[1], wanted, sizeof(in6[1]));
		return in6[0].sin6_port == in6[1].sin6_port &&
		    in6[0].sin6_scope_id == in6[1].sin6_scope_id &&
		    memcmp(&in6[0].sin6_addr, &in6[1].sin6_addr,
		    sizeof(in6[0].sin6_addr)) == 0;
	case AF_UNIX:
		memset(un, 0, sizeof(un));
		memcpy(&un[0], have,
		    havelen < sizeof(un[0]) ? havelen : sizeof(un[0]));
		memcpy(&un[1], wanted,
		    wantedlen < sizeof(un[1]) ? wantedlen : sizeof(un[1]));
		if (strncmp(un[0].sun_path, un[1].sun_path,
		    sizeof(un[0].sun_path)) == 0)
			return true;
		/* A path must leave room for its NUL to be usable. */
		last = un[0].sun_path[sizeof(un[0].sun_path) - 1] |
		    un[1].sun_path[sizeof(un[1].sun_path) - 1];
		return last == '\0' && lstat(un[0].sun_path, &sb[0]) == 0 &&
		    lstat(un[1].sun_path, &sb[1]) == 0 &&
		    sb[0].st_dev == sb[1].st_dev &&
		    sb[0].st_ino == sb[1].st_ino;
	default:
		return false;
	}
}

int
activation_claim(struct activation *a, const struct sockaddr *wanted,
    socklen_t wantedlen)
{
	struct sockaddr_storage	have;
	socklen_t		len, typelen;
	size_t			i;
	int			fd, type;

	for (i = 0; i < a->count; i++) {
		len = sizeof(have);
		typelen = sizeof(type);
		memset(&have, 0, sizeof(have));
		fd = a->fd[i];
		if (fd == -1 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type,
		    &typelen) == -1 || type != SOCK_STREAM ||
		    getsockname(fd, (struct sockaddr *)&have, &len) == -1 ||
		    !same_address(&have, len, wanted, wantedlen))
			continue;
		a->fd[i] = -1;
		/* Not every unit listens; a second listen(2) does no harm. */
		listen(fd, SOMAXCONN);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		return fd;
	}
	return -1;
}

void
activation_end(struct activation *a)
{
	size_t	i;

	for (i = 0; i < a->count; i++) {
		if (a->fd[i] == -1)
			continue;
		log_warning("a socket of the service manager's matches no "
		    "address of SOCKET and is closed");
		close(a->fd[i]);
	}
	a->count = 0;
}
