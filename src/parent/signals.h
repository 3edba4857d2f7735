#ifndef SIGNALS_H
#define SIGNALS_H

/*
 * Signals as bytes in a pipe, for poll(2): HUP reloads; TERM, INT and USR1
 * stop; CHLD only ends the poll.
 */
#define SIGNALS_STOP	(1U << 0)
#define SIGNALS_RELOAD	(1U << 1)

/* Installs the handlers. Returns the descriptor to poll. Fatal if it fails. */
int	signals_open(void);

/* The signals since the last call, as bits. */
unsigned int	signals_take(void);

#endif
