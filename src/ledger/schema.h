#ifndef SCHEMA_H
#define SCHEMA_H

#include <stdbool.h>

#include "ipc/message.h"

/*
 * The tables (policyd-rate-limit(8), Tables), and how a database that an older
 * program left becomes one of ours: a list of steps, the same for all three
 * backends, each of which is taken only where what it makes is missing. So a
 * new database, one of 0.5.1, one of 1.x and one where an earlier try was
 * interrupted all go the same way, and a second time changes nothing. No step
 * reads or writes the rows, but for ids that an older program stored in upper
 * case.
 */
enum schema_dialect {
	SCHEMA_SQLITE,
	SCHEMA_PGSQL,
	SCHEMA_MYSQL,
	SCHEMA__MAX
};

/*
 * Columns of ours that INSERT without a list of columns leaves out: for MySQL,
 * where the server knows such columns; else its store takes these words out.
 */
#define SCHEMA_HIDDEN	" INVISIBLE"

#define SCHEMA_BYTES	8

struct schema_database {
	/*
	 * Whether the table, or its column when that is not NULL, is there, and
	 * if so what the column's longest text is, or the bytes of an integer
	 * of less than SCHEMA_BYTES (*width; 0: no bound). -1: a fault.
	 */
	int	(*has)(void *, const char *table, const char *column,
		    int *width);
	int	(*run)(void *, const char *sql);	/* 0, or -1 */

	/*
	 * The same, of servers, for a column that would have more bits; where
	 * that needs rights that are missing, it goes on without: 0.
	 */
	int	(*widen)(void *, const char *sql);
	void	 *arg;
	bool	 fold;		/* fold_case */
};

/* The table that this kind is kept in. */
const char	*schema_hit_table(enum hit_kind);

/* 0, or -1 when a call of `database` said so. *changed: a step was taken. */
int	schema_upgrade(enum schema_dialect, const struct schema_database *,
	    bool *changed);

#endif
