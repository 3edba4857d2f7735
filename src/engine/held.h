#ifndef HELD_H
#define HELD_H

#include "conf/settings.h"
#include "lib/str.h"

/*
 * Settings with those who still need them: a request in flight is answered by
 * the settings it was decided by, also when a reload comes in between.
 */
struct held {
	struct settings	*settings;
	struct str	 success;	/* "action=…\n\n", ready to go */
	struct str	 error;		/* of db_error_action */
	bool		 memory;	/* db_error_action is "memory" */
	unsigned int	 users;
};

/* Takes over the settings; the caller is the first user. */
struct held	*held_new(struct settings *);
struct held	*held_take(struct held *);
void		 held_drop(struct held *);	/* the last one frees it */

#endif
