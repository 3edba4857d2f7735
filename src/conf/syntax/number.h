#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One number of the .conf syntax, as Python writes it: 0x, 0o, 0b, the old
 * octal 0666, underscores between digits, floats. Without a sign. Pure.
 */
struct number {
	bool		 whole;
	uint64_t	 magnitude;	/* of a whole number */
	double		 real;		/* of any other number */
	const char	*fault;		/* a sentence; NULL: none */
};

/*
 * Reads a number at a digit, or at a point before a digit. Returns its length
 * in bytes, including letters that follow without a blank.
 */
size_t	number_read(struct number *, const char *, size_t);

/* Reads digits of the base. NULL, or a sentence why they are not a number. */
const char	*number_whole(uint64_t *, const char *, size_t,
		    unsigned int base);

#define NUMBER_TOO_LARGE	"the number is too large"

/* The number with its sign; -1: it does not fit. */
int		 number_signed(int64_t *, uint64_t magnitude, bool negative);

/* The value of a digit in any base up to 36; 36: it is not a digit. */
unsigned int	 number_digit(int);

#endif
