#ifndef ROLE_H
#define ROLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "sandbox/sandbox.h"

/*
 * What every child of the parent does the same way: its channel is descriptor
 * 3, its configuration arrives there, it sets itself up, gives up privileges,
 * enters its sandbox, says READY. A role's main() reads as that list.
 */
#define ROLE_CHANNEL_FD		3
#define ROLE_DIRECTORY_FD	4	/* where MSG_DIRECTORY says so */

/*
 * Exit status of a ledger whose database is away: no fault, the parent starts
 * the next one soon, at the start of the daemon too.
 */
#define ROLE_AWAY	75

struct role_listener {
	int			fd;
	struct msg_listener	about;
};

struct role_start {
	struct channel		*parent;
	struct settings		*settings;
	struct msg_identity	 identity;
	struct channel		*peer;		/* engine's: the ledger */
	int			 directory;	/* ledger-sqlite; else -1 */
	struct role_listener	*listeners;
	size_t			 nlisteners;
	struct report_tried	 tried;		/* report's */
};

/*
 * Takes the channel, receives everything up to MSG_START. A process that was
 * not started by the parent (no channel at descriptor 3) says so and exits with
 * status 1.
 */
void	role_begin(struct role_start *, enum role self, const char *name);

/*
 * For a role that resolves or connects, before it does: gives root up for good,
 * verified, and takes away what that needs no more. Fatal when it fails. The
 * role is that of sandbox.h's `needs` for role_lock.
 */
void	role_connect(struct role_start *, struct sandbox_needs *needs);

/*
 * Drops privileges for good, verified, and enters the sandbox. Fatal when it
 * fails. `needs` goes on to sandbox_enter, the directory is filled in here.
 */
void	role_lock(struct role_start *, struct sandbox_needs *needs);

/* Tells the parent that this role serves from now on. */
void	role_ready(struct role_start *);

/*
 * A start-up fault that the administrator has to mend: told to the parent,
 * logged once, then the process exits with status 6.
 */
void	role_fault(struct role_start *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3), __noreturn__));

/*
 * The same, where it may be well another time: the parent tries again and
 * again.
 */
void	role_away(struct role_start *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3), __noreturn__));

/*
 * Handles the messages that any role may get after its start (MSG_LOG,
 * MSG_SETTING). 1: handled; 0: not one of these; -1: broken, the parent's
 * channel cannot be trusted. A whole new generation of settings is left in
 * *fresh (else untouched), the caller's.
 */
int	role_message(struct role_start *, const struct message *,
	    struct settings **fresh);

/*
 * Tells the parent that the last generation of role_message is in force here.
 * Until then the parent may still take it back.
 */
void	role_taken(struct role_start *);

#endif
