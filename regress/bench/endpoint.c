#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"

static int
parse_unix(struct endpoint *e, const char *path, const char **reason)
{
	if (strlen(path) >= sizeof(e->addr.un.sun_path)) {
		*reason = "socket path is too long";
		return -1;
	}
	e->addr.un.sun_family = AF_UNIX;
	memcpy(e->addr.un.sun_path, path, strlen(path) + 1);
	e->len = sizeof(e->addr.un);
	return 0;
}

static int
parse_inet(struct endpoint *e, const char *text, const char **reason)
{
	struct addrinfo	 hints, *res;
	const char	*colon;
	char		 host[64];
	size_t		 len;

	*reason = "expected unix:path or inet:address:port";
	if ((colon = strrchr(text, ':')) == NULL)
		return -1;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (getaddrinfo(host, colon + 1, &hints, &res) != 0)
		return -1;
	memcpy(&e->addr, res->ai_addr, res->ai_addrlen);
	e->len = res->ai_addrlen;
	freeaddrinfo(res);
	return 0;
}

int
endpoint_parse(struct endpoint *e, const char *text, const char **reason)
{
	memset(e, 0, sizeof(*e));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(e, text + 5, reason);
	if (strncmp(text, "inet:", 5) == 0)
		return parse_inet(e, text + 5, reason);
	if (strchr(text, '/') != NULL)
		return parse_unix(e, text, reason);
	return parse_inet(e, text, reason);
}

static int
nodelay(const struct endpoint *e, int fd)
{
	int	on = 1;

	if (e->addr.any.sa_family == AF_UNIX)
		return 0;
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
endpoint_listen(const struct endpoint *e)
{
	struct stat	sb;
	int		fd, saved, on = 1;

	if (e->addr.any.sa_family == AF_UNIX &&
	    lstat(e->addr.un.sun_path, &sb) == 0 && S_ISSOCK(sb.st_mode))
		(void)unlink(e->addr.un.sun_path);
	fd = socket(e->addr.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    nodelay(e, fd) == -1 || bind(fd, &e->addr.any, e->len) == -1 ||
	    listen(fd, SOMAXCONN) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
endpoint_connect(const struct endpoint *e, int wait, int *pending)
{
	int	fd, flags, saved;

	fd = socket(e->addr.any.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd == -1)
		return -1;
	if (nodelay(e, fd) == -1)
		goto fail;
	if (connect(fd, &e->addr.any, e->len) == -1) {
		if (wait || errno != EINPROGRESS)
			goto fail;
		*pending = fd;
		return -1;
	}
	if (wait && ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1))
		goto fail;
	return fd;
 fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

long
endpoint_descriptors(void)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return -1;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return -1;
	return rl.rlim_cur > INT_MAX ? INT_MAX : (long)rl.rlim_cur;
}
