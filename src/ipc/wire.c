#include <errno.h>
#include <string.h>

#include "ipc/wire.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define TEXT_NULL	UINT32_MAX	/* length that stands for no text at all */

static void
put_big_endian(struct str *s, uint64_t value, size_t len)
{
	unsigned char	b[8];
	size_t		i;

	for (i = len; i > 0; i--) {
		b[i - 1] = value & 0xff;
		value >>= 8;
	}
	str_add(s, b, len);
}

void
wire_put_u8(struct str *s, uint8_t value)
{
	str_add(s, &value, 1);
}

void
wire_put_u16(struct str *s, uint16_t value)
{
	put_big_endian(s, value, 2);
}

void
wire_put_u32(struct str *s, uint32_t value)
{
	put_big_endian(s, value, 4);
}

void
wire_put_u64(struct str *s, uint64_t value)
{
	put_big_endian(s, value, 8);
}

void
wire_put_i64(struct str *s, int64_t value)
{
	put_big_endian(s, (uint64_t)value, 8);
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

static uint64_t
get_big_endian(struct wire *w, size_t len)
{
	uint64_t	value = 0;
	size_t		i;

	if (w->left < len) {
		wire_fail(w);
		return 0;
	}
	for (i = 0; i < len; i++)
		value = value << 8 | w->at[i];
	w->at += len;
	w->left -= len;
	return value;
}

uint8_t
wire_get_u8(struct wire *w)
{
	return (uint8_t)get_big_endian(w, 1);
}

uint16_t
wire_get_u16(struct wire *w)
{
	return (uint16_t)get_big_endian(w, 2);
}

uint32_t
wire_get_u32(struct wire *w)
{
	return (uint32_t)get_big_endian(w, 4);
}

uint64_t
wire_get_u64(struct wire *w)
{
	return get_big_endian(w, 8);
}

int64_t
wire_get_i64(struct wire *w)
{
	uint64_t	value;

	value = get_big_endian(w, 8);
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
