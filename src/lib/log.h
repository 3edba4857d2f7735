#ifndef LOG_H
#define LOG_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line for one event, to stderr, to the system's log (facility mail), or,
 * from a child, to its parent, which writes it with the child's name.
 * Never blocks and never fails: what a slow target does not take is dropped,
 * counted and said when it takes lines again. Callers pass what strangers wrote
 * through str_printable first.
 *
 * When the log daemon was restarted or not there yet, log_lost() is true, at
 * most once in five seconds, and the caller connects again (log_connect).
 */
enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_PARENT		/* stderr is a pipe to log_relay */
};

/*
 * Before any other call a process logs to stderr at brief level. `role` is
 * copied. `fd` is the connected datagram socket for LOG_TO_SYSLOG (ownership
 * passes; -1: lines are dropped and counted until there is one), ignored for
 * stderr. A second call replaces the first. stderr lines carry the time and
 * `role: `, or systemd's <N> level prefix in place of the time when
 * JOURNAL_STREAM says that stderr is the journal. Call it again after fork(2).
 */
void	log_open(const char *role, enum log_target, int fd, bool debug);

/*
 * The same later on, for the role that log_open named; does well in any
 * sandbox.
 */
void	log_change(enum log_target, int fd, bool debug);

/*
 * A line that another process wrote with LOG_TO_PARENT, or anything else,
 * without its newline. It gets the name and the process number given here,
 * whatever it says, and is made printable.
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
 * Logs and exits with status 6. Start-up, no memory, broken invariant: nothing
 * else.
 */
void	log_fatal(const char *, ...)
	    __attribute__((__format__(printf, 1, 2), __noreturn__));

/*
 * For a signal's handler, one that ends the process: signal-safety(7), plain
 * ASCII.
 */
void	log_signal(const char *);

/*
 * At most one line in `seconds` from one place: true when the caller may log
 * now; *suppressed then says how many were held back since the last one.
 */
struct log_limit {
	int64_t		next_ns;
	unsigned int	held;
};
bool	log_allowed(struct log_limit *, int seconds, unsigned int *suppressed);

#endif
