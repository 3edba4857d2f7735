#ifndef SETTINGS_MESSAGE_H
#define SETTINGS_MESSAGE_H

#include "conf/settings.h"
#include "ipc/channel.h"

/*
 * Settings as messages: each role is sent only the rows of the settings table
 * that name it (database settings go only to the ledger, SMTP settings only to
 * the report).
 */

/* Queues MSG_SETTINGs, then MSG_SETTINGS_END with the generation. */
void	settings_message_send(struct channel *, const struct settings *,
	    enum role to, uint64_t generation);

/* Collects the messages of settings_message_send. */
struct settings_message;
struct settings_message	*settings_message_new(void);
void		 settings_message_free(struct settings_message *);

/*
 * 1: the generation is complete, and the caller owns *out; 0: more messages are
 * to come, or this is not a message of settings_message_send; -1: malformed, or
 * the settings have an error, which was logged.
 */
int	settings_message_receive(struct settings_message *,
	    const struct message *, struct settings **out);

#endif
