#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * Rows that other programs insert into a server's mail_count. They take no lock
 * and commit whenever they like, so their numbers (seq) say nothing of the
 * order of commits. The table tells them from ours: they have no number
 * (PostgreSQL), or `own` is 0 (MySQL).
 *
 * A batch that finds such rows borrows those of its ids: they are told to the
 * cache like news, and taken off again at the end of the batch. Between the
 * batches such rows are taken in: under the lock of all ids each is given a
 * number of ours and its id is folded. From then on it is like any row of ours,
 * and every daemon learns of it by its number.
 *
 * An id with more such rows than can be read within the deadline is not decided
 * until most of them are taken in; its charges wait, those of other ids do not.
 */
struct foreign {
	struct store_row	*row;		/* borrowed */
	size_t			*instance;	/* of each, where in text */
	size_t			 count;
	size_t			 room;
	struct str		 text;
	struct store_reader	 reader;	/* that was told of them */
	int64_t			 most;		/* rows of one id */
	bool			 told;
	bool			 there;		/* rows wait to be taken in */
	bool			 late;		/* the last step took none */
	struct mono		 next;		/* then: not before */
};

/* How ids of others are folded: FOREIGN_FOLD_REST spares a rule's name. */
enum foreign_fold {
	FOREIGN_AS_IS,
	FOREIGN_FOLD,
	FOREIGN_FOLD_REST
};
enum foreign_fold	 foreign_fold(const struct settings *);

void	foreign_init(struct foreign *, const struct settings *);
void	foreign_clear(struct foreign *);

/* In the order of use: of one row, a copy; its id must stay. */
void	foreign_borrow(struct foreign *, const struct store_row *);

/* All but the first `count` are dropped again, before they are told. */
void	foreign_cut(struct foreign *, size_t count);
void	foreign_tell(struct foreign *, const struct store_reader *);
void	foreign_give_back(struct foreign *);

/* Whether rows are to be taken in now; what came of it. */
bool	foreign_due(const struct foreign *);
void	foreign_taken(struct foreign *, bool some);

/* What store_idle returns: milliseconds, or -1. */
int	foreign_wait(const struct foreign *);

#endif
