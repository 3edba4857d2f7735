#ifndef SCHEMA_H
#define SCHEMA_H

#include <stdbool.h>

#include "ipc/message.h"
#include "lib/log.h"

/*
 * The tables (policyd-rate-limit(8), Tables), and the upgrade of an older
 * program's database: a list of steps, the same for all three backends. Each
 * step runs only where the table or column that it makes is missing. So a new
 * database, one of 0.5.1, one of 1.x and one whose upgrade was interrupted are
 * all handled alike, and a second run changes nothing. No step reads or writes
 * rows, except ids that an older program stored in upper case.
 */
enum schema_dialect {
	SCHEMA_SQLITE,
	SCHEMA_PGSQL,
	SCHEMA_MYSQL,
	SCHEMA__MAX
};

/*
 * Hides our columns from an INSERT without a list of columns: for MySQL servers
 * that know such columns; for others the store removes these words.
 */
#define SCHEMA_HIDDEN	" INVISIBLE"

#define SCHEMA_BYTES	8

struct schema_database {
	/*
	 * 1 or 0: whether the table, or its column if that is not NULL, exists.
	 * *width becomes the column's longest text, or the size in bytes of an
	 * integer of less than SCHEMA_BYTES; 0: no bound. -1: a fault.
	 */
	int	(*has)(void *, const char *table, const char *column,
		    int *width);
	int	(*run)(void *, const char *sql);	/* 0, or -1 */

	/*
	 * The same, for a server's column that needs more bits; 0 also when the
	 * rights to alter it are missing.
	 */
	int	(*widen)(void *, const char *sql);
	void	 *arg;
	bool	 fold;		/* fold_case */
};

/* Begins the reason of a fault that only the administrator can mend. */
#define SCHEMA_UNFIT	"the tables cannot be used as they are: "

/*
 * Logs a step that may take long. `replaces`: an earlier ledger of this daemon
 * has logged it, and failed.
 */
void	schema_log_step(const char *description, const char *sql,
	    bool replaces);

/* Logs that the database refused a hit, for each kind once in a while. */
void	schema_hit_failed(struct log_limit limit[HIT_KIND__MAX],
	    enum hit_kind, const char *error);

/* 0, or -1 when a call of `database` failed. *changed: a step was run. */
int	schema_upgrade(enum schema_dialect, const struct schema_database *,
	    bool *changed);

#endif
