#ifndef AUDIT_H
#define AUDIT_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/control/control_words.h"
#include "lib/log.h"

/*
 * Who uses a connection of policyctl, and the lines of the log that say what
 * was asked for and how it ended. The ids of the peer come from the kernel;
 * sudo_uid is what policyctl found in its environment, which the user decides.
 */
struct audit {
	uid_t	 uid;
	gid_t	 gid;
	bool	 claims;	/* sudo_uid is set */
	uid_t	 sudo_uid;
	char	*said;		/* a change under way, or NULL */
};

#define AUDIT_PEER_MAX	96

/*
 * Writes who the peer is into `text`, and returns it. `group`: with its group,
 * for the log; a block or a grant stores the text without it.
 */
char	*audit_who(const struct audit *, bool group, char text[AUDIT_PEER_MAX]);

/*
 * audit_said: logs the words of a change that begins. audit_denied: logs that
 * the command was not permitted, as often as the limit allows.
 */
void	 audit_said(struct audit *, const struct control_word *, size_t n);
void	 audit_denied(const struct audit *, struct log_limit *,
	    const char *command);

/*
 * If a change is under way, logs its progress, or with audit_ended its end. The
 * line ends with `how` and `why`.
 */
void	 audit_log(const struct audit *, const char *how, const char *why);
void	 audit_ended(struct audit *, const char *how, const char *why);

#endif
