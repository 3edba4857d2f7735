#include <stdlib.h>
#include <string.h>

#include "ipc/buffer.h"
#include "lib/alloc.h"

#define BUFFER_FIRST	(64 * 1024)
#define BUFFER_KEEP	(1024 * 1024)	/* larger ones are let go */

size_t
buffer_len(const struct buffer *b)
{
	return b->end - b->start;
}

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
	b->start = b->end = 0;
}

void
buffer_room(struct buffer *b, size_t more)
{
	uint8_t	*data;
	size_t	 size, left = buffer_len(b);

	if (b->size - b->end >= more)
		return;
	/*
	 * Moved only where at least as much is won: moving stays cheap. The old
	 * place is wiped: it may hold a secret.
	 */
	if (b->size >= left + more && b->start >= left) {
		memcpy(b->data, b->data + b->start, left);
		explicit_bzero(b->data + b->start, left);
		b->start = 0;
		b->end = left;
		return;
	}
	size = b->size < BUFFER_FIRST ? BUFFER_FIRST : b->size;
	while (size < left + more)
		size *= 2;
	data = alloc_zero(size, 1);
	if (left > 0)
		memcpy(data, b->data + b->start, left);
	freezero(b->data, b->size);
	b->data = data;
	b->size = size;
	b->start = 0;
	b->end = left;
}
