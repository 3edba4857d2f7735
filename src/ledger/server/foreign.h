#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ledger/store.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Foreign rows: rows that other programs insert into mail_count of a PostgreSQL
 * or MySQL server. Such a program takes no lock and commits at any time, so its
 * row's number (seq) says nothing about the order of commits. A foreign row has
 * no seq (PostgreSQL), or its column `own` is 0 (MySQL).
 *
 * A batch borrows the foreign rows of its ids: it reports them to the cache as
 * news, and at its end reports them again with negative amounts. Between
 * batches foreign rows are taken in: under the lock of all ids each row gets a
 * seq of ours and its id is folded. From then on it is like a row of ours, and
 * every daemon reads it by its seq.
 *
 * An id with more foreign rows than can be read within the deadline is not
 * decided until most of them are taken in; its charges wait, the charges of
 * other ids do not.
 */

/*
 * How ids of foreign rows are folded. FOREIGN_FOLD_REST does not fold the name
 * of a rule in front of the id.
 */
enum foreign_fold {
	FOREIGN_AS_IS,
	FOREIGN_FOLD,
	FOREIGN_FOLD_REST
};

struct foreign_row {
	struct store_row	 row;
	size_t			 instance;	/* its offset in foreign.text */
};

struct foreign {
	enum foreign_fold	 fold;
	struct foreign_row	*row;		/* the borrowed rows */
	size_t			 count;
	size_t			 room;
	struct str		 text;
	struct store_reader	 reader;	/* that knows them */
	int64_t			 most;		/* for one id, in a batch */
	bool			 read_rows;	/* reported, not given back */
	bool			 there;		/* there are rows to take in */
	bool			 took_none;	/* the last step did */
	struct mono		 begun;		/* when the last step began */
	struct mono		 next;		/* when the next is due */
	struct log_limit	 failed;	/* log of failed steps */
};

void	foreign_init(struct foreign *, const struct settings *);
void	foreign_clear(struct foreign *);

/*
 * The calls of one batch, in order. foreign_borrow copies the row, but not its
 * id, which must stay valid until foreign_give_back.
 */
void	foreign_borrow(struct foreign *, const struct store_row *);

/* Drops all but the first `count` rows, before foreign_tell. */
void	foreign_cut(struct foreign *, size_t count);

/* Reports the borrowed rows to the reader. */
void	foreign_tell(struct foreign *, const struct store_reader *);

/* Reports them to it with negative amounts, and drops them. */
void	foreign_give_back(struct foreign *);

/*
 * foreign_due: whether to take rows in now, when there is nothing else to do
 * (`idle`) or before a batch. Steps before batches take half of the time at
 * most. Call foreign_taken after each step that was committed; `some`: it took
 * rows in. Call foreign_failed after any other step: it logs STORE_FAILED.
 */
bool	foreign_due(struct foreign *, bool idle);
void	foreign_taken(struct foreign *, bool some);
void	foreign_failed(struct foreign *, enum store_result,
	    const char *description, const char *error);

/* Milliseconds until the next step is due, or -1: store_idle's result. */
int	foreign_wait(const struct foreign *);

#endif
