#ifndef ROLE_H
#define ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "conf/settings_message.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "sandbox/sandbox.h"

/*
 * What every child of the parent does: its channel is descriptor 3, it receives
 * its configuration there, sets itself up, gives up privileges, enters its
 * sandbox, and sends READY. Each role's main() lists these steps.
 */
#define ROLE_CHANNEL_FD		3
#define ROLE_DIRECTORY_FD	4	/* if MSG_DIRECTORY was sent */

/* Exit status after a fault that the administrator must mend. */
#define ROLE_FAULT	6

/*
 * Exit status of a ledger whose database is away. The parent logs no fault and
 * starts the next ledger soon, also at the start of the daemon.
 */
#define ROLE_AWAY	75

/*
 * The same for a ledger whose connection ended while it was idle. The parent
 * logs only a failure of the next ledger.
 */
#define ROLE_IDLE	74

struct role_listener {
	int			fd;
	struct msg_listener	about;
};

struct role_start {
	struct channel		*parent;
	struct settings		*settings;
	struct msg_identity	 identity;
	struct channel		*peer;		/* to the ledger; in a ledger to
						   the engine or the report */
	int			 directory;	/* ledger-sqlite; else -1 */
	struct role_listener	*listeners;
	size_t			 nlisteners;
	struct report_tried	 tried;		/* in the report */

	/* Only role.c uses these. */
	enum role		 self;
	struct settings_message	*receiving;	/* settings; NULL: none */
	uint64_t		 generation;	/* last complete settings */
	bool			 inherited;	/* a directory at
						   ROLE_DIRECTORY_FD */
	bool			 required;	/* sandbox_required */
	bool			 connecting;	/* role_connect was called */
	bool			 jailed;	/* chroot(2) was called */
};

/*
 * Takes the channel and receives everything up to MSG_START. A process that the
 * parent did not start (no channel at descriptor 3) prints that and exits with
 * status 1.
 */
void	role_begin(struct role_start *, enum role self, const char *name);

/*
 * For a role that resolves or connects, before it does: gives up root for good,
 * verified, and enters the first sandbox. Fatal if it fails. `needs` names the
 * same role as for role_lock.
 */
void	role_connect(struct role_start *, struct sandbox_needs *needs);

/*
 * Gives up all privileges for good, verified, and enters the final sandbox.
 * Fatal if it fails. `needs` is passed on to sandbox_enter, with the directory
 * set.
 */
void	role_lock(struct role_start *, struct sandbox_needs *needs);

/* Sends READY, and waits until it is written. Fatal if it fails. */
void	role_ready(struct role_start *);

/*
 * For a start-up fault: sends it to the parent, which logs it, and exits with
 * this status: ROLE_FAULT, or ROLE_AWAY for a fault that may pass.
 */
void	role_fault(struct role_start *, int status, const char *, ...)
	    __attribute__((__format__(printf, 3, 4), __noreturn__));

/*
 * Handles messages that every role gets after its start (MSG_LOG, MSG_SETTING).
 * 1: handled; 0: another message; -1: malformed, the parent's channel cannot be
 * trusted. *fresh is set to a complete new generation of settings, which the
 * caller owns, and otherwise unchanged.
 */
int	role_message(struct role_start *, const struct message *,
	    struct settings **fresh);

/*
 * Tells the parent that the last generation of role_message is in force. Before
 * that the parent may still send the old one again.
 */
void	role_taken(struct role_start *);

#endif
