#ifndef CHECK_H
#define CHECK_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * What only makes sense of the settings as a whole, after each was read:
 * actions are words of access(5), sockets are paths or addresses, exclusive
 * settings, advice (count mode 0, TCP open to all, a setting that has no
 * effect). Places are those of the values.
 */
void	check_settings(const struct settings *, struct faults *);

/*
 * Whether SOCKET is well formed: 0, or the exit status to use (4:
 * neither a path nor a pair whose address holds a `.` or a `:`).
 */
int	check_socket(const struct value *);

/*
 * For -n: errors for sockets that could never be bound. A start finds them out
 * when it binds, with another exit status.
 */
void	check_addresses(const struct settings *, struct faults *);

/*
 * check_action.c: one action, the value of the setting or field `name`, and
 * what its placeholders are filled from.
 */
enum check_filled {
	FILLED_NOT,
	FILLED_LIMIT,
	FILLED_BLOCK	/* {id} and {retry_after}; the others are empty */
};

void	check_action(const char *name, const struct value *, enum check_filled,
	    struct faults *);

/*
 * check_rules.c: entries of limits_by_id that can never match; and, for -n, at
 * which stages a rule counts only, and logins that it does not count.
 */
void	check_rules(const struct settings *, struct faults *);
void	check_rules_notes(const struct settings *, struct faults *);

#endif
