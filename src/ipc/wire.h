#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * The encoding of messages: big-endian integers, and byte strings preceded by a
 * 32-bit length. Writing cannot fail (without memory the process exits).
 * Reading never goes past the end: after the first fault every get returns zero
 * or empty, and wire_done() tells whether there was a fault or bytes are left
 * over.
 */
static inline void	wire_put_u8(struct str *, uint8_t);
static inline void	wire_put_u16(struct str *, uint16_t);
static inline void	wire_put_u32(struct str *, uint32_t);
static inline void	wire_put_u64(struct str *, uint64_t);
static inline void	wire_put_i64(struct str *, int64_t);
void	wire_put_bytes(struct str *, const void *, size_t);

/* NULL and "" stay different. */
void	wire_put_text(struct str *, const char *);

struct wire {
	const uint8_t	*at;
	size_t		 left;
	bool		 bad;
};

void		 wire_init(struct wire *, const void *, size_t);
static inline uint8_t	wire_get_u8(struct wire *);
static inline uint16_t	wire_get_u16(struct wire *);
static inline uint32_t	wire_get_u32(struct wire *);
static inline uint64_t	wire_get_u64(struct wire *);
static inline int64_t	wire_get_i64(struct wire *);

/* Like wire_get_i64; a value outside [min, max] is a fault. */
static inline int64_t	wire_get_range(struct wire *, int64_t min, int64_t max);

/* A byte less than `end`; any other is a fault. For enums and counts. */
static inline uint8_t	wire_get_below(struct wire *, unsigned int end);

/* A byte that must be 0 or 1. */
bool		 wire_get_bool(struct wire *);

/* Points into the message, without a NUL; more than `max` bytes are a fault. */
const void	*wire_get_bytes(struct wire *, size_t max, size_t *len);

/*
 * A copy that the caller frees; NULL for NULL or a fault. A NUL inside is a
 * fault.
 */
char		*wire_get_text(struct wire *, size_t max);

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

/* --- integers: some fifty for each request, spelt out as compilers know --- */

static inline void
wire_put_u8(struct str *s, uint8_t value)
{
	*(unsigned char *)str_extend(s, 1) = value;
}

static inline void
wire_put_u16(struct str *s, uint16_t value)
{
	unsigned char	*p = (unsigned char *)str_extend(s, 2);

	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
}

static inline void
wire_put_u32(struct str *s, uint32_t value)
{
	unsigned char	*p = (unsigned char *)str_extend(s, 4);

	p[0] = (unsigned char)(value >> 24);
	p[1] = (unsigned char)(value >> 16);
	p[2] = (unsigned char)(value >> 8);
	p[3] = (unsigned char)value;
}

static inline void
wire_put_u64(struct str *s, uint64_t value)
{
	unsigned char	*p = (unsigned char *)str_extend(s, 8);

	p[0] = (unsigned char)(value >> 56);
	p[1] = (unsigned char)(value >> 48);
	p[2] = (unsigned char)(value >> 40);
	p[3] = (unsigned char)(value >> 32);
	p[4] = (unsigned char)(value >> 24);
	p[5] = (unsigned char)(value >> 16);
	p[6] = (unsigned char)(value >> 8);
	p[7] = (unsigned char)value;
}

static inline void
wire_put_i64(struct str *s, int64_t value)
{
	wire_put_u64(s, (uint64_t)value);
}

/* The next `len` bytes, or NULL. */
static inline const uint8_t *
wire_take(struct wire *w, size_t len)
{
	const uint8_t	*p = w->at;

	if (w->left < len) {
		wire_fail(w);
		return NULL;
	}
	w->at += len;
	w->left -= len;
	return p;
}

static inline uint8_t
wire_get_u8(struct wire *w)
{
	const uint8_t	*p = wire_take(w, 1);

	return p == NULL ? 0 : *p;
}

static inline uint8_t
wire_get_below(struct wire *w, unsigned int end)
{
	uint8_t	value = wire_get_u8(w);

	if (value < end)
		return value;
	wire_fail(w);
	return 0;
}

static inline uint16_t
wire_get_u16(struct wire *w)
{
	const uint8_t	*p = wire_take(w, 2);

	return p == NULL ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
wire_get_u32(struct wire *w)
{
	const uint8_t	*p = wire_take(w, 4);

	return p == NULL ? 0 : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t
wire_get_u64(struct wire *w)
{
	const uint8_t	*p = wire_take(w, 8);

	return p == NULL ? 0 : (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 |
	    (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
	    (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
	    (uint64_t)p[6] << 8 | p[7];
}

static inline int64_t
wire_get_i64(struct wire *w)
{
	uint64_t	value = wire_get_u64(w);

	/* Two's complement, independent of the compiler's conversion. */
	if (value > INT64_MAX)
		return -(int64_t)(UINT64_MAX - value) - 1;
	return (int64_t)value;
}

static inline int64_t
wire_get_range(struct wire *w, int64_t min, int64_t max)
{
	int64_t	value = wire_get_i64(w);

	if (!w->bad && (value < min || value > max))
		wire_fail(w);
	return w->bad ? 0 : value;
}

#endif
