#ifndef HITLIST_H
#define HITLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/message.h"
#include "report/mail.h"

#define HITLIST_UNTOLD_MAX	1000
#define HITLIST_EVIDENCE_MAX	1000

/* The hits that the ledger sends, bounded in number and size. */
struct hitlist {
	struct mail_hits	 hits;
	size_t			 size;	/* allocated rows */
	struct msg_hits_room	 room;
	enum hit_kind		 kind;	/* of the last row of hits.untold */
	bool			 notice;	/* one of them is to be told */
	bool			 whole;	/* the end was received */
};

/*
 * Takes one message of the ledger; the list is all-zero at first. 0, or -1 with
 * errno EBADMSG if it is malformed, or comes after the end.
 */
int	hitlist_add(struct hitlist *, const struct message *);

void	hitlist_clear(struct hitlist *);

#endif
