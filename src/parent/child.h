#ifndef CHILD_H
#define CHILD_H

#include <sys/types.h>

#include <stdbool.h>

#include "conf/settings.h"
#include "ipc/channel.h"
#include "lib/clock.h"
#include "parent/directories.h"
#include "parent/relay.h"

/* A process under the parent, and the channel to it. */
enum child_state {
	CHILD_DOWN,		/* no process */
	CHILD_STARTING,		/* it has not sent READY yet */
	CHILD_SERVING,
	CHILD_LEAVING		/* told to stop, or it is ending */
};

struct child {
	enum role	 role;
	enum child_state state;
	char		 program[32];	/* name of its executable */
	pid_t		 pid;		/* -1: none */
	struct channel	*channel;	/* NULL: none, or closed */
	struct mono	 since;		/* start of the process */
	struct mono	 deadline;	/* to be ready, or to end */
	bool		 faulted;	/* it sent why it cannot start */
	bool		 stop_sent;	/* MSG_STOP */
	bool		 killed;	/* by us: its end is expected */
	struct mono	 ask;		/* when to ask if it is alive */
	unsigned int	 unanswered;	/* questions since its last answer */
	uint64_t	 offered;	/* generation of settings last sent */
	uint64_t	 taken;		/* generation in force in it */
	struct relay	 relay;		/* its stderr */
	char		 sandbox[256];	/* the sandbox it reported */
};

/* Initialises: no process. */
void	child_init(struct child *);

/*
 * Starts the executable of this name in LIBEXECDIR with its channel as
 * descriptor 3, `directory` (-1: none) as 4, an almost empty environment, and a
 * pipe to `relay` as stderr; `lowly`: with low priority. The struct has no
 * process yet; the directory stays the caller's. 0, or -1 with `why`, of
 * WHY_MAX bytes.
 */
int	child_spawn(struct child *, enum role, const char *program,
	    int directory, bool lowly, char *why);

/* Sends SIGKILL; serve() notices the end. */
void	child_kill(struct child *);

/* Closes the channel only. */
void	child_disconnect(struct child *);

/* After its end was reaped: resets everything to the state of child_init. */
void	child_gone(struct child *);

/*
 * Queue one message, as channel_send does; do nothing if there is no channel.
 */
void	child_send(struct child *, enum message_type, const struct str *payload,
	    int fd);
void	child_signal(struct child *, enum message_type);
void	child_text(struct child *, enum message_type, const char *text);
void	child_number(struct child *, enum message_type, uint64_t, int fd);

#endif
