#ifndef STORE_SQLITE_HABIT_H
#define STORE_SQLITE_HABIT_H

/* The statements about mail_habit, for the table in store_sqlite.c. */
#define HABIT_STATEMENTS						\
	[PAIR] = "SELECT since, seen FROM mail_habit"			\
	    " WHERE who = ?1 AND kind = ?2 AND what = ?3",		\
	[PAIRS] = "SELECT what, since, seen FROM mail_habit"		\
	    " WHERE who = ?1 AND kind = ?2",				\
	[LEARN] = "INSERT INTO mail_habit (who, kind, what, since, seen)" \
	    " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (who, kind, what)" \
	    " DO UPDATE SET since = excluded.since, seen = excluded.seen", \
	[PAIR_GONE] = "DELETE FROM mail_habit"				\
	    " WHERE who = ?1 AND kind = ?2 AND what = ?3",		\
	[PAIRS_FORGOTTEN] = "DELETE FROM mail_habit"			\
	    " WHERE who = ?1 AND since >= ?2",				\
	[CLEAN_PAIRS_END] = "SELECT who FROM mail_habit WHERE who > ?1"	\
	    " ORDER BY who LIMIT 1 OFFSET ?2",				\
	[CLEAN_PAIRS] = "DELETE FROM mail_habit WHERE who > ?1 AND who <= ?2" \
	    " AND (seen < ?3 OR since > ?4)"

#endif
