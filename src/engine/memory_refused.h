#ifndef MEMORY_REFUSED_H
#define MEMORY_REFUSED_H

#include <stdint.h>

#include "engine/memory.h"
#include "ipc/message.h"

/*
 * db_error_action "memory": charges that the memory refused while the ledger
 * had them. If the ledger accepts such a charge later, it is taken back. The
 * last LATE_MAX are kept.
 */
#define LATE_MAX	1024

struct memory_refused;

struct memory_refused	*memory_refused_new(void);

/* Keeps a refused charge, as the message that was sent to the ledger. */
void	memory_refused_keep(struct memory_refused *, uint64_t request,
	    const struct str *);

/* Takes a verdict that came after the answer. */
void	memory_refused_verdict(struct memory_refused *, struct memory *,
	    uint64_t request, const struct msg_verdict *);

#endif
