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
struct responder;

struct responder	*respond_new(const struct engine *);

/* Sets the settings, which stay the caller's. */
void	respond_use(struct responder *, const struct settings *);

/* For client_new, pending_new and replay_new: `arg` is the responder. */
void	respond_on_request(void *arg, struct client *,
	    const struct request *);
void	respond_on_verdict(void *arg, struct pending *,
	    const struct msg_verdict *);
void	respond_on_owed(void *arg, const struct msg_charge *,
	    const int64_t *charged, int64_t date, int sign);

/* For ledger_link_new. */
void	respond_on_late(const struct engine *, uint64_t request,
	    const struct msg_verdict *);

#endif
