#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/value.h"
#include "fuzz.h"
#include "lib/str.h"

/* What a child is sent: there is one form for each tree, or none. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value	*v;
	struct str	 s;

	if ((v = value_take(data, size)) == NULL)
		return 0;
	str_init(&s);
	value_put(&s, v);
	fuzz_require(s.len == size && memcmp(s.data, data, size) == 0);
	str_clear(&s);
	value_repr(&s, v);
	fuzz_require(s.len > 0 && str_utf8_valid(s.data, s.len));
	str_clear(&s);
	value_free(v);
	return 0;
}
