#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One number of the .conf syntax, as Python writes them: 0x, 0o, 0b, the old
 * octal 0666, underscores between digits, floats. Signs are not part of it.
 * Pure.
 */
struct number {
	bool		 whole;
	uint64_t	 magnitude;	/* of a whole one */
	double		 real;		/* of any other */
	const char	*fault;		/* a sentence; NULL: none */
};

/*
 * From a digit on, or a point with a digit behind it. How many bytes it takes,
 * with letters that were run together with it.
 */
size_t	number_read(struct number *, const char *, size_t);

#endif
