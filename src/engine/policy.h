#ifndef POLICY_H
#define POLICY_H

#include "conf/settings.h"
#include "lib/str.h"

/*
 * Settings with a reference count. A request in flight is answered by the
 * settings that decided it, even if a reload comes in between.
 */
struct policy {
	struct settings	*settings;
	struct str	 success;	/* the answer, "action=…\n\n" */
	struct str	 error;		/* the answer without a verdict; with
					   "memory" the same as `success` */
	bool		 memory;	/* db_error_action is "memory" */
	unsigned int	 users;
};

/* Takes over the settings, with one reference for the caller. */
struct policy	*policy_new(struct settings *);
struct policy	*policy_take(struct policy *);
void		 policy_drop(struct policy *);	/* the last one frees it */

#endif
