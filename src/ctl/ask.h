#ifndef ASK_H
#define ASK_H

#include <stdint.h>

#include "ctl/answer.h"
#include "ctl/health.h"
#include "lib/str.h"

/*
 * The connection to the daemon. `path` is its control_socket; where that has a
 * socket of the operators beside it that the user may open, that one is used,
 * since it takes every command.
 */

/*
 * The connected descriptor, on which the daemon may be silent for so many
 * seconds; -1 with errno, and a text that names the socket, and the groups that
 * may open it if the user may not.
 */
int	ask_connect(const char *path, int64_t patience, struct str *fault);

/* Begins a question: who has called sudo, if the environment says so. */
void	ask_begin(struct str *question);

/*
 * Writes the question. Whether the daemon has read all of it, its answer tells.
 */
void	ask_write(int fd, const struct str *question);

/*
 * Connects, asks and parses. HEALTH_WELL: there is an answer, which may say
 * that the command failed. Otherwise the health that follows, and the fault.
 * Call answer_clear after either.
 */
enum health	 ask_whole(const char *path, int64_t patience,
		    const struct str *question, struct answer *,
		    struct str *fault);

#endif
