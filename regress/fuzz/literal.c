#include <stddef.h>
#include <stdint.h>

#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/value.h"
#include "fuzz.h"
#include "tree.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char	*bytes = (const char *)data;
	struct faults	 faults;
	struct value	*v;

	fault_init(&faults, "fuzz.conf");
	v = literal_file(bytes, size, &faults);
	tree_require_file(v, &faults, size);
	value_free(v);
	fault_clear(&faults);

	fault_init(&faults, NULL);
	v = literal_value(bytes, size, &faults);
	fuzz_require((v == NULL) == (faults.errors > 0));
	tree_require_places(&faults, size);
	if (v != NULL) {
		tree_require_conveyed(v);
		tree_require_printed(v);
	}
	value_free(v);
	fault_clear(&faults);
	return 0;
}
