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
 * The engine's list of blocks, locks and grants, as the ledger sent it last. It
 * is kept while the database is away. Before it decides, the ledger reads its
 * own list again if that is old (override_table.h), and sends it before the
 * verdicts.
 */
struct blocks;

struct blocks	*blocks_new(void);

/* Takes MSG_OVERRIDES_BEGIN, _PART or _END; -1: it is malformed. */
int	blocks_message(struct blocks *, const struct message *,
	    struct mono now);

/*
 * Whether the list is so new that the ledger most likely would not read it
 * again either; `wall` is seconds since 1970.
 */
bool	blocks_fresh(const struct blocks *, struct mono now, int64_t wall);

/* Whether a list was ever received. */
bool	blocks_known(const struct blocks *);

/* If there is no list, logs once that no block holds until there is one. */
void	blocks_no_list(struct blocks *);

/*
 * The block that matches a request at `now` (seconds since 1970), or NULL: see
 * override_block. This pointer, and those of the functions below, are valid
 * until the list changes.
 */
const struct override	*blocks_check(struct blocks *,
			    const struct settings *, const struct request *,
			    int64_t now);

/* The same for the subject of a charge. */
const struct override	*blocks_check_charge(const struct blocks *,
			    const struct msg_charge *, int64_t now);

/*
 * The lock that answers a charge with its subject, or NULL; sets *pass: see
 * lock_closed.
 */
const struct override	*blocks_find_lock(const struct blocks *,
			    const struct msg_charge *, int64_t now,
			    uint8_t *pass);

/* A lock that holds for the charge, though it might pass; or NULL. */
const struct override	*blocks_find_any_lock(const struct blocks *,
			    const struct msg_charge *, int64_t now);

/* How many locks hold. */
size_t	blocks_count_locks(const struct blocks *, int64_t now);

/* Whether any lock is known. */
bool	blocks_any_lock(const struct blocks *);

/*
 * Writes the request's subject into the charge, for the ledger to check. The
 * charge points to memory that is valid until the next call of this or
 * of blocks_check.
 */
void	blocks_subject(struct blocks *, struct msg_charge *,
	    const struct settings *, const struct request *);

/*
 * The list, never NULL. It belongs to the blocks, and is valid until the next
 * MSG_OVERRIDES_END.
 */
struct override_list	*blocks_list(const struct blocks *);

/*
 * Appends the id of a block (struct override) for what an administrator wrote:
 * a login, an address, a network, "@domain", or such an id itself, as
 * "sender:address". Of RULE:ID the name of the rule is left out. Returns NULL,
 * or why it is invalid.
 */
const char	*blocks_what(struct str *id, const struct settings *,
		    const char *, size_t);

/*
 * What the id of a block is about, by the word before it, such as "login:":
 * skips that word. KEY__MAX: there is none.
 */
enum rule_attribute	blocks_kind(const char **id, size_t *len);

/*
 * The block or lock that matches what an administrator wrote, taken as a login
 * or sender, as an address, or as blocks_what takes it.
 */
const struct override	*blocks_of_id(const struct blocks *,
			    const struct settings *, enum override_kind,
			    const char *, size_t, int64_t now);

/* Appends a record of a block, a lock or a grant. */
void	blocks_reply(struct str *, const struct override *);

#endif
