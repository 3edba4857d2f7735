#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>

/*
 * A byte queue: `len` bytes from data[start] on are in use. An all-zero struct
 * is an empty one. Memory that is freed or moved away from is wiped, since it
 * may hold secrets.
 */
struct buffer {
	uint8_t	*data;
	size_t	 size;
	size_t	 start;
	size_t	 len;
};

/* Frees the memory; the buffer is empty and usable. */
void	buffer_free(struct buffer *);

/* Drops all bytes: starts at the front again, and frees a large buffer. */
void	buffer_rewind(struct buffer *);

/*
 * Makes room for `more` bytes after the end and returns where it begins; bytes
 * in use may move.
 */
uint8_t	*buffer_room(struct buffer *, size_t more);

#endif
