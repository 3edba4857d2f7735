#ifndef LOOKUP_H
#define LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/store.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "lib/window.h"

/*
 * sql_limits_by_id: the limits that a query returns for an id. They are cached
 * for a second and read again only when the id is used; all queries of a batch
 * take one round trip for each rule. An id without a row, or whose row does not
 * parse, has no limits of its own; when the query fails, the cached limits stay
 * in force.
 */
struct lookup;
struct lookup_entry;

struct lookup	*lookup_new(const struct settings *);
void			 lookup_free(struct lookup *);

/* Replaces the settings, and so the queries. Drops all entries. */
void			 lookup_settings(struct lookup *,
			    const struct settings *);

/*
 * Begins a batch. An entry that is wanted is not evicted until the next batch.
 */
void			 lookup_batch(struct lookup *, struct mono);

/* The entry of an id, as it was charged, under a rule; created when missing. */
struct lookup_entry	*lookup_want(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/*
 * Runs the query for each wanted entry that is not fresh. STORE_OK or
 * STORE_LOST.
 */
enum store_result	 lookup_ask(struct lookup *, struct store *);

/* The entry if it is cached, else NULL. Runs no query. */
const struct lookup_entry	*lookup_find(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/* The limits that SQL returned; NULL: the limits in the charge apply. */
const struct limits	*lookup_of(const struct lookup_entry *);

/*
 * The longest window, in seconds, that any query returned since the start.
 * Cleaning must keep rows for it.
 */
int64_t			 lookup_longest(const struct lookup *);

/*
 * Appends the query with `mark` in place of its placeholders: %s, ? or $1,
 * outside of quotes and comments. With %s, %% becomes one %, as in 1.x. -1:
 * there is no placeholder.
 */
int			 lookup_query(struct str *, const char *query,
			    const char *mark);

#endif
