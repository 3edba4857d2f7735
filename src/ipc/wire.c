#include <errno.h>
#include <string.h>

#include "ipc/wire.h"
#include "lib/log.h"

void
wire_put_u8(struct str *s, uint8_t value)
{
	str_add(s, &value, sizeof(value));
}

void
wire_put_u32(struct str *s, uint32_t value)
{
	str_add(s, &value, sizeof(value));
}

void
wire_put_u64(struct str *s, uint64_t value)
{
	str_add(s, &value, sizeof(value));
}

void
wire_put_i64(struct str *s, int64_t value)
{
	str_add(s, &value, sizeof(value));
}

void
wire_put_bytes(struct str *s, const void *src, size_t len)
{
	uint32_t	 n = (uint32_t)len;
	char		*p;

	if (len > UINT32_MAX)
		log_fatal("a message of %zu bytes", len);
	p = str_extend(s, sizeof(n) + len);
	memcpy(p, &n, sizeof(n));
	if (len > 0)
		memcpy(p + sizeof(n), src, len);
}

void
wire_put_text(struct str *s, const char *text)
{
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

const void *
wire_take(struct wire *w, size_t len)
{
	const uint8_t	*p = w->at;

	if (len > w->left) {
		wire_fail(w);
		return NULL;
	}
	w->at += len;
	w->left -= len;
	return p;
}

void
wire_get(struct wire *w, void *dst, size_t len)
{
	const void	*p = wire_take(w, len);

	if (p == NULL)
		memset(dst, 0, len);
	else
		memcpy(dst, p, len);
}

uint8_t
wire_get_u8(struct wire *w)
{
	uint8_t	value;

	wire_get(w, &value, sizeof(value));
	return value;
}

uint32_t
wire_get_u32(struct wire *w)
{
	uint32_t	value;

	wire_get(w, &value, sizeof(value));
	return value;
}

uint64_t
wire_get_u64(struct wire *w)
{
	uint64_t	value;

	wire_get(w, &value, sizeof(value));
	return value;
}

int64_t
wire_get_i64(struct wire *w)
{
	int64_t	value;

	wire_get(w, &value, sizeof(value));
	return value;
}

int64_t
wire_get_range(struct wire *w, int64_t min, int64_t max)
{
	int64_t	value = wire_get_i64(w);

	if (!w->bad && value >= min && value <= max)
		return value;
	wire_fail(w);
	return 0;
}

uint8_t
wire_get_below(struct wire *w, unsigned int end)
{
	uint8_t	value = wire_get_u8(w);

	if (value < end)
		return value;
	wire_fail(w);
	return 0;
}

bool
wire_get_bool(struct wire *w)
{
	return wire_get_below(w, 2) == 1;
}

const void *
wire_get_bytes(struct wire *w, size_t max, size_t *len)
{
	const void	*p;
	uint32_t	 n;

	wire_get(w, &n, sizeof(n));
	if (n > max)
		wire_fail(w);
	p = wire_take(w, n);
	*len = p == NULL ? 0 : n;
	return p == NULL ? "" : p;
}

void
wire_get_array(struct wire *w, char *dst, size_t size)
{
	const void	*p;
	size_t		 len;

	p = wire_get_bytes(w, size - 1, &len);
	if (memchr(p, '\0', len) != NULL)
		wire_fail(w);
	memcpy(dst, p, len);
	dst[len] = '\0';
}

int
wire_done(const struct wire *w)
{
	if (!w->bad && w->left == 0)
		return 0;
	errno = EBADMSG;
	return -1;
}
