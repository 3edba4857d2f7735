#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "digest.h"
#include "ledger/id.h"
#include "lib/str.h"

#define PREFIX		"sha256:"
#define PREFIX_LENGTH	(sizeof(PREFIX) - 1)
#define HASHED_LENGTH	(PREFIX_LENGTH + 2 * SHA256_DIGEST_LENGTH)

/* The usual case; tested eight bytes at a time. */
static bool
is_ascii(const char *id, size_t len)
{
	const uint64_t	high = UINT64_C(0x8080808080808080);
	const uint64_t	low = UINT64_C(0x0101010101010101);
	uint64_t	word, bits = 0;

	for (; len >= sizeof(word); id += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, id, sizeof(word));
		/*
		 * Sets the top bit of each byte that has it set or that is 0.
		 */
		bits |= word | (word - low);
	}
	for (; len > 0; id++, len--)
		bits |= (uint64_t)(*id == '\0' || (*id & 0x80) != 0) << 7;
	return (bits & high) == 0;
}

size_t
id_stored_room(size_t len)
{
	return len < HASHED_LENGTH || len > ID_STORED_MAX ? HASHED_LENGTH : len;
}

const char *
id_stored(const char *id, size_t *len, char buf[ID_STORED_MAX + 1])
{
	static const char	 hex[] = "0123456789abcdef";
	uint8_t			 digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX		 ctx;
	size_t			 i;
	char			*at;

	if (*len <= ID_STORED_MAX && (is_ascii(id, *len) ||
	    (memchr(id, '\0', *len) == NULL && str_utf8_valid(id, *len))) &&
	    (*len == 0 || id[*len - 1] != ' ') && (*len < PREFIX_LENGTH ||
	    memcmp(id, PREFIX, PREFIX_LENGTH) != 0))
		return id;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)id, *len);
	SHA256Final(digest, &ctx);

	memcpy(buf, PREFIX, PREFIX_LENGTH);
	at = buf + PREFIX_LENGTH;
	for (i = 0; i < sizeof(digest); i++) {
		*at++ = hex[digest[i] >> 4];
		*at++ = hex[digest[i] & 15];
	}
	*at = '\0';
	*len = (size_t)(at - buf);
	return buf;
}
