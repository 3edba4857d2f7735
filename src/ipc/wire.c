#include <errno.h>
#include <string.h>

#include "ipc/wire.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define TEXT_NULL	UINT32_MAX	/* the length that stands for NULL */

/*
 * Spelt out: these are most of the work on a request, and compilers know the
 * form.
 */
static inline void
put_u32(unsigned char *p, uint32_t value)
{
	p[0] = (unsigned char)(value >> 24);
	p[1] = (unsigned char)(value >> 16);
	p[2] = (unsigned char)(value >> 8);
	p[3] = (unsigned char)value;
}

static inline uint32_t
get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

void
wire_put_u8(struct str *s, uint8_t value)
{
	*(unsigned char *)str_extend(s, 1) = value;
}

void
wire_put_u16(struct str *s, uint16_t value)
{
	unsigned char	*p = (unsigned char *)str_extend(s, 2);

	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
}

void
wire_put_u32(struct str *s, uint32_t value)
{
	put_u32((unsigned char *)str_extend(s, 4), value);
}

void
wire_put_u64(struct str *s, uint64_t value)
{
	unsigned char	*p = (unsigned char *)str_extend(s, 8);

	put_u32(p, (uint32_t)(value >> 32));
	put_u32(p + 4, (uint32_t)value);
}

void
wire_put_i64(struct str *s, int64_t value)
{
	wire_put_u64(s, (uint64_t)value);
}

void
wire_put_bytes(struct str *s, const void *src, size_t len)
{
	if (len >= TEXT_NULL)
		log_fatal("a message of %zu bytes", len);
	wire_put_u32(s, (uint32_t)len);
	str_add(s, src, len);
}

void
wire_put_text(struct str *s, const char *text)
{
	if (text == NULL)
		wire_put_u32(s, TEXT_NULL);
	else
		wire_put_bytes(s, text, strlen(text));
}

void
wire_init(struct wire *w, const void *src, size_t len)
{
	w->at = src;
	w->left = len;
	w->bad = false;
}

void
wire_fail(struct wire *w)
{
	w->bad = true;
	w->left = 0;
}

/* The next `len` bytes, or NULL. */
static inline const uint8_t *
take(struct wire *w, size_t len)
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

uint8_t
wire_get_u8(struct wire *w)
{
	const uint8_t	*p = take(w, 1);

	return p == NULL ? 0 : *p;
}

uint16_t
wire_get_u16(struct wire *w)
{
	const uint8_t	*p = take(w, 2);

	return p == NULL ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
wire_get_u32(struct wire *w)
{
	const uint8_t	*p = take(w, 4);

	return p == NULL ? 0 : get_u32(p);
}

uint64_t
wire_get_u64(struct wire *w)
{
	const uint8_t	*p = take(w, 8);

	return p == NULL ? 0 : (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

int64_t
wire_get_i64(struct wire *w)
{
	uint64_t	value;

	value = wire_get_u64(w);
	/* Two's complement, without leaning on the compiler's conversion. */
	if (value > INT64_MAX)
		return -(int64_t)(UINT64_MAX - value) - 1;
	return (int64_t)value;
}

int64_t
wire_get_range(struct wire *w, int64_t min, int64_t max)
{
	int64_t	value;

	value = wire_get_i64(w);
	if (!w->bad && (value < min || value > max))
		wire_fail(w);
	return w->bad ? 0 : value;
}

bool
wire_get_bool(struct wire *w)
{
	uint8_t	value;

	value = wire_get_u8(w);
	if (value > 1) {
		wire_fail(w);
		return false;
	}
	return value == 1;
}

const void *
wire_get_bytes(struct wire *w, size_t max, size_t *len)
{
	const uint8_t	*p;
	uint32_t	 n;

	n = wire_get_u32(w);
	if (w->bad || n > max || n > w->left) {
		wire_fail(w);
		*len = 0;
		return "";
	}
	p = w->at;
	w->at += n;
	w->left -= n;
	*len = n;
	return p;
}

char *
wire_get_text(struct wire *w, size_t max)
{
	struct wire	 peek = *w;
	const void	*p;
	size_t		 len;

	if (wire_get_u32(&peek) == TEXT_NULL && !peek.bad) {
		*w = peek;
		return NULL;
	}
	p = wire_get_bytes(w, max, &len);
	if (w->bad)
		return NULL;
	if (memchr(p, '\0', len) != NULL) {
		wire_fail(w);
		return NULL;
	}
	return alloc_copy(p, len);
}

int
wire_done(const struct wire *w)
{
	if (!w->bad && w->left == 0)
		return 0;
	errno = EBADMSG;
	return -1;
}
