#ifndef SEEK_H
#define SEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ledger/store.h"

/*
 * Searches of the refusals, one after the other, each in pieces of about a
 * millisecond, so that decisions need not wait. The engine gets the answers.
 */
struct ledger;
struct seek;

#define SEEK_MOST	16		/* that wait */

struct seek	*seek_new(void);

/* Queues the question in a payload; -1: it is malformed. */
int		 seek_add(struct seek *, uint64_t request, const void *,
		    size_t);

/* The same for a payload of MSG_TOP: ids, or domains, with most refusals. */
int		 seek_top(struct seek *, uint64_t request, const void *,
		    size_t, int64_t now);

/* The engine is gone: drops all questions. */
void		 seek_clear(struct seek *);
bool		 seek_waits(const struct seek *);

/*
 * Looks at the next piece for the oldest question, if there is one. Refusals
 * older than `oldest` are not found.
 */
void		 seek_step(struct ledger *, int64_t oldest);

#endif
