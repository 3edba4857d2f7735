#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define LINE_MAX_BYTES	4096	/* written to a pipe in one piece */
#define DATAGRAM_SHORT	1024	/* every syslogd accepts this much */
#define LOST_EVERY_MS	5000	/* between two true answers of log_lost */
#define PROGRAM		"policyd-rate-limit"

/* The process that a line is from. */
struct writer {
	char	role[32];
	pid_t	pid;
};

static struct {
	enum log_target	target;
	bool		debug;
	bool		journal;	/* stderr is systemd's journal */
	bool		socket;		/* stderr is a socket */
	bool		torn;		/* the last line has no newline yet */
	bool		lost;		/* no socket, or a dead one */
	struct mono	ask_again;	/* log_lost may be true again */
	unsigned int	dropped;
	int		fd;
	struct writer	self;
} state = { .fd = -1 };

void
log_open(const char *role, enum log_target target, int fd, bool debug)
{
	const char	*journal = getenv("JOURNAL_STREAM");
	struct stat	 sb;
	char		 here[48];
	int		 saved = errno;

	/*
	 * Reads the time zone file now: later there may be a chroot and a
	 * sandbox.
	 */
	tzset();
	strlcpy(state.self.role, role, sizeof(state.self.role));
	state.self.pid = getpid();
	state.journal = state.socket = false;
	if (fstat(STDERR_FILENO, &sb) == 0) {
		state.socket = S_ISSOCK(sb.st_mode);
		/* "device:inode" of the stream, systemd.exec(5). */
		snprintf(here, sizeof(here), "%llu:%llu",
		    (unsigned long long)sb.st_dev,
		    (unsigned long long)sb.st_ino);
		state.journal = journal != NULL && strcmp(journal, here) == 0;
	}
	if (state.fd != -1 && state.fd != fd)
		close(state.fd);
	state.target = target;
	state.fd = target == LOG_TO_SYSLOG ? fd : -1;
	state.debug = debug;
	state.lost = false;
	errno = saved;
}

int
log_connect(void)
{
	static const char *const	 paths[] = {
		"/dev/log", "/var/run/log"
	};
	struct sockaddr_un		 sun;
	size_t				 i;
	int				 fd, saved;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		memset(&sun, 0, sizeof(sun));
		sun.sun_family = AF_UNIX;
		strlcpy(sun.sun_path, paths[i], sizeof(sun.sun_path));
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return fd;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

bool
log_lost(void)
{
	struct mono	now;

	if (!state.lost)
		return false;
	now = clock_mono();
	if (!clock_passed(state.ask_again, now))
		return false;
	state.ask_again = clock_after(now, LOST_EVERY_MS);
	return true;
}

bool
log_debugging(void)
{
	return state.debug;
}

void
log_set_debug(bool debug)
{
	state.debug = debug;
}

/* -1: the line was not written. */
static int
line_stderr(int level, const struct tm *tm, const struct writer *from,
    const char *text)
{
	struct pollfd	pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char		line[LINE_MAX_BYTES];
	size_t		at = 0;
	ssize_t		sent;
	int		n;

	if (state.torn)
		line[at++] = '\n';
	if (state.target == LOG_TO_PARENT)
		n = snprintf(line + at, sizeof(line) - at, "<%d>%s\n", level,
		    text);
	else if (state.journal)
		n = snprintf(line + at, sizeof(line) - at, "<%d>%s: %s\n",
		    level, from->role, text);
	else
		n = snprintf(line + at, sizeof(line) - at,
		    "%04d-%02d-%02dT%02d:%02d:%02d %s: %s\n",
		    tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
		    tm->tm_hour, tm->tm_min, tm->tm_sec,
		    from->role[0] != '\0' ? from->role : PROGRAM, text);
	if (n < 0)
		return -1;
	at += (size_t)n;
	if (at >= sizeof(line)) {
		at = sizeof(line) - 1;
		line[at - 1] = '\n';
	}
	/*
	 * POLLERR: the reader has closed the pipe, and writing would raise
	 * SIGPIPE.
	 */
	if (poll(&pfd, 1, 0) != 1 || pfd.revents != POLLOUT)
		return -1;
	if (state.socket)
		sent = send(STDERR_FILENO, line, at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		sent = write(STDERR_FILENO, line, at);
	if (sent <= 0)
		return -1;
	state.torn = line[sent - 1] != '\n';
	return 0;
}

/* The format of RFC 3164, which every syslogd reads from its local socket. */
static int
line_syslog(int level, const struct tm *tm, const struct writer *from,
    const char *text)
{
	static const char	month[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	char			line[LINE_MAX_BYTES];
	size_t			len;
	int			n;

	if (state.fd == -1) {
		state.lost = true;
		return -1;
	}
	n = snprintf(line, sizeof(line), "<%d>%s %2d %02d:%02d:%02d "
	    PROGRAM "/%s[%ld]: %s", LOG_MAIL | level, month[tm->tm_mon % 12],
	    tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec, from->role,
	    (long)from->pid, text);
	if (n < 0)
		return -1;
	len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	if (send(state.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == EMSGSIZE && len > DATAGRAM_SHORT && send(state.fd, line,
	    DATAGRAM_SHORT, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS &&
	    errno != EINTR && errno != EMSGSIZE)
		state.lost = true;
	return -1;
}

static int
line_out(int level, const struct writer *from, const char *text)
{
	struct tm	tm;
	time_t		now;

	now = clock_wall();
	if (localtime_r(&now, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	if (state.target == LOG_TO_SYSLOG)
		return line_syslog(level, &tm, from, text);
	return line_stderr(level, &tm, from, text);
}

/* First logs how many lines were dropped. */
static void
line_next(int level, const struct writer *from, const char *text)
{
	char	missed[64];

	if (state.dropped > 0) {
		snprintf(missed, sizeof(missed),
		    "%u line%s could not be logged", state.dropped,
		    state.dropped == 1 ? "" : "s");
		if (line_out(LOG_WARNING, &state.self, missed) == 0)
			state.dropped = 0;
	}
	if (line_out(level, from, text) == -1)
		state.dropped++;
}

static void	write_line(int, const char *, va_list)
		    __attribute__((__format__(printf, 2, 0)));

static void
write_line(int level, const char *fmt, va_list ap)
{
	char	text[LINE_MAX_BYTES], *p;
	int	saved = errno;

	vsnprintf(text, sizeof(text), fmt, ap);
	/* Callers made it printable. If one forgot, it is still one line. */
	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	line_next(level, &state.self, text);
	errno = saved;
}

void
log_relay(const char *role, pid_t pid, const char *line, size_t len)
{
	struct writer	from = { .pid = pid };
	char		text[LINE_MAX_BYTES];
	int		level = LOG_WARNING, saved = errno;

	/* A line that a library wrote has no level prefix. */
	if (len >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' &&
	    line[2] == '>') {
		level = line[1] - '0';
		line += 3;
		len -= 3;
	}
	/* A syslogd may write higher levels to every terminal. */
	if (level < LOG_CRIT)
		level = LOG_CRIT;
	strlcpy(from.role, role, sizeof(from.role));
	str_printable_again(text, sizeof(text), line, len);
	line_next(level, &from, text);
	errno = saved;
}

void
log_error(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	write_line(LOG_ERR, fmt, ap);
	va_end(ap);
}

void
log_warning(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	write_line(LOG_WARNING, fmt, ap);
	va_end(ap);
}

void
log_notice(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	write_line(LOG_NOTICE, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	ap;

	if (!state.debug)
		return;
	va_start(ap, fmt);
	write_line(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	write_line(LOG_CRIT, fmt, ap);
	va_end(ap);
	exit(6);
}

static size_t
append(char *line, size_t at, size_t size, const char *text)
{
	while (*text != '\0' && at < size)
		line[at++] = *text++;
	return at;
}

void
log_signal(const char *text)
{
	char	line[DATAGRAM_SHORT];
	size_t	at = 0, size = sizeof(line) - 1;
	ssize_t	n;

	/*
	 * Without a date, since localtime_r(3) may take a lock. syslogd adds a
	 * date.
	 */
	if (state.target == LOG_TO_SYSLOG) {
		/* LOG_MAIL | LOG_CRIT */
		at = append(line, at, size, "<18>" PROGRAM "/");
		at = append(line, at, size, state.self.role);
		at = append(line, at, size, ": ");
		at = append(line, at, size, text);
		n = send(state.fd, line, at, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		at = append(line, at, size, state.torn ? "\n" : "");
		at = append(line, at, size, state.journal ||
		    state.target == LOG_TO_PARENT ? "<2>" : "");
		if (state.target != LOG_TO_PARENT) {
			at = append(line, at, size, state.self.role);
			at = append(line, at, size, ": ");
		}
		at = append(line, at, size, text);
		line[at++] = '\n';
		n = write(STDERR_FILENO, line, at);
	}
	(void)n;
}

bool
log_allowed(struct log_limit *limit, int seconds, unsigned int *suppressed)
{
	struct mono	now = clock_mono(), next;

	if (limit->next_ns != 0 && now.ns < limit->next_ns) {
		limit->suppressed++;
		return false;
	}
	next = clock_after(now, (int64_t)seconds * 1000);
	limit->next_ns = next.ns;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
