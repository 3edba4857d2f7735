#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* What standard output is: a terminal of some size and taste, or not. */
enum terminal_colour {
	TERMINAL_GREEN,
	TERMINAL_YELLOW,
	TERMINAL_RED
};

/* Columns and lines; 80 and 24 where nobody knows. */
size_t		 terminal_width(void);
size_t		 terminal_height(void);
bool		 terminal_is(void);

/* Sequences to print; "" unless it is a terminal, and NO_COLOR is not set. */
const char	*terminal_colour(enum terminal_colour);
const char	*terminal_plain(void);

/* From the top of an empty screen. */
const char	*terminal_anew(void);

/*
 * Keys are read as they are pressed, until terminal_restore; nothing where
 * standard input or output is no terminal.
 */
void	terminal_keys(void);
void	terminal_restore(void);

/*
 * So many milliseconds, or less where a key is pressed or the window gets
 * another size. False: the user wants to leave.
 */
bool	terminal_wait(int ms);

#endif
