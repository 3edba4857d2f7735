#ifndef CONVEY_H
#define CONVEY_H

#include "conf/settings.h"
#include "ipc/channel.h"

/*
 * Settings as messages: each role is sent the rows of the settings table that
 * name it, and nothing else (database settings only to the ledger, SMTP ones
 * only to report).
 */

/* Queues MSG_SETTING for each and MSG_SETTINGS_END with the generation. */
void	convey_send(struct channel *, const struct settings *, enum role to,
	    uint64_t generation);

/* Collects what convey_send sent. */
struct convey;
struct convey	*convey_new(void);
void		 convey_free(struct convey *);

/*
 * 1: the generation is whole, *out is the caller's; 0: more is to come (or not
 * a message of convey's); -1: broken.
 */
int	convey_receive(struct convey *, const struct message *,
	    struct settings **out);

#endif
