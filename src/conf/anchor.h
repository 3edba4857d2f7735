#ifndef ANCHOR_H
#define ANCHOR_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/value.h"

/*
 * The anchors of one file in YAML, by name: a later one of a name takes the
 * place of an earlier one. Pure.
 */
struct anchor {
	/* A copy of its own, for the tree changes; NULL: open, or wrong. */
	struct value	*value;
	bool		 open;		/* its node is being read */
	/* What each alias makes of it. */
	size_t		 values;
	size_t		 bytes;		/* of strings */
	unsigned int	 depth;		/* containers inside each other */
};

struct anchors {
	struct value	*names;		/* dict: their numbers */
	struct anchor	*list;
	size_t		 count;
};

#define ANCHOR_NONE	((size_t)-1)

void	anchor_init(struct anchors *);
void	anchor_clear(struct anchors *);

/* Open until its node is read. Its number; ANCHOR_NONE for the name NULL. */
size_t	anchor_open(struct anchors *, const char *name);

/*
 * The node was read, or was wrong (NULL). What an alias would make of it, for
 * the caller to give it its value if that is not too much; NULL: there is
 * nothing to give. It is there until the next one is opened.
 */
struct anchor	*anchor_close(struct anchors *, size_t, const struct value *);

/* What an alias means, NULL when there is no such anchor yet. */
const struct anchor	*anchor_find(const struct anchors *, const char *name);

#endif
