#ifndef LOOKUP_H
#define LOOKUP_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/store.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/str.h"
#include "lib/window.h"

/*
 * What an administrator's queries return for the ids of charges: the limits
 * that replace those of the configuration (sql_limits_by_id), or the id that is
 * counted instead (id_sql). Limits are cached for a second, ids for a minute,
 * and are read again only when the id is used; all queries of a batch take one
 * round trip for each rule. An id without a row, or whose row does not parse,
 * has no limits of its own, or is itself what is counted. When the query fails,
 * the last answer stays in force, and the query is tried again after a second.
 */
struct lookup;

/* What is known of an id; valid until the next batch. */
struct lookup_entry {
	struct map_node			 node;		/* first */
	TAILQ_ENTRY(lookup_entry)	 use;
	TAILQ_ENTRY(lookup_entry)	 ask;
	bool				 unknown;	/* no query for it has
							   succeeded so far */
	bool				 known;		/* there was a row */
	/* LOOKUP_LIMITS, if known: they apply instead of the charge's. */
	struct limits			 limits;
	/*
	 * LOOKUP_IDS, if known: the id that is counted in place of the entry's,
	 * with the rule's name, in a form that is stored unchanged. Else NULL.
	 */
	char				*counted;
	bool				 waiting;	/* wanted, not fresh */
	int64_t				 when;		/* last query, ns */
	int64_t				 used;		/* last wanted, ns */
	size_t				 idlen;
	char				 id[];		/* rule, id as stored */
};

enum lookup_kind {
	LOOKUP_LIMITS,
	LOOKUP_IDS
};

/* The settings must stay valid until they are replaced. */
struct lookup	*lookup_new(enum lookup_kind, const struct settings *);
void			 lookup_free(struct lookup *);

/* Replaces the settings, and so the queries. Drops all entries. */
void			 lookup_settings(struct lookup *,
			    const struct settings *);

/* Whether there is a query at all. */
bool			 lookup_used(const struct lookup *);

/*
 * Begins a batch. An entry that is wanted is not evicted until the next batch.
 */
void			 lookup_batch(struct lookup *, struct mono);

/*
 * The entry of an id, as it was charged, under a rule; created when missing.
 * NULL for LOOKUP_IDS: the rule has no such query, or another name.
 */
struct lookup_entry	*lookup_get(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/*
 * Runs the query for each wanted entry that is not fresh. STORE_OK or
 * STORE_LOST.
 */
enum store_result	 lookup_ask(struct lookup *, struct store *);

/* The entry if it is cached, else NULL. Runs no query. */
const struct lookup_entry	*lookup_find(struct lookup *, uint16_t rule,
			    const char *id, size_t idlen);

/*
 * The cached limits of a stored id, whose rule is stored_id_rule's; NULL: there
 * are none. Runs no query.
 */
const struct limits		*lookup_limits(struct lookup *,
				    const struct settings_rule *,
				    const char *id, size_t idlen);

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
