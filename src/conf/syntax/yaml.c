#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "conf/syntax/anchor.h"
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
	struct anchors		 anchors;
	size_t			 values;	/* so far, with copies */
	size_t			 bytes;
	unsigned int		 depth;
	bool			 stop;		/* nothing more can be read */
};

/* Messages of libyaml, and clearer ones for them. */
static const struct {
	const char	*problem;
	const char	*text;
} yaml_problems[] = {
	{ "found character that cannot start any token",
	    "this character cannot stand here: put the text in quotes "
	    "(and indent with spaces, not tabs)" },
	{ "mapping values are not allowed in this context",
	    "`:` cannot stand here: put text that has one in quotes, or check "
	    "how the line is indented" },
	{ "could not find expected ':'", "`:` is missing before this place" }
};

static struct value	*yaml_node(struct yaml *, const yaml_event_t *);

static void	yaml_fault(struct yaml *, const yaml_mark_t *, const char *,
		    ...) __attribute__((__format__(printf, 3, 4)));

/* --- faults --- */

static unsigned int
yaml_line(const yaml_mark_t *mark)
{
	return mark->line >= UINT_MAX ? UINT_MAX : (unsigned int)mark->line + 1;
}

static unsigned int
yaml_column(const yaml_mark_t *mark)
{
	return mark->column >= UINT_MAX ? UINT_MAX :
	    (unsigned int)mark->column + 1;
}

static void
yaml_fault(struct yaml *y, const yaml_mark_t *mark, const char *fmt, ...)
{
	char	text[512];
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_error(y->faults, yaml_line(mark), yaml_column(mark), "%s", text);
}

static void
yaml_fault_depth(struct yaml *y, const yaml_mark_t *mark)
{
	yaml_fault(y, mark, "more than %d lists and mappings inside each other",
	    VALUE_DEPTH_MAX);
}

/* A fault for bytes that are not text: libyaml gives only their offset. */
static void
yaml_fault_bytes(struct yaml *y)
{
	size_t		i;
	unsigned int	line, column;

	line = column = 1;
	for (i = 0; i < y->len && i < y->parser.problem_offset; i++) {
		if (y->file[i] == '\n') {
			line++;
			column = 1;
		} else if ((y->file[i] & 0xc0) != 0x80)
			column++;
	}
	fault_error(y->faults, line, column, "%s%s",
	    y->parser.problem, strstr(y->parser.problem, "UTF-8") != NULL ?
	    ": save the file as UTF-8" : "");
}

static void
yaml_fault_syntax(struct yaml *y)
{
	const yaml_parser_t	*p = &y->parser;
	const char		*problem;
	size_t			 i;

	if (p->error == YAML_READER_ERROR) {
		yaml_fault_bytes(y);
		return;
	}
	problem = p->problem == NULL ? "not YAML" : p->problem;
	for (i = 0; i < sizeof(yaml_problems) / sizeof(yaml_problems[0]); i++)
		if (strcmp(problem, yaml_problems[i].problem) == 0) {
			problem = yaml_problems[i].text;
			break;
		}
	if (p->context == NULL)
		yaml_fault(y, &p->problem_mark, "%s", problem);
	else
		yaml_fault(y, &p->problem_mark, "%s, %s that begins in line %u",
		    problem, p->context, yaml_line(&p->context_mark));
}

/* --- events --- */

/* Reads the next event, which the caller deletes; -1: there is none. */
static int
yaml_next(struct yaml *y, yaml_event_t *event)
{
	if (y->stop)
		return -1;
	if (yaml_parser_parse(&y->parser, event))
		return 0;
	y->stop = true;
	if (y->parser.error == YAML_MEMORY_ERROR)
		fault_error(y->faults, 0, 0, "not enough memory");
	else
		yaml_fault_syntax(y);
	return -1;
}

/* Counts the values made; too many end the reading. */
static int
yaml_count(struct yaml *y, const yaml_mark_t *mark, size_t values, size_t bytes)
{
	if (values > VALUE_COUNT_MAX - y->values ||
	    bytes > YAML_BYTES_MAX - y->bytes) {
		yaml_fault(y, mark,
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
yaml_place(struct value *v, const yaml_mark_t *mark)
{
	v->line = yaml_line(mark);
	v->column = yaml_column(mark);
	return v;
}

/* --- anchors --- */

static size_t
yaml_anchor_open(struct yaml *y, const yaml_char_t *name)
{
	return anchor_open(&y->anchors, (const char *)name);
}

static void
yaml_anchor_close(struct yaml *y, size_t i, const struct value *v,
    const yaml_mark_t *mark)
{
	struct anchor	*a;

	if ((a = anchor_close(&y->anchors, i, v)) != NULL &&
	    yaml_count(y, mark, a->values, a->bytes) == 0)
		a->value = value_copy(v);
}

static struct value *
yaml_alias(struct yaml *y, const yaml_event_t *event)
{
	const struct anchor	*a;
	const char		*name;

	name = (const char *)event->data.alias.anchor;
	if ((a = anchor_find(&y->anchors, name)) == NULL) {
		yaml_fault(y, &event->start_mark,
		    "there is no anchor &%s before this place", name);
		return NULL;
	}
	if (a->open)
		yaml_fault(y, &event->start_mark, "*%s stands inside of &%s: "
		    "it would have no end", name, name);
	else if (y->depth + a->depth > VALUE_DEPTH_MAX)
		yaml_fault_depth(y, &event->start_mark);
	else if (a->value != NULL && yaml_count(y, &event->start_mark,
	    a->values, a->bytes) == 0)
		return value_copy(a->value);
	return NULL;
}

/* --- nodes: NULL is a fault that was said; if y->stop is not set, go on --- */

static bool
yaml_untagged(const yaml_char_t *tag)
{
	return tag == NULL || strcmp((const char *)tag, "!") == 0;
}

static struct value *
yaml_scalar(struct yaml *y, const yaml_event_t *event)
{
	struct value	*v;
	const char	*text, *fault;
	size_t		 len, anchor;

	text = (const char *)event->data.scalar.value;
	len = event->data.scalar.length;
	if (yaml_count(y, &event->start_mark, 1, len) == -1)
		return NULL;
	anchor = yaml_anchor_open(y, event->data.scalar.anchor);
	fault = "not understood";
	if (!yaml_untagged(event->data.scalar.tag))
		v = scalar_tagged((const char *)event->data.scalar.tag, text,
		    len, &fault);
	else if (event->data.scalar.plain_implicit ||
	    event->data.scalar.tag != NULL)	/* "!": as a plain one */
		v = scalar_plain(text, len, &fault);
	else
		v = value_str(text, len);
	if (v == NULL)
		yaml_fault(y, &event->start_mark, "%s", fault);
	else
		yaml_place(v, &event->start_mark);
	yaml_anchor_close(y, anchor, v, &event->start_mark);
	return v;
}

/* Whether the tag of a collection is its default one. */
static bool
yaml_tag_fits(struct yaml *y, const yaml_event_t *event, const yaml_char_t *tag,
    const char *nature)
{
	const size_t	 prefix = strlen(SCALAR_TAG);
	const char	*text;

	if (yaml_untagged(tag) || strcmp((const char *)tag, nature) == 0)
		return true;
	text = (const char *)tag;
	yaml_fault(y, &event->start_mark,
	    "the tag %s%s does not belong here: leave it out",
	    strncmp(text, SCALAR_TAG, prefix) == 0 ? "!!" : "",
	    strncmp(text, SCALAR_TAG, prefix) == 0 ? text + prefix : text);
	return false;
}

static struct value *
yaml_sequence(struct yaml *y, const yaml_event_t *start)
{
	struct value	*v, *item;
	yaml_event_t	 event;
	bool		 good;

	good = yaml_tag_fits(y, start, start->data.sequence_start.tag,
	    SCALAR_TAG "seq");
	v = yaml_place(value_new(VALUE_LIST), &start->start_mark);
	while (yaml_next(y, &event) == 0) {
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			break;
		}
		if ((item = yaml_node(y, &event)) != NULL)
			value_append(v, item);
		good = good && item != NULL;
		yaml_event_delete(&event);
	}
	if (good && !y->stop)
		return v;
	value_free(v);
	return NULL;
}

/* Sets the entries of `from` in `into`; takes `from`. */
static void
yaml_overlay(struct value *into, struct value *from)
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
yaml_merge(struct yaml *y, struct value *into, const yaml_event_t *event)
{
	struct value	*v, *item;
	size_t		 i;

	if ((v = yaml_node(y, event)) == NULL)
		return -1;
	if (v->type == VALUE_DICT) {
		yaml_overlay(into, v);
		return 0;
	}
	for (i = 0; v->type == VALUE_LIST && i < v->count; i++)
		if (v->items[i]->type != VALUE_DICT)
			break;
	if (v->type != VALUE_LIST || i < v->count) {
		yaml_fault(y, &event->start_mark, "`<<` merges a mapping or a "
		    "list of mappings, nothing else");
		value_free(v);
		return -1;
	}
	while (v->count > 0) {
		item = v->items[--v->count];
		yaml_overlay(into, item);
	}
	value_free(v);
	return 0;
}

static bool
yaml_is_plain(const yaml_event_t *event, const char *text)
{
	return event->type == YAML_SCALAR_EVENT &&
	    event->data.scalar.plain_implicit &&
	    strcmp((const char *)event->data.scalar.value, text) == 0;
}

static bool
yaml_is_merge(const yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag != NULL)
		return strcmp((const char *)event->data.scalar.tag,
		    SCALAR_TAG "merge") == 0;
	return yaml_is_plain(event, "<<");
}

static struct value *
yaml_key(struct yaml *y, const yaml_event_t *event)
{
	struct value	*key;

	/* PyYAML takes `=` for a string only as a key. */
	if (yaml_is_plain(event, "="))
		return yaml_place(value_str("=", 1), &event->start_mark);
	if ((key = yaml_node(y, event)) == NULL || value_hashable(key))
		return key;
	yaml_fault(y, &event->start_mark, "a %s cannot be a key",
	    value_type_name(key->type));
	value_free(key);
	return NULL;
}

static void
yaml_set(struct yaml *y, struct value *own, struct value *key, struct value *v)
{
	if (value_get_key(own, key) != NULL)
		fault_warning(y->faults, key->line, key->column,
		    "this key was there before: the last one counts");
	value_set(own, key, v);
}

/*
 * Reads a key, whose event is given, and its value. -1: one of them is wrong.
 */
static int
yaml_entry(struct yaml *y, const yaml_event_t *first, struct value *own,
    struct value *merged)
{
	struct value	*key, *v;
	yaml_event_t	 event;
	bool		 merge;
	int		 r;

	merge = yaml_is_merge(first);
	key = merge ? NULL : yaml_key(y, first);
	if (yaml_next(y, &event) == -1) {
		value_free(key);
		return -1;
	}
	r = -1;
	if (merge)
		r = yaml_merge(y, merged, &event);
	else if ((v = yaml_node(y, &event)) != NULL && key != NULL) {
		yaml_set(y, own, key, v);
		r = 0;
	} else {
		value_free(key);
		value_free(v);
	}
	yaml_event_delete(&event);
	return r;
}

static struct value *
yaml_mapping(struct yaml *y, const yaml_event_t *start)
{
	struct value	*own, *merged;
	yaml_event_t	 event;
	bool		 good;

	good = yaml_tag_fits(y, start, start->data.mapping_start.tag,
	    SCALAR_TAG "map");
	own = value_new(VALUE_DICT);
	merged = yaml_place(value_new(VALUE_DICT), &start->start_mark);
	while (yaml_next(y, &event) == 0) {
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			break;
		}
		if (yaml_entry(y, &event, own, merged) == -1)
			good = false;
		yaml_event_delete(&event);
	}
	yaml_overlay(merged, own);
	/* At the top, the valid settings can still be checked. */
	if ((good && !y->stop) || y->depth == 1)
		return merged;
	value_free(merged);
	return NULL;
}

static struct value *
yaml_collection(struct yaml *y, const yaml_event_t *event)
{
	struct value	*v;
	size_t		 anchor;
	bool		 list;

	if (y->depth == VALUE_DEPTH_MAX) {
		yaml_fault_depth(y, &event->start_mark);
		y->stop = true;
	}
	if (y->stop || yaml_count(y, &event->start_mark, 1, 0) == -1)
		return NULL;
	list = event->type == YAML_SEQUENCE_START_EVENT;
	anchor = yaml_anchor_open(y, list ? event->data.sequence_start.anchor :
	    event->data.mapping_start.anchor);
	y->depth++;
	v = list ? yaml_sequence(y, event) : yaml_mapping(y, event);
	y->depth--;
	yaml_anchor_close(y, anchor, v, &event->start_mark);
	return v;
}

static struct value *
yaml_node(struct yaml *y, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return yaml_alias(y, event);
	case YAML_SCALAR_EVENT:
		return yaml_scalar(y, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return yaml_collection(y, event);
	default:
		return NULL;
	}
}

/* --- the file --- */

/* Reads the root of the only document; NULL: the file has none. */
static struct value *
yaml_document(struct yaml *y, const yaml_event_t *event)
{
	struct value	*v;

	if ((v = yaml_node(y, event)) == NULL || v->type == VALUE_DICT)
		return v;
	if (v->type != VALUE_NONE)
		yaml_fault(y, &event->start_mark,
		    "settings are expected, as in name: value, not a %s",
		    value_type_name(v->type));
	value_free(v);
	return NULL;
}

static struct value *
yaml_stream(struct yaml *y)
{
	struct value	*v;
	yaml_event_t	 event;
	unsigned int	 documents;
	bool		 end;

	v = NULL;
	documents = 0;
	for (end = false; !end && yaml_next(y, &event) == 0;) {
		switch (event.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (++documents > 1) {
				yaml_fault(y, &event.start_mark, "a second "
				    "document begins here: one is all that is "
				    "read");
				end = true;
			}
			break;
		case YAML_STREAM_END_EVENT:
			end = true;
			break;
		default:
			v = yaml_document(y, &event);
			break;
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
	anchor_init(&y.anchors);
	v = NULL;
	if (yaml_parser_initialize(&y.parser)) {
		yaml_parser_set_input_string(&y.parser,
		    (const unsigned char *)bytes, len);
		v = yaml_stream(&y);
		yaml_parser_delete(&y.parser);
	} else
		fault_error(faults, 0, 0, "not enough memory");
	anchor_clear(&y.anchors);
	return v == NULL ? value_new(VALUE_DICT) : v;
}
