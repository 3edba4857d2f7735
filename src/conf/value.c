#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/repr.h"
#include "conf/value.h"
#include "ipc/wire.h"
#include "lib/alloc.h"
#include "lib/str.h"

/*
 * A dict of at least so many entries has an index; below that, a search is as
 * fast.
 */
#define VALUE_INDEX_MIN	16

static const char *const value_names[] = {
	[VALUE_NONE] = "None",
	[VALUE_BOOL] = "bool",
	[VALUE_INT] = "int",
	[VALUE_FLOAT] = "float",
	[VALUE_STR] = "str",
	[VALUE_LIST] = "list",
	[VALUE_TUPLE] = "tuple",
	[VALUE_DICT] = "dict"
};

struct value *
value_new(enum value_type type)
{
	struct value	*v;

	v = alloc_zero(1, sizeof(*v));
	v->type = type;
	return v;
}

struct value *
value_bool(bool b)
{
	struct value	*v;

	v = value_new(VALUE_BOOL);
	v->boolean = b;
	return v;
}

struct value *
value_int(int64_t n)
{
	struct value	*v;

	v = value_new(VALUE_INT);
	v->integer = n;
	return v;
}

struct value *
value_float(double d)
{
	struct value	*v;

	v = value_new(VALUE_FLOAT);
	v->real = d;
	return v;
}

struct value *
value_str(const void *bytes, size_t len)
{
	struct value	*v;

	v = value_new(VALUE_STR);
	v->bytes = alloc_copy(bytes, len);
	v->len = len;
	return v;
}

struct value *
value_copy(const struct value *v)
{
	struct value	*copy;
	size_t		 i;

	copy = value_new(v->type);
	copy->line = v->line;
	copy->column = v->column;
	copy->boolean = v->boolean;
	copy->integer = v->integer;
	copy->real = v->real;
	if (v->type == VALUE_STR) {
		copy->bytes = alloc_copy(v->bytes, v->len);
		copy->len = v->len;
	}
	for (i = 0; i < v->count; i++)
		value_append(copy, value_copy(v->items[i]));
	return copy;
}

void
value_free(struct value *v)
{
	size_t	i;

	if (v == NULL)
		return;
	for (i = 0; i < v->count; i++)
		value_free(v->items[i]);
	free(v->items);
	free(v->index);
	freezero(v->bytes, v->len);
	freezero(v, sizeof(*v));
}

void
value_blank(struct value *v)
{
	size_t	i;

	for (i = v->type == VALUE_DICT; i < v->count;
	    i += v->type == VALUE_DICT ? 2 : 1)
		value_blank(v->items[i]);
	if (v->type != VALUE_STR)
		return;
	explicit_bzero(v->bytes, v->len);
	v->len = 0;
}

void
value_append(struct value *v, struct value *item)
{
	/*
	 * The room is the next power of two, so the struct need not store it.
	 */
	if ((v->count & (v->count - 1)) == 0)
		v->items = alloc_resize(v->items,
		    v->count == 0 ? 1 : v->count * 2, sizeof(*v->items));
	v->items[v->count++] = item;
}

bool
value_equal(const struct value *a, const struct value *b)
{
	size_t	i;

	if (a->type != b->type)
		return false;
	switch (a->type) {
	case VALUE_NONE:
		return true;
	case VALUE_BOOL:
		return a->boolean == b->boolean;
	case VALUE_INT:
		return a->integer == b->integer;
	case VALUE_FLOAT:
		return a->real == b->real;
	case VALUE_STR:
		return a->len == b->len &&
		    memcmp(a->bytes, b->bytes, a->len) == 0;
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_DICT:
		break;
	}
	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!value_equal(a->items[i], b->items[i]))
			return false;
	return true;
}

const char *
value_type_name(enum value_type type)
{
	return value_names[type];
}

/* --- dictionaries --- */

bool
value_whole(const struct value *v, int64_t *n)
{
	switch (v->type) {
	case VALUE_BOOL:
		*n = v->boolean;
		return true;
	case VALUE_INT:
		*n = v->integer;
		return true;
	case VALUE_FLOAT:
		if (!(v->real >= -0x1p63 && v->real < 0x1p63) ||
		    v->real != (double)(int64_t)v->real)
			return false;
		*n = (int64_t)v->real;
		return true;
	default:
		return false;
	}
}

static bool
same_key(const struct value *a, const struct value *b)
{
	int64_t	m, n;
	size_t	i;

	/* As Python compares keys: True, 1 and 1.0 are the same one. */
	if (value_whole(a, &m))
		return value_whole(b, &n) && m == n;
	if (a->type != VALUE_TUPLE)
		return value_equal(a, b);
	if (b->type != VALUE_TUPLE || a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!same_key(a->items[i], b->items[i]))
			return false;
	return true;
}

static uint64_t
hash_bytes(uint64_t h, const void *bytes, size_t len)
{
	const unsigned char	*p = bytes;

	while (len-- > 0)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

static uint64_t
hash_value(uint64_t h, const struct value *v)
{
	int64_t	n;
	size_t	i;

	if (value_whole(v, &n))
		return hash_bytes(h, &n, sizeof(n));
	if (v->type == VALUE_FLOAT)
		return hash_bytes(h, &v->real, sizeof(v->real));
	if (v->type == VALUE_STR)
		return hash_bytes(h, v->bytes, v->len);
	for (i = 0; i < v->count; i++)
		h = hash_value(h, v->items[i]);
	return h;
}

/* The slot of the key's entry, or the empty slot for it. */
static size_t
find_slot(const struct value *dict, const struct value *key)
{
	size_t	slot, entry;

	slot = hash_value(0xcbf29ce484222325ULL, key) & (dict->nindex - 1);
	while ((entry = dict->index[slot]) != 0) {
		if (same_key(dict->items[2 * (entry - 1)], key))
			break;
		slot = (slot + 1) & (dict->nindex - 1);
	}
	return slot;
}

/* Adds the entries that value_append() has added to the index. */
static void
update_index(struct value *dict)
{
	size_t	entries;

	entries = dict->count / 2;
	if (entries < VALUE_INDEX_MIN)
		return;
	if (dict->nindex < entries * 2) {
		free(dict->index);
		dict->nindex = dict->nindex == 0 ? VALUE_INDEX_MIN * 4 :
		    dict->nindex * 2;
		while (dict->nindex < entries * 2)
			dict->nindex *= 2;
		dict->index = alloc_zero(dict->nindex, sizeof(*dict->index));
		dict->indexed = 0;
	}
	for (; dict->indexed < entries; dict->indexed++)
		dict->index[find_slot(dict,
		    dict->items[2 * dict->indexed])] = dict->indexed + 1;
}

/* The index of the key's entry; SIZE_MAX: there is none. */
static size_t
find_key(const struct value *dict, const struct value *key)
{
	size_t	i;

	if (dict->indexed != 0 && dict->indexed == dict->count / 2)
		return dict->index[find_slot(dict, key)] - 1;
	/* From the end: if a key was appended twice, the last entry counts. */
	for (i = dict->count / 2; i-- > 0;)
		if (same_key(dict->items[2 * i], key))
			return i;
	return SIZE_MAX;
}

const struct value *
value_get(const struct value *dict, const char *key)
{
	struct value	name = { .type = VALUE_STR };
	char		*bytes;
	size_t		 i;

	if (dict == NULL || dict->type != VALUE_DICT)
		return NULL;
	name.len = strlen(key);
	name.bytes = bytes = alloc_copy(key, name.len);
	i = find_key(dict, &name);
	free(bytes);
	return i == SIZE_MAX ? NULL : dict->items[2 * i + 1];
}

void
value_set(struct value *dict, struct value *key, struct value *item)
{
	size_t	i;

	update_index(dict);
	if ((i = find_key(dict, key)) == SIZE_MAX) {
		value_append(dict, key);
		value_append(dict, item);
		update_index(dict);
		return;
	}
	value_free(dict->items[2 * i + 1]);
	dict->items[2 * i + 1] = item;
	/*
	 * Python keeps the first of two equal keys. So do we if they differ (1
	 * and True); otherwise we keep the last one, for its place.
	 */
	if (value_equal(dict->items[2 * i], key)) {
		value_free(dict->items[2 * i]);
		dict->items[2 * i] = key;
	} else
		value_free(key);
}

const struct value *
value_get_key(const struct value *dict, const struct value *key)
{
	size_t	i;

	i = find_key(dict, key);
	return i == SIZE_MAX ? NULL : dict->items[2 * i + 1];
}

/* --- in words --- */

static void
print_items(struct str *s, const struct value *v, const char *open,
    const char *close)
{
	size_t	i;

	str_adds(s, open);
	for (i = 0; i < v->count; i++) {
		if (i > 0)
			str_adds(s, v->type == VALUE_DICT && i % 2 != 0 ?
			    ": " : ", ");
		value_repr(s, v->items[i]);
	}
	if (v->type == VALUE_TUPLE && v->count == 1)
		str_addc(s, ',');
	str_adds(s, close);
}

void
value_repr(struct str *s, const struct value *v)
{
	switch (v->type) {
	case VALUE_NONE:
		str_adds(s, "None");
		break;
	case VALUE_BOOL:
		str_adds(s, v->boolean ? "True" : "False");
		break;
	case VALUE_INT:
		str_addf(s, "%" PRId64, v->integer);
		break;
	case VALUE_FLOAT:
		repr_float(s, v->real);
		break;
	case VALUE_STR:
		repr_string(s, v->bytes, v->len);
		break;
	case VALUE_LIST:
		print_items(s, v, "[", "]");
		break;
	case VALUE_TUPLE:
		print_items(s, v, "(", ")");
		break;
	case VALUE_DICT:
		print_items(s, v, "{", "}");
		break;
	}
}

void
value_print(struct str *s, const struct value *v)
{
	if (v->type == VALUE_STR)
		str_add(s, v->bytes, v->len);
	else
		value_repr(s, v);
}

/* --- wire form --- */

void
value_put(struct str *s, const struct value *v)
{
	uint64_t	bits;
	size_t		i;

	wire_put_u8(s, (uint8_t)v->type);
	wire_put_u32(s, v->line);
	wire_put_u32(s, v->column);
	switch (v->type) {
	case VALUE_NONE:
		break;
	case VALUE_BOOL:
		wire_put_u8(s, v->boolean);
		break;
	case VALUE_INT:
		wire_put_i64(s, v->integer);
		break;
	case VALUE_FLOAT:
		memcpy(&bits, &v->real, sizeof(bits));
		wire_put_u64(s, bits);
		break;
	case VALUE_STR:
		wire_put_bytes(s, v->bytes, v->len);
		break;
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_DICT:
		wire_put_u32(s, (uint32_t)v->count);
		for (i = 0; i < v->count; i++)
			value_put(s, v->items[i]);
		break;
	}
}

static struct value	*take_nested(struct wire *, unsigned int);

/*
 * Only an immutable value can be a key: not a list or a dict, nor a tuple that
 * contains one.
 */
bool
value_hashable(const struct value *v)
{
	size_t	i;

	if (v->type == VALUE_LIST || v->type == VALUE_DICT)
		return false;
	for (i = 0; i < v->count; i++)
		if (!value_hashable(v->items[i]))
			return false;
	return true;
}

/* Reads the items of a list, or the keys and values of a dict. */
static void
take_items(struct wire *w, struct value *v, unsigned int depth)
{
	struct value	*key, *item;
	uint32_t	 count, i;
	bool		 dict = v->type == VALUE_DICT;

	count = wire_get_u32(w);
	if (depth == 0 || (dict && count % 2 != 0))
		wire_fail(w);
	for (i = 0; i < count && !w->bad; i += dict ? 2 : 1) {
		key = dict ? take_nested(w, depth - 1) : NULL;
		item = take_nested(w, depth - 1);
		if (item == NULL || (dict &&
		    (key == NULL || !value_hashable(key)))) {
			wire_fail(w);
			value_free(key);
			value_free(item);
		} else if (dict)
			value_set(v, key, item);
		else
			value_append(v, item);
	}
	if (v->count != count)		/* a duplicate key */
		wire_fail(w);
}

static struct value *
take_nested(struct wire *w, unsigned int depth)
{
	struct value	*v;
	const void	*bytes;
	uint64_t	 bits;
	size_t		 len;
	uint8_t		 type;

	type = wire_get_u8(w);
	if (type > VALUE_DICT) {
		wire_fail(w);
		return NULL;
	}
	v = value_new((enum value_type)type);
	v->line = wire_get_u32(w);
	v->column = wire_get_u32(w);
	switch (v->type) {
	case VALUE_NONE:
		break;
	case VALUE_BOOL:
		v->boolean = wire_get_bool(w);
		break;
	case VALUE_INT:
		v->integer = wire_get_i64(w);
		break;
	case VALUE_FLOAT:
		bits = wire_get_u64(w);
		memcpy(&v->real, &bits, sizeof(bits));
		break;
	case VALUE_STR:
		bytes = wire_get_bytes(w, SIZE_MAX, &len);
		v->bytes = alloc_copy(bytes == NULL ? "" : bytes, len);
		v->len = len;
		break;
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_DICT:
		take_items(w, v, depth);
		break;
	}
	if (!w->bad)
		return v;
	value_free(v);
	return NULL;
}

struct value *
value_take(const void *bytes, size_t len)
{
	struct value	*v;
	struct wire	 w;

	wire_init(&w, bytes, len);
	v = take_nested(&w, VALUE_DEPTH_MAX);
	if (v != NULL && wire_done(&w) == -1) {
		value_free(v);
		v = NULL;
	}
	return v;
}
