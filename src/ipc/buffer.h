#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>

/*
 * A byte queue: data[start] to data[end - 1] are in use. An all-zero struct is
 * an empty one. Memory that is freed or moved away from is wiped, since it may
 * hold secrets.
 */
struct buffer {
	uint8_t	*data;
	size_t	 size;
	size_t	 start;
	size_t	 end;
};

size_t	buffer_len(const struct buffer *);

/* Frees the memory; the buffer is empty and usable. */
void	buffer_free(struct buffer *);

/*
 * After all bytes were used: starts at the front again, and frees a large
 * buffer.
 */
void	buffer_rewind(struct buffer *);

/* Makes room for `more` bytes after the end; bytes in use may move. */
void	buffer_room(struct buffer *, size_t more);

#endif
