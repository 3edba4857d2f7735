#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "digest.h"
#include "ledger/id.h"
#include "lib/str.h"

#define PREFIX		"sha256:"
#define PREFIX_LENGTH	(sizeof(PREFIX) - 1)

const char *
id_stored(const char *id, size_t *len, char buf[ID_STORED_MAX + 1])
{
	static const char	 hex[] = "0123456789abcdef";
	uint8_t			 digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX		 ctx;
	size_t			 i;
	char			*at;

	if (*len <= ID_STORED_MAX && memchr(id, '\0', *len) == NULL &&
	    (*len == 0 || id[*len - 1] != ' ') &&
	    str_utf8_valid(id, *len) && (*len < PREFIX_LENGTH ||
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
