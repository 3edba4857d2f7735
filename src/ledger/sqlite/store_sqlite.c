#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "ledger/sqlite/store_sqlite_habit.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"

#define WAIT_MS		100		/* for a lock, in one call */
#define LOOK_NS		INT64_C(1000000000)

#define ROW	"c.rowid, id, date, recipient_count, instance," \
		" ifnull(tag, 0), protocol_state"
#define RUN	"run, state, began, level, bits, ids, rows, oldest, newest," \
		" since, until, filter"

#define COLUMN_LIST	"id, date, recipient_count, instance, protocol_state"
#define INSERT	"INSERT INTO mail_count (" COLUMN_LIST ") VALUES "
#define ROW_1	"(?,?,?,?,?)"
#define ROW_4	ROW_1 "," ROW_1 "," ROW_1 "," ROW_1

#define TAG	"INSERT OR REPLACE INTO mail_tag (row, tag) VALUES "
#define TAG_1	"(?,?)"
#define TAG_4	TAG_1 "," TAG_1 "," TAG_1 "," TAG_1
#define TAG_16	TAG_4 "," TAG_4 "," TAG_4 "," TAG_4

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

static const char *const	statements[STATEMENT__MAX] = {
	[DO_BEGIN] = "BEGIN IMMEDIATE",
	[DO_READ] = "BEGIN",
	[DO_COMMIT] = "COMMIT",
	[DO_ROLLBACK] = "ROLLBACK",

	[DATA_VERSION] = "PRAGMA data_version",
	[SCHEMA_VERSION] = "PRAGMA schema_version",
	[NUMBERS] = "SELECT name, value FROM mail_state",
	[NUMBER] = "SELECT value FROM mail_state WHERE name = ?1",
	[SET_NUMBER] = "INSERT INTO mail_state (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[FIRST_NUMBER] = "INSERT OR IGNORE INTO mail_state (name, value)"
	    " VALUES (?1, ?2)",
	[LAST] = "SELECT ifnull(max(rowid), 0) FROM mail_count",
	[HORIZON] = "SELECT value FROM mail_state WHERE name = 'horizon'",
	[CORRECTED] = "SELECT EXISTS (SELECT 1 FROM mail_correction)",

	[NEWS] = "SELECT " ROW " FROM mail_count AS c LEFT JOIN mail_tag AS t"
	    " ON t.row = c.rowid WHERE c.rowid > ?1 ORDER BY c.rowid",
	[CHUNK] = "SELECT rowid, id, date, recipient_count FROM mail_count"
	    " WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
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

	[APPEND] = "INSERT INTO mail_count (rowid, " COLUMN_LIST ")"
	    " VALUES (?,?,?,?,?,?)",
	[MORE] = INSERT ROW_1,
	[MORE_4] = INSERT ROW_4,
	[MORE_16] = INSERT ROW_4 "," ROW_4 "," ROW_4 "," ROW_4,
	[TAGS] = TAG TAG_1,
	[TAGS_4] = TAG TAG_4,
	[TAGS_16] = TAG TAG_16,
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
	    " WHERE run = ?1",
	[RUN_GONE] = "DELETE FROM mail_run WHERE run = ?1",
	[PART_NEW] = "INSERT OR REPLACE INTO mail_part (part, counts)"
	    " VALUES (?1, ?2)",
	[PARTS_GONE] = "DELETE FROM mail_part WHERE part >= ?1 AND part < ?2",

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
	[CLEAN_VALUES_REST] = "DELETE FROM mail_distinct"
	    " WHERE (id, value) > (?1, ?2)"
	    " AND (date < ?3 OR date > ?6)",
	[CLEAN_CORRECTIONS] = "DELETE FROM mail_correction"
	    " WHERE date < ?1 OR date > ?2",
	[CLEAN_RUNS] = "UPDATE mail_run SET state = 2, filter = NULL"
	    " WHERE state = 1 AND (newest < since OR oldest > until)",

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

	HABIT_STATEMENTS
};

/* --- faults --- */

/*
 * Closes the file and drops what memory holds of it: the next file may be
 * another one. The checkpointer closes it too, so that the next opening reads
 * the disk and not the shared memory.
 */
static void
store_away(struct store *s)
{
	store_unload(s);
	store_free_runs(s);
	store_release_log(s);
	sqlite_close(s->db);
	s->db = NULL;
}

enum store_result
store_failed(struct store *s)
{
	enum sqlite_fault	fault = sqlite_fault(s->db);
	bool			damaged = s->damaged;

	store_note(s);
	if (sqlite_in_transaction(s->db))
		(void)sqlite_step(s->db, DO_ROLLBACK);
	if (fault == SQLITE_FAULT_BUSY && !damaged)
		return STORE_BUSY;
	s->readonly = fault == SQLITE_FAULT_READONLY;
	if (fault == SQLITE_FAULT_FULL)
		store_empty_log(s);
	if (fault == SQLITE_FAULT_FILE)
		sqlite_distrust(s->db);
	if (fault == SQLITE_FAULT_FILE || fault == SQLITE_FAULT_SCHEMA ||
	    damaged || sqlite_in_transaction(s->db))
		store_away(s);
	return STORE_FAILED;
}

enum store_result
store_end(struct store *s, bool good)
{
	if (good && sqlite_step(s->db, DO_COMMIT) == 0)
		return STORE_OK;
	return store_failed(s);
}

/* --- opening --- */

static enum store_result
store_connect(struct store *s)
{
	enum sqlite_fault	fault;

	s->db = sqlite_open(s->directory, s->name, s->wait, statements,
	    STATEMENT__MAX, &fault, s->error, sizeof(s->error));
	if (s->db == NULL)
		return fault == SQLITE_FAULT_BUSY ? STORE_BUSY : STORE_FAILED;
	s->version = s->seen.changes = s->seen.runs = -1;
	s->reached = STORE_OLDEST;
	s->copied = s->largest = 0;
	s->moved = s->readonly = false;
	s->looked = clock_mono().ns;
	if (store_prepare(s) == 0 && (!s->damaged ||
	    store_forget_runs(s) == 0)) {
		s->damaged = false;
		/* The log may not have existed at sqlite_open. */
		(void)sqlite_look(s->db);
		return STORE_OK;
	}
	store_note(s);
	fault = sqlite_fault(s->db);
	if (fault == SQLITE_FAULT_FILE)
		sqlite_distrust(s->db);
	store_away(s);
	return fault == SQLITE_FAULT_BUSY ? STORE_BUSY : STORE_FAILED;
}

/*
 * Whether the names still lead to the open files. If not, our log is copied
 * into the file that we have open, renamed or not, and then that is closed.
 */
static bool
store_same_files(struct store *s)
{
	enum sqlite_files	files = sqlite_look(s->db);

	if (files == SQLITE_FILES_OURS)
		return true;
	log_warning("%s: the %s another file now", s->description,
	    files == SQLITE_FILES_OTHER ? "database is" :
	    "database's log is missing or");
	(void)sqlite_checkpoint(s->db);
	if (files == SQLITE_FILES_OTHER)
		sqlite_unlink_log(s->db);
	return false;
}

enum store_result
store_ready(struct store *s)
{
	int64_t	now = clock_mono().ns;
	bool	look;

	if (s->db != NULL) {
		look = now - s->looked >= LOOK_NS;
		if (look)
			s->looked = now;
		if (s->moved || (s->readonly && (look ||
		    sqlite_writable(s->db))) ||
		    (look && !store_same_files(s)))
			store_away(s);
	}
	return s->db != NULL ? STORE_OK : store_connect(s);
}

/* `path` is the setting; its last component is `name`. */
static bool
store_denied(int directory, const char *path, const char *name, char *reason,
    size_t size)
{
	char	*which;
	int	 error;

	if ((error = sqlite_denied(directory, name, &which)) == 0)
		return false;
	(void)snprintf(reason, size,
	    "sqlite %.*s%s can never be written: %s", (int)(name - path), path,
	    which, strerror(error));
	free(which);
	return true;
}

static enum fold
store_fold_of(const struct settings *settings)
{
	if (!settings->fold_case)
		return FOLD_NONE;
	return settings->nrules == 0 ? FOLD_ALL : FOLD_VALUE;
}

const enum sandbox_role	store_sandbox = SANDBOX_LEDGER_SQLITE;
const char *const	store_placeholder = "?1";

struct store *
store_open(const struct settings *settings, int directory, bool replaces,
    bool *away, char *reason, size_t size)
{
	const struct value	*database, *sync;
	struct store		*s;
	const char		*name;

	*away = false;
	database = value_get(settings->sqlite_config, "database");
	if (database == NULL || database->type != VALUE_STR ||
	    strlen(database->bytes) != database->len) {
		(void)strlcpy(reason, "sqlite_config names no database", size);
		return NULL;
	}
	name = strrchr(database->bytes, '/');
	name = name != NULL ? name + 1 : database->bytes;
	if (*name == '\0') {
		(void)strlcpy(reason, "sqlite_config names no file", size);
		return NULL;
	}
	if (!replaces && store_denied(directory, database->bytes, name,
	    reason, size))
		return NULL;
	s = alloc_zero(1, sizeof(*s));
	s->name = alloc_string(name);
	s->description = alloc_printf("sqlite %s", database->bytes);
	s->directory = directory;
	sync = value_get(settings->sqlite_config, "synchronous");
	s->full = sync != NULL && sync->type == VALUE_STR &&
	    strcasecmp(sync->bytes, "full") == 0;
	s->fold = store_fold_of(settings);
	s->wait = settings->db_timeout / 4 < WAIT_MS ?
	    (int)(settings->db_timeout / 4) : WAIT_MS;
	str_init(&s->buffer);
	str_init(&s->folded);
	s->checkpointer = store_take_helper();
	(void)store_connect(s);
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	/*
	 * The last process to close the file copies the whole log and removes
	 * it.
	 */
	checkpointer_stop(s->checkpointer);
	s->checkpointer = NULL;
	store_away(s);
	str_clear(&s->buffer);
	str_clear(&s->folded);
	free(s->append);
	free(s->clean_id);
	free(s->clean_value);
	free(s->name);
	free(s->description);
	free(s);
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
