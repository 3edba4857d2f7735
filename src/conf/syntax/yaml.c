#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <yaml.h>

#include "conf/fault.h"
#include "conf/syntax/scalar.h"
#include "conf/value.h"
#include "conf/syntax/yaml.h"

/*
 * Most bytes of strings in one tree: aliases can repeat a long string very
 * often.
 */
#define YAML_BYTES_MAX	(64 * 1024 * 1024)

struct yaml {
	yaml_parser_t		 parser;
	const char		*file;
	size_t			 len;
	struct faults		*faults;
	struct scalars		 scalars;
	/*
	 * A copy of each anchor's node by name, since the tree may change.
	 * NULL: the node is still open, or wrong.
	 */
	struct value		*anchors;
	size_t			 values;	/* so far, with copies */
	size_t			 bytes;
	unsigned int		 depth;
	bool			 stop;		/* nothing more can be read */
};

/* Where something is, as arguments of fault_error. */
#define YAML_PLACE(mark) \
	(unsigned int)(mark).line + 1, (unsigned int)(mark).column + 1

#define YAML_HINT	" (check quotes, and how lines are indented)"

static struct value	*read_node(struct yaml *, const yaml_event_t *);

/* --- faults --- */

static void
fault_at(struct yaml *y, const yaml_event_t *event, const char *text)
{
	fault_error(y->faults, YAML_PLACE(event->start_mark), "%s", text);
}

static void
fault_depth(struct yaml *y, const yaml_event_t *event)
{
	fault_error(y->faults, YAML_PLACE(event->start_mark),
	    "more than %d lists and mappings inside each other",
	    VALUE_DEPTH_MAX);
}

static void
fault_syntax(struct yaml *y)
{
	const yaml_parser_t	*p = &y->parser;
	const char		*problem;
	size_t			 i;
	unsigned int		 line = 1, column = 1;

	problem = p->problem == NULL ? "not YAML" : p->problem;
	if (p->error == YAML_MEMORY_ERROR)
		fault_error(y->faults, 0, 0, "not enough memory");
	else if (p->error == YAML_READER_ERROR) {
		/* Bytes that are not text: libyaml gives only their offset. */
		for (i = 0; i < y->len && i < p->problem_offset; i++)
			if (y->file[i] == '\n') {
				line++;
				column = 1;
			} else if ((y->file[i] & 0xc0) != 0x80)
				column++;
		fault_error(y->faults, line, column, "%s%s", problem,
		    strstr(problem, "UTF-8") != NULL ?
		    ": save the file as UTF-8" : "");
	} else if (p->context == NULL)
		fault_error(y->faults, YAML_PLACE(p->problem_mark),
		    "%s" YAML_HINT, problem);
	else
		fault_error(y->faults, YAML_PLACE(p->problem_mark),
		    "%s, %s that begins in line %u" YAML_HINT, problem,
		    p->context, (unsigned int)p->context_mark.line + 1);
}

/* --- events --- */

/* Reads the next event, which the caller deletes; -1: there is none. */
static int
next_event(struct yaml *y, yaml_event_t *event)
{
	if (y->stop)
		return -1;
	if (yaml_parser_parse(&y->parser, event))
		return 0;
	y->stop = true;
	fault_syntax(y);
	return -1;
}

/* Counts the values made; too many end the reading. */
static int
count_values(struct yaml *y, const yaml_event_t *event, size_t values,
    size_t bytes)
{
	if (values > VALUE_COUNT_MAX - y->values ||
	    bytes > YAML_BYTES_MAX - y->bytes) {
		fault_error(y->faults, YAML_PLACE(event->start_mark),
		    "too large: more than %d values or %d bytes",
		    VALUE_COUNT_MAX, YAML_BYTES_MAX);
		y->stop = true;
		return -1;
	}
	y->values += values;
	y->bytes += bytes;
	return 0;
}

static struct value *
set_place(struct value *v, const yaml_event_t *event)
{
	v->line = (unsigned int)event->start_mark.line + 1;
	v->column = (unsigned int)event->start_mark.column + 1;
	return v;
}

/* --- anchors --- */

/* The size of a tree; returns how many containers are inside each other. */
static unsigned int
measure_value(const struct value *v, size_t *values, size_t *bytes)
{
	unsigned int	depth = 0, inner;
	size_t		i;

	++*values;
	*bytes += v->len;
	for (i = 0; i < v->count; i++)
		if ((inner = measure_value(v->items[i], values, bytes)) > depth)
			depth = inner;
	return depth + (v->type >= VALUE_LIST);
}

/* A copy of the tree; NULL with a fault: it is too large or too deep here. */
static struct value *
repeat_value(struct yaml *y, const yaml_event_t *event, const struct value *v)
{
	size_t		values = 0, bytes = 0;
	unsigned int	depth;

	depth = measure_value(v, &values, &bytes);
	if (y->depth + depth > VALUE_DEPTH_MAX) {
		fault_depth(y, event);
		return NULL;
	}
	if (count_values(y, event, values, bytes) == -1)
		return NULL;
	return value_copy(v);
}

/* Notes the node of an anchor; NULL: it begins here, and has no value yet. */
static void
keep_anchor(struct yaml *y, const yaml_event_t *event, const yaml_char_t *name,
    const struct value *v)
{
	const char	*text = (const char *)name;

	if (name != NULL)
		value_set(y->anchors, value_str(text, strlen(text)),
		    v == NULL ? NULL : repeat_value(y, event, v));
}

/* --- nodes: NULL is a fault that was said; if y->stop is not set, go on --- */

static bool
is_untagged(const yaml_char_t *tag)
{
	return tag == NULL || strcmp((const char *)tag, "!") == 0;
}

static struct value *
read_scalar(struct yaml *y, const yaml_event_t *event)
{
	struct value	*v;
	const char	*text, *fault = NULL;
	size_t		 len;

	text = (const char *)event->data.scalar.value;
	len = event->data.scalar.length;
	if (count_values(y, event, 1, len) == -1)
		return NULL;
	if (!is_untagged(event->data.scalar.tag))
		v = scalar_tagged(&y->scalars,
		    (const char *)event->data.scalar.tag, text, len, &fault);
	else if (event->data.scalar.plain_implicit ||
	    event->data.scalar.tag != NULL)	/* "!": as a plain one */
		v = scalar_plain(&y->scalars, text, len, &fault);
	else
		v = value_str(text, len);
	if (v == NULL)
		fault_at(y, event, fault);
	else
		set_place(v, event);
	keep_anchor(y, event, event->data.scalar.anchor, v);
	return v;
}

/* Whether the tag of a collection is its default one; else a fault. */
static bool
tag_fits(struct yaml *y, const yaml_event_t *event, const yaml_char_t *tag,
    const char *nature)
{
	const char	*text = (const char *)tag;

	if (is_untagged(tag) || (strncmp(text, SCALAR_TAG,
	    strlen(SCALAR_TAG)) == 0 &&
	    strcmp(text + strlen(SCALAR_TAG), nature) == 0))
		return true;
	fault_at(y, event, SCALAR_TAG_FAULT);
	return false;
}

/* Sets the entries of `from` in `into`; takes `from`. */
static void
overlay_dict(struct value *into, struct value *from)
{
	size_t	i;

	for (i = 0; i + 1 < from->count; i += 2)
		value_set(into, from->items[i], from->items[i + 1]);
	from->count = 0;
	value_free(from);
}

/*
 * Merges the value of `<<`: a mapping, or a list of mappings in which an
 * earlier one has priority.
 */
static int
read_merge(struct yaml *y, struct value *into, const yaml_event_t *event)
{
	struct value	*v;
	size_t		 i;

	if ((v = read_node(y, event)) == NULL)
		return -1;
	if (v->type == VALUE_DICT) {
		overlay_dict(into, v);
		return 0;
	}
	for (i = 0; v->type == VALUE_LIST && i < v->count; i++)
		if (v->items[i]->type != VALUE_DICT)
			break;
	if (v->type != VALUE_LIST || i < v->count) {
		fault_at(y, event, "`<<` merges a mapping or a list of "
		    "mappings, nothing else");
		value_free(v);
		return -1;
	}
	while (v->count > 0)
		overlay_dict(into, v->items[--v->count]);
	value_free(v);
	return 0;
}

/* Whether it is this key, and not a string in quotes. */
static bool
is_plain(const yaml_event_t *event, const char *text)
{
	return event->type == YAML_SCALAR_EVENT &&
	    event->data.scalar.plain_implicit &&
	    strcmp((const char *)event->data.scalar.value, text) == 0;
}

static struct value *
read_key(struct yaml *y, const yaml_event_t *event)
{
	struct value	*key;

	/* PyYAML takes `=` for a string only as a key. */
	if (is_plain(event, "="))
		return set_place(value_str("=", 1), event);
	if ((key = read_node(y, event)) == NULL || value_hashable(key))
		return key;
	fault_error(y->faults, key->line, key->column, "a %s cannot be a key",
	    value_type_name(key->type));
	value_free(key);
	return NULL;
}

/*
 * Reads a key, whose event is given, and its value. -1: one of them is wrong.
 */
static int
read_entry(struct yaml *y, const yaml_event_t *first, struct value *own,
    struct value *merged)
{
	struct value	*key = NULL, *v = NULL;
	yaml_event_t	 event;
	bool		 merge;
	int		 r = -1;

	if (first->type == YAML_SCALAR_EVENT && first->data.scalar.tag != NULL)
		merge = strcmp((const char *)first->data.scalar.tag,
		    SCALAR_TAG "merge") == 0;
	else
		merge = is_plain(first, "<<");
	if (!merge)
		key = read_key(y, first);
	if (next_event(y, &event) == -1) {
		value_free(key);
		return -1;
	}
	if (merge)
		r = read_merge(y, merged, &event);
	else if ((v = read_node(y, &event)) != NULL && key != NULL) {
		if (value_get_key(own, key) != NULL)
			fault_warning(y->faults, key->line, key->column,
			    "this key was there before: the last one counts");
		value_set(own, key, v);
		r = 0;
	} else {
		value_free(key);
		value_free(v);
	}
	yaml_event_delete(&event);
	return r;
}

/* Reads the items of a list, or the entries of a mapping, up to its end. */
static struct value *
read_items(struct yaml *y, const yaml_event_t *start, bool list)
{
	struct value	*v, *item, *own;
	yaml_event_t	 event;
	bool		 good, end;

	good = tag_fits(y, start, list ? start->data.sequence_start.tag :
	    start->data.mapping_start.tag, list ? "seq" : "map");
	v = set_place(value_new(list ? VALUE_LIST : VALUE_DICT), start);
	own = value_new(VALUE_DICT);
	for (end = false; !end && next_event(y, &event) == 0;) {
		end = event.type == YAML_SEQUENCE_END_EVENT ||
		    event.type == YAML_MAPPING_END_EVENT;
		if (!end && !list)
			good &= read_entry(y, &event, own, v) == 0;
		else if (!end && (item = read_node(y, &event)) != NULL)
			value_append(v, item);
		else
			good &= end;
		yaml_event_delete(&event);
	}
	/* An entry of the mapping itself replaces a merged one (`<<`). */
	overlay_dict(v, own);
	/* At the top, the valid settings can still be checked. */
	if ((good && !y->stop) || (!list && y->depth == 1))
		return v;
	value_free(v);
	return NULL;
}

static struct value *
read_collection(struct yaml *y, const yaml_event_t *event)
{
	const yaml_char_t	*anchor;
	struct value		*v;
	bool			 list;

	if (y->depth == VALUE_DEPTH_MAX) {
		fault_depth(y, event);
		y->stop = true;
	}
	if (y->stop || count_values(y, event, 1, 0) == -1)
		return NULL;
	list = event->type == YAML_SEQUENCE_START_EVENT;
	anchor = list ? event->data.sequence_start.anchor :
	    event->data.mapping_start.anchor;
	keep_anchor(y, event, anchor, NULL);
	y->depth++;
	v = read_items(y, event, list);
	y->depth--;
	keep_anchor(y, event, anchor, v);
	return v;
}

static struct value *
read_node(struct yaml *y, const yaml_event_t *event)
{
	const struct value	*v;
	const char		*name;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		name = (const char *)event->data.alias.anchor;
		if ((v = value_get(y->anchors, name)) != NULL)
			return repeat_value(y, event, v);
		fault_error(y->faults, YAML_PLACE(event->start_mark),
		    "there is no complete &%s before this place", name);
		return NULL;
	case YAML_SCALAR_EVENT:
		return read_scalar(y, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return read_collection(y, event);
	default:
		return NULL;
	}
}

/* --- the file --- */

/* Reads the only document, a mapping; NULL: the file has none. */
static struct value *
read_stream(struct yaml *y)
{
	struct value	*v = NULL;
	yaml_event_t	 event;
	unsigned int	 documents = 0;

	while (next_event(y, &event) == 0) {
		if (event.type == YAML_STREAM_END_EVENT)
			y->stop = true;
		else if (event.type == YAML_DOCUMENT_START_EVENT &&
		    ++documents > 1) {
			fault_at(y, &event, "a second document begins here: "
			    "one is all that is read");
			y->stop = true;
		} else if (v == NULL)
			v = read_node(y, &event);
		if (v != NULL && v->type != VALUE_DICT) {
			if (v->type != VALUE_NONE)
				fault_at(y, &event, "settings are expected, "
				    "as in name: value");
			value_free(v);
			v = NULL;
		}
		yaml_event_delete(&event);
	}
	return v;
}

struct value *
yaml_file(const char *bytes, size_t len, struct faults *faults)
{
	struct value	*v;
	struct yaml	 y;

	if (len > YAML_FILE_MAX) {
		fault_error(faults, 0, 0, "larger than %d bytes",
		    YAML_FILE_MAX);
		return value_new(VALUE_DICT);
	}
	memset(&y, 0, sizeof(y));
	y.file = bytes;
	y.len = len;
	y.faults = faults;
	y.anchors = value_new(VALUE_DICT);
	v = NULL;
	if (scalar_init(&y.scalars) == -1)
		fault_error(faults, 0, 0, "not enough memory");
	else if (!yaml_parser_initialize(&y.parser)) {
		fault_error(faults, 0, 0, "not enough memory");
		scalar_clear(&y.scalars);
	} else {
		yaml_parser_set_input_string(&y.parser,
		    (const unsigned char *)bytes, len);
		v = read_stream(&y);
		yaml_parser_delete(&y.parser);
		scalar_clear(&y.scalars);
	}
	value_free(y.anchors);
	return v == NULL ? value_new(VALUE_DICT) : v;
}
