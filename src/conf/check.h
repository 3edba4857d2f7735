#ifndef CHECK_H
#define CHECK_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * Checks the settings as a whole, after each was read: whether actions are
 * words of access(5) and sockets are paths or addresses, settings that exclude
 * each other, and advice (count_mode 0, TCP open to everybody, settings without
 * effect). Faults have the places of the values.
 */
void	check_settings(const struct settings *, struct faults *);

/*
 * For -n: adds errors for sockets that cannot be bound. A start finds these
 * when it binds, and exits with another status.
 */
void	check_addresses(const struct settings *, struct faults *);

/*
 * check_action.c: checks one action, the value of the setting or field `name`;
 * `filled` says with what its placeholders are filled.
 */
enum check_filled {
	FILLED_NOT,
	FILLED_LIMIT,
	FILLED_BLOCK,	/* {id} and {retry_after}; others are empty */
	FILLED_LOCK	/* these and {rule} */
};

void	check_action(const char *name, const struct value *, enum check_filled,
	    struct faults *);

/*
 * check_rules.c: warns of entries of limits_by_id that can never match.
 * check_rules_notes, for -n: names the rules that count at some stages only, or
 * not every login.
 */
void	check_rules(const struct settings *, struct faults *);
void	check_rules_notes(const struct settings *, struct faults *);

#endif
