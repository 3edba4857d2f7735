#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define STR_FIRST	64		/* bytes of a str's first allocation */

void
str_init(struct str *s)
{
	s->data = NULL;
	s->len = 0;
	s->size = 0;
}

void
str_clear(struct str *s)
{
	free(s->data);
	str_init(s);
}

void
str_wipe(struct str *s)
{
	if (s->data != NULL)
		explicit_bzero(s->data, s->size);
	str_clear(s);
}

void
str_grow(struct str *s, size_t more)
{
	size_t	need, size;

	if (more > SIZE_MAX / 2 - s->len - 1)
		log_fatal("a string of %zu bytes grows by %zu", s->len, more);
	need = s->len + more + 1;
	size = s->size < STR_FIRST ? STR_FIRST : s->size;
	while (size < need)
		size *= 2;
	s->data = alloc_resize(s->data, size, 1);
	s->size = size;
}

void
str_add(struct str *s, const void *src, size_t len)
{
	char	*p = str_extend(s, len);

	if (len > 0)
		memcpy(p, src, len);
}

void
str_adds(struct str *s, const char *src)
{
	str_add(s, src, strlen(src));
}

void
str_addc(struct str *s, int c)
{
	*str_extend(s, 1) = (char)c;
}

void
str_addf(struct str *s, const char *fmt, ...)
{
	va_list	ap;
	int	len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		log_fatal("vsnprintf failed");
	va_start(ap, fmt);
	vsnprintf(str_extend(s, (size_t)len), (size_t)len + 1, fmt, ap);
	va_end(ap);
}

void
str_add_printable(struct str *s, const void *src, size_t len)
{
	/* A byte becomes at most four. */
	size_t	room = len * 4 + 8, at = s->len;

	(void)str_printable(str_extend(s, room), room, src, len);
	s->len = at + strlen(s->data + at);
}
