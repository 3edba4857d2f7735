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

#endif
