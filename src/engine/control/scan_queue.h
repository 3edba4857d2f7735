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

void	scan_queue_init(void);

/*
 * Queues the command. The payload is copied; the question must stay valid until
 * the command has ended.
 */
void	scan_queue_add(struct control *, const struct scan_question *,
	    const struct str *payload);

/* The command does not wait for its ledger any longer. */
void	scan_queue_leave(const struct control *);

/* Takes over the channel to the ledger; -1: there is none. */
void	scan_queue_channel(int fd);

/* The parent could not start it. */
void	scan_queue_missing(const char *why);

#endif
