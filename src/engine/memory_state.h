#ifndef MEMORY_STATE_H
#define MEMORY_STATE_H

#include <sys/types.h>
#include <sys/queue.h>

#include "engine/memory.h"
#include "engine/seen.h"
#include "lib/map.h"
#include "lib/window.h"

/* What memory.c and memory_weigh.c share. */
struct memory_id {
	struct map_node		 node;
	TAILQ_ENTRY(memory_id)	 entry;
	struct window		 window;
	struct window		 owed;
	size_t			 bytes;		/* its share of memory.bytes */
	/* Refused until this time, for at least this amount. */
	int64_t			 until;
	int64_t			 amount;
	struct limit		 limit;
	size_t			 len;
	char			 id[];
};

struct memory {
	struct map			*ids;
	TAILQ_HEAD(, memory_id)		 recent;	/* the newest last */
	struct seen_table		 seen;
	size_t				 bytes;		/* of all ids */
	size_t				 max;
};

/* NULL: unknown. An id that is found becomes the most recently used. */
struct memory_id	*memory_id_find(struct memory *,
			    const struct msg_charge_key *, uint64_t hash);

/*
 * Whether the ledger had no room for this amount of the id until a time after
 * now. A repeated charge of a soft key is over its limit until then.
 */
bool			 memory_id_waits(const struct memory_id *,
			    const struct msg_charge_key *, int64_t amount,
			    int64_t now);

/* The verdict alone, without remembering it; `hash` is of each key's id. */
void			 memory_judge(struct memory *,
			    const struct msg_charge *, int64_t now,
			    uint64_t *hash, struct msg_verdict *);

#endif
