#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ledger/sqlite/checkpointer.h"
#include "ledger/sqlite/sqlite.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"

#define NICE		10
#define FIRST_FD	10		/* the checkpointer's own are above */
#define WAIT_MS		1000

#define ASK_COPY	'c'
#define ASK_CLOSE	'd'

struct checkpointer {
	int	fd;
	int	outstanding;	/* answers */
};

/* --- the process --- */

/*
 * Answers each request with a byte. When the names lead to other files than the
 * open ones, the ledger must close its files before the checkpointer opens new
 * ones: until then it copies nothing.
 */
static void
run_process(struct role_start *start, struct sandbox_needs *needs,
    const char *name, int fd)
{
	struct sqlite		*db = NULL;
	enum sqlite_fault	 fault;
	char			 reason[256], what;
	bool			 stale = false;
	int			 i;

	/* Only the descriptor that reports a failure to lock stays open too. */
	log_open("ledger", LOG_TO_PARENT, -1, false);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
	start->directory = fcntl(start->directory, F_DUPFD_CLOEXEC, FIRST_FD);
	if (fd == -1 || start->directory == -1)
		_exit(1);
	for (i = ROLE_CHANNEL_FD + 1; i < FIRST_FD; i++)
		(void)close(i);
	closefrom((fd > start->directory ? fd : start->directory) + 1);
	/* No charge waits for the checkpointer. */
	errno = 0;
	if (nice(NICE) == -1 && errno != 0)
		log_debug("nice: %s", strerror(errno));
	role_lock(start, needs);
	(void)close(ROLE_CHANNEL_FD);
	while (read(fd, &what, 1) == 1) {
		if (what == ASK_CLOSE || (db != NULL &&
		    sqlite_look(db) != SQLITE_FILES_OURS)) {
			sqlite_close(db);
			db = NULL;
			stale = what != ASK_CLOSE;
		}
		if (what == ASK_COPY && !stale && db == NULL)
			db = sqlite_open(start->directory, name, WAIT_MS, NULL,
			    0, &fault, reason, sizeof(reason));
		if (what == ASK_COPY && db != NULL)
			(void)sqlite_checkpoint(db, false);
		if (write(fd, &what, 1) != 1)
			break;
	}
	sqlite_close(db);
	_exit(0);
}

/* --- the ledger's side --- */

struct checkpointer *
checkpointer_start(struct role_start *start, struct sandbox_needs *needs,
    const char *name)
{
	struct checkpointer	*k;
	pid_t			 pid;
	int			 fd[2];

	/* No wait(2): its socket tells when it has ended. */
	(void)signal(SIGCHLD, SIG_IGN);
	if (channel_pair(fd) == -1)
		return NULL;
	if ((pid = fork()) == -1) {
		close(fd[0]);
		close(fd[1]);
		return NULL;
	}
	if (pid == 0)
		run_process(start, needs, name, fd[1]);
	close(fd[1]);
	k = alloc_zero(1, sizeof(*k));
	k->fd = fd[0];
	return k;
}

static void
send_request(struct checkpointer *k, char what)
{
	k->outstanding++;
	/* A checkpointer that is gone is noticed when the answer is read. */
	if (write(k->fd, &what, 1) != 1)
		return;
}

void
checkpointer_ask(struct checkpointer *k)
{
	if (k->outstanding == 0)
		send_request(k, ASK_COPY);
}

static int
wait_for_answer(struct checkpointer *k, int ms)
{
	struct pollfd	p = { k->fd, POLLIN, 0 };

	return poll(&p, 1, ms);
}

int
checkpointer_answer(struct checkpointer *k)
{
	char	what;

	/*
	 * The checkpointer writes only answers, so its end is noticed only
	 * after a request.
	 */
	if (k->outstanding == 0 || wait_for_answer(k, 0) != 1)
		return 0;
	if (read(k->fd, &what, 1) != 1)
		return -1;
	k->outstanding--;
	return 1;
}

bool
checkpointer_busy(const struct checkpointer *k)
{
	return k->outstanding > 0;
}

int
checkpointer_release(struct checkpointer *k, int ms)
{
	struct mono	deadline = clock_after(clock_mono(), ms);

	send_request(k, ASK_CLOSE);
	while (k->outstanding > 0)
		if (wait_for_answer(k, clock_left(deadline,
		    clock_mono())) != 1 || checkpointer_answer(k) == -1)
			return -1;
	return 0;
}

void
checkpointer_leave(struct checkpointer *k)
{
	if (k == NULL)
		return;
	close(k->fd);
	free(k);
}
