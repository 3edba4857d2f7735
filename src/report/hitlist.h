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
	struct mail_row		*rows;
	size_t			 nrows;
	size_t			 size;	/* allocated rows */
	struct msg_hits_room	 room;
	size_t			 later;	/* rows beyond the bound */
	struct mail_row		*untold;	/* logins of report_user */
	size_t			 nuntold;
	enum hit_kind		 kind;	/* of the last one */
	struct mail_evidence	*evidence;
	size_t			 nevidence;
	bool			 notice;	/* one of them is to be told */
	int64_t			 last;	/* time of the last report; 0: none */
	bool			 whole;	/* the end was received */
};

/* Takes one message of the ledger; -1 if it is malformed. */
int	hitlist_add(struct hitlist *, const struct message *);

void	hitlist_clear(struct hitlist *);

#endif
