#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "parent/background.h"
#include "parent/parent.h"

static int	starter = -1;	/* pipe to the waiting process */

/*
 * The process that was started: waits for the daemon's status and exits with
 * it.
 */
static void __attribute__((__noreturn__))
wait_for(int fd)
{
	uint8_t	status;
	ssize_t	n;

	do
		n = read(fd, &status, 1);
	while (n == -1 && errno == EINTR);
	/* Without a status the daemon has died. */
	_exit(n == 1 ? status : STATUS_FATAL);
}

void
background_begin(void)
{
	int	fd[2];

	if (pipe2(fd, O_CLOEXEC) == -1)
		log_fatal("pipe: %s", strerror(errno));
	switch (fork()) {
	case -1:
		log_fatal("fork: %s", strerror(errno));
	case 0:
		break;
	default:
		close(fd[1]);
		wait_for(fd[0]);
	}
	close(fd[0]);
	starter = fd[1];
	setsid();
}

void
background_end(int status, bool detach)
{
	uint8_t	byte = (uint8_t)status;
	int	null;

	if (starter == -1)
		return;
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (detach)
			dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	while (write(starter, &byte, 1) == -1 && errno == EINTR)
		continue;
	close(starter);
	starter = -1;
}
