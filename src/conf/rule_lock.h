#ifndef RULE_LOCK_H
#define RULE_LOCK_H

#include "conf/reader.h"

/* So many mails in so many seconds pass a lock, to except_recipients. */
#define LOCK_PASSES		10
#define LOCK_PASS_PERIOD	3600

/* The field `lock` of a rule. */
reader		 rule_lock_read;	/* struct settings_lock */
void		 rule_lock_clear(void *);	/* struct settings_lock * */

/*
 * What a hit of the rule locks: KEY_SASL_USERNAME if its key has that, else
 * KEY_CLIENT_ADDRESS if its key has that, else KEY__MAX.
 */
enum rule_attribute	 rule_lock_attribute(const struct settings_rule *);

/* Whether this is the rule's name, or an earlier one. */
bool			 rule_lock_is_named(const struct settings_rule *,
			    const char *name, size_t len);

/* Faults of `lock` that depend on the other fields of the rule. */
void		 rule_lock_check(const struct reading *,
		    const struct settings_rule *, const struct value *);

#endif
