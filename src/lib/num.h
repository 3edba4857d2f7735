#ifndef NUM_H
#define NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses a decimal number of exactly `len` bytes: no blanks, an optional '-',
 * within [min, max]. 0 and *out, or -1 with errno EINVAL or ERANGE and *out
 * unchanged.
 */
int	num_parse(const char *, size_t len, int64_t min, int64_t max,
	    int64_t *out);

/* a + b, a - b, a * b; -1 with errno ERANGE if the result does not fit. */
int	num_add(int64_t a, int64_t b, int64_t *out);
int	num_sub(int64_t a, int64_t b, int64_t *out);
int	num_mul(int64_t a, int64_t b, int64_t *out);

/* a + b, a - b, clamped to the range of int64_t. */
int64_t	num_add_clamp(int64_t a, int64_t b);
int64_t	num_sub_clamp(int64_t a, int64_t b);

#endif
