#ifndef MAILLOG_EVENT_H
#define MAILLOG_EVENT_H

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/maillog.h"
#include "ipc/message.h"

/*
 * What happens to requests, for the followers of events.h. The group of
 * control_socket may follow, and may not know who writes to whom: no event
 * names a recipient.
 */

/* The part of a verdict that an event is about. */
struct maillog_event {
	const char			*event;
	const struct msg_charge_key	*key;
	struct limit			 limit;	/* no seconds: max_per_mail */
	int64_t				 used;
	bool				 shadow;
	bool				 accepted;	/* Postfix takes it */
};
void	maillog_event_key(const struct maillog_event *, const struct settings *,
	    const struct msg_charge *, const struct maillog_about *);

/* A hit of this key has locked what key->lock says. */
void	maillog_event_lock(const struct msg_charge_key *, int64_t until,
	    const struct maillog_about *);

/* A request that a block or lock matched. NULL: that has ended meanwhile. */
void	maillog_event_block(const struct override *,
	    const struct maillog_about *);

#endif
