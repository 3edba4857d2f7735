#ifndef OVERRIDE_TABLE_H
#define OVERRIDE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decision/override.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * What an administrator granted and blocked, as the database has it: read whole
 * when it is older than a second, or by a clock that was ahead, and something
 * is decided.
 */
struct override_table;

struct override_table	*override_table_new(void);
void			 override_table_free(struct override_table *);

/*
 * Called whenever the list was read; `changed`: it is not what it was.
 */
void			 override_table_on_read(struct override_table *,
			    void (*)(void *, bool changed), void *);

/*
 * Reads it where it is old. STORE_LOST, or STORE_OK also where the database did
 * not tell: what was known stays.
 */
enum store_result	 override_table_refresh(struct override_table *,
			    struct store *, int64_t now, struct mono);

/* What is known is known to be old. */
void			 override_table_stale(struct override_table *);

/*
 * Writes some of one kind and `until`, all or none, and knows them from then
 * on. OVERRIDE_FAILED with *lost, or for another reason, which is
 * store_error's.
 */
enum override_result	 override_table_set(struct override_table *,
			    struct store *, const struct override *, size_t,
			    int64_t now, bool *lost);

/* Whether the database ever told. */
bool	override_table_known(const struct override_table *);

/* What is known; good until the next refresh. */
const struct override_list	*override_table_list(
				    const struct override_table *);

#endif
