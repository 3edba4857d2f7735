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
 * every id in the domain, and networks. limits_by_id has limits for each entry;
 * in exempt, only and except an entry is all there is. Pure.
 */
struct ids_entry {
	struct map_node		 node;		/* first */
	struct ids_entry	*next;		/* of all entries */
	struct limits		 limits;	/* the entry's own */
	size_t			 len;
	char			 key[];		/* an id, or network in bytes */
};

/* With fold_case and default_domain of the settings, which were read before. */
struct ids	*ids_new(const struct settings *);
void		 ids_free(struct ids *);	/* NULL is legal */

/* Adds an id as it is counted, or finds the entry that is there. */
struct ids_entry	*ids_add(struct ids *, const char *, size_t,
			    bool *fresh);
struct ids_entry	*ids_add_network(struct ids *, const struct network *,
			    bool *fresh);

/* All entries, by `next`; NULL: there is none. */
const struct ids_entry	*ids_first(const struct ids *);

/*
 * The entry of an id as it is counted, or NULL: by the whole id, also without
 * default_domain, else by its domain. ids_find looks for the longest network
 * in between, where the id is an address or a network. The table may be NULL.
 */
const struct ids_entry	*ids_find(const struct ids *, const char *, size_t);
const struct ids_entry	*ids_find_name(const struct ids *, const char *,
			    size_t);
const struct ids_entry	*ids_find_address(const struct ids *,
			    const struct addr *);

#endif
