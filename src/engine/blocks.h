#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/request.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "lib/clock.h"
#include "lib/str.h"

/*
 * The engine's own list of what is blocked and granted, as the ledger last told
 * it. It is kept while the database is away. The ledger reads the list of the
 * database when it decides and what it knows is older than a second, and tells
 * what it read before the verdicts.
 */
void	blocks_init(void);

/* MSG_OVERRIDES_BEGIN, _PART or _END; -1: it cannot be read. */
int	blocks_message(const struct message *, struct mono now);

/*
 * Whether the list is not older than what the ledger would know; `wall` is
 * seconds since 1970.
 */
bool	blocks_fresh(struct mono now, int64_t wall);

/* Whether a list ever came. */
bool	blocks_known(void);

/* A request went without the list: logged once, if there is none yet. */
void	blocks_missed(void);

/* The block that holds for a request at `now`, or NULL; until the next call. */
const struct override	*blocks_check(const struct settings *,
			    const struct request *, int64_t now);

/* The same for the subject of a charge. */
const struct override	*blocks_check_charge(const struct msg_charge *,
			    int64_t now);

/*
 * Writes the request's subject into the charge, for the ledger to check. What
 * it points to stays until the next call of blocks_check or this.
 */
void	blocks_subject(struct msg_charge *, const struct settings *,
	    const struct request *);

const struct override_list	*blocks_list(void);

/*
 * The id of a block, as struct override has it, of what an administrator wrote:
 * a login, an address, a network, "@domain", "sender:address", or RULE:ID for
 * the ID. NULL, or in words why not.
 */
const char	*blocks_what(struct str *id, const struct settings *,
		    const char *, size_t);

/*
 * The block that holds for an id, whatever it is: as a login, an address, or
 * what a block is of.
 */
const struct override	*blocks_of_id(const struct settings *, const char *,
			    size_t, int64_t now);

#endif
