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
 * sql_limits_by_id: the limits that a query gives for an id. Remembered for a
 * second, and asked again only for ids in use; all that a batch needs in one
 * round trip. Where there is no row, or one that does not parse, the id has no
 * limits of its own; where the query fails, those that were known stay.
 */
struct lookup;
struct lookup_entry;

struct lookup	*lookup_new(const struct settings *);
void			 lookup_free(struct lookup *);

/* The settings, and so the queries, are new. Entries are void. */
void			 lookup_settings(struct lookup *,
			    const struct settings *);

/* From here on what is wanted stays until the next batch. */
void			 lookup_batch(struct lookup *, struct mono);

/* The entry of an id (as it was charged) under a rule. */
struct lookup_entry	*lookup_want(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/* Asks for all wanted ones that are not fresh. STORE_LOST or STORE_OK. */
enum store_result	 lookup_ask(struct lookup *, struct store *);

/* The same for one that may be known; NULL: it is not. Asks for nothing. */
const struct lookup_entry	*lookup_find(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/* NULL: those of the charge hold. */
const struct limits	*lookup_of(const struct lookup_entry *);

/*
 * The longest window that any query returned since the start, in seconds; for
 * what cleaning must keep.
 */
int64_t			 lookup_longest(const struct lookup *);

/*
 * Appends the query with `mark` in place of its placeholders: %s, ? or $1,
 * outside of quotes and comments; with %s, %% is one % as it was for the older
 * program. -1: there is no placeholder.
 */
int			 lookup_query(struct str *, const char *query,
			    const char *mark);

#endif
