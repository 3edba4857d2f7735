#ifndef HELD_H
#define HELD_H

#include "conf/settings.h"
#include "lib/str.h"

/*
 * Settings with a reference count. A request in flight is answered by the
 * settings that decided it, even if a reload comes in between.
 */
struct held {
	struct settings	*settings;
	struct str	 success;	/* the answer, "action=…\n\n" */
	struct str	 error;		/* the answer of db_error_action */
	bool		 memory;	/* db_error_action is "memory" */
	unsigned int	 users;
};

/* Takes over the settings, with one reference for the caller. */
struct held	*held_new(struct settings *);
struct held	*held_take(struct held *);
void		 held_drop(struct held *);	/* the last one frees it */

#endif
