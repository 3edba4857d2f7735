#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "parent/signals.h"

static int			pipe_fd[2] = { -1, -1 };
static volatile sig_atomic_t	came[NSIG];

static const struct {
	int		signo;
	unsigned int	bit;
} table[] = {
	{ SIGTERM,	SIGNALS_STOP },
	{ SIGINT,	SIGNALS_STOP },
	{ SIGUSR1,	SIGNALS_STOP },
	{ SIGHUP,	SIGNALS_RELOAD },
	{ SIGCHLD,	0 }
};

#define NTABLE	(sizeof(table) / sizeof(table[0]))

/* If the pipe is full, poll(2) returns anyway; the flags have the signals. */
static void
note(int signo)
{
	int	saved = errno;

	came[signo] = 1;
	if (write(pipe_fd[1], "", 1) == -1)
		errno = saved;
}

int
signals_open(void)
{
	struct sigaction	sa;
	sigset_t		none;
	size_t			i;

	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) == -1)
		log_fatal("pipe: %s", strerror(errno));
	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = note;
	sa.sa_flags = SA_RESTART;
	for (i = 0; i < NTABLE; i++) {
		if (sigaction(table[i].signo, &sa, NULL) == -1)
			log_fatal("sigaction: %s", strerror(errno));
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	/* We may have been started with these signals blocked. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return pipe_fd[0];
}

unsigned int
signals_take(void)
{
	unsigned int	bits = 0;
	char		drop[64];
	size_t		i;

	while (read(pipe_fd[0], drop, sizeof(drop)) > 0)
		continue;
	for (i = 0; i < NTABLE; i++) {
		if (came[table[i].signo]) {
			came[table[i].signo] = 0;
			bits |= table[i].bit;
		}
	}
	return bits;
}
