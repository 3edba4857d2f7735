#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"
#include "lib/log.h"
#include "sandbox/sandbox.h"

#define BIG	(64 * 1024 * 1024)
#define FILL	"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 " \
		"FROM c WHERE x < 20000) INSERT INTO t " \
		"SELECT x, randomblob(40) FROM c"

static int
memory(struct scene *s)
{
	char	*p, *q;

	(void)s;
	if ((p = malloc(BIG)) == NULL)
		return -1;
	memset(p, 1, BIG);
	if ((q = realloc(p, 2 * (size_t)BIG)) == NULL) {
		free(p);
		return -1;
	}
	free(q);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint32_t));
}

static int
library(struct scene *s)
{
	struct tm	 tm;
	time_t		 now = time(NULL);
	uint32_t	*list;
	size_t		 i, n = 100000;

	(void)s;
	if (localtime_r(&now, &tm) == NULL || mktime(&tm) == (time_t)-1)
		return -1;
	if ((list = calloc(n, sizeof(*list))) == NULL)
		return -1;
	for (i = 0; i < n; i++)
		list[i] = arc4random();
	qsort(list, n, sizeof(*list), compare);
	free(list);
	log_notice("a line from inside: %s", strerror(ENOENT));
	return 0;
}

/* A byte with a descriptor was sent from the other end before the lock. */
static int
channel(struct scene *s)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr	mh;
	struct pollfd	pfd = { .fd = s->channel[0], .events = POLLIN };
	char		byte;
	struct iovec	iov = { &byte, 1 };
	int		copy, fd;

	memset(&mh, 0, sizeof(mh));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	if (poll(&pfd, 1, 1000) != 1 ||
	    recvmsg(s->channel[0], &mh, MSG_CMSG_CLOEXEC) != 1 ||
	    CMSG_FIRSTHDR(&mh) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1)
		return -1;
	close(copy);
	close(fd);
	if (fcntl(s->channel[0], F_SETFL,
	    fcntl(s->channel[0], F_GETFL) | O_NONBLOCK) == -1)
		return -1;
	return send(s->channel[0], "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Somebody connected to both listening sockets before the lock. */
static int
clients(struct scene *s)
{
	const int		listeners[] = {
		s->tcp_listener, s->unix_listener
	};
	struct sockaddr_storage	ss;
	struct epoll_event	ev;
	struct ucred		cred;
	socklen_t		len;
	char			byte;
	int			fd, i;

	for (i = 0; i < 2; i++) {
		memset(&ev, 0, sizeof(ev));
		ev.events = EPOLLIN;
		ev.data.fd = listeners[i];
		fd = listeners[i];
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) == -1 ||
		    epoll_wait(s->epoll, &ev, 1, 1000) != 1 ||
		    epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL) == -1)
			return -1;
		len = sizeof(ss);
		if ((fd = accept4(listeners[i], (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
			return -1;
		len = sizeof(cred);
		if (ss.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET,
		    SO_PEERCRED, &cred, &len) == -1)
			return -1;
		if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1)
			return -1;
		close(fd);
	}
	return 0;
}

static int
database_run(sqlite3 *db, const char *sql)
{
	char	*reason = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &reason) == SQLITE_OK)
		return 0;
	log_error("%s: %s", sql, reason);
	sqlite3_free(reason);
	return -1;
}

static int
database(struct scene *s)
{
	static const char *const	mode[] = {
		"PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE"
	};
	sqlite3				*db, *other;
	size_t				 i;
	int				 result = -1;

	(void)s;
	for (i = 0; i < sizeof(mode) / sizeof(mode[0]); i++) {
		if (sqlite3_open("inside.db", &db) != SQLITE_OK)
			return -1;
		if (sqlite3_open("inside.db", &other) != SQLITE_OK)
			return -1;
		sqlite3_busy_timeout(other, 50);
		/*
		 * Outside of its directory there is no place for temporary
		 * files.
		 */
		if (database_run(db, "PRAGMA temp_store = MEMORY") == -1 ||
		    database_run(db, mode[i]) == -1 ||
		    database_run(db, "CREATE TABLE IF NOT EXISTS t (a, b)") ==
		    -1 || database_run(db, "BEGIN IMMEDIATE") == -1 ||
		    database_run(db, "CREATE INDEX IF NOT EXISTS i ON t(b)") ==
		    -1 || database_run(db, FILL) == -1)
			return -1;
		/* The other connection waits for the lock, in vain. */
		if (sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) !=
		    SQLITE_BUSY)
			return -1;
		if (database_run(db, "COMMIT") == -1 ||
		    database_run(other, "DELETE FROM t WHERE a % 2 = 0") ==
		    -1 || database_run(db, "SELECT a FROM t ORDER BY b") == -1)
			return -1;
		sqlite3_close(other);
		if (database_run(db, "PRAGMA wal_checkpoint(TRUNCATE)") == -1 ||
		    database_run(db, "VACUUM") == -1)
			return -1;
		result = sqlite3_close(db) == SQLITE_OK ? 0 : -1;
	}
	return result;
}

#define ENGINE	(1U << SANDBOX_ENGINE)
#define SQLITE	(1U << SANDBOX_LEDGER_SQLITE)
#define SERVER	(1U << SANDBOX_LEDGER_SERVER)
#define REPORT	(1U << SANDBOX_REPORT)

static const struct {
	const char	*name;
	unsigned int	 roles;
	int		(*step)(struct scene *);
} steps[] = {
	{ "memory", ENGINE | SQLITE | SERVER | REPORT, memory },
	{ "library", ENGINE | SQLITE | SERVER | REPORT, library },
	{ "channel", ENGINE | SQLITE | SERVER | REPORT, channel },
	{ "clients", ENGINE, clients },
	{ "database", SQLITE, database }
};

int
work_all(struct scene *s, int role, const char **step)
{
	size_t	i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		*step = steps[i].name;
		if ((steps[i].roles & 1U << role) != 0 &&
		    steps[i].step(s) == -1)
			return -1;
	}
	return 0;
}
