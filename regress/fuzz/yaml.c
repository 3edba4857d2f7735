#include <stddef.h>
#include <stdint.h>

#include "conf/fault.h"
#include "conf/value.h"
#include "conf/syntax/yaml.h"
#include "fuzz.h"
#include "tree.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct faults	 faults;
	struct value	*v;

	fault_init(&faults, "fuzz.yaml");
	v = yaml_file((const char *)data, size, &faults);
	tree_require_file(v, &faults, size);
	value_free(v);
	fault_clear(&faults);
	return 0;
}
