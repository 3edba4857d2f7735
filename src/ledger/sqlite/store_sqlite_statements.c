#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/map.h"

/* The statements, and the simplest ways to run one. */

#define STATE(name)	"(SELECT value FROM mail_state WHERE name = '" name "')"
#define NEWEST_ROW	"SELECT ifnull(max(rowid), 0) FROM mail_count"

#define ROW	"c.rowid, id, date, recipient_count, instance, ifnull(tag, 0)"
#define RUN	"run, state, began, level, bits, ids, rows, oldest, newest," \
		" since, until, filter"

#define COLUMN_LIST	"id, date, recipient_count, instance, protocol_state"
#define INSERT	"INSERT INTO mail_count (" COLUMN_LIST ") VALUES "
#define ROW_1	"(?,?,?,?,?)"
#define ROW_4	ROW_1 "," ROW_1 "," ROW_1 "," ROW_1

#define TAG	"INSERT OR REPLACE INTO mail_tag (row, tag) VALUES "
#define TAG_1	"(?,?)"
#define TAG_4	TAG_1 "," TAG_1 "," TAG_1 "," TAG_1

#define HIT_NEW(table)	"INSERT INTO " table " (id, delta, hit)" \
			" VALUES (?1, ?2, 1)" \
			" ON CONFLICT (id, delta) DO UPDATE SET hit = hit + 1"
#define HIT_ALL(table)	"SELECT id, delta, sum(hit) FROM " table \
			" GROUP BY id, delta HAVING sum(hit) > 0" \
			" ORDER BY sum(hit) DESC, id, delta"
#define HIT_LESS(table)	"UPDATE " table " SET hit = hit - ?1" \
			" WHERE id = ?2 AND delta = ?3"
#define HIT_GONE(table)	"DELETE FROM " table \
			" WHERE id = ?1 AND delta = ?2 AND hit <= 0"

#define REFUSAL_BEFORE	" WHERE (date, number) < (?2, ?3)" \
			" AND date BETWEEN ?4 AND ?1"
#define REFUSAL_ORDER	" ORDER BY date DESC, number DESC LIMIT "
#define REFUSALS_GONE(which, max) "DELETE FROM mail_refusal" \
			" WHERE (date, number) IN (SELECT date, number" \
			" FROM mail_refusal WHERE " which \
			" ORDER BY date, number LIMIT " max ")"

const char *const	store_statements[STATEMENT__MAX] = {
	[DO_BEGIN] = "BEGIN IMMEDIATE",
	[DO_READ] = "BEGIN",
	[DO_COMMIT] = "COMMIT",
	[DO_ROLLBACK] = "ROLLBACK",

	[DATA_VERSION] = "PRAGMA data_version",
	[SCHEMA_VERSION] = "PRAGMA schema_version",
	[NUMBERS] = "SELECT " STATE("changes") ", " STATE("horizon") ", "
	    STATE("oldest") ", " STATE("newest") ", " STATE("cleaned") ", "
	    STATE("runs") ", " STATE("fold") ", " STATE("key1") ", "
	    STATE("key2") ", (" NEWEST_ROW "),"
	    " EXISTS (SELECT 1 FROM mail_correction)",
	[NUMBER] = "SELECT value FROM mail_state WHERE name = ?1",
	[SET_NUMBER] = "INSERT INTO mail_state (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[FIRST_NUMBER] = "INSERT OR IGNORE INTO mail_state (name, value)"
	    " VALUES (?1, ?2)",
	[LAST] = NEWEST_ROW,

	[NEWS] = "SELECT " ROW " FROM mail_count AS c LEFT JOIN mail_tag AS t"
	    " ON t.row = c.rowid WHERE c.rowid > ?1 ORDER BY c.rowid",
	[OLD_ROWS] = "SELECT rowid, date, recipient_count FROM mail_count"
	    " WHERE id = ?1 AND (date, rowid) > (?2, ?3) AND rowid > ?4"
	    " ORDER BY date, rowid LIMIT ?5",
	[CORRECTIONS] = "SELECT date, amount, id FROM mail_correction"
	    " WHERE id = ?1 COLLATE NOCASE AND date >= ?2",
	[UPPER] = "WITH RECURSIVE ids (id) AS"
	    " (SELECT min(id) FROM mail_count UNION ALL"
	    " SELECT (SELECT min(id) FROM mail_count WHERE id > ids.id)"
	    " FROM ids WHERE ids.id IS NOT NULL)"
	    " SELECT EXISTS (SELECT 1 FROM ids WHERE id <> lower(id))",
	[RUNS] = "SELECT " RUN " FROM mail_run ORDER BY run",
	[PART] = "SELECT counts FROM mail_part WHERE part = ?1",

	[ROWS_FIRST] = "INSERT INTO mail_count (rowid, " COLUMN_LIST ")"
	    " VALUES (?,?,?,?,?,?)",
	[ROWS_ONE] = INSERT ROW_1,
	[ROWS_MANY] = INSERT ROW_4 "," ROW_4 "," ROW_4 "," ROW_4,
	[TAGS_ONE] = TAG TAG_1,
	[TAGS_MANY] = TAG TAG_4 "," TAG_4 "," TAG_4 "," TAG_4,
	[VALUE] = "SELECT date FROM mail_distinct WHERE id = ?1 AND value = ?2",
	[SEE] = "INSERT INTO mail_distinct (id, value, date)"
	    " VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (id, value) DO UPDATE SET date = excluded.date",
	[HIT] = HIT_NEW("limit_report"),
	[WARNING] = HIT_NEW("limit_warning"),
	[SHADOWED] = HIT_NEW("limit_shadow"),
	[LOCKED] = HIT_NEW("limit_lock"),

	[RUN_NUMBER] = "SELECT 1 + max("
	    "(SELECT ifnull(max(run), 0) FROM mail_run),"
	    " (SELECT ifnull(max(part), 0) FROM mail_part) / 1048576)",
	[RUN_NEW] = "INSERT INTO mail_run (run, state, began, level, bits)"
	    " VALUES (?1, 0, ?2, ?3, ?4)",
	[RUN_DONE] = "UPDATE mail_run SET state = 1, ids = ?2, rows = ?3,"
	    " oldest = ?4, newest = ?5, filter = ?6"
	    " WHERE run = ?1 AND state = 0",
	[RUN_DISCARD] = "UPDATE mail_run SET state = 2, filter = NULL"
	    " WHERE run = ?1 AND state <> 2",
	[RUN_GONE] = "DELETE FROM mail_run WHERE run = ?1",
	[PART_NEW] = "INSERT OR REPLACE INTO mail_part (part, counts)"
	    " VALUES (?1, ?2)",
	[PARTS_GONE] = "DELETE FROM mail_part WHERE part IN"
	    " (SELECT part FROM mail_part WHERE part >= ?1 AND part < ?2"
	    " LIMIT 256)",

	[RUNS_CHANGED] = "UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'runs'",
	[ROWS_CHANGED] = "UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'changes'",
	[ROWS] = "SELECT rowid, id, date, recipient_count FROM mail_count"
	    " WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
	[CLEAN_VOID] = "UPDATE mail_run SET since = max(since, ?1),"
	    " until = min(until, ?2)",
	[CLEAN_AHEAD] = "SELECT EXISTS (SELECT 1 FROM mail_run"
	    " WHERE state = 1 AND newest > ?1)",
	[CLEAN_LACKS] = "SELECT EXISTS (SELECT 1 FROM mail_run"
	    " WHERE until < ?1 AND (state = 0 OR (state = 1"
	    " AND newest > until)))",
	[CLEAN_AHEAD_ROWS] = "SELECT EXISTS (SELECT 1 FROM mail_count"
	    " WHERE rowid > ?1 AND rowid <= ?2 AND date > ?3)",
	[CLEAN_END] = "SELECT rowid FROM mail_count WHERE rowid > ?1"
	    " ORDER BY rowid LIMIT 1 OFFSET ?2",
	[CLEAN] = "DELETE FROM mail_count WHERE rowid > ?1 AND rowid <= ?2"
	    " AND (date < ?3 OR date > ?4)",
	[CLEAN_TAGS] = "DELETE FROM mail_tag WHERE row > ?1 AND row <= ?2"
	    " AND ifnull((SELECT date FROM mail_count WHERE rowid = row), ?3)"
	    " <= ?3",
	[CLEAN_VALUES_END] = "SELECT id, value FROM mail_distinct"
	    " WHERE (id, value) > (?1, ?2) ORDER BY id, value"
	    " LIMIT 1 OFFSET ?3",
	[CLEAN_VALUES] = "DELETE FROM mail_distinct"
	    " WHERE (id, value) > (?1, ?2)"
	    " AND (id, value) <= (?4, ?5) AND (date < ?3 OR date > ?6)",
	[CLEAN_CORRECTIONS] = "DELETE FROM mail_correction"
	    " WHERE date < ?1 OR date > ?2",
	[CLEAN_RUNS] = "UPDATE mail_run SET state = 2, filter = NULL"
	    " WHERE state = 1 AND (newest < since OR oldest > until)",

	[MUCH_FREE] = "SELECT auto_vacuum = 2 AND freelist_count >= 1000"
	    " AND freelist_count >= page_count / 4 FROM pragma_auto_vacuum,"
	    " pragma_freelist_count, pragma_page_count",

	STORE_HIT_STATEMENTS,

	[OVERRIDES] = "SELECT id, kind, amount, expires, since, who, reason"
	    " FROM mail_override WHERE expires > ?1",
	[OVERRIDE_GONE] = "DELETE FROM mail_override"
	    " WHERE id = ?1 AND kind = ?2",
	[OVERRIDE_CLEAN] = "DELETE FROM mail_override WHERE expires < ?1",
	[OVERRIDE_NEW] = "INSERT INTO mail_override (id, kind, amount, expires,"
	    " since, who, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT (id, kind) DO UPDATE SET amount = excluded.amount,"
	    " expires = excluded.expires, since = excluded.since,"
	    " who = excluded.who, reason = excluded.reason",
	[VALUES_GONE] = "DELETE FROM mail_distinct WHERE id = ?1",

	[NOTICE_CLEAN] = "DELETE FROM mail_notice WHERE told <> 0"
	    " AND (date <= ?1 OR date > ?2)",
	[NOTICE_CLAIM] = "INSERT INTO mail_notice (login, date, told, claim)"
	    " SELECT ?1, ?2, (SELECT count(*) < ?3 FROM mail_notice"
	    " WHERE told = 1 AND date > ?4), ?5 WHERE true"
	    " ON CONFLICT (login) DO UPDATE SET date = excluded.date,"
	    " told = excluded.told, claim = excluded.claim"
	    " WHERE mail_notice.date <= excluded.date - 86400"
	    " OR mail_notice.date > excluded.date + 86400",
	[NOTICE_OF] = "SELECT told FROM mail_notice WHERE login = ?1"
	    " AND claim = ?2",
	[NOTICES_LEFT] = "SELECT login FROM mail_notice WHERE told = 0"
	    " AND date <= ?1 ORDER BY date, login",
	[NOTICES_DONE] = "UPDATE mail_notice SET told = 2 WHERE told = 0"
	    " AND date <= ?1",
	[REFUSAL_NEW] = "INSERT OR IGNORE INTO mail_refusal ("
	    STORE_REFUSAL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
	    " ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
	[REFUSALS] = "SELECT " STORE_REFUSAL_COLUMNS " FROM mail_refusal"
	    REFUSAL_BEFORE REFUSAL_ORDER "?5",
	[REFUSALS_OF] = "SELECT " STORE_REFUSAL_COLUMNS " FROM mail_refusal"
	    REFUSAL_BEFORE " AND id = ?5" REFUSAL_ORDER "?6",
	[REFUSALS_COUNT] = "SELECT count(*) FROM mail_refusal",
	[REFUSALS_OLD] = REFUSALS_GONE("date < ?1 OR date > ?2", "?3"),
	[TRIM_REFUSALS] = REFUSALS_GONE("is_first = 0", "?1"),
	[TRIM_OLDEST] = REFUSALS_GONE("1", "?1"),

	[PAIR] = "SELECT since, seen FROM mail_habit"
	    " WHERE who = ?1 AND kind = ?2 AND what = ?3",
	[PAIRS] = "SELECT what, since, seen FROM mail_habit"
	    " WHERE who = ?1 AND kind = ?2",
	[LEARN] = "INSERT INTO mail_habit (who, kind, what, since, seen)"
	    " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (who, kind, what)"
	    " DO UPDATE SET since = excluded.since, seen = excluded.seen",
	[PAIR_GONE] = "DELETE FROM mail_habit"
	    " WHERE who = ?1 AND kind = ?2 AND what = ?3",
	[PAIRS_FORGOTTEN] = "DELETE FROM mail_habit"
	    " WHERE who = ?1 AND since >= ?2",
	[CLEAN_PAIRS_END] = "SELECT who FROM mail_habit WHERE who > ?1"
	    " ORDER BY who LIMIT 1 OFFSET ?2",
	[CLEAN_PAIRS] = "DELETE FROM mail_habit WHERE who > ?1 AND who <= ?2"
	    " AND (seen < ?3 OR since > ?4)"
};

struct store_sizes	store_sizes = {
	.tail = 50000, .chunk = 200000, .load = 100000, .recent = 20000
};

int
store_find(struct store *s, int n, int64_t *out)
{
	int	more;

	if ((more = sqlite_step(s->db, n)) == 1) {
		*out = sqlite_column(s->db, n, 0);
		sqlite_reset(s->db, n);
	}
	return more;
}

int
store_one(struct store *s, enum statement n, int64_t *out)
{
	return store_find(s, n, out) == 1 ? 0 : -1;
}

int
store_run(struct store *s, int n, size_t count,
    const int64_t *parameter)
{
	size_t	i;

	for (i = 0; i < count; i++)
		sqlite_bind(s->db, n, (int)i + 1, parameter[i]);
	return sqlite_step(s->db, n);
}

void
store_write(struct store *s, int n)
{
	if (!s->failed && sqlite_step(s->db, n) == -1)
		s->failed = true;
}

int
store_put_number(struct store *s, const char *name, int64_t value)
{
	sqlite_bind_text(s->db, SET_NUMBER, 1, name, strlen(name));
	sqlite_bind(s->db, SET_NUMBER, 2, value);
	return sqlite_step(s->db, SET_NUMBER);
}

int
store_read_numbers(struct store *s, struct numbers *n)
{
	if (sqlite_step(s->db, NUMBERS) != 1)
		return -1;
	*n = (struct numbers) {
		.changes = sqlite_column(s->db, NUMBERS, 0),
		.horizon = sqlite_column(s->db, NUMBERS, 1),
		.oldest = sqlite_column(s->db, NUMBERS, 2),
		.newest = sqlite_column(s->db, NUMBERS, 3),
		.cleaned = sqlite_column(s->db, NUMBERS, 4),
		.runs = sqlite_column(s->db, NUMBERS, 5),
		.fold = sqlite_column(s->db, NUMBERS, 6),
		.key[0] = (uint64_t)sqlite_column(s->db, NUMBERS, 7),
		.key[1] = (uint64_t)sqlite_column(s->db, NUMBERS, 8),
		.last = sqlite_column(s->db, NUMBERS, 9),
		.corrected = sqlite_column(s->db, NUMBERS, 10) != 0
	};
	sqlite_reset(s->db, NUMBERS);
	return 0;
}

uint64_t
store_hash(const struct store *s, const char *id, size_t idlen)
{
	return map_siphash(s->seen.key, id, idlen);
}
