#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * Bytes on a channel: big-endian integers, byte strings with a 32-bit length in
 * front. Writing cannot fail (memory ends the process). Reading never goes past
 * the end: the first fault makes every later get return zero or empty, and
 * wire_done() tells whether all was well and nothing is left over.
 */
void	wire_put_u8(struct str *, uint8_t);
void	wire_put_u16(struct str *, uint16_t);
void	wire_put_u32(struct str *, uint32_t);
void	wire_put_u64(struct str *, uint64_t);
void	wire_put_i64(struct str *, int64_t);
void	wire_put_bytes(struct str *, const void *, size_t);

/* NULL is kept apart from "". */
void	wire_put_text(struct str *, const char *);

struct wire {
	const uint8_t	*at;
	size_t		 left;
	bool		 bad;
};

void		 wire_init(struct wire *, const void *, size_t);
uint8_t		 wire_get_u8(struct wire *);
uint16_t	 wire_get_u16(struct wire *);
uint32_t	 wire_get_u32(struct wire *);
uint64_t	 wire_get_u64(struct wire *);
int64_t		 wire_get_i64(struct wire *);

/* As wire_get_i64; a value outside [min, max] is a fault. */
int64_t		 wire_get_range(struct wire *, int64_t min, int64_t max);

/* A byte that must be 0 or 1. */
bool		 wire_get_bool(struct wire *);

/* Points into the message, not NUL-terminated; longer than `max` is a fault. */
const void	*wire_get_bytes(struct wire *, size_t max, size_t *len);

/*
 * A copy for the caller to free, NULL for NULL or a fault; a NUL inside is a
 * fault.
 */
char		*wire_get_text(struct wire *, size_t max);

/* A fault of the caller's own finding, such as an unknown enum value. */
void		 wire_fail(struct wire *);

/*
 * 0 when every get was good and all bytes are used, else -1 with errno EBADMSG.
 */
int		 wire_done(const struct wire *);

#endif
