#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/clock.h"
#include "lib/log.h"

/* The real stderr, kept while a test's own is in its place. */
static int	kept = -1;

static void
stderr_is(int fd)
{
	if (kept == -1)
		kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static int
stderr_back(void **state)
{
	int	fd;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	/*
	 * What was dropped is said where nobody reads it, not in the next test.
	 */
	if ((fd = open("/dev/null", O_WRONLY)) == -1)
		return -1;
	stderr_is(fd);
	if (fd != STDERR_FILENO)
		close(fd);
	log_open("test", LOG_TO_STDERR, -1, false);
	log_notice("end of the test");
	dup2(kept, STDERR_FILENO);
	close(kept);
	kept = -1;
	log_open("test", LOG_TO_STDERR, -1, false);
	return 0;
}

/* stderr becomes a pipe; returns its other end, not blocking. */
static int
stderr_pipe(void)
{
	int	fd[2];

	assert_int_equal(pipe(fd), 0);
	stderr_is(fd[1]);
	close(fd[1]);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	return fd[0];
}

/* What is there, as a string. */
static const char *
taken(int fd)
{
	static char	text[70000];
	ssize_t		n;
	size_t		len = 0;

	while (len < sizeof(text) - 1 &&
	    (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

/* "YYYY-MM-DDThh:mm:ss " in front, then exactly this. */
static void
assert_line(const char *line, const char *rest)
{
	int	year, month, day, hour, minute, second, n = 0;

	assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d %n", &year,
	    &month,
	    &day, &hour, &minute, &second, &n), 6);
	assert_int_equal(n, 20);
	assert_true(year >= 2024 && month >= 1 && month <= 12);
	assert_string_equal(line + n, rest);
}

static void
lines_on_stderr(void **state)
{
	int	fd;

	(void)state;
	fd = stderr_pipe();
	log_open("engine", LOG_TO_STDERR, -1, false);
	log_notice("%s has %d", "bob", 3);
	assert_line(taken(fd), "engine: bob has 3\n");
	log_error("no");
	assert_line(taken(fd), "engine: no\n");
	log_warning("well");
	assert_line(taken(fd), "engine: well\n");
	close(fd);
}

static void
debug_only_when_asked(void **state)
{
	int	fd;

	(void)state;
	fd = stderr_pipe();
	log_open("engine", LOG_TO_STDERR, -1, false);
	assert_false(log_debugging());
	log_debug("hidden");
	assert_string_equal(taken(fd), "");
	log_set_debug(true);
	assert_true(log_debugging());
	log_debug("shown");
	assert_line(taken(fd), "engine: shown\n");
	log_open("engine", LOG_TO_STDERR, -1, true);
	assert_true(log_debugging());
	close(fd);
}

static void
log_injection(void **state)
{
	int	fd;

	(void)state;
	fd = stderr_pipe();
	log_open("engine", LOG_TO_STDERR, -1, false);
	log_notice("one%stwo\033[2J\177", "\r\n");
	assert_line(taken(fd), "engine: one??two?[2J?\n");
	close(fd);
}

static void
long_lines_are_cut(void **state)
{
	char		 text[10000];
	const char	*line;
	int		 fd;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fd = stderr_pipe();
	log_open("engine", LOG_TO_STDERR, -1, false);
	log_notice("%s", text);
	line = taken(fd);
	assert_true(strlen(line) < 4096);
	assert_true(strlen(line) > 4000);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	close(fd);
}

static void
errno_stays(void **state)
{
	int	fd;

	(void)state;
	fd = stderr_pipe();
	close(fd);
	errno = EXDEV;
	log_open("engine", LOG_TO_STDERR, -1, false);
	log_notice("nobody reads");
	assert_int_equal(errno, EXDEV);
}

static void
set_journal(const struct stat *sb, int off)
{
	char	value[64];

	snprintf(value, sizeof(value), "%llu:%llu",
	    (unsigned long long)sb->st_dev,
	    (unsigned long long)sb->st_ino + (unsigned long long)off);
	setenv("JOURNAL_STREAM", value, 1);
}

static void
journal_gets_levels(void **state)
{
	struct stat	sb;
	int		fd;

	(void)state;
	fd = stderr_pipe();
	assert_int_equal(fstat(STDERR_FILENO, &sb), 0);
	set_journal(&sb, 0);
	log_open("ledger", LOG_TO_STDERR, -1, true);
	/* Asked at log_open, not later: a role has no environment by then. */
	unsetenv("JOURNAL_STREAM");
	log_error("e");
	log_warning("w");
	log_notice("n");
	log_debug("d");
	assert_string_equal(taken(fd),
	    "<3>ledger: e\n<4>ledger: w\n<5>ledger: n\n<7>ledger: d\n");
	close(fd);
}

static void
another_stream_is_no_journal(void **state)
{
	static const char *const	values[] = {
		"", ":", "1", "1:", "x:y", "1:2x", "1:2:3"
	};
	struct stat			sb;
	size_t				i;
	int				fd;

	(void)state;
	fd = stderr_pipe();
	assert_int_equal(fstat(STDERR_FILENO, &sb), 0);
	set_journal(&sb, 1);
	log_open("ledger", LOG_TO_STDERR, -1, false);
	log_notice("n");
	assert_line(taken(fd), "ledger: n\n");
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		setenv("JOURNAL_STREAM", values[i], 1);
		log_open("ledger", LOG_TO_STDERR, -1, false);
		log_notice("n");
		assert_line(taken(fd), "ledger: n\n");
	}
	close(fd);
}

/* Neither a pipe that is full nor one without a reader holds up or kills. */
static void
slow_reader_holds_up_nothing(void **state)
{
	const char	*text;
	char		*last;
	int		 fd, i, flags;

	(void)state;
	fd = stderr_pipe();
	log_open("engine", LOG_TO_STDERR, -1, false);
	flags = fcntl(STDERR_FILENO, F_GETFL);
	assert_int_equal(flags & O_NONBLOCK, 0);
	/*
	 * More than any pipe holds; a write that blocks would stay here for
	 * ever.
	 */
	alarm(60);
	for (i = 0; i < 40000; i++)
		log_notice("line %d of a great many that nobody reads", i);
	alarm(0);
	while (*taken(fd) != '\0')
		;
	log_notice("after");
	text = taken(fd);
	assert_non_null(strstr(text, " lines could not be logged\n"));
	assert_non_null(last = strstr(text, "\n"));
	assert_line(last + 1, "engine: after\n");
	log_notice("again");
	assert_line(taken(fd), "engine: again\n");
	close(fd);
}

static void
no_reader_kills_nothing(void **state)
{
	int	next[2], fd, i;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	fd = stderr_pipe();
	assert_int_equal(pipe(next), 0);
	log_open("engine", LOG_TO_STDERR, -1, false);
	close(fd);
	for (i = 0; i < 10; i++)
		log_notice("into the void");
	close(STDERR_FILENO);
	log_notice("not even a descriptor");
	stderr_is(next[1]);
	close(next[1]);
	fcntl(next[0], F_SETFL, O_NONBLOCK);
	log_notice("back");
	assert_non_null(strstr(taken(next[0]),
	    "11 lines could not be logged\n"));
	close(next[0]);
}

/*
 * Some systems take part of a line into a socket: the next one does not run
 * into it.
 */
static void
torn_line(void **state)
{
	static char	 all[4000000];
	size_t		 len = 0;
	const char	*text;
	char		*line, *end;
	int		 fd[2], i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	stderr_is(fd[1]);
	close(fd[1]);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	log_open("engine", LOG_TO_STDERR, -1, false);
	alarm(60);
	for (i = 0; i < 20000; i++) {
		log_notice("%08d %0*d", i, 20 + i % 3000, 7);
		if (i % 1000 == 0) {
			text = taken(fd[0]);
			assert_true(len + strlen(text) < sizeof(all));
			memcpy(all + len, text, strlen(text) + 1);
			len += strlen(text);
		}
	}
	alarm(0);
	for (line = all; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		assert_true(strlen(line) < 4096);
		/*
		 * One time and one role in each line: none was joined to
		 * another.
		 */
		assert_non_null(strstr(line, "engine: "));
		assert_null(strstr(strstr(line, "engine: ") + 1, "engine: "));
	}
	close(fd[0]);
}

/* --- the system's log --- */

static int
syslog_pair(void)
{
	int	fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	log_open("engine", LOG_TO_SYSLOG, fd[1], true);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	return fd[0];
}

static const char *
datagram(int fd)
{
	static char	text[8192];
	ssize_t		n;

	if ((n = recv(fd, text, sizeof(text) - 1, 0)) == -1)
		return NULL;
	text[n] = '\0';
	return text;
}

/* RFC 3164, facility mail. */
static void
assert_datagram(const char *text, int priority, const char *rest)
{
	char	month[4], tag[64];
	int	level, day, hour, minute, second, n = 0;
	long	pid;

	assert_non_null(text);
	assert_int_equal(sscanf(text,
	    "<%d>%3s %2d %2d:%2d:%2d %63[^[][%ld]: %n",
	    &level, month, &day, &hour, &minute, &second, tag, &pid, &n), 8);
	assert_int_equal(level, priority);
	assert_non_null(strstr("JanFebMarAprMayJunJulAugSepOctNovDec", month));
	assert_string_equal(tag, "policyd-rate-limit/engine");
	assert_int_equal(pid, getpid());
	assert_string_equal(text + n, rest);
}

static void
lines_in_syslog(void **state)
{
	const char	*text;
	int		 fd, err;

	(void)state;
	err = stderr_pipe();
	fd = syslog_pair();
	log_error("e %d", 1);
	assert_datagram(text = datagram(fd), 19, "e 1");
	/* The day takes two places, with a blank, not a zero. */
	assert_int_equal(text[7], ' ');
	assert_true(text[8] != '0');
	log_warning("w");
	assert_datagram(datagram(fd), 20, "w");
	log_notice("n\nn");
	assert_datagram(datagram(fd), 21, "n?n");
	log_debug("d");
	assert_datagram(datagram(fd), 23, "d");
	assert_string_equal(taken(err), "");
	close(fd);
	close(err);
}

static void
slow_syslog_holds_up_nothing(void **state)
{
	const char	*text;
	int		 fd, i, got = 0;

	(void)state;
	fd = syslog_pair();
	alarm(60);
	for (i = 0; i < 20000; i++)
		log_notice("line %d", i);
	alarm(0);
	assert_false(log_lost());
	while (datagram(fd) != NULL)
		got++;
	assert_true(got > 0 && got < 20000);
	log_notice("after");
	text = datagram(fd);
	assert_non_null(text);
	assert_non_null(strstr(text, "lines could not be logged"));
	assert_int_equal(strtol(strstr(text, "]: ") + 3, NULL, 10),
	    20000 - got);
	assert_datagram(datagram(fd), 21, "after");
	close(fd);
}

/*
 * Also what the log does without its daemon, at the start and when it was
 * restarted.
 */
static void
syslog_lost(void **state)
{
	const char	*text;
	int		 fd;

	(void)state;
	fd = syslog_pair();
	log_notice("n");
	assert_false(log_lost());
	close(fd);
	log_notice("gone");
	assert_true(log_lost());
	/* Not again at once, however often it is asked. */
	assert_false(log_lost());
	log_notice("gone");
	assert_false(log_lost());
	log_open("engine", LOG_TO_SYSLOG, -1, false);
	log_notice("gone");
	assert_false(log_lost());
	fd = syslog_pair();
	log_notice("here");
	text = datagram(fd);
	assert_non_null(text);
	assert_non_null(strstr(text, ": 3 lines could not be logged"));
	assert_datagram(datagram(fd), 21, "here");
	close(fd);
}

static void
second_open_closes_the_first(void **state)
{
	int	first, second;

	(void)state;
	first = syslog_pair();
	second = syslog_pair();
	assert_int_equal(recv(first, &first, 0, 0), -1);
	log_notice("n");
	assert_datagram(datagram(second), 21, "n");
	close(second);
	log_open("engine", LOG_TO_STDERR, -1, false);
}

/* --- the rest --- */

static void
fatal_ends_with_6(void **state)
{
	pid_t	pid;
	int	fd, status;

	(void)state;
	fd = stderr_pipe();
	log_open("parent", LOG_TO_STDERR, -1, false);
	if ((pid = fork()) == 0) {
		log_fatal("cannot %s", "go on");
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	assert_line(taken(fd), "parent: cannot go on\n");
	close(fd);
}

static void
allowed_once(void **state)
{
	struct log_limit	limit = { 0, 0 };
	unsigned int		suppressed = 99;

	(void)state;
	assert_true(log_allowed(&limit, 3600, &suppressed));
	assert_int_equal(suppressed, 0);
	suppressed = 99;
	assert_false(log_allowed(&limit, 3600, &suppressed));
	assert_false(log_allowed(&limit, 3600, &suppressed));
	assert_int_equal(suppressed, 99);
	limit.next_ns = clock_mono().ns;
	assert_true(log_allowed(&limit, 3600, &suppressed));
	assert_int_equal(suppressed, 2);
	assert_false(log_allowed(&limit, 3600, &suppressed));
	limit.next_ns = clock_mono().ns;
	assert_true(log_allowed(&limit, 3600, &suppressed));
	assert_int_equal(suppressed, 1);
}

#define TEST(name)	cmocka_unit_test_teardown(name, stderr_back)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(lines_on_stderr),
		TEST(debug_only_when_asked),
		TEST(log_injection),
		TEST(long_lines_are_cut),
		TEST(errno_stays),
		TEST(journal_gets_levels),
		TEST(another_stream_is_no_journal),
		TEST(slow_reader_holds_up_nothing),
		TEST(no_reader_kills_nothing),
		TEST(torn_line),
		TEST(lines_in_syslog),
		TEST(slow_syslog_holds_up_nothing),
		TEST(syslog_lost),
		TEST(second_open_closes_the_first),
		TEST(fatal_ends_with_6),
		TEST(allowed_once)
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
