#ifndef NUM_H
#define NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A decimal number in exactly `len` bytes, no blanks, optional leading '-',
 * within [min, max]. 0 and *out, or -1 with errno EINVAL or ERANGE and *out
 * untouched.
 */
int	num_parse(const char *, size_t len, int64_t min, int64_t max,
	    int64_t *out);

/* a + b, a - b, a * b; -1 with errno ERANGE where the result does not fit. */
int	num_add(int64_t a, int64_t b, int64_t *out);
int	num_sub(int64_t a, int64_t b, int64_t *out);
int	num_mul(int64_t a, int64_t b, int64_t *out);

/* a + b, a - b, held at the ends of int64_t instead of overflowing. */
int64_t	num_add_clamp(int64_t a, int64_t b);
int64_t	num_sub_clamp(int64_t a, int64_t b);

#endif
