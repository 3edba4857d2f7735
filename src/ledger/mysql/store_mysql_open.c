#include <stdio.h>
#include <stdlib.h>

#include "ledger/schema.h"
#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"

#define ROW	"id, date, recipient_count, instance, tag"
#define INDEX_NEWS	"FROM mail_count FORCE INDEX (mail_count_news) WHERE "
#define INDEX_DATE	"FROM mail_count FORCE INDEX (mail_count_index) WHERE "
#define BY_BATCH	INDEX_NEWS "own = 1 AND "
#define BY_DATE		INDEX_DATE "own = 1 AND "
#define BY_OTHERS	INDEX_NEWS "own = 0"
#define SLOTS_OF	"SELECT slot, batch FROM mail_lock FORCE INDEX"	\
	" (PRIMARY) WHERE slot IN ("

/* The number of changes by others, which the triggers count. */
#define NOTED	"(SELECT cast(coalesce(sum(n), 0) AS signed) FROM mail_change)"

/* Lower case for ASCII letters only, whatever the column's collation. */
#define LOWER2(id, a, A, b, B)						\
	"replace(replace(" id ", '" A "', '" a "'), '" B "', '" b "')"
#define LOWER4(id, a, A, b, B, c, C, d, D)				\
	LOWER2(LOWER2(id, a, A, b, B), c, C, d, D)
#define LOWER8(id, a, A, b, B, c, C, d, D, e, E, f, F, g, G, h, H)	\
	LOWER4(LOWER4(id, a, A, b, B, c, C, d, D), e, E, f, F, g, G, h, H)
#define LOWER(id)							\
	LOWER2(LOWER8(LOWER8(LOWER8(id,					\
	"a", "A", "b", "B", "c", "C", "d", "D",				\
	"e", "E", "f", "F", "g", "G", "h", "H"),			\
	"i", "I", "j", "J", "k", "K", "l", "L",				\
	"m", "M", "n", "N", "o", "O", "p", "P"),			\
	"q", "Q", "r", "R", "s", "S", "t", "T",				\
	"u", "U", "v", "V", "w", "W", "x", "X"),			\
	"y", "Y", "z", "Z")

/* Folds an id; the parameter is an enum foreign_fold. */
#define FOLDED								\
	"CASE ? WHEN 0 THEN id WHEN 1 THEN " LOWER("id")		\
	" ELSE concat(left(id, locate(':', id)), "			\
	LOWER("substr(id, locate(':', id) + 1)") ") END"

#define NEW_NOTICE(c)							\
	" " c " = IF(mail_notice.date <= values(date) - 86400 OR"	\
	" mail_notice.date > values(date) + 86400, values(" c "),"	\
	" mail_notice." c ")"

/* MySQL uses no index for a comparison of pairs. */
#define REFUSAL_BEFORE							\
	" WHERE date <= ? AND (date < ? OR number < ?) AND date >= ?"
#define REFUSAL_ORDER	" ORDER BY date DESC, number DESC LIMIT ?"
#define REFUSAL_TYPES	"nnnnnnntttttttttttt"

/* Statements without items: without a result, and with one. */
#define PLAIN(sql)	{ .first = sql }
#define QUERY(sql, letters)	{ .first = sql, .columns = letters }

#define HIT_NEW(table) {						\
	"INSERT INTO " table " (id, delta, hit) VALUES ", "(?, ?, 1)",	\
	",", " ON DUPLICATE KEY UPDATE hit = hit + 1", NULL, true }
#define HIT_ALL(table)							\
	QUERY("SELECT id, delta, cast(sum(hit) AS signed) FROM " table	\
	" GROUP BY id, delta HAVING sum(hit) > 0"			\
	" ORDER BY sum(hit) DESC, id, delta", "tnn")
#define HIT_LESS(table)							\
	PLAIN("UPDATE " table " SET hit = hit - ? WHERE id = ? AND delta = ?")
#define HIT_GONE(table)							\
	PLAIN("DELETE FROM " table " WHERE id = ? AND delta = ? AND hit <= 0")

static const struct mysqldb_statement	statements[STATEMENT__MAX] = {
	[LOCK] = { SLOTS_OF, "?", ",", ") ORDER BY slot FOR UPDATE", "nn",
	    false },
	[LOCK_SHARED] = { SLOTS_OF, "?", ",", ") LOCK IN SHARE MODE", "nn",
	    false },
	[SLOTS] = { SLOTS_OF, "?", ",", ")", "nn", false },
	[RAISE] = { "UPDATE mail_lock FORCE INDEX (PRIMARY) SET batch = batch"
	    " + 1 WHERE slot IN (", "?", ",", ")", NULL, false },
	[RAISE_ALL] = PLAIN("UPDATE mail_lock FORCE INDEX (PRIMARY) SET batch ="
	    " last_insert_id(batch + 1) WHERE slot = ?"),
	[CHANGES] = QUERY("SELECT value + " NOTED
	    ", (SELECT coalesce(max(seq), 0) FROM mail_count),"
	    " EXISTS (SELECT 1 " BY_OTHERS ")"
	    " FROM mail_state WHERE name = 'changes'", "nnn"),
	[NEWS] = { "SELECT " ROW ", batch, seq " BY_BATCH "(",
	    "(id = ? AND batch >= ? AND (batch > ? OR seq > ?))", " OR ",
	    ") ORDER BY id, batch, seq LIMIT 20000", "tnntnnn", false },
	[ENDS] = { "",
	    "SELECT cast(? AS signed), coalesce((SELECT date " INDEX_DATE
	    "id = ? AND date >= ?"
	    " ORDER BY date LIMIT ?, 1), 9223372036854775807)",
	    " UNION ALL ", NULL, "nn", false },
	[FIRST] = { "SELECT id, date, cast(sum(recipient_count) AS signed),"
	    " '', 0 " BY_DATE "date < ? AND (",
	    "(id = ? AND date >= ? AND date <= ?)", " OR ",
	    ") GROUP BY id, date", "tnntn", false },
	[SINGLE] = { "SELECT " ROW " " BY_DATE "date >= ? AND (",
	    "(id = ? AND date >= ? AND date <= ?)", " OR ", ")", "tnntn",
	    false },
	[ADDED] = { "SELECT " ROW " " BY_BATCH "(",
	    "(id = ? AND batch > ? AND date < ? AND date >= ?)", " OR ", ")",
	    "tnntn", false },
	[KEPT] = { "SELECT s.id, s.batch, s.counts FROM mail_sums s,"
	    " mail_state c WHERE c.name = 'changes' AND s.changes = c.value"
	    " + " NOTED " AND s.seq <= ? AND (",
	    "(s.id = ? AND s.since <= ?)", " OR ",
	    ") ORDER BY s.id, s.part", "tnt", false },
	[RECENT] = { "", "(SELECT " ROW " " BY_BATCH "id = ? AND batch <= ?"
	    " ORDER BY batch DESC, seq DESC LIMIT ?)", " UNION ALL ", NULL,
	    "tnntn", true },
	[VALUE] = { "", "SELECT cast(? AS signed), date FROM mail_distinct"
	    " WHERE id = ? AND value = ?", " UNION ALL ", NULL, "nn", false },
	[FOREIGN_IDS] = QUERY("SELECT id " BY_OTHERS " ORDER BY id LIMIT ?",
	    "t"),
	[FOREIGN_ANY] = { "", "SELECT cast(? AS signed)"
	    " FROM DUAL WHERE EXISTS (SELECT 1 " BY_OTHERS " AND id = ?)",
	    " UNION ALL ", NULL, "n", true },
	[FOREIGN_OF] = QUERY("SELECT id, date, recipient_count,"
	    " if(date >= ?, instance, ''), 0 " BY_OTHERS " AND id = ? LIMIT ?",
	    "tnntn"),
	[APPEND] = { "INSERT INTO mail_count (" ROW ", protocol_state, batch,"
	    " own) VALUES ", "(?, ?, ?, ?, ?, ?, ?, 1)", ",", NULL, NULL,
	    true },
	[SEE] = { "INSERT INTO mail_distinct (id, value, date) VALUES ",
	    "(?, ?, ?)", ",", " ON DUPLICATE KEY UPDATE date = values(date)",
	    NULL, true },
	[HIT] = HIT_NEW("limit_report"),
	[WARNING] = HIT_NEW("limit_warning"),
	[SHADOWED] = HIT_NEW("limit_shadow"),
	[LOCKED] = HIT_NEW("limit_lock"),
	[SUMS_GONE] = PLAIN("DELETE FROM mail_sums WHERE id = ?"),
	[SUMS_NEW] = PLAIN("INSERT INTO mail_sums (id, part, seq, batch, since,"
	    " changes, counts) VALUES (?, ?, ?, ?, ?, ?, ?)"),
	[CHANGED] = PLAIN("UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'changes'"),
	[NUMBER] = QUERY("SELECT value FROM mail_state WHERE name = ?", "n"),
	[SET_NUMBER] = PLAIN("INSERT INTO mail_state (name, value)"
	    " VALUES (?, ?) ON DUPLICATE KEY UPDATE value = values(value)"),
	[ROWS] = QUERY("SELECT seq, id, date, recipient_count FROM mail_count"
	    " WHERE seq > ? ORDER BY seq LIMIT ?", "ntnn"),
	[CLEAN_END] = QUERY("SELECT max(seq) FROM (SELECT seq FROM mail_count"
	    " WHERE seq > ? ORDER BY seq LIMIT ?) t", "n"),
	[CLEAN] = PLAIN("DELETE FROM mail_count WHERE seq > ? AND seq <= ?"
	    " AND (date < ? OR date > ?)"),
	[CLEAN_NOTE] = PLAIN("UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'changes' AND abs(unix_timestamp() - ?) > 60"),
	[CLEAN_VALUES] = PLAIN("DELETE FROM mail_distinct"
	    " WHERE date < ? OR date > ? ORDER BY date LIMIT ?"),
	[CLEAN_SUMS] = PLAIN("DELETE FROM mail_sums WHERE since < ?"),
	STORE_HIT_STATEMENTS,
	[OVERRIDES] = QUERY("SELECT id, kind, amount, expires, since, who,"
	    " reason FROM mail_override WHERE expires > ?", "tnnnntt"),
	[OVERRIDE_GONE] = PLAIN("DELETE FROM mail_override"
	    " WHERE id = ? AND kind = ?"),
	[OVERRIDE_CLEAN] = PLAIN("DELETE FROM mail_override WHERE expires < ?"),
	[OVERRIDE_NEW] = PLAIN("REPLACE INTO mail_override"
	    " (id, kind, amount, expires, since, who, reason)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?)"),
	[NOTICE_CLEAN] = PLAIN("DELETE FROM mail_notice WHERE told <> 0"
	    " AND (date <= ? OR date > ?)"),
	[NOTICE_CLAIM] = PLAIN("INSERT INTO mail_notice"
	    " (login, date, told, claim) SELECT ?, ?,"
	    " (SELECT CASE WHEN count(*) < ? THEN 1 ELSE 0 END"
	    " FROM mail_notice n WHERE n.told = 1 AND n.date > ?), ?"
	    " FROM DUAL ON DUPLICATE KEY UPDATE" NEW_NOTICE("told") ","
	    NEW_NOTICE("claim") "," NEW_NOTICE("date")),
	[NOTICE_OF] = QUERY("SELECT told FROM mail_notice WHERE login = ? AND"
	    " claim = ?", "n"),
	[NOTICES_LEFT] = QUERY("SELECT login FROM mail_notice WHERE told = 0"
	    " AND date <= ? ORDER BY date, login", "t"),
	[NOTICES_DONE] = PLAIN("UPDATE mail_notice SET told = 2 WHERE told = 0"
	    " AND date <= ?"),
	[VALUES_GONE] = PLAIN("DELETE FROM mail_distinct WHERE id = ?"),
	[REFUSAL_NEW] = { "INSERT IGNORE INTO mail_refusal ("
	    STORE_REFUSAL_COLUMNS ") VALUES ",
	    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ",",
	    NULL, NULL, true },
	[REFUSALS] = QUERY("SELECT " STORE_REFUSAL_COLUMNS " FROM mail_refusal"
	    " FORCE INDEX (PRIMARY)" REFUSAL_BEFORE REFUSAL_ORDER,
	    REFUSAL_TYPES),
	[REFUSALS_OF] = QUERY("SELECT " STORE_REFUSAL_COLUMNS
	    " FROM mail_refusal FORCE INDEX (mail_refusal_id)" REFUSAL_BEFORE
	    " AND id = ?" REFUSAL_ORDER, REFUSAL_TYPES),
	[REFUSALS_COUNT] = QUERY("SELECT count(*) FROM mail_refusal", "n"),
	[REFUSALS_OLD] = PLAIN("DELETE FROM mail_refusal WHERE date < ?"
	    " OR date > ? ORDER BY date, number LIMIT ?"),
	[TRIM_REFUSALS] = PLAIN("DELETE FROM mail_refusal WHERE is_first = 0"
	    " ORDER BY date, number LIMIT ?"),
	[TRIM_OLDEST] = PLAIN("DELETE FROM mail_refusal"
	    " ORDER BY date, number LIMIT ?"),
	[PAIR] = { "", "SELECT cast(? AS signed), since, seen FROM mail_habit"
	    " WHERE who = ? AND kind = ? AND what = ?", " UNION ALL ", NULL,
	    "nnn", false },
	[PAIRS] = QUERY("SELECT what, since, seen FROM mail_habit"
	    " WHERE who = ? AND kind = ?", "nnn"),
	[LEARN] = { "INSERT INTO mail_habit (who, kind, what, since, seen)"
	    " VALUES ", "(?, ?, ?, ?, ?)", ",", " ON DUPLICATE KEY UPDATE"
	    " since = values(since), seen = values(seen)", NULL, true },
	[PAIR_GONE] = PLAIN("DELETE FROM mail_habit"
	    " WHERE who = ? AND kind = ? AND what = ?"),
	[PAIRS_FORGOTTEN] = PLAIN("DELETE FROM mail_habit"
	    " WHERE who = ? AND since >= ?"),
	[CLEAN_PAIRS_END] = QUERY("SELECT who FROM mail_habit WHERE who > ?"
	    " ORDER BY who LIMIT ?, 1", "n"),
	[CLEAN_PAIRS] = PLAIN("DELETE FROM mail_habit WHERE who > ?"
	    " AND who <= ? AND (seen < ? OR since > ?)"),
	[FIRST_NUMBER] = PLAIN("INSERT IGNORE INTO mail_state (name, value)"
	    " VALUES (?, ?)"),
	[TAKE_PICK] = QUERY("SELECT seq, " FOLDED " " BY_OTHERS
	    " ORDER BY id LIMIT ? FOR UPDATE", "nt"),
	[TAKE_PICK_FREE] = QUERY("SELECT seq, " FOLDED " " BY_OTHERS
	    " ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED", "nt"),
	/* UNION leaves out an item that is repeated. */
	[TAKE_COPY] = { "INSERT INTO mail_count (" ROW ", protocol_state, own,"
	    " batch) SELECT " FOLDED ", date, recipient_count, instance, tag,"
	    " protocol_state, 1, ? + l.batch FROM (",
	    "SELECT cast(? AS signed) AS n, cast(? AS signed) AS slot",
	    " UNION ", ") p STRAIGHT_JOIN mail_count m ON m.seq = p.n"
	    " STRAIGHT_JOIN mail_lock l ON l.slot = p.slot", NULL, false },
	/* By primary key: a scan would wait for rows that are not committed. */
	[TAKE_DROP] = { "DELETE m FROM (",
	    "SELECT cast(? AS signed) AS n", " UNION ALL ",
	    ") p STRAIGHT_JOIN mail_count m ON m.seq = p.n", NULL, false }
};

/* --- opening --- */

const enum sandbox_role	store_sandbox = SANDBOX_LEDGER_SERVER;
const char *const	store_placeholder = "?";

struct store *
store_open(const struct store_opening *o, bool *away, char *reason,
    size_t size)
{
	const struct settings	*settings = o->settings;
	struct store		*s;
	bool			 good;

	s = alloc_zero(1, sizeof(*s));
	s->replaces = o->replaces;
	s->changes = -1;
	writers_init(&s->others);
	foreign_init(&s->foreign, settings);
	str_init(&s->names_text);
	s->settings = settings;
	s->db = mysqldb_open(settings, settings->db_timeout, NULL, statements,
	    STATEMENT__MAX, away, reason, size);
	if (s->db == NULL) {
		store_close(s);
		return NULL;
	}
	s->description = alloc_printf("mysql %s", s->db->place);
	good = store_upgrade(s) == 0;
	s->settings = NULL;
	if (good) {
		mysqldb_close(s->builder);
		s->builder = NULL;
		s->error[0] = '\0';
		if (o->serves)
			store_other_open(s, settings, statements);
		return s;
	}
	/* Only the administrator can mend a table that cannot be altered. */
	*away = s->builder == NULL ||
	    s->builder->fault != MYSQLDB_FAULT_TABLE;
	(void)snprintf(reason, size, "%s%s", *away ? "" : SCHEMA_UNFIT,
	    s->error[0] != '\0' ? s->error : s->db->error);
	store_close(s);
	return NULL;
}

void
store_close(struct store *s)
{
	size_t	i;

	if (s == NULL)
		return;
	mysqldb_close(s->builder);
	mysqldb_close(s->other);
	mysqldb_close(s->db);
	free(s->description);
	foreign_clear(&s->foreign);
	str_clear(&s->names_text);
	free(s->name);
	free(s->each);
	free(s->order);
	free(s->place);
	free(s->slot);
	free(s->known);
	free(s->upto);
	for (i = 0; i < QUEUE__MAX; i++)
		free(s->queue[i].param);
	free(s);
}

int
store_fd(const struct store *s)
{
	return s->db->fd;
}

bool
store_ended(struct store *s)
{
	return mysqldb_ended(s->db) && store_result(s) == STORE_LOST;
}

const char *
store_description(const struct store *s)
{
	return s->description;
}

const char *
store_error(const struct store *s)
{
	return s->error;
}
