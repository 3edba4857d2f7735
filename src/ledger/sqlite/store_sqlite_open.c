#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/log.h"

/*
 * Tables that only SQLite has (store_sqlite.h), and the triggers that record
 * what others do to mail_count. Dates outside of oldest and newest are already
 * invalid in the runs.
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

#define NO_TRIGGERS \
	"DROP TRIGGER IF EXISTS mail_count_deleted;" \
	"DROP TRIGGER IF EXISTS mail_count_updated;" \
	"DROP TRIGGER IF EXISTS mail_count_inserted;"

/* The runs of a file with an earlier format are made again. */
#define FORMAT		"3"

static const char	old_format[] =
	NO_TRIGGERS
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
	"CREATE INDEX IF NOT EXISTS mail_correction_ids"
	" ON mail_correction (id COLLATE NOCASE, date);"
	"CREATE TABLE IF NOT EXISTS mail_tag (row INTEGER PRIMARY KEY,"
	" tag bigint NOT NULL);"
	"INSERT OR IGNORE INTO mail_state VALUES ('changes', 0),"
	" ('horizon', 0), ('oldest', " OLDEST "), ('newest', " NEWEST "),"
	" ('cleaned', " OLDEST "), ('runs', 0);"
	"INSERT OR REPLACE INTO mail_state VALUES ('format', " FORMAT ");";

static const char	triggers[] =
	NO_TRIGGERS
	"CREATE TRIGGER mail_count_deleted AFTER DELETE ON mail_count"
	" BEGIN " COUNT_CHANGE CORRECT("OLD", "-")
	" DELETE FROM mail_tag WHERE row = OLD.rowid; END;"
	"CREATE TRIGGER mail_count_updated AFTER UPDATE ON mail_count"
	" BEGIN " COUNT_CHANGE CORRECT("OLD", "-") CORRECT("NEW", "")
	" DELETE FROM mail_tag WHERE row = OLD.rowid"
	" AND OLD.rowid <> NEW.rowid; END;"
	/*
	 * A row can be inserted before the last rowid only if rows at the end
	 * were deleted.
	 */
	"CREATE TRIGGER mail_count_inserted AFTER INSERT ON mail_count"
	" WHEN NEW.rowid <= " NUMBER("horizon")
	" BEGIN " COUNT_CHANGE CORRECT("NEW", "") " END;";

/*
 * VACUUM, and a copy by SQL, renumber the rows of a table that has neither
 * INTEGER PRIMARY KEY nor an index. So mail_count has an index without entries.
 * mail_vacuum is a table with such an index too; the rowid of its only row
 * shows whether rows were renumbered.
 */
static const char	numbered[] =
	"CREATE INDEX IF NOT EXISTS mail_count_rows ON mail_count (date)"
	" WHERE date IS NULL;"
	"CREATE TABLE IF NOT EXISTS mail_vacuum (kept int NOT NULL);"
	"CREATE INDEX IF NOT EXISTS mail_vacuum_rows ON mail_vacuum (kept)"
	" WHERE kept IS NULL;"
	"DELETE FROM mail_vacuum WHERE rowid <> 2;"
	"INSERT OR IGNORE INTO mail_vacuum (rowid, kept) VALUES (2, 1);";

/* An older program could write two rows for one (id, delta). */
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

/*
 * A mail_count of ours with more columns is renamed and copied, in the
 * transaction of upgrade(): after a kill at any moment it starts again. Of the
 * tags, those of rows that a start reads are needed.
 */
#define ROWS_OF_OLD	"rowid, id, date, recipient_count, instance," \
			" protocol_state"

static const char	set_aside[] =
	NO_TRIGGERS
	"PRAGMA legacy_alter_table = ON;"
	"DROP INDEX IF EXISTS mail_count_index;"
	"ALTER TABLE mail_count RENAME TO mail_count_old;";

static const char	rebuilt[] =
	"INSERT INTO mail_count (" ROWS_OF_OLD ") SELECT " ROWS_OF_OLD
	" FROM mail_count_old ORDER BY rowid;"
	"INSERT OR REPLACE INTO mail_tag (row, tag) SELECT rowid, tag"
	" FROM mail_count_old WHERE tag <> 0 AND rowid >"
	" (SELECT max(rowid) FROM mail_count_old) - 20000;"
	"DROP TABLE mail_count_old;"
	"PRAGMA legacy_alter_table = OFF;";

/* --- the tables of schema.h --- */

/* 1: the query returned a number other than 0; 0; or -1. */
static int
is_true(struct store *s, const char *sql)
{
	int64_t	n;

	return sqlite_number(s->db, sql, &n) == -1 ? -1 : n != 0;
}

static int
has(void *arg, const char *table, const char *column, int *width)
{
	struct store	*s = arg;
	char		*sql;
	int		 ret;

	(void)width;
	if (column == NULL)
		sql = alloc_printf("SELECT count(*) FROM sqlite_master"
		    " WHERE type = 'table' AND name = '%s'", table);
	else
		sql = alloc_printf("SELECT count(*) FROM"
		    " pragma_table_info('%s') WHERE name = '%s'", table,
		    column);
	ret = is_true(s, sql);
	free(sql);
	return ret;
}

static int
run(void *arg, const char *sql)
{
	struct store	*s = arg;

	return sqlite_exec(s->db, sql);
}

/* --- ours --- */

int
store_forget_runs(struct store *s)
{
	return sqlite_exec(s->db, forgotten);
}

/* 1: the rows still have their rowids; 0: perhaps not; -1: a fault. */
static int
rows_kept(struct store *s)
{
	int	there;

	there = is_true(s, "SELECT count(*) = 2 FROM sqlite_master"
	    " WHERE (name = 'mail_count_rows' AND tbl_name = 'mail_count')"
	    " OR (name = 'mail_vacuum_rows' AND tbl_name = 'mail_vacuum')");
	if (there != 1)
		return there;
	return is_true(s, "SELECT count(*) FROM mail_vacuum WHERE rowid = 2");
}

/*
 * Discards the runs unless the triggers existed all the time (or changes went
 * unnoticed), rows still have the rowids that the runs were made by, and ids in
 * the runs are folded by the current setting.
 */
static int
check_runs(struct store *s, bool kept)
{
	struct numbers	n;
	int		there;

	there = is_true(s, "SELECT count(*) = 3 FROM sqlite_master"
	    " WHERE type = 'trigger' AND tbl_name = 'mail_count' AND name IN"
	    " ('mail_count_deleted', 'mail_count_updated',"
	    " 'mail_count_inserted')");
	if (there == -1 || store_read_numbers(s, &n) == -1)
		return -1;
	if (there == 1 && kept && n.fold == (int64_t)s->fold)
		return 0;
	if (store_put_number(s, "fold", (int64_t)s->fold) == -1 ||
	    sqlite_exec(s->db, triggers) == -1)
		return -1;
	return store_forget_runs(s);
}

/*
 * The key of the hash is stored in the database: every process must compute the
 * same part.
 */
static int
make_key(struct store *s)
{
	int64_t	key[2];
	char	*sql;
	int	 ret;

	arc4random_buf(key, sizeof(key));
	sql = alloc_printf("INSERT OR IGNORE INTO mail_state VALUES"
	    " ('key1', %lld), ('key2', %lld)", (long long)key[0],
	    (long long)key[1]);
	ret = sqlite_exec(s->db, sql);
	free(sql);
	return ret;
}

/* SQLite counts the changes of the schema. Remember the count after ours. */
static int
keep_schema(struct store *s)
{
	if (store_one(s, SCHEMA_VERSION, &s->schema) == -1)
		return -1;
	return store_put_number(s, "schema", s->schema);
}

/* Creates everything that is missing, in one transaction. */
static int
upgrade(struct store *s)
{
	const struct schema_database	database = { has, run,
	    NULL, s, false };
	int64_t				last;
	bool				changed;
	int				kept, aside, format, once;

	if (sqlite_exec(s->db, "BEGIN IMMEDIATE") == -1 ||
	    (kept = rows_kept(s)) == -1 ||
	    (aside = has(s, "mail_count", "tag", NULL)) == -1 ||
	    (aside == 1 && sqlite_exec(s->db, set_aside) == -1) ||
	    schema_upgrade(SCHEMA_SQLITE, &database, &changed) == -1 ||
	    (format = is_true(s, "SELECT count(*) FROM mail_state"
	    " WHERE name = 'format' AND value = " FORMAT)) == -1 ||
	    (format == 0 && sqlite_exec(s->db, old_format) == -1) ||
	    sqlite_exec(s->db, tables) == -1 ||
	    (kept == 0 && sqlite_exec(s->db, "DELETE FROM mail_tag") == -1))
		return -1;
	if (aside == 1) {
		if (sqlite_number(s->db, "SELECT ifnull(max(rowid), 0)"
		    " FROM mail_count_old", &last) == -1)
			return -1;
		log_notice("%s: mail_count is rebuilt, up to row %lld",
		    s->description, (long long)last);
		if (sqlite_exec(s->db, rebuilt) == -1)
			return -1;
		log_notice("%s: mail_count is rebuilt", s->description);
	}
	if (sqlite_exec(s->db, numbered) == -1 ||
	    (once = is_true(s, "SELECT count(*) FROM sqlite_master"
	    " WHERE name = 'limit_report_index'")) == -1 ||
	    (once == 0 && sqlite_exec(s->db, report_once) == -1) ||
	    make_key(s) == -1 || check_runs(s, kept == 1) == -1 ||
	    keep_schema(s) == -1)
		return -1;
	return sqlite_exec(s->db, "COMMIT");
}

/*
 * Whether the schema is unchanged since the last upgrade(), and that was by a
 * version which knew the newest table and this format, with this fold_case.
 */
static bool
is_ours(struct store *s)
{
	char	*sql;
	bool	 ours;

	sql = alloc_printf("SELECT count(*) = 8 FROM ("
	    "SELECT 1 FROM sqlite_master WHERE name IN ('mail_state',"
	    " 'limit_lock', 'mail_notice', 'mail_refusal', 'mail_habit')"
	    " UNION ALL SELECT 1 FROM mail_state"
	    " WHERE (name = 'format' AND value = " FORMAT ")"
	    " OR (name = 'fold' AND value = %d) OR (name = 'schema' AND"
	    " value = (SELECT schema_version FROM pragma_schema_version)))",
	    (int)s->fold);
	ours = is_true(s, sql) == 1 &&
	    store_one(s, SCHEMA_VERSION, &s->schema) == 0;
	free(sql);
	return ours;
}

int
store_prepare(struct store *s)
{
	const char *const	pragma[] = {
		/* Must come first in a new file: frees space in steps. */
		"PRAGMA auto_vacuum = INCREMENTAL",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -8192",
		"PRAGMA journal_mode = WAL",
		/*
		 * Some systems' SQLite overwrites every freed page, which made
		 * the drop of an index of a million rows write 33 MB under the
		 * lock.
		 */
		"PRAGMA secure_delete = FAST",
		s->full ? "PRAGMA synchronous = FULL" :
		    "PRAGMA synchronous = NORMAL"
	};
	size_t			i;
	int			there;

	/* A read-only file may refuse some of them. */
	for (i = 0; i < sizeof(pragma) / sizeof(pragma[0]); i++)
		if (sqlite_exec(s->db, pragma[i]) == -1 &&
		    s->db->fault != SQLITE_FAULT_READONLY)
			return -1;
	if (!is_ours(s) && upgrade(s) == -1)
		return -1;
	/* The index of 1.x on (id, date). */
	there = is_true(s, "SELECT count(*) = 2 FROM"
	    " pragma_index_info('mail_count_index')"
	    " WHERE (seqno = 0 AND name = 'id')"
	    " OR (seqno = 1 AND name = 'date')");
	s->indexed = there == 1;
	return there == -1 ? -1 : 0;
}

int
store_drop_index(struct store *s)
{
	s->indexed = false;
	if (sqlite_exec(s->db, "DROP INDEX IF EXISTS mail_count_index") == -1)
		return -1;
	return keep_schema(s);
}
