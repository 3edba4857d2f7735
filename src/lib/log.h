#ifndef LOG_H
#define LOG_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line for each event, to stderr, to the system's log (facility mail), or,
 * from a child, to its parent, which writes it with the child's name. A call
 * never blocks and never fails: a line that the target does not take is dropped
 * and counted, and the count is logged when the target takes lines again.
 * Callers pass text from outside through str_printable first.
 *
 * If the log daemon was restarted or is not there, log_lost() returns true, at
 * most once in five seconds. The caller then connects again (log_connect).
 */
enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_PARENT		/* stderr is a pipe to log_relay */
};

/*
 * Before the first call a process logs to stderr, without debug lines. `role`
 * is copied. `fd` is the connected datagram socket for LOG_TO_SYSLOG, which is
 * taken over (-1: lines are dropped and counted until there is one); it is
 * ignored for stderr. A second call replaces the first. Lines on stderr begin
 * with the time and `role: `; if JOURNAL_STREAM says that stderr is the
 * journal, with systemd's <N> level prefix and `role: `; to the parent, with
 * that prefix alone. Call it again after fork(2).
 */
void	log_open(const char *role, enum log_target, int fd, bool debug);

/*
 * Logs a line of another process, without its newline. The line gets this role
 * and process number, whatever it says, and is made printable.
 */
void	log_relay(const char *role, pid_t, const char *line, size_t len);

/* A datagram socket connected to the system's log, or -1 with errno. */
int	log_connect(void);

bool	log_lost(void);
bool	log_debugging(void);
void	log_set_debug(bool);

void	log_error(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	log_warning(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	log_notice(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	log_debug(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));

/*
 * Logs and exits with status 6. Only for start-up, no memory, and a broken
 * invariant.
 */
void	log_fatal(const char *, ...)
	    __attribute__((__format__(printf, 1, 2), __noreturn__));

/*
 * For a signal handler that ends the process: async-signal-safe. The text is
 * ASCII.
 */
void	log_signal(const char *);

/*
 * Limits one kind of line to one in `seconds`. True if the caller may log now;
 * *suppressed is then the number of lines held back since the last one.
 */
struct log_limit {
	int64_t		next_ns;
	unsigned int	suppressed;
};
bool	log_allowed(struct log_limit *, int seconds, unsigned int *suppressed);

#endif
