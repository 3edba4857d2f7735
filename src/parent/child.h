#ifndef CHILD_H
#define CHILD_H

#include <sys/types.h>

#include <stdbool.h>

#include "conf/settings.h"
#include "ipc/channel.h"
#include "lib/clock.h"
#include "parent/directories.h"
#include "parent/relay.h"

/* One process under the parent and the channel to it. */
enum child_state {
	CHILD_DOWN,		/* no process */
	CHILD_STARTING,		/* it has not said READY yet */
	CHILD_SERVING,
	CHILD_LEAVING		/* told to stop, or told us that it does */
};

struct child {
	enum role	 role;
	enum child_state state;
	char		 program[32];	/* its executable, for ps */
	pid_t		 pid;		/* -1: none */
	struct channel	*channel;	/* NULL: none, or broken */
	struct mono	 since;		/* when the process was started */
	struct mono	 deadline;	/* to be ready, or to be gone */
	bool		 faulted;	/* it told us why it cannot start */
	bool		 told;		/* to stop */
	bool		 killed;	/* by us: its death is no surprise */
	struct mono	 ask;		/* whether it is alive, the next time */
	unsigned int	 unanswered;	/* of these questions */
	uint64_t	 offered;	/* generation that it was sent last */
	uint64_t	 taken;		/* and which is in force there */
	struct relay	 relay;		/* what it writes to its stderr */
	char		 sandbox[256];	/* what it entered */
};

/* Before the first use: nothing runs. */
void	child_init(struct child *);

/*
 * Starts the executable of this name in LIBEXECDIR, its channel as descriptor
 * 3, `directory` (-1: none) as 4, next to nothing in its environment, stderr a
 * pipe to `relay`. 0, or -1 with *why.
 */
int	child_spawn(struct child *, enum role, const char *program,
	    int directory, char *why);

/* Logs what it has written: a part, as relay_take does; all of it. */
void	child_relay(struct child *, struct mono now);
void	child_relay_rest(struct child *);

/* SIGKILL; the rest is seen to when it is reaped. */
void	child_kill(struct child *);

/* Closes the channel only. */
void	child_disconnect(struct child *);

/* It was reaped: as after child_init. */
void	child_gone(struct child *);

/* Queues one message, or nothing where there is no channel. */
void	child_send(struct child *, enum message_type, const struct str *payload,
	    int fd);
void	child_signal(struct child *, enum message_type);
void	child_text(struct child *, enum message_type, const char *text);
void	child_number(struct child *, enum message_type, uint64_t, int fd);

#endif
