#ifndef EVIDENCE_H
#define EVIDENCE_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ledger/store.h"

/*
 * For the report: the client addresses and senders with most refusals of an id
 * since a time, from what is kept for policyctl.
 */
#define EVIDENCE_IDS	50	/* of a report */

/* `name` is how the report calls the id, without its rule. */
struct evidence_of {
	const char	*id;		/* as stored */
	size_t		 idlen;
	const char	*rule;
	size_t		 rulelen;
	const char	*name;
	size_t		 namelen;
	int64_t		 since;		/* seconds since 1970 */
};

enum store_result	 evidence_send(struct store *, struct channel *,
			    const struct evidence_of *);

#endif
