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

void
background_begin(void)
{
	uint8_t	status;
	ssize_t	n;
	int	fd[2];
	pid_t	pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		log_fatal("pipe: %s", strerror(errno));
	if ((pid = fork()) == -1)
		log_fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		close(fd[0]);
		starter = fd[1];
		setsid();
		return;
	}
	close(fd[1]);
	do
		n = read(fd[0], &status, 1);
	while (n == -1 && errno == EINTR);
	/* Without a status the daemon has died. */
	_exit(n == 1 ? status : STATUS_FATAL);
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
