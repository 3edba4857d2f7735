#include <string.h>

#include "engine/control/control_words.h"

size_t
control_request_end(const char *bytes, size_t len)
{
	size_t	i;

	if (len > 0 && bytes[0] == '\0')
		return 1;
	for (i = 1; i < len; i++)
		if (bytes[i] == '\0' && bytes[i - 1] == '\0')
			return i + 1;
	return 0;
}

int
control_words(struct control_word *word, size_t max, size_t *n,
    const char *bytes, size_t len)
{
	const char	*end;

	*n = 0;
	if (len < 2 || bytes[len - 1] != '\0' || bytes[len - 2] != '\0')
		return -1;
	for (len--; len > 0; len -= (size_t)(end - bytes), bytes = end) {
		if (*n == max || *bytes == '\0')
			return -1;
		end = (const char *)memchr(bytes, '\0', len) + 1;
		word[*n].bytes = bytes;
		word[(*n)++].len = (size_t)(end - bytes) - 1;
	}
	return 0;
}
