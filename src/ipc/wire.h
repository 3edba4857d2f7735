#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * The encoding of messages: integers as they are in memory, since both ends are
 * processes of one host, and byte strings preceded by a 32-bit length. Writing
 * cannot fail (without memory the process exits). Reading never goes past the
 * end: after the first fault every get returns zero or empty, and wire_done()
 * tells whether there was a fault or bytes are left over.
 */
void	wire_put_u8(struct str *, uint8_t);
void	wire_put_u32(struct str *, uint32_t);
void	wire_put_u64(struct str *, uint64_t);
void	wire_put_i64(struct str *, int64_t);
void	wire_put_bytes(struct str *, const void *, size_t);
void	wire_put_text(struct str *, const char *);

struct wire {
	const uint8_t	*at;
	size_t		 left;
	bool		 bad;
};

void		 wire_init(struct wire *, const void *, size_t);

/* The next `len` bytes, in the message; NULL: there are fewer, a fault. */
const void	*wire_take(struct wire *, size_t len);

/* Copies the next `len` bytes, or zeros after a fault. */
void		 wire_get(struct wire *, void *dst, size_t len);
uint8_t		 wire_get_u8(struct wire *);
uint32_t	 wire_get_u32(struct wire *);
uint64_t	 wire_get_u64(struct wire *);
int64_t		 wire_get_i64(struct wire *);

/* Like wire_get_i64; a value outside [min, max] is a fault. */
int64_t		 wire_get_range(struct wire *, int64_t min, int64_t max);

/* A byte less than `end`; any other is a fault. For enums and counts. */
uint8_t		 wire_get_below(struct wire *, unsigned int end);

/* A byte that must be 0 or 1. */
bool		 wire_get_bool(struct wire *);

/*
 * Returns a pointer into the message, never NULL; no NUL follows the bytes.
 * More than `max` bytes are a fault.
 */
const void	*wire_get_bytes(struct wire *, size_t max, size_t *len);

/*
 * Copies a text into an array. A text that does not fit, or that has a NUL
 * inside, is a fault.
 */
void		 wire_get_array(struct wire *, char *dst, size_t size);

/* Reports a fault that the caller found, such as an unknown enum value. */
void		 wire_fail(struct wire *);

/*
 * 0 if there was no fault and all bytes are used, else -1 with errno EBADMSG.
 */
int		 wire_done(const struct wire *);

#endif
