#ifndef ANCHOR_H
#define ANCHOR_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/value.h"

/*
 * The anchors of one YAML file, by name: a later anchor replaces an earlier one
 * of the same name. Pure.
 */
struct anchor {
	/*
	 * A copy, since the tree may change. NULL: the node is still open, or
	 * wrong.
	 */
	struct value	*value;
	bool		 open;		/* its node is being read */
	/* The size of what each alias adds to the tree. */
	size_t		 values;
	size_t		 bytes;		/* of strings */
	unsigned int	 depth;		/* containers inside each other */
};

struct anchors {
	struct value	*names;		/* dict from name to index in `list` */
	struct anchor	*list;
	size_t		 count;
};

#define ANCHOR_NONE	((size_t)-1)

void	anchor_init(struct anchors *);
void	anchor_clear(struct anchors *);

/*
 * Adds an anchor, open until its node is read. Returns its index; ANCHOR_NONE
 * if `name` is NULL.
 */
size_t	anchor_open(struct anchors *, const char *name);

/*
 * The node was read, or is wrong (NULL). Returns the anchor with the size of
 * what an alias would add, so that the caller can set its value if that is not
 * too much; NULL: there is no value to set. The pointer is valid until the next
 * anchor_open.
 */
struct anchor	*anchor_close(struct anchors *, size_t, const struct value *);

/* The anchor that an alias refers to; NULL: there is none so far. */
const struct anchor	*anchor_find(const struct anchors *, const char *name);

#endif
