#ifndef APPLY_LOCK_H
#define APPLY_LOCK_H

#include "conf/settings.h"
#include "engine/apply.h"
#include "engine/request.h"
#include "ipc/message.h"
#include "lib/str.h"

/* The field `lock` of rules: decision/lock.h. Pure. */

/*
 * Sets what a hit of the rule locks, except lock->id: the bytes of the id are
 * appended to the str. If there is nothing to lock, changes neither.
 */
void	apply_lock_of(struct str *, const struct settings *,
	    const struct settings_rule *, const struct request *,
	    struct msg_charge_lock *);

/*
 * Adds to the charge the names of the rules whose locks the request may pass,
 * and the keys that count such mails: one for the login, and one for the
 * largest network of the client that may be locked. At other stages than RCPT,
 * DATA and END-OF-MESSAGE no lock is passed.
 */
void	apply_lock_passes(struct applied *, const struct settings *,
	    const struct request *);

#endif
