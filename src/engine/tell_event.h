#ifndef TELL_EVENT_H
#define TELL_EVENT_H

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/tell.h"
#include "ipc/message.h"

/*
 * What happens to requests, for the followers of events.h. The group of
 * control_socket may follow, and may not know who writes to whom: no event
 * names a recipient.
 */

/* The part of a verdict that an event is about. */
struct tell_event {
	const char			*event;
	const struct msg_charge_key	*key;
	struct limit			 limit;	/* no seconds: max_per_mail */
	int64_t				 used;
	bool				 shadow;
	bool				 accepted;	/* Postfix takes it */
};
void	tell_event_key(const struct tell_event *, const struct settings *,
	    const struct msg_charge *, const struct tell_about *);

/* A hit of this key has locked what key->lock says. */
void	tell_event_lock(const struct msg_charge_key *, int64_t until,
	    const struct tell_about *);

/* A request that a block or lock matched. NULL: that has ended meanwhile. */
void	tell_event_block(const struct override *, const struct tell_about *);

#endif
