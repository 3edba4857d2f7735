#ifndef RESPOND_H
#define RESPOND_H

#include <stdint.h>

#include "engine/client.h"
#include "engine/engine.h"
#include "engine/pending.h"

/*
 * The way of a request: from a client to the ledger, and with the verdict, or
 * without one, back as an answer.
 */
void	respond_init(const struct engine *);

/* Sets the settings, which stay the caller's. */
void	respond_use(const struct settings *);

/* For client_new, pending_new, replay_new and ledger_init. */
void	respond_on_request(void *, struct client *, const struct request *);
void	respond_on_verdict(void *arg, struct pending *,
	    const struct msg_verdict *);
void	respond_on_owed(void *arg, const struct msg_charge *,
	    const int64_t *charged, int64_t date, int sign);
void	respond_on_late(uint64_t request, const struct msg_verdict *);

#endif
