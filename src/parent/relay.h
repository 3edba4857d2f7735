#ifndef RELAY_H
#define RELAY_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "lib/clock.h"

/*
 * The standard error of a child is a pipe that only it writes to and the parent
 * reads: a child has no descriptor of the log or of a terminal, and each line
 * bears the name of the child that wrote it. Lines are opaque bytes: cut at
 * RELAY_LINE_MAX, made printable, logged. How much is read in a time is
 * bounded; a child that writes more finds its pipe full, and drops lines.
 */
#define RELAY_LINE_MAX	4096

struct relay {
	int		fd;		/* to read from; -1: none */
	const char	*name;		/* the child's, in the log */
	pid_t		pid;
	char		line[RELAY_LINE_MAX];	/* one that has no end yet */
	size_t		len;
	bool		cut;		/* its end is not logged */
	struct mono	next;		/* the next period begins */
	size_t		left;		/* bytes to be read in this period */
};

/*
 * The end to write to, non-blocking, which the caller owns; -1 with errno. The
 * caller sets `pid` once the child is there.
 */
int	relay_open(struct relay *, const char *name);
void	relay_close(struct relay *);

/* Logs a part of what has arrived. */
void	relay_take(struct relay *, struct mono now);

/* After the process has ended: logs the rest, within bounds. */
void	relay_rest(struct relay *);

/*
 * The descriptor to poll for reading now; -1: none yet, and *left, a timeout of
 * poll(2), is shortened to when there is one.
 */
int	relay_poll(const struct relay *, struct mono now, int *left);

#endif
