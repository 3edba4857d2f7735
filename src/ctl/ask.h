#ifndef ASK_H
#define ASK_H

#include <stdint.h>

#include "ctl/answer.h"
#include "ctl/health.h"
#include "lib/str.h"

/*
 * The connection to the daemon. `path` is its control_socket. If the user may
 * open the socket of operator_group beside it, that one is used, since it takes
 * more commands.
 */

/*
 * Connects, and returns a descriptor on which a read or write fails after
 * `patience` seconds without progress. -1 with errno; then `fault` names the
 * socket, and the groups that may open it if the user may not.
 */
int	ask_connect(const char *path, int64_t patience, struct str *fault);

/* Begins a question: who has called sudo, if the environment says so. */
void	ask_begin(struct str *question);

/*
 * Writes all bytes. 0, or -1 with errno. The writer of a question need not look
 * at that: it finds that the answer is missing.
 */
int	ask_write(int fd, const struct str *);

/*
 * Connects, asks and parses the answer. Returns HEALTH_WELL if there is one,
 * which may say that the command failed; otherwise the health, and the fault.
 * Call answer_clear after either.
 */
enum health	 ask_whole(const char *path, int64_t patience,
		    const struct str *question, struct answer *,
		    struct str *fault);

#endif
