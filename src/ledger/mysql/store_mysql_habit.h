#ifndef STORE_MYSQL_HABIT_H
#define STORE_MYSQL_HABIT_H

/* The statements about mail_habit, for the table in store_mysql_open.c. */
#define HABIT_STATEMENTS \
	[PAIR] = { "", "SELECT cast(? AS signed), since, seen FROM mail_habit" \
	    " WHERE who = ? AND kind = ? AND what = ?", " UNION ALL ", NULL, \
	    "nnn", false },						\
	[PAIRS] = { "SELECT what, since, seen FROM mail_habit"		\
	    " WHERE who = ? AND kind = ?", NULL, NULL, NULL, "nnn", false }, \
	[LEARN] = { "INSERT INTO mail_habit (who, kind, what, since, seen)" \
	    " VALUES ", "(?, ?, ?, ?, ?)", ",", " ON DUPLICATE KEY UPDATE" \
	    " since = values(since), seen = values(seen)", NULL, true }, \
	[PAIR_GONE] = { "DELETE FROM mail_habit"			\
	    " WHERE who = ? AND kind = ? AND what = ?",			\
	    NULL, NULL, NULL, NULL, false },				\
	[PAIRS_FORGOTTEN] = { "DELETE FROM mail_habit"			\
	    " WHERE who = ? AND since >= ?", NULL, NULL, NULL, NULL, false }, \
	[CLEAN_PAIRS_END] = { "SELECT who FROM mail_habit WHERE who > ?" \
	    " ORDER BY who LIMIT ?, 1", NULL, NULL, NULL, "n", false },	\
	[CLEAN_PAIRS] = { "DELETE FROM mail_habit WHERE who > ? AND who <= ?" \
	    " AND (seen < ? OR since > ?)", NULL, NULL, NULL, NULL, false }, \
	[FIRST_NUMBER] = { "INSERT IGNORE INTO mail_state (name, value)" \
	    " VALUES (?, ?)", NULL, NULL, NULL, NULL, false }

#endif
