#ifndef INQUIRY_H
#define INQUIRY_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * Inquiries: what the engine asks for policyctl and gets answered in pieces of
 * about a millisecond, so that decisions need not wait: the refusals (seek.h)
 * and, of a ledger that was started for one command, all rows of the database
 * (top_rows.h, try_rows.h). They are answered one after the other.
 */
struct ledger;

/* The first member of the struct of each kind of inquiry. */
struct inquiry {
	TAILQ_ENTRY(inquiry)	 entry;
	struct ledger		*ledger;
	uint64_t		 request;
	char			*payload;	/* a copy */
	size_t			 len;
	/*
	 * Takes a piece, and sets `answered` after the last. A piece is taken
	 * again after STORE_BUSY. On another failure, or if this lasts longer
	 * than db_timeout, `fail` is called with `why` or store_error.
	 */
	enum store_result	(*step)(struct inquiry *);
	void			(*fail)(struct inquiry *, const char *why);
	void			(*clear)(struct inquiry *);	/* or NULL */
	bool			 answered;
	const char		*why;		/* NULL: the store's fault */
	int64_t			 rows;		/* seen so far, for policyctl */
	int64_t			 position;	/* of inquiry_rows */
	/* inquiry.c's. */
	struct mono		 progress;	/* told next */
	struct mono		 deadline;	/* of a step that fails, or 0 */
};

struct inquiries {
	TAILQ_HEAD(, inquiry)	 list;
	size_t			 count;
	struct mono		 due;		/* the next piece */
};

/*
 * Queues a question, a struct of `size` bytes, whose other members the caller
 * sets. NULL: too many questions wait already, which is one question in a
 * ledger that was started for one command.
 */
struct inquiry	*inquiry_new(struct ledger *, const struct message *,
		    size_t size, enum store_result (*step)(struct inquiry *));

/* Answers the question with MSG_SEARCHED. */
void		 inquiry_fail(struct inquiry *, const char *why);

/*
 * For a step: reads the next rows of mail_count; `each` gets the question.
 * After the last one `position` is -1.
 */
enum store_result	 inquiry_rows(struct inquiry *, void (*each)(void *,
			    const char *id, size_t idlen, int64_t date,
			    int64_t amount));

/* Takes a piece of the oldest question, if it is due. */
void		 inquiry_step(struct ledger *);

/* Milliseconds until a piece is due; -1: there is no question. */
int		 inquiry_wait(const struct inquiries *);

/* The engine is gone: drops all questions. */
void		 inquiry_clear(struct inquiries *);

#endif
