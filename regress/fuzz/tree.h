#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/value.h"
#include "fuzz.h"
#include "lib/str.h"

/* What holds for trees that a parser made, and for the faults it found. */

/* repr() has no literal for what is infinite or no number. */
static inline bool
tree_is_finite(const struct value *v)
{
	size_t	i;

	if (v->type == VALUE_FLOAT)
		return v->real - v->real == 0;
	for (i = 0; i < v->count; i++)
		if (!tree_is_finite(v->items[i]))
			return false;
	return true;
}

/* Conveyed to another process it is the same. */
static inline void
tree_require_conveyed(const struct value *v)
{
	struct value	*taken;
	struct str	 before, after;

	str_init(&before);
	str_init(&after);
	value_put(&before, v);
	taken = value_take(before.data, before.len);
	fuzz_require(taken != NULL);
	value_put(&after, taken);
	fuzz_require(before.len == after.len &&
	    memcmp(before.data, after.data, before.len) == 0);
	value_free(taken);
	str_clear(&before);
	str_clear(&after);
}

/* Printed and read again it is the same. */
static inline void
tree_require_printed(const struct value *v)
{
	struct faults	 faults;
	struct value	*read;
	struct str	 text;

	if (!tree_is_finite(v))
		return;
	str_init(&text);
	value_repr(&text, v);
	fault_init(&faults, NULL);
	if (text.len <= 65536) {
		read = literal_value(text.data, text.len, &faults);
		fuzz_require(read != NULL && value_equal(v, read));
		value_free(read);
	}
	fault_clear(&faults);
	str_clear(&text);
}

/* Each fault has a text, and a place that the file can have. */
static inline void
tree_require_places(struct faults *faults, size_t size)
{
	const struct fault	*fault;
	char			 text[2048];
	size_t			 i;

	fault_sort(faults);
	for (i = 0; i < faults->count; i++) {
		fault = &faults->list[i];
		fuzz_require(fault->line <= size + 1);
		fuzz_require(fault->column <= size + 1);
		fuzz_require((fault->line == 0) == (fault->column == 0));
		fuzz_require(*fault->text != '\0');
		fault_print(faults, i, text, sizeof(text));
		fuzz_require(str_utf8_valid(text, strlen(text)) &&
		    strchr(text, '\n') == NULL);
	}
}

static inline void
tree_require_file(const struct value *dict, struct faults *faults, size_t size)
{
	size_t	i;

	fuzz_require(dict != NULL && dict->type == VALUE_DICT);
	tree_require_places(faults, size);
	tree_require_conveyed(dict);
	if (faults->errors > 0)
		return;
	for (i = 0; i < dict->count; i++)
		tree_require_printed(dict->items[i]);
}

#endif
