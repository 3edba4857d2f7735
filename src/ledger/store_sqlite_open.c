#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/store_sqlite.h"
#include "lib/alloc.h"

/*
 * Tables of SQLite's alone (store_sqlite.h), and the triggers that watch what
 * others do to mail_count. Dates that are being deleted are void in the runs.
 */
#define NUMBER(name)	"(SELECT value FROM mail_state WHERE name = '" name "')"
#define COUNT_CHANGE	"UPDATE mail_state SET value = value + 1" \
			" WHERE name = 'changes';"
#define KEPT(row)	row ".date BETWEEN " NUMBER("oldest") \
			" AND " NUMBER("newest")
#define CORRECT(row, sign) \
	"INSERT INTO mail_correction (id, date, amount)" \
	" SELECT " row ".id, " row ".date, " sign "ifnull(" row \
	".recipient_count, 0) WHERE " row ".rowid <= " NUMBER("horizon") \
	" AND " KEPT(row) \
	" ON CONFLICT (id, date) DO UPDATE" \
	" SET amount = amount + excluded.amount;"

/* A file of an earlier format has its runs made again. */
#define FORMAT		"2"

static const char	old_format[] =
	"DROP TABLE IF EXISTS mail_run;"
	"DROP TABLE IF EXISTS mail_part;"
	"DROP TABLE IF EXISTS mail_correction;"
	"DELETE FROM mail_state WHERE name IN ('horizon', 'oldest', 'newest',"
	" 'cleaned');";

/* STORE_OLDEST and STORE_NEWEST. */
#define OLDEST		"-9223372036854775807"
#define NEWEST		"9223372036854775807"

static const char	tables[] =
	"CREATE TABLE IF NOT EXISTS mail_run (run INTEGER PRIMARY KEY,"
	" state int NOT NULL, began bigint NOT NULL, level int NOT NULL,"
	" bits int NOT NULL, ids bigint NOT NULL DEFAULT 0,"
	" rows bigint NOT NULL DEFAULT 0, oldest bigint NOT NULL DEFAULT 0,"
	" newest bigint NOT NULL DEFAULT 0,"
	" since bigint NOT NULL DEFAULT " OLDEST ","
	" until bigint NOT NULL DEFAULT " NEWEST ", filter blob);"
	"CREATE TABLE IF NOT EXISTS mail_part (part INTEGER PRIMARY KEY,"
	" counts blob NOT NULL);"
	"CREATE TABLE IF NOT EXISTS mail_correction (id text NOT NULL,"
	" date bigint NOT NULL, amount bigint NOT NULL,"
	" PRIMARY KEY (id, date)) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO mail_state VALUES ('changes', 0),"
	" ('horizon', 0), ('oldest', " OLDEST "), ('newest', " NEWEST "),"
	" ('cleaned', " OLDEST "), ('runs', 0);"
	"INSERT OR REPLACE INTO mail_state VALUES ('format', " FORMAT ");";

static const char	triggers[] =
	"CREATE TRIGGER mail_count_deleted AFTER DELETE ON mail_count"
	" BEGIN " COUNT_CHANGE CORRECT("OLD", "-") " END;"
	"CREATE TRIGGER mail_count_updated AFTER UPDATE ON mail_count"
	" BEGIN " COUNT_CHANGE CORRECT("OLD", "-") CORRECT("NEW", "") " END;"
	/*
	 * Only where rows at the end were deleted can one be added before it.
	 */
	"CREATE TRIGGER mail_count_inserted AFTER INSERT ON mail_count"
	" WHEN NEW.rowid <= " NUMBER("horizon")
	" BEGIN " COUNT_CHANGE CORRECT("NEW", "") " END;";

static const char	no_triggers[] =
	"DROP TRIGGER IF EXISTS mail_count_deleted;"
	"DROP TRIGGER IF EXISTS mail_count_updated;"
	"DROP TRIGGER IF EXISTS mail_count_inserted;";

/* An older program could leave two rows for one (id, delta). */
static const char	report_once[] =
	"UPDATE limit_report SET hit ="
	" (SELECT sum(o.hit) FROM limit_report AS o"
	" WHERE o.id = limit_report.id AND o.delta = limit_report.delta);"
	"DELETE FROM limit_report WHERE rowid NOT IN"
	" (SELECT min(rowid) FROM limit_report GROUP BY id, delta);"
	"CREATE UNIQUE INDEX limit_report_index ON limit_report (id, delta);";

static const char	forgotten[] =
	"UPDATE mail_run SET state = 2, filter = NULL;"
	"DELETE FROM mail_correction;"
	"UPDATE mail_state SET value = 0 WHERE name = 'horizon';"
	"UPDATE mail_state SET value = " OLDEST " WHERE name = 'oldest';"
	"UPDATE mail_state SET value = " NEWEST " WHERE name = 'newest';"
	"UPDATE mail_state SET value = value + 1"
	" WHERE name IN ('runs', 'changes');";

/* --- the tables of SPEC.md 5 --- */

static int
store_has(void *arg, const char *table, const char *column, int *width)
{
	struct store	*s = arg;
	char		*sql;
	int64_t		 n;
	int		 ret;

	(void)width;
	if (column == NULL)
		sql = alloc_printf("SELECT count(*) FROM sqlite_master"
		    " WHERE type = 'table' AND name = '%s'", table);
	else
		sql = alloc_printf("SELECT count(*) FROM "
				   "pragma_table_info('%s')"
				   " WHERE name = '%s'",
		    table, column);
	ret = sqlite_number(s->db, sql, &n);
	free(sql);
	return ret == -1 ? -1 : n > 0;
}

static int
store_run(void *arg, const char *sql)
{
	struct store	*s = arg;

	return sqlite_exec(s->db, sql);
}

/* 1: the query's number is not 0. */
static int
store_is(struct store *s, const char *sql)
{
	int64_t	n;

	return sqlite_number(s->db, sql, &n) == -1 ? -1 : n != 0;
}

/* The index of 1.x on (id, date). */
static int
store_look_index(struct store *s)
{
	static const char	index[] = "SELECT count(*) = 2 FROM"
	    " pragma_index_info('mail_count_index')"
	    " WHERE (seqno = 0 AND name = 'id')"
	    " OR (seqno = 1 AND name = 'date')";
	int			there;

	if ((there = store_is(s, index)) == -1)
		return -1;
	s->indexed = there == 1;
	s->stable = store_has(s, "mail_count", "seq", NULL) == 1;
	return 0;
}

/*
 * Rows of an older program get their ids in lower case, which only ASCII's
 * letters have here. Its index is walked from id to id, so that not all rows
 * are read; but where many are to be changed it is in the way, and is dropped,
 * as it would be later.
 */
static const char	upper_ids[] =
	"CREATE TEMP TABLE upper_id AS WITH RECURSIVE ids (id) AS"
	" (SELECT min(id) FROM mail_count UNION ALL"
	" SELECT (SELECT min(id) FROM mail_count WHERE id > ids.id) FROM ids"
	" WHERE ids.id IS NOT NULL)"
	" SELECT id FROM ids WHERE id <> lower(id)";

static int
store_fold_indexed(struct store *s)
{
	char	*sql;
	int64_t	 n;
	int	 ret;

	if (sqlite_exec(s->db, upper_ids) == -1)
		return -1;
	sql = alloc_printf("SELECT count(*) FROM (SELECT 1 FROM mail_count"
	    " WHERE id IN (SELECT id FROM upper_id) LIMIT %lld)",
	    (long long)store_sizes.fold + 1);
	ret = sqlite_number(s->db, sql, &n);
	free(sql);
	if (ret == -1 || sqlite_exec(s->db, n > store_sizes.fold ?
	    "DROP INDEX mail_count_index;"
	    "UPDATE mail_count SET id = lower(id) WHERE id <> lower(id)" :
	    "UPDATE mail_count SET id = lower(id)"
	    " WHERE id IN (SELECT id FROM upper_id)") == -1)
		return -1;
	return sqlite_exec(s->db, "DROP TABLE upper_id");
}

static int
store_fold(struct store *s)
{
	int	there;

	if (!s->fold)
		return 0;
	/* An older program's table is one without this column of ours. */
	if ((there = store_has(s, "mail_count", NULL, NULL)) != 1)
		return there;
	if ((there = store_has(s, "mail_count", "tag", NULL)) != 0)
		return there == -1 ? -1 : 0;
	if (store_look_index(s) == -1)
		return -1;
	if (s->indexed)
		return store_fold_indexed(s);
	return sqlite_exec(s->db,
	    "UPDATE mail_count SET id = lower(id) WHERE id <> lower(id)");
}

/* --- ours --- */

int
store_forget_runs(struct store *s)
{
	return sqlite_exec(s->db, forgotten);
}

/*
 * The triggers must have been there all the time, or changes went unnoticed.
 * Where rowids are no column of their own a VACUUM may have given other ones to
 * the rows.
 */
static int
store_check_runs(struct store *s, bool same)
{
	static const char	all[] = "SELECT count(*) = 3 FROM sqlite_master"
	    " WHERE type = 'trigger' AND tbl_name = 'mail_count' AND name IN"
	    " ('mail_count_deleted', 'mail_count_updated',"
	    " 'mail_count_inserted')";
	int			there;

	if ((there = store_is(s, all)) == -1)
		return -1;
	if (there == 1 && (same || s->stable))
		return 0;
	if (sqlite_exec(s->db, no_triggers) == -1 ||
	    sqlite_exec(s->db, triggers) == -1)
		return -1;
	return store_forget_runs(s);
}

static int
store_report_once(struct store *s)
{
	int	there;

	there = store_is(s, "SELECT count(*) FROM sqlite_master"
	    " WHERE name = 'limit_report_index'");
	if (there == 0)
		return sqlite_exec(s->db, report_once);
	return there == 1 ? 0 : -1;
}

/*
 * The secret of the hash is the database's: every process must find the same
 * part.
 */
static int
store_make_key(struct store *s)
{
	static const char *const	name[2] = { "key1", "key2" };
	int64_t				random;
	size_t				i;

	for (i = 0; i < 2; i++) {
		arc4random_buf(&random, sizeof(random));
		sqlite_bind_text(s->db, KEY_NEW, 1, name[i], strlen(name[i]));
		sqlite_bind(s->db, KEY_NEW, 2, random);
		if (sqlite_step(s->db, KEY_NEW) == -1)
			return -1;
	}
	return 0;
}

/* SQLite counts each change of the tables. This one was ours. */
static int
store_keep_schema(struct store *s)
{
	if (store_one(s, SCHEMA_VERSION, &s->schema) == -1)
		return -1;
	return store_put_number(s, "schema", s->schema);
}

/* 1, 0 or -1. */
static int
store_is_format(struct store *s)
{
	return store_is(s, "SELECT EXISTS (SELECT 1 FROM mail_state"
	    " WHERE name = 'format' AND value = " FORMAT ")");
}

static int
store_old_format(struct store *s)
{
	int	same = store_is_format(s);

	if (same != 0)
		return same == 1 ? 0 : -1;
	if (sqlite_exec(s->db, no_triggers) == -1)
		return -1;
	return sqlite_exec(s->db, old_format);
}

/* Everything that may be missing, in one transaction. */
static int
store_upgrade(struct store *s)
{
	const struct schema_database	database = { store_has, store_run, s,
	    false };
	bool				changed;
	int64_t				known = -1, schema;

	if (sqlite_exec(s->db, "BEGIN IMMEDIATE") == -1 ||
	    store_one(s, SCHEMA_VERSION, &schema) == -1 ||
	    store_fold(s) == -1 ||
	    schema_upgrade(SCHEMA_SQLITE, &database, &changed) == -1 ||
	    store_old_format(s) == -1 || sqlite_exec(s->db, tables) == -1 ||
	    store_report_once(s) == -1 || store_make_key(s) == -1)
		return -1;
	(void)sqlite_number(s->db, "SELECT " NUMBER("schema"), &known);
	s->stable = store_has(s, "mail_count", "seq", NULL) == 1;
	if (store_check_runs(s, known == schema) == -1 ||
	    store_keep_schema(s) == -1)
		return -1;
	return sqlite_exec(s->db, "COMMIT");
}

/*
 * Whether nothing was changed since store_upgrade was here last, and that was
 * one that knew the newest of the tables.
 */
static bool
store_is_ours(struct store *s)
{
	int64_t	known;

	return store_is(s, "SELECT count(*) = 2 FROM sqlite_master"
	    " WHERE name IN ('mail_state', 'limit_warning')") == 1 &&
	    store_is_format(s) == 1 &&
	    sqlite_number(s->db, "SELECT ifnull(" NUMBER("schema") ", -1)",
	    &known) == 0 &&
	    store_one(s, SCHEMA_VERSION, &s->schema) == 0 && s->schema == known;
}

/* What a file that cannot be written may refuse. */
static int
store_pragma(struct store *s, const char *sql)
{
	if (sqlite_exec(s->db, sql) == 0 ||
	    sqlite_fault(s->db) == SQLITE_FAULT_READONLY)
		return 0;
	return -1;
}

int
store_prepare(struct store *s)
{
	/*
	 * In a new file, before anything else: space can be given back in
	 * steps.
	 */
	if (store_pragma(s, "PRAGMA auto_vacuum = INCREMENTAL") == -1 ||
	    sqlite_exec(s->db, "PRAGMA temp_store = MEMORY") == -1 ||
	    sqlite_exec(s->db, "PRAGMA cache_size = -8192") == -1 ||
	    store_pragma(s, "PRAGMA journal_mode = WAL") == -1 ||
	    sqlite_exec(s->db, s->full ? "PRAGMA synchronous = FULL" :
	    "PRAGMA synchronous = NORMAL") == -1)
		return -1;
	if (!store_is_ours(s) && store_upgrade(s) == -1)
		return -1;
	return store_look_index(s);
}

int
store_drop_index(struct store *s)
{
	if (sqlite_exec(s->db, "DROP INDEX IF EXISTS mail_count_index") == -1)
		return -1;
	return store_keep_schema(s);
}
