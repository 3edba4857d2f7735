#ifndef TOP_ROWS_H
#define TOP_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "role/top.h"
#include "ledger/ledger.h"

/*
 * `policyctl top` by fill and by used, of all rows that are kept: reads them
 * into the cache of a ledger that decides nothing, and lists its ids.
 */
struct top_rows;

/* What a ledger knows. */
struct top_source	 top_rows_source(struct ledger *);

/* Takes a payload of MSG_TOP; NULL: it is malformed. */
struct top_rows	*top_rows_new(struct ledger *, const void *, size_t);

/* Adds a row. False: the ids take more memory than they may. */
bool		 top_rows_add(struct top_rows *, const char *id, size_t idlen,
		    int64_t date, int64_t amount);

/*
 * After the last row: considers the next ids, with their limits by SQL.
 * STORE_LOST, or STORE_OK; *answer is set after the last one and is valid until
 * the next top_rows_new.
 */
enum store_result	 top_rows_list(struct top_rows *,
			    const struct msg_topped **answer);

#endif
