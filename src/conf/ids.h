#ifndef IDS_H
#define IDS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/settings.h"
#include "lib/addr.h"
#include "lib/map.h"
#include "lib/window.h"

/*
 * A table of ids as an administrator writes them: whole ids, "@domain" for
 * every id in the domain, and networks. In limits_by_id each entry has limits;
 * exempt, only and except use only the entries themselves. Pure.
 */
struct ids_entry {
	struct map_node		 node;		/* first */
	struct ids_entry	*next;		/* in the list of all entries */
	struct limits		 limits;	/* the entry's own */
	size_t			 len;
	char			 key[];		/* an id, or binary network */
};

/*
 * Uses fold_case and default_domain of the settings, which must have been read.
 */
struct ids	*ids_new(const struct settings *);
void		 ids_free(struct ids *);	/* NULL is legal */
void		 ids_clear(void *);		/* a member, struct ids ** */

/* Adds an id in its counted form, or finds its entry; *fresh: it was added. */
struct ids_entry	*ids_add(struct ids *, const char *, size_t,
			    bool *fresh);
struct ids_entry	*ids_add_network(struct ids *, const struct network *,
			    bool *fresh);

/* Whether both have the same entries. Limits do not matter; NULL is empty. */
bool		 ids_equal(const struct ids *, const struct ids *);

/* The first of all entries, linked by `next`; NULL: there are none. */
const struct ids_entry	*ids_first(const struct ids *);

/*
 * The entry for an id in its counted form, or NULL. ids_find tries the whole id
 * (also without default_domain), then, if the id is an address or a network,
 * the longest network, then the id's domain; ids_find_name leaves out networks,
 * ids_find_address tries only these. The table may be NULL.
 */
const struct ids_entry	*ids_find(const struct ids *, const char *, size_t);
const struct ids_entry	*ids_find_name(const struct ids *, const char *,
			    size_t);
const struct ids_entry	*ids_find_address(const struct ids *,
			    const struct addr *);

#endif
