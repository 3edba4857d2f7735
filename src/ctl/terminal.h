#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Standard output as a terminal, if it is one: its size and colours. */
enum terminal_colour {
	TERMINAL_GREEN,
	TERMINAL_YELLOW,
	TERMINAL_RED
};

/*
 * Columns and lines: those of COLUMNS and LINES in the environment, or else of
 * the terminal, or else 80 and 24. Without a terminal the width is not bounded.
 */
size_t		 terminal_width(void);
size_t		 terminal_height(void);
bool		 terminal_is(void);

/* Escape sequences; "" if standard output is no terminal or NO_COLOR is set. */
const char	*terminal_colour(enum terminal_colour);
const char	*terminal_plain(void);

/* The sequence that clears the screen and goes to its top. */
const char	*terminal_anew(void);

/*
 * Makes keys readable as they are pressed, until terminal_restore or a signal
 * that ends the program; does nothing unless standard input and output are
 * terminals.
 */
void	terminal_keys(void);
void	terminal_restore(void);

/*
 * terminal_keys_fd: the descriptor to poll for keys, or -1. terminal_goes_on
 * reads the key that was pressed; false: the user wants to quit.
 */
int	terminal_keys_fd(void);
bool	terminal_goes_on(void);

/*
 * Waits for `ms` milliseconds, or until a key is pressed or the window changes
 * size. False: the user wants to quit.
 */
bool	terminal_wait(int ms);

#endif
