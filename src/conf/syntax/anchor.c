#include <stdlib.h>
#include <string.h>

#include "conf/syntax/anchor.h"
#include "lib/alloc.h"

void
anchor_init(struct anchors *a)
{
	memset(a, 0, sizeof(*a));
	a->names = value_new(VALUE_DICT);
}

void
anchor_clear(struct anchors *a)
{
	size_t	i;

	for (i = 0; i < a->count; i++)
		value_free(a->list[i].value);
	free(a->list);
	value_free(a->names);
	memset(a, 0, sizeof(*a));
}

size_t
anchor_open(struct anchors *a, const char *name)
{
	size_t	i;

	if (name == NULL)
		return ANCHOR_NONE;
	i = a->count++;
	if ((i & (i + 1)) == 0)
		a->list = alloc_resize(a->list, (i + 1) * 2, sizeof(*a->list));
	memset(&a->list[i], 0, sizeof(a->list[i]));
	a->list[i].open = true;
	value_set(a->names, value_str(name, strlen(name)),
	    value_int((int64_t)i));
	return i;
}

static void
anchor_measure(struct anchor *a, const struct value *v, unsigned int depth)
{
	size_t	i;

	a->values++;
	a->bytes += v->len;
	if (v->type >= VALUE_LIST && ++depth > a->depth)
		a->depth = depth;
	for (i = 0; i < v->count; i++)
		anchor_measure(a, v->items[i], depth);
}

struct anchor *
anchor_close(struct anchors *a, size_t i, const struct value *v)
{
	if (i == ANCHOR_NONE)
		return NULL;
	a->list[i].open = false;
	if (v == NULL)
		return NULL;
	anchor_measure(&a->list[i], v, 0);
	return &a->list[i];
}

const struct anchor *
anchor_find(const struct anchors *a, const char *name)
{
	const struct value	*number;

	number = value_get(a->names, name);
	return number == NULL ? NULL : &a->list[number->integer];
}
