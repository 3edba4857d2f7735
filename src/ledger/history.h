#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ledger/cache.h"
#include "ledger/lookup.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * The refusals that the engine sends, on their way to the table mail_refusal.
 * They are written in transactions of their own, when no charge waits. Knows no
 * channel.
 */
struct history;

#define HISTORY_MOST	1000000		/* rows */
extern int64_t	history_most;		/* tests make it small */

struct history	*history_new(void);
void		 history_free(struct history *);

/*
 * Adds the windows that the cache knows to a refusal that was decided just now.
 * The result points into `m` and to what that points to.
 */
void		 history_complete(struct msg_refusal *, struct cache *,
		    struct lookup *, const struct override_list *,
		    const struct settings *, int64_t now);

/* Queues a copy. -1: a text of it is not UTF-8, or holds a NUL. */
int		 history_add(struct history *, const struct msg_refusal *,
		    struct mono);

/*
 * Whether some should be written now; `quiet`: no charge is waiting. Some are
 * due after a second in any case, but not while writing fails.
 */
bool		 history_due(const struct history *, bool quiet, struct mono);

/* Milliseconds until some are due; -1: there are none. */
int		 history_wait(const struct history *, struct mono);

/*
 * Writes some of them, and deletes rows beyond history_most. STORE_LOST, or
 * STORE_OK, also when that failed, which is logged unless `known`: the fault of
 * the database is in the log already. *number: that of the last one written, or
 * 0.
 */
enum store_result	 history_write(struct history *, struct store *,
			    struct mono, bool known, int64_t *number);

/*
 * Reads a row of the table; the texts are made printable again. False: another
 * program wrote it, and it makes no sense.
 */
struct history_texts {
	char	text[STORE_REFUSAL_TEXTS][REFUSAL_TEXT_MAX + 1];
};
bool		 history_read(struct msg_refusal *,
		    const struct store_refusal *, struct history_texts *);

#endif
