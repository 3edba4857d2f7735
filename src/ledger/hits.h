#ifndef HITS_H
#define HITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/channel.h"
#include "ledger/lookup.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * What limit_report and limit_warning hold, for the report: what was sent is
 * taken off only once the mail is on its way, and only as much as was sent.
 */
struct hits;

struct hits	*hits_new(void);
void		 hits_free(struct hits *);

/*
 * Reads which (id, seconds) have hits already, for hits_first: of HIT_FULL, no
 * warning is reported at once.
 */
void		 hits_load(struct hits *, struct store *);

/*
 * Another process may have sent a report meanwhile, --clean for one: then no
 * hit is known. Looked for once a second at the most.
 */
void		 hits_refresh(struct hits *, struct store *, struct mono now);

/* Whether this is the first hit of (id, seconds) since the last report. */
bool		 hits_first(struct hits *, const char *id, size_t idlen,
		    int64_t seconds);

/*
 * Sends hits of all kinds to the report's channel, ends with when the last
 * report was sent, and keeps in mind what was sent.
 */
enum store_result	 hits_send(struct hits *, struct store *,
			    struct channel *, const struct settings *,
			    struct lookup *);

/*
 * Takes off what hits_send sent last. `now` becomes the time of the last
 * report.
 */
enum store_result	 hits_forget(struct hits *, struct store *,
			    int64_t now);

#endif
