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
 * The hits of every kind, for the report. Hits that were sent are subtracted
 * only after the SMTP server has taken the mail, and only as many as were sent.
 */
struct hits;

struct hits	*hits_new(void);
void		 hits_free(struct hits *);

/* Reads which (kind, id, seconds) have hits already, for hits_first. */
void		 hits_load(struct hits *, struct store *);

/*
 * Forgets the known hits if another process, such as --clean, has sent a
 * report. Looks at most once a second.
 */
void		 hits_refresh(struct hits *, struct store *, struct mono now);

/* Whether it is the first one of (kind, id, seconds) since the last report. */
bool		 hits_first(struct hits *, enum hit_kind, const char *id,
		    size_t idlen, int64_t seconds);

/*
 * Sends to the report's channel the hits of all kinds, evidence of where the
 * refused mail of their ids came from, the logins of which no user was told
 * (report_user), and the time of the last report. Remembers what it sent, for
 * hits_forget.
 */
enum store_result	 hits_send(struct hits *, struct store *,
			    struct channel *, const struct settings *,
			    struct lookup *, int64_t now);

/*
 * Subtracts the hits that hits_send sent last, and stores `now` as the time of
 * the last report.
 */
enum store_result	 hits_forget(struct hits *, struct store *,
			    int64_t now);

#endif
