#include <stdlib.h>
#include <string.h>

#include "ledger/cache.h"
#include "ledger/schema.h"
#include "ledger/sqlite.h"
#include "ledger/store.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"

#define WAIT_MS		250		/* for a lock, in one call */
#define LOOK_NS		INT64_C(1000000000)
#define RECENT		100000		/* rows that tell of instances */
#define LOG_PAGES	1000		/* of the log before it is copied */

enum statement {
	DO_BEGIN,
	DO_COMMIT,
	DO_ROLLBACK,
	DATA_VERSION,
	CHANGES,
	LAST,
	NEWS,
	FIRST,
	APPEND,
	VALUE,
	SEE,
	HIT,
	HIT_NEW,
	NUMBER,
	SET_NUMBER,
	CLEAN_END,
	CLEAN,
	CLEAN_VALUES,
	HITS,
	HITS_LESS,
	HITS_GONE,
	STATEMENT__MAX
};

#define ROW	"rowid, id, date, recipient_count, instance, tag, protocol_state"

static const char *const	statements[STATEMENT__MAX] = {
	[DO_BEGIN] = "BEGIN IMMEDIATE",
	[DO_COMMIT] = "COMMIT",
	[DO_ROLLBACK] = "ROLLBACK",
	[DATA_VERSION] = "PRAGMA data_version",
	[CHANGES] = "SELECT value FROM mail_state WHERE name = 'changes'",
	[LAST] = "SELECT ifnull(max(rowid), 0) FROM mail_count",
	[NEWS] = "SELECT " ROW " FROM mail_count WHERE rowid > ?1 ORDER BY rowid",
	[FIRST] = "SELECT " ROW " FROM mail_count WHERE id = ?1 AND date >= ?2",
	[APPEND] = "INSERT INTO mail_count (rowid, id, date, recipient_count,"
	    " instance, tag, protocol_state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[VALUE] = "SELECT date FROM mail_distinct WHERE id = ?1 AND value = ?2",
	[SEE] = "INSERT INTO mail_distinct (id, value, date) VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (id, value) DO UPDATE SET date = excluded.date",
	[HIT] = "UPDATE limit_report SET hit = hit + 1 WHERE rowid ="
	    " (SELECT rowid FROM limit_report WHERE id = ?1 AND delta = ?2 LIMIT 1)",
	[HIT_NEW] = "INSERT INTO limit_report (id, delta, hit) VALUES (?1, ?2, 1)",
	[NUMBER] = "SELECT value FROM mail_state WHERE name = ?1",
	[SET_NUMBER] = "INSERT INTO mail_state (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[CLEAN_END] = "SELECT max(rowid) FROM (SELECT rowid FROM mail_count"
	    " WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)",
	[CLEAN] = "DELETE FROM mail_count WHERE rowid > ?1 AND rowid <= ?2"
	    " AND date < ?3",
	[CLEAN_VALUES] = "DELETE FROM mail_distinct WHERE date < ?1",
	[HITS] = "SELECT id, delta, sum(hit) FROM limit_report GROUP BY id, delta"
	    " HAVING sum(hit) > 0 ORDER BY sum(hit) DESC, id, delta",
	[HITS_LESS] = "UPDATE limit_report SET hit = hit - ?3 WHERE id = ?1"
	    " AND delta = ?2",
	[HITS_GONE] = "DELETE FROM limit_report WHERE id = ?1 AND delta = ?2"
	    " AND hit <= 0"
};

static const char	preparation[] =
	"CREATE INDEX IF NOT EXISTS mail_count_index ON mail_count (id, date);"
	"CREATE UNIQUE INDEX IF NOT EXISTS limit_report_index ON"
	" limit_report (id, delta);"
	"INSERT OR IGNORE INTO mail_state VALUES ('changes', 0);"
	"CREATE TRIGGER IF NOT EXISTS mail_count_deleted AFTER DELETE ON mail_count"
	" BEGIN UPDATE mail_state SET value = value + 1 WHERE name = 'changes'; END;"
	"CREATE TRIGGER IF NOT EXISTS mail_count_updated AFTER UPDATE ON mail_count"
	" BEGIN UPDATE mail_state SET value = value + 1 WHERE name = 'changes'; END;";

struct store {
	struct sqlite		*db;		/* NULL: away */
	int			 directory;
	char			*name;
	char			*description;
	bool			 full;		/* synchronous */
	int			 wait;
	int64_t			 looked;	/* that the file is there, ns */
	int64_t			 version;	/* of the data, by SQLite's count */
	int64_t			 changes;	/* by the triggers' count */
	int64_t			 last;		/* row that the cache knows */
	bool			 failed;	/* this batch */
	char			 error[256];
};

/* --- faults --- */

static void
store_note(struct store *s)
{
	(void)strlcpy(s->error, sqlite_error(s->db), sizeof(s->error));
}

static void
store_away(struct store *s)
{
	sqlite_close(s->db);
	s->db = NULL;
}

/* Ends the transaction, if there is one, and says what its fault was. */
static enum store_result
store_failed(struct store *s)
{
	enum sqlite_fault	fault = sqlite_fault(s->db);

	store_note(s);
	(void)sqlite_step(s->db, DO_ROLLBACK);
	if (fault == SQLITE_FAULT_BUSY)
		return STORE_BUSY;
	if (fault != SQLITE_FAULT_FULL && fault != SQLITE_FAULT_READONLY)
		store_away(s);
	return STORE_FAILED;
}

/* --- opening --- */

static int
store_has(void *arg, const char *table, const char *column, int *width)
{
	struct store	*s = arg;
	char		*sql;
	int64_t		 n;
	int		 ret;

	(void)width;
	if (column == NULL)
		sql = alloc_printf("SELECT count(*) FROM sqlite_master WHERE"
		    " type = 'table' AND name = '%s'", table);
	else
		sql = alloc_printf("SELECT count(*) FROM pragma_table_info('%s')"
		    " WHERE name = '%s'", table, column);
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

static int
store_prepare(struct store *s)
{
	const struct schema_database	database = { store_has, store_run, s };
	bool				changed;

	if (sqlite_exec(s->db, "PRAGMA temp_store = MEMORY") == -1 ||
	    sqlite_exec(s->db, "PRAGMA journal_mode = WAL") == -1 ||
	    sqlite_exec(s->db, s->full ? "PRAGMA synchronous = FULL" :
	    "PRAGMA synchronous = NORMAL") == -1 ||
	    sqlite_exec(s->db, "BEGIN IMMEDIATE") == -1)
		return -1;
	if (schema_upgrade(SCHEMA_SQLITE, &database, &changed) == -1 ||
	    sqlite_exec(s->db, preparation) == -1)
		return -1;
	return sqlite_exec(s->db, "COMMIT");
}

static enum store_result
store_connect(struct store *s)
{
	s->db = sqlite_open(s->directory, s->name, s->wait, statements,
	    STATEMENT__MAX, s->error, sizeof(s->error));
	if (s->db == NULL)
		return STORE_FAILED;
	s->version = -1;
	s->changes = -1;
	s->looked = clock_mono().ns;
	if (store_prepare(s) == 0)
		return STORE_OK;
	store_note(s);
	store_away(s);
	return STORE_FAILED;
}

struct store *
store_open(const struct settings *settings, int directory, bool *away, char *reason,
    size_t size)
{
	const struct value	*database, *sync;
	struct store		*s;
	const char		*name;

	*away = false;
	database = value_get(settings->sqlite_config, "database");
	if (database == NULL || database->type != VALUE_STR || database->len == 0 ||
	    strlen(database->bytes) != database->len) {
		(void)strlcpy(reason, "sqlite_config names no database", size);
		return NULL;
	}
	s = alloc_zero(1, sizeof(*s));
	name = strrchr(database->bytes, '/');
	s->name = alloc_string(name != NULL ? name + 1 : database->bytes);
	s->description = alloc_printf("sqlite %s", database->bytes);
	s->directory = directory;
	sync = value_get(settings->sqlite_config, "synchronous");
	s->full = sync != NULL && sync->type == VALUE_STR &&
	    strcmp(sync->bytes, "full") == 0;
	s->wait = settings->db_timeout / 4 < WAIT_MS ?
	    (int)(settings->db_timeout / 4) : WAIT_MS;
	(void)store_connect(s);
	return s;
}

void
store_close(struct store *s)
{
	int	frames, left;

	if (s == NULL)
		return;
	if (s->db != NULL)
		(void)sqlite_checkpoint(s->db, &frames, &left);
	store_away(s);
	free(s->name);
	free(s->description);
	free(s);
}

enum sandbox_role
store_sandbox(void)
{
	return SANDBOX_LEDGER_SQLITE;
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

const char *
store_placeholder(void)
{
	return "?1";
}

/* Opens the file when it is away, or when another one is in its place. */
static enum store_result
store_ready(struct store *s)
{
	int64_t	now;

	if (s->db != NULL) {
		now = clock_mono().ns;
		if (now - s->looked < LOOK_NS)
			return STORE_OK;
		s->looked = now;
		if (sqlite_present(s->db))
			return STORE_OK;
		store_away(s);
	}
	return store_connect(s);
}

/* --- reading --- */

static void
store_read_row(struct store *s, enum statement n, struct store_row *row)
{
	row->id = sqlite_column_text(s->db, n, 1, &row->idlen);
	row->date = sqlite_column(s->db, n, 2);
	row->amount = sqlite_column(s->db, n, 3);
	row->instance = sqlite_column_text(s->db, n, 4, &row->instancelen);
	if (row->instancelen == 5 && memcmp(row->instance, "empty", 5) == 0)
		row->instancelen = 0;
	row->tag = sqlite_column(s->db, n, 5);
	row->state = sqlite_column_text(s->db, n, 6, &row->statelen);
}

static int
store_read_news(struct store *s, const struct store_reader *reader, int64_t from)
{
	struct store_row	row;
	int			more;

	sqlite_bind(s->db, NEWS, 1, from);
	while ((more = sqlite_step(s->db, NEWS)) == 1) {
		store_read_row(s, NEWS, &row);
		s->last = sqlite_column(s->db, NEWS, 0);
		reader->news(reader->arg, &row);
	}
	return more;
}

static int
store_one(struct store *s, enum statement n, int64_t *out)
{
	if (sqlite_step(s->db, n) != 1)
		return -1;
	*out = sqlite_column(s->db, n, 0);
	sqlite_reset(s->db, n);
	return 0;
}

static int
store_read_changes(struct store *s, const struct store_reader *reader)
{
	int64_t	version, changes;

	if (store_one(s, DATA_VERSION, &version) == -1)
		return -1;
	if (version == s->version)
		return 0;
	if (store_one(s, CHANGES, &changes) == -1)
		return -1;
	if (changes != s->changes) {
		reader->changed(reader->arg);
		if (store_one(s, LAST, &s->last) == -1)
			return -1;
		s->last = s->last > RECENT ? s->last - RECENT : 0;
		s->changes = changes;
	}
	if (store_read_news(s, reader, s->last) == -1)
		return -1;
	s->version = version;
	return 0;
}

static int
store_read_first(struct store *s, struct store_touch *t, size_t i,
    const struct store_reader *reader)
{
	struct store_row	row;
	int			more;

	if (t->cursor->loaded)
		return 0;
	sqlite_bind_text(s->db, FIRST, 1, t->id, t->idlen);
	sqlite_bind(s->db, FIRST, 2, t->since);
	while ((more = sqlite_step(s->db, FIRST)) == 1) {
		store_read_row(s, FIRST, &row);
		row.instancelen = 0;
		row.tag = 0;
		reader->first(reader->arg, i, &row);
	}
	t->cursor->loaded = more == 0;
	return more;
}

static int
store_read_value(struct store *s, struct store_value *v)
{
	int	more;

	v->date = -1;
	sqlite_bind_text(s->db, VALUE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, VALUE, 2, v->value, v->valuelen);
	if ((more = sqlite_step(s->db, VALUE)) == 1) {
		v->date = sqlite_column(s->db, VALUE, 0);
		sqlite_reset(s->db, VALUE);
	}
	return more == -1 ? -1 : 0;
}

enum store_result
store_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	size_t			i;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	s->failed = false;
	if (sqlite_step(s->db, DO_BEGIN) == -1 ||
	    store_read_changes(s, reader) == -1)
		return store_failed(s);
	for (i = 0; i < batch->ntouch; i++)
		if (store_read_first(s, &batch->touch[i], i, reader) == -1)
			return store_failed(s);
	for (i = 0; i < batch->nvalue; i++)
		if (store_read_value(s, &batch->value[i]) == -1)
			return store_failed(s);
	return STORE_OK;
}

/* --- writing --- */

static void
store_write(struct store *s, enum statement n)
{
	if (!s->failed && sqlite_step(s->db, n) == -1)
		s->failed = true;
}

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	(void)touch;
	sqlite_bind(s->db, APPEND, 1, s->last + 1);
	sqlite_bind_text(s->db, APPEND, 2, row->id, row->idlen);
	sqlite_bind(s->db, APPEND, 3, row->date);
	sqlite_bind(s->db, APPEND, 4, row->amount);
	if (row->instancelen > 0)
		sqlite_bind_text(s->db, APPEND, 5, row->instance, row->instancelen);
	else
		sqlite_bind_text(s->db, APPEND, 5, "empty", 5);
	sqlite_bind(s->db, APPEND, 6, row->tag);
	sqlite_bind_text(s->db, APPEND, 7, row->state, row->statelen);
	store_write(s, APPEND);
	s->last++;
}

void
store_see(struct store *s, const struct store_value *v)
{
	sqlite_bind_text(s->db, SEE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, SEE, 2, v->value, v->valuelen);
	sqlite_bind(s->db, SEE, 3, v->date);
	store_write(s, SEE);
}

void
store_hit(struct store *s, const char *id, size_t idlen, int64_t seconds)
{
	sqlite_bind_text(s->db, HIT, 1, id, idlen);
	sqlite_bind(s->db, HIT, 2, seconds);
	store_write(s, HIT);
	if (s->failed || sqlite_changes(s->db) > 0)
		return;
	sqlite_bind_text(s->db, HIT_NEW, 1, id, idlen);
	sqlite_bind(s->db, HIT_NEW, 2, seconds);
	store_write(s, HIT_NEW);
}

enum store_result
store_commit(struct store *s)
{
	enum store_result	result;

	if (!s->failed && sqlite_step(s->db, DO_COMMIT) != -1)
		return STORE_OK;
	s->version = -1;
	s->changes = -1;
	result = store_failed(s);
	return result == STORE_BUSY ? STORE_FAILED : result;
}

void
store_rollback(struct store *s)
{
	if (s->db != NULL)
		(void)sqlite_step(s->db, DO_ROLLBACK);
}

enum store_result
store_limits(struct store *s, const char *query, struct store_limits *list, size_t n)
{
	enum store_result	result;
	size_t			i;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	for (i = 0; i < n; i++) {
		if (sqlite_query(s->db, query, list[i].id, list[i].idlen,
		    &list[i].text) == -1) {
			list[i].failed = true;
			store_note(s);
		}
	}
	return STORE_OK;
}

/* --- cleaning and reporting --- */

static enum store_result
store_end(struct store *s, bool good)
{
	enum store_result	result;

	if (good && sqlite_step(s->db, DO_COMMIT) == 0)
		return STORE_OK;
	result = store_failed(s);
	return result;
}

enum store_result
store_clean(struct store *s, int64_t before, size_t max, int64_t *position,
    int64_t *deleted)
{
	enum store_result	result;
	int64_t			end;
	int			more;

	*deleted = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	sqlite_bind(s->db, CLEAN_END, 1, *position);
	sqlite_bind(s->db, CLEAN_END, 2, (int64_t)max);
	if (store_one(s, CLEAN_END, &end) == -1)
		return store_failed(s);
	sqlite_bind(s->db, CLEAN, 1, *position);
	sqlite_bind(s->db, CLEAN, 2, end);
	sqlite_bind(s->db, CLEAN, 3, before);
	if ((more = sqlite_step(s->db, CLEAN)) == 0)
		*deleted = sqlite_changes(s->db);
	if (more == 0 && end == 0) {
		sqlite_bind(s->db, CLEAN_VALUES, 1, before);
		more = sqlite_step(s->db, CLEAN_VALUES);
		end = -1;
	}
	result = store_end(s, more == 0);
	if (result == STORE_OK)
		*position = end;
	return result;
}

enum store_result
store_reclaim(struct store *s, bool *done)
{
	*done = true;
	return store_ready(s);
}

enum store_result
store_hits(struct store *s, void (*each)(void *, const char *, size_t, int64_t,
    int64_t), void *arg)
{
	enum store_result	 result;
	const char		*id;
	size_t			 idlen;
	int			 more;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	while ((more = sqlite_step(s->db, HITS)) == 1) {
		id = sqlite_column_text(s->db, HITS, 0, &idlen);
		each(arg, id, idlen, sqlite_column(s->db, HITS, 1),
		    sqlite_column(s->db, HITS, 2));
	}
	return more == 0 ? STORE_OK : store_failed(s);
}

enum store_result
store_hits_forget(struct store *s, const char *id, size_t idlen, int64_t seconds,
    int64_t hits)
{
	enum store_result	result;
	bool			good;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	sqlite_bind_text(s->db, HITS_LESS, 1, id, idlen);
	sqlite_bind(s->db, HITS_LESS, 2, seconds);
	sqlite_bind(s->db, HITS_LESS, 3, hits);
	good = sqlite_step(s->db, HITS_LESS) == 0;
	sqlite_bind_text(s->db, HITS_GONE, 1, id, idlen);
	sqlite_bind(s->db, HITS_GONE, 2, seconds);
	good = good && sqlite_step(s->db, HITS_GONE) == 0;
	return store_end(s, good);
}

enum store_result
store_number(struct store *s, const char *name, int64_t *out)
{
	enum store_result	result;
	int			more;

	*out = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	sqlite_bind_text(s->db, NUMBER, 1, name, strlen(name));
	if ((more = sqlite_step(s->db, NUMBER)) == 1) {
		*out = sqlite_column(s->db, NUMBER, 0);
		sqlite_reset(s->db, NUMBER);
	}
	return more == -1 ? store_failed(s) : STORE_OK;
}

enum store_result
store_set_number(struct store *s, const char *name, int64_t value)
{
	enum store_result	result;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	sqlite_bind_text(s->db, SET_NUMBER, 1, name, strlen(name));
	sqlite_bind(s->db, SET_NUMBER, 2, value);
	return sqlite_step(s->db, SET_NUMBER) == 0 ? STORE_OK : store_failed(s);
}

bool
store_idle(struct store *s)
{
	int	frames, left;

	if (s->db == NULL || sqlite_log_pages(s->db) < LOG_PAGES)
		return false;
	(void)sqlite_checkpoint(s->db, &frames, &left);
	return false;
}
