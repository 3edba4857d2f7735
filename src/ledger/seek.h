#ifndef SEEK_H
#define SEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * Searches of the refusals, one after the other, each in pieces of about a
 * millisecond, so that decisions need not wait. Knows no channel.
 */
struct seek;

#define SEEK_MOST	16		/* that wait */

/* An answer is put into `payload`, then `send` sends it. */
struct seek_answers {
	struct str	*payload;
	void		(*send)(void *, enum message_type, uint64_t request);
	void		*arg;
};

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
 * Looks at the next piece. Refusals older than `oldest` are not found.
 * STORE_LOST, or STORE_OK, also when the question failed, which is answered.
 */
enum store_result	 seek_step(struct seek *, struct store *,
			    int64_t oldest, struct mono,
			    const struct seek_answers *);

#endif
