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
 * Columns, endless unless it is a terminal, and lines; 80 and 24 if a terminal
 * does not tell them.
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

/* The descriptor to poll for keys, or -1; whether the key lets it go on. */
int	terminal_keys_fd(void);
bool	terminal_goes_on(void);

/*
 * Waits for `ms` milliseconds, or until a key is pressed or the window changes
 * size. False: the user wants to quit.
 */
bool	terminal_wait(int ms);

#endif
