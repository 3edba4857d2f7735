#ifndef CONVEY_H
#define CONVEY_H

#include "conf/settings.h"
#include "ipc/channel.h"

/*
 * Settings as messages: each role is sent only the rows of the settings table
 * that name it (database settings go only to the ledger, SMTP settings only to
 * the report).
 */

/* Queues MSG_SETTINGs, then MSG_SETTINGS_END with the generation. */
void	convey_send(struct channel *, const struct settings *, enum role to,
	    uint64_t generation);

/* Collects the messages of convey_send. */
struct convey;
struct convey	*convey_new(void);
void		 convey_free(struct convey *);

/*
 * 1: the generation is complete, and the caller owns *out; 0: more messages are
 * to come, or this is not a message of convey_send; -1: malformed.
 */
int	convey_receive(struct convey *, const struct message *,
	    struct settings **out);

#endif
