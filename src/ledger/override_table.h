#ifndef OVERRIDE_TABLE_H
#define OVERRIDE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decision/override.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * The grants, blocks and locks, as read from the database. The whole list is
 * read again before a decision when it is older than a second and than fifty
 * times as long as it took to read it, or when the clock was set back since it
 * was read.
 */

/* Overrides with copies of their strings. */
struct override_copies {
	struct override	*list;
	size_t		 n;
	size_t		 room;
};
void			 override_table_copy(struct override_copies *,
			    const struct override *);
void			 override_table_empty(struct override_copies *);

struct override_table {
	/* What others may read. The list is valid until the next refresh. */
	struct override_list	*list;
	bool			 ever;		/* the list was read once */
	struct override_copies	 due;		/* corrections, which are in the
						   list already */
	/* Others clear it if the list is old. */
	bool			 known;
	/*
	 * Others set these. The rules of the settings bound their locks
	 * (decision/lock.h). on_read is called after each reading (`changed`:
	 * the list is different from the last), on_set for each override that
	 * is put into the list other than by a reading (with an `until` of 0 it
	 * was ended).
	 */
	const struct settings	*settings;
	void			(*on_read)(void *, bool changed);
	void			(*on_set)(void *, const struct override *);
	void			*arg;
	/* The rest is override_table.c's. */
	struct mono		 again;		/* time of the next reading */
	int64_t			 read_at;	/* by the wall clock */
	struct override_copies	 fresh;		/* what this batch writes */
	bool			 locks;		/* of a hit, in the list
						   before the commit */
	size_t			 corrects;	/* this batch writes so many */
};

struct override_table	*override_table_new(void);
void			 override_table_free(struct override_table *);

/* Reads the list if it is old. If that fails, the last list stays in force. */
enum store_result	 override_table_refresh(struct override_table *,
			    struct store *, int64_t now, struct mono);

/*
 * Within a batch: reads the list again; and writes a lock and its record, and
 * applies them to the list. Unless STORE_OK, the caller must roll the batch
 * back.
 */
enum store_result	 override_table_batch(struct override_table *,
			    struct store *, int64_t now);
enum store_result	 override_table_lock(struct override_table *,
			    struct store *, const struct override *lock,
			    const struct override *record, int64_t now);

/*
 * The same for a change: writes overrides, all of one kind and `until`. The end
 * of a block also ends locks of the same id, and of a login those in unfamiliar
 * networks. A lock is one that was set while the database was away: it is not
 * written if it has ended, or if a later lock of that id, or its end, is stored
 * already. What the last reading found wrong is corrected too; without a change
 * (n is 0) only that, and not all at once if it takes long. *outcome: the
 * result of the change once it is committed.
 */
enum store_result	 override_table_change(struct override_table *,
			    struct store *, const struct override *, size_t n,
			    int64_t now, enum override_result *outcome);

/* The batch is over, and was committed or not. */
void			 override_table_settle(struct override_table *,
			    bool committed);

#endif
