#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "ctl/ask.h"
#include "ctl/terminal.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define SECOND_MS	1000
#define ANSWER_MAX	(64 * 1024 * 1024)

static int
open_socket(const char *path, int64_t patience)
{
	struct sockaddr_un	sun;
	struct timeval		tv = { 0, 0 };
	int			fd, saved;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	tv.tv_sec = (time_t)patience;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Adds the group that may open the socket, if there is one. */
static void
add_group(struct str *out, const char *path)
{
	const struct group	*group;
	struct stat		 sb;

	if (stat(path, &sb) == -1 || !S_ISSOCK(sb.st_mode) ||
	    (sb.st_mode & S_IWGRP) == 0)
		return;
	if ((group = getgrgid(sb.st_gid)) != NULL)
		str_addf(out, "the group %s", group->gr_name);
	else
		str_addf(out, "the group %lu", (unsigned long)sb.st_gid);
}

/* Says who may open the sockets. */
static void
add_needs(struct str *fault, const char *path, const char *operators)
{
	struct str	look, operate;

	str_init(&look);
	str_init(&operate);
	add_group(&look, path);
	add_group(&operate, operators);
	if (look.len > 0 && operate.len > 0)
		str_addf(fault, "; %s may look, %s may make changes too",
		    look.data, operate.data);
	else if (look.len > 0 || operate.len > 0)
		str_addf(fault, "; root and %s may open it",
		    look.len > 0 ? look.data : operate.data);
	str_clear(&look);
	str_clear(&operate);
}

int
ask_connect(const char *path, int64_t patience, struct str *fault)
{
	const char	*used;
	char		*operators;
	int		 fd, error;

	used = operators = alloc_printf("%s%s", path, SETTINGS_OPERATOR);
	fd = open_socket(operators, patience);
	error = errno;
	/* A hanging daemon accepts no connection. */
	if (fd == -1 && error != EAGAIN) {
		fd = open_socket(path, patience);
		/*
		 * A user who may open only the other socket gets an error about
		 * that one.
		 */
		if (errno != EACCES || error == EACCES || error == ENOENT) {
			used = path;
			error = errno;
		}
	}
	if (fd == -1) {
		str_addf(fault, "%s: %s", used, error == EAGAIN ?
		    "no answer in time" : strerror(error));
		if (error == EACCES)
			add_needs(fault, path, operators);
	}
	free(operators);
	errno = error;
	return fd;
}

void
ask_begin(struct str *question)
{
	const char	*uid = getenv("SUDO_UID");
	int64_t		 n;

	if (uid == NULL || num_parse(uid, strlen(uid), 0, UINT32_MAX, &n) == -1)
		return;
	str_addf(question, "sudo_uid=%" PRId64, n);
	str_addc(question, '\0');
}

int
ask_write(int fd, const struct str *bytes)
{
	size_t	at = 0;
	ssize_t	n;

	while (at < bytes->len) {
		n = write(fd, bytes->data + at, bytes->len - at);
		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0)
			at += (size_t)n;
	}
	return 0;
}

/* --- how far it is, on a terminal --- */

struct ask_progress {
	bool	terminal;
	bool	counted;	/* the daemon tells how many rows */
	bool	shown;		/* a line that is to vanish */
};

/*
 * Takes the lines off the beginning that say how far the daemon is, and shows
 * them.
 */
static void
take_progress(struct str *answer, struct ask_progress *p)
{
	static const char	word[] = "progress ";
	char			*end;
	size_t			 len;

	while (answer->len >= sizeof(word) - 1 && memcmp(answer->data, word,
	    sizeof(word) - 1) == 0 &&
	    (end = memchr(answer->data, '\n', answer->len)) != NULL) {
		len = (size_t)(end - answer->data);
		if (p->terminal && strspn(answer->data + sizeof(word) - 1,
		    "0123456789") == len + 1 - sizeof(word)) {
			fprintf(stderr, "\r%.*s rows are read ",
			    (int)(len + 1 - sizeof(word)),
			    answer->data + sizeof(word) - 1);
			p->counted = p->shown = true;
		}
		answer->len -= len + 1;
		memmove(answer->data, end + 1, answer->len);
	}
}

/*
 * Waits for input, and shows the seconds. -1: none came for the time that
 * ask_connect has set. The key that quits `top -w` ends the program.
 */
static int
wait_shown(int fd, struct ask_progress *p)
{
	struct pollfd	pfd[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = terminal_keys_fd(), .events = POLLIN }
	};
	struct timeval	tv = { 0, 0 };
	socklen_t	len = sizeof(tv);
	int64_t		seconds = 0;
	int		n;

	if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len) == -1)
		return -1;
	for (;;) {
		pfd[0].revents = pfd[1].revents = 0;
		n = poll(pfd, 2, SECOND_MS);
		if (pfd[0].revents != 0 || (n == -1 && errno != EINTR))
			return 0;
		if (pfd[1].revents != 0 && !terminal_goes_on()) {
			terminal_restore();
			exit(0);
		}
		if (n != 0)
			continue;
		if (++seconds >= tv.tv_sec) {
			errno = EAGAIN;
			return -1;
		}
		if (p->counted)
			continue;
		fprintf(stderr, "\rthe daemon works on it, %" PRId64 " s ",
		    seconds);
		p->shown = true;
	}
}

/* Writes the question and reads the whole answer. 0, or -1 with errno. */
static int
exchange(int fd, const struct str *question, struct str *answer)
{
	struct ask_progress	 p = { .terminal = isatty(STDERR_FILENO) };
	char			 bytes[16384];
	ssize_t			 n;
	int			 error;

	(void)ask_write(fd, question);
	do {
		n = -1;
		if (!p.terminal || wait_shown(fd, &p) == 0)
			do
				n = read(fd, bytes, sizeof(bytes));
			while (n == -1 && errno == EINTR);
		if (n > 0)
			str_add(answer, bytes, (size_t)n);
		take_progress(answer, &p);
		if (n > 0 && answer->len > ANSWER_MAX) {
			errno = EMSGSIZE;
			n = -1;
		}
	} while (n > 0);
	error = errno;
	if (p.shown)
		fputs("\r\033[K", stderr);
	errno = error;
	return (int)n;
}

enum health
ask_whole(const char *path, int64_t patience, const struct str *question,
    struct answer *a, struct str *fault)
{
	struct str	bytes;
	enum health	health = HEALTH_WELL;
	int		fd, error;

	memset(a, 0, sizeof(*a));
	str_init(&bytes);
	if ((fd = ask_connect(path, patience, fault)) == -1)
		health = health_of_errno(errno);
	else if (exchange(fd, question, &bytes) == -1) {
		error = errno;
		health = health_of_errno(error);
		str_addf(fault, "%s: %s", path, error == EAGAIN ?
		    "no answer in time" : strerror(error));
	} else if (answer_parse(a, bytes.len > 0 ? bytes.data : "",
	    bytes.len) == -1) {
		health = HEALTH_UNKNOWN;
		str_addf(fault, "%s: no whole answer came", path);
	}
	if (fd != -1)
		close(fd);
	str_clear(&bytes);
	return health;
}
