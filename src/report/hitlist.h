#ifndef HITLIST_H
#define HITLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/message.h"
#include "report/mail.h"

/* What the ledger tells of the hits, within bounds. */
struct hitlist {
	struct mail_row		*rows;
	size_t			 nrows;
	size_t			 size;	/* of rows */
	struct msg_hits_room	 room;
	size_t			 later;	/* rows that had none */
	int64_t			 last;	/* time of the last report, 0: none */
	bool			 whole;	/* the list has ended */
};

/* One message of the ledger's; -1 when it is not as it must be. */
int	hitlist_add(struct hitlist *, const struct message *);

void	hitlist_clear(struct hitlist *);

#endif
