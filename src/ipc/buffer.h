#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes on their way: data[start] to data[end - 1] are in use. All zero is an
 * empty one. Whatever memory is let go or moved away from is wiped, as it may
 * hold secrets.
 */
struct buffer {
	uint8_t	*data;
	size_t	 size;
	size_t	 start;
	size_t	 end;
};

size_t	buffer_len(const struct buffer *);

/* Empty again, and usable. */
void	buffer_free(struct buffer *);

/* All is used up: begins at the front again, and a large one is let go. */
void	buffer_rewind(struct buffer *);

/* Room for `more` bytes behind the end; what is in use may move. */
void	buffer_room(struct buffer *, size_t more);

#endif
