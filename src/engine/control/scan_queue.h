#ifndef SCAN_QUEUE_H
#define SCAN_QUEUE_H

#include "engine/control/control.h"

/*
 * For a command that needs all rows of the database the parent starts a ledger
 * of its own, so that decisions are not held up. One command has such a ledger
 * at a time; the others wait for theirs.
 */
struct scan_question {
	enum message_type	  ask;
	/*
	 * Takes an answer of that ledger. 0: the next one is taken too, unless
	 * the command has ended; 1: this was the last; -1: it is malformed.
	 */
	int			(*on_answer)(struct control *,
				    const struct message *);
	/* There is no such ledger, or it has ended too early. */
	void			(*failed)(struct control *, const char *why);
	int64_t			  patience;	/* ms without any news */
};

struct scan_queue;

/* The controls stay the caller's. */
struct scan_queue	*scan_queue_new(const struct controls *);

/*
 * Queues the command. The payload is copied; the question must stay valid until
 * the command has ended.
 */
void	scan_queue_add(struct scan_queue *, struct control *,
	    const struct scan_question *, const struct str *payload);

/* The command does not wait for its ledger any longer. */
void	scan_queue_leave(struct scan_queue *, const struct control *);

/* Takes over the channel to the ledger; -1: there is none. */
void	scan_queue_channel(struct scan_queue *, int fd);

/* The parent could not start it. */
void	scan_queue_missing(struct scan_queue *, const char *why);

#endif
