#include <errno.h>
#include <string.h>

#include "ipc/wire.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define TEXT_NULL	UINT32_MAX	/* the length that stands for NULL */

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
