#include <stdlib.h>
#include <string.h>

#include "ipc/buffer.h"
#include "lib/alloc.h"

#define BUFFER_FIRST	(64 * 1024)
#define BUFFER_KEEP	(1024 * 1024)	/* larger ones are let go */

void
buffer_free(struct buffer *b)
{
	freezero(b->data, b->size);
	memset(b, 0, sizeof(*b));
}

void
buffer_rewind(struct buffer *b)
{
	if (b->size > BUFFER_KEEP)
		buffer_free(b);
	b->start = b->len = 0;
}

uint8_t *
buffer_room(struct buffer *b, size_t more)
{
	uint8_t	*data;
	size_t	 size;

	if (b->size - b->start - b->len >= more)
		return b->data + b->start + b->len;
	/*
	 * Moved only where at least as much is won: moving stays cheap. The old
	 * place is wiped: it may hold a secret.
	 */
	if (b->size >= b->len + more && b->start >= b->len) {
		memcpy(b->data, b->data + b->start, b->len);
		explicit_bzero(b->data + b->start, b->len);
	} else {
		size = b->size < BUFFER_FIRST ? BUFFER_FIRST : b->size;
		while (size < b->len + more)
			size *= 2;
		data = alloc_zero(size, 1);
		if (b->len > 0)
			memcpy(data, b->data + b->start, b->len);
		freezero(b->data, b->size);
		b->data = data;
		b->size = size;
	}
	b->start = 0;
	return b->data + b->len;
}
