#ifndef TRY_ROWS_H
#define TRY_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

/*
 * `policyctl try`: collects the rows that are kept by rule and id, decides on
 * them by the limits to try, and tells the engine what would have been refused.
 * Without limits to try, it tells how much ids had in the windows in force.
 */
#define TRY_ROWS_MAX	20000000

struct try_rows;

/*
 * Takes a payload of MSG_SIMULATE; `engine` gets the answers. NULL: the payload
 * is malformed. `why`: why these settings cannot be tried; untouched if they
 * can.
 */
struct try_rows	*try_rows_new(struct ledger *, struct channel *engine,
		    const void *, size_t, char *why, size_t size);

/* Adds a row. False: there are more than TRY_ROWS_MAX. */
bool		 try_rows_add(struct try_rows *, const char *id, size_t idlen,
		    int64_t date, int64_t amount);

/*
 * After the last row: decides on some ids. True: that was the last one, and the
 * engine has been told.
 */
bool		 try_rows_decide(struct try_rows *);

/* Tells the engine that there is no result. */
void		 try_rows_fail(struct try_rows *, const char *why);

#endif
