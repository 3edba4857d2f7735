#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"

static void	no_memory(size_t, size_t) __attribute__((__noreturn__));

static void
no_memory(size_t count, size_t size)
{
	log_fatal("out of memory (%zu objects of %zu bytes)", count, size);
}

void *
alloc_zero(size_t count, size_t size)
{
	void	*p;

	/* calloc(0) may return NULL, which callers would take for a failure. */
	if (count == 0 || size == 0)
		count = size = 1;
	if ((p = calloc(count, size)) == NULL)
		no_memory(count, size);
	return p;
}

void *
alloc_resize(void *old, size_t count, size_t size)
{
	void	*p;

	if (count == 0 || size == 0)
		count = size = 1;
	if ((p = reallocarray(old, count, size)) == NULL)
		no_memory(count, size);
	return p;
}

void *
alloc_room(void *old, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return old;
	*room = n < 32 ? 64 : n * 2;
	return alloc_resize(old, *room, size);
}

char *
alloc_string(const char *s)
{
	return alloc_copy(s, strlen(s));
}

void *
alloc_copy(const void *src, size_t len)
{
	char	*p;

	if (len == SIZE_MAX || (p = malloc(len + 1)) == NULL)
		no_memory(len, 1);
	if (len > 0)
		memcpy(p, src, len);
	p[len] = '\0';
	return p;
}

char *
alloc_printf(const char *fmt, ...)
{
	va_list	 ap;
	char	*p;
	int	 len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		log_fatal("vsnprintf failed");
	p = alloc_zero((size_t)len + 1, 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return p;
}
