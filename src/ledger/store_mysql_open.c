#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/store_mysql.h"
#include "lib/alloc.h"

#define STEPS		4
#define BUILD_MS	100000		/* for one step of a take-over */

#define ROW	"id, date, recipient_count, instance, tag"
#define BY_SEQ	"FROM mail_count FORCE INDEX (mail_count_news) WHERE "
#define BY_DATE	"FROM mail_count FORCE INDEX (mail_count_index) WHERE "

#define HIT_NEW(table) {						\
	"INSERT INTO " table " (id, delta, hit) VALUES ", "(?, ?, 1)",	\
	",", " ON DUPLICATE KEY UPDATE hit = hit + 1", NULL, true }
#define HIT_ALL(table) {						\
	"SELECT id, delta, cast(sum(hit) AS signed) FROM " table	\
	" GROUP BY id, delta HAVING sum(hit) > 0"			\
	" ORDER BY sum(hit) DESC, id, delta",				\
	NULL, NULL, NULL, "tnn", false }
#define HIT_LESS(table) {						\
	"UPDATE " table " SET hit = hit - ? WHERE id = ? AND delta = ?", \
	NULL, NULL, NULL, NULL, false }
#define HIT_GONE(table) {						\
	"DELETE FROM " table						\
	" WHERE id = ? AND delta = ? AND hit <= 0",			\
	NULL, NULL, NULL, NULL, false }

static const struct mysqldb_statement	statements[STATEMENT__MAX] = {
	[LOCK] = { "SELECT slot FROM mail_lock FORCE INDEX (PRIMARY) WHERE"
	    " slot IN (",
	    "?", ",", ") ORDER BY slot FOR UPDATE", "n", false },
	[LOCK_SHARED] = { "SELECT slot FROM mail_lock WHERE slot IN (",
	    "?", ",", ") LOCK IN SHARE MODE", "n", false },
	[CHANGES] = { "SELECT value, (SELECT coalesce(max(seq), 0) FROM"
	    " mail_count)"
	    " FROM mail_state WHERE name = 'changes'",
	    NULL, NULL, NULL, "nn", false },
	[NEWS] = { "SELECT " ROW ", seq " BY_SEQ "(",
	    "(id = ? AND seq > ?)", " OR ", ") ORDER BY id, seq LIMIT 20000",
	    "tnntnn", false },
	[ENDS] = { "",
	    "SELECT cast(? AS signed),"
	    " (SELECT coalesce(max(seq), 0) " BY_SEQ "id = ?),"
	    " coalesce((SELECT date " BY_DATE "id = ? AND date >= ?"
	    " ORDER BY date LIMIT ?, 1), 9223372036854775807)",
	    " UNION ALL ", NULL, "nnn", false },
	[FIRST] = { "SELECT id, date, cast(sum(recipient_count) AS signed) "
	    BY_DATE "date < ? AND (", "(id = ? AND date >= ? AND date <= ?)",
	    " OR ", ") GROUP BY id, date", "tnn", false },
	[SINGLE] = { "SELECT " ROW " " BY_DATE "date >= ? AND (",
	    "(id = ? AND date >= ? AND date <= ?)", " OR ", ")", "tnntn",
	    false },
	[LATE] = { "SELECT " ROW " " BY_SEQ,
	    "(id = ? AND seq > ? AND date < ? AND date >= ?)", " OR ", NULL,
	    "tnntn", false },
	[KEPT] = { "SELECT s.id, s.seq, s.counts FROM mail_sums s, mail_state c"
	    " WHERE c.name = 'changes' AND s.changes = c.value AND s.seq <= ?"
	    " AND (", "(s.id = ? AND s.since <= ?)", " OR ",
	    ") ORDER BY s.id, s.part", "tnt", false },
	[RECENT] = { "", "(SELECT " ROW " " BY_SEQ "id = ? AND seq <= ?"
	    " ORDER BY seq DESC LIMIT ?)", " UNION ALL ", NULL, "tnntn", true },
	[VALUE] = { "", "SELECT cast(? AS signed), date FROM mail_distinct"
	    " WHERE id = ? AND value = ?", " UNION ALL ", NULL, "nn", false },
	[APPEND] = { "INSERT INTO mail_count (" ROW ", protocol_state) VALUES ",
	    "(?, ?, ?, ?, ?, ?)", ",", NULL, NULL, true },
	[SEE] = { "INSERT INTO mail_distinct (id, value, date) VALUES ",
	    "(?, ?, ?)", ",", " ON DUPLICATE KEY UPDATE date = values(date)",
	    NULL, true },
	[HIT] = HIT_NEW("limit_report"),
	[WARNING] = HIT_NEW("limit_warning"),
	[SUMS_GONE] = { "DELETE FROM mail_sums WHERE id = ?",
	    NULL, NULL, NULL, NULL, false },
	[SUMS_NEW] = { "INSERT INTO mail_sums (id, part, seq, since, changes,"
	    " counts) VALUES (?, ?, ?, ?, ?, ?)",
	    NULL, NULL, NULL, NULL, false },
	[CHANGED] = { "UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'changes'", NULL, NULL, NULL, NULL, false },
	[NUMBER] = { "SELECT value FROM mail_state WHERE name = ?",
	    NULL, NULL, NULL, "n", false },
	[SET_NUMBER] = { "INSERT INTO mail_state (name, value) VALUES (?, ?)"
	    " ON DUPLICATE KEY UPDATE value = values(value)",
	    NULL, NULL, NULL, NULL, false },
	[CLEAN_END] = { "SELECT max(seq) FROM (SELECT seq FROM mail_count"
	    " WHERE seq > ? ORDER BY seq LIMIT ?) t",
	    NULL, NULL, NULL, "n", false },
	[CLEAN] = { "DELETE FROM mail_count WHERE seq > ? AND seq <= ?"
	    " AND (date < ? OR date > ?)", NULL, NULL, NULL, NULL, false },
	[CLEAN_VALUES] = { "DELETE FROM mail_distinct"
	    " WHERE date < ? OR date > ?"
	    " ORDER BY date LIMIT ?", NULL, NULL, NULL, NULL, false },
	[CLEAN_SUMS] = { "DELETE FROM mail_sums WHERE since < ?",
	    NULL, NULL, NULL, NULL, false },
	[HITS] = HIT_ALL("limit_report"),
	[WARNINGS] = HIT_ALL("limit_warning"),
	[HITS_LESS] = HIT_LESS("limit_report"),
	[WARNINGS_LESS] = HIT_LESS("limit_warning"),
	[HITS_GONE] = HIT_GONE("limit_report"),
	[WARNINGS_GONE] = HIT_GONE("limit_warning"),
	[OVERRIDES] = { "SELECT id, kind, amount, expires FROM mail_override"
	    " WHERE expires > ?", NULL, NULL, NULL, "tnnn", false },
	[OVERRIDE_GONE] = { "DELETE FROM mail_override"
	    " WHERE (id = ? AND kind = ?) OR expires <= ?",
	    NULL, NULL, NULL, NULL, false },
	[OVERRIDE_NEW] = { "REPLACE INTO mail_override"
	    " (id, kind, amount, expires) VALUES (?, ?, ?, ?)",
	    NULL, NULL, NULL, NULL, false },
	[VALUES_GONE] = { "DELETE FROM mail_distinct WHERE id = ?",
	    NULL, NULL, NULL, NULL, false }
};

/* --- schema.h's database --- */

static int
store_has(void *arg, const char *table, const char *column, int *width)
{
	struct store	*s = arg;
	char		*sql;
	int64_t		 n;
	int		 ret;

	if (column == NULL)
		sql = alloc_printf("SELECT count(*) FROM"
		    " information_schema.tables"
		    " WHERE table_schema = database() AND table_name = '%s'",
		    table);
	else
		/*
		 * One that compares otherwise than by bytes is as good as none.
		 */
		sql = alloc_printf("SELECT if(column_name IN ('id',"
		    " 'instance') AND"
		    " coalesce(collation_name, 'utf8mb4_bin') <>"
		    " 'utf8mb4_bin', 1,"
		    " coalesce(character_maximum_length, 0)) + 1"
		    " FROM information_schema.columns"
		    " WHERE table_schema = database() AND table_name = '%s'"
		    " AND column_name = '%s'", table, column);
	ret = mysqldb_number(s->db, sql, &n);
	free(sql);
	if (ret == -1)
		return -1;
	if (column != NULL && n > 0)
		*width = n > INT32_MAX ? INT32_MAX : (int)n - 1;
	return n > 0;
}

/* A connection of its own, that may take its time. */
static int
store_build_sql(void *arg, const char *sql)
{
	struct store	*s = arg;
	bool		 away;

	if (s->builder == NULL)
		s->builder = mysqldb_open(s->settings->mysql_config, BUILD_MS,
		    s->settings->db_insecure_auth, NULL, 0, &away,
		    s->error, sizeof(s->error));
	if (s->builder == NULL)
		return -1;
	if (mysqldb_exec(s->builder, sql) == 0)
		return 0;
	(void)strlcpy(s->error, mysqldb_error(s->builder), sizeof(s->error));
	return -1;
}

/* --- what is missing besides --- */

#define INDEX(table, name, column, at)					\
	"SELECT count(*) FROM information_schema.statistics WHERE"	\
	" table_schema = database() AND table_name = '" table "'"	\
	" AND index_name = '" name "' AND column_name = '" column "'"	\
	" AND seq_in_index = " #at

#define TRIGGER(event)							\
	"SELECT count(*) FROM information_schema.triggers WHERE"	\
	" trigger_schema = database() AND trigger_name ="		\
	" 'mail_count_" event "'"
#define CHANGED								\
	" ON mail_count FOR EACH ROW UPDATE mail_state"			\
	" SET value = value + 1 WHERE name = 'changes'"			\
	" AND @policyd_rate_limit_own IS NULL"

#define DIGIT								\
	"(SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3"	\
	" UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7"

/* The first number of the check must be at least `least`, else all is run. */
static const struct {
	const char	*check;
	int64_t		 least;
	const char	*sql[STEPS];
	bool		 optional;
} preparation[] = {
	{ "SELECT count(*) FROM mail_state WHERE name = 'changes'", 1,
	    { "INSERT INTO mail_state VALUES ('changes', 0)", "COMMIT" },
	    false },
	{ INDEX("mail_count", "mail_count_index", "date", 2), 1,
	    { "CREATE INDEX mail_count_index ON mail_count (id, date)" },
	    false },
	{ INDEX("mail_count", "mail_count_news", "seq", 2), 1,
	    { "CREATE INDEX mail_count_news ON mail_count (id, seq)" }, false },
	{ INDEX("mail_distinct", "mail_distinct_date", "date", 1), 1,
	    { "CREATE INDEX mail_distinct_date ON mail_distinct (date)" },
	    false },
	{ "SELECT count(*) FROM information_schema.statistics WHERE"
	    " table_schema = database() AND table_name = 'limit_report'"
	    " AND non_unique = 0 AND column_name = 'delta' AND seq_in_index ="
	    " 2", 1,
	    { "CREATE TEMPORARY TABLE hits AS SELECT id, delta, sum(hit) AS hit"
	    " FROM limit_report GROUP BY id, delta", "DELETE FROM limit_report",
	    "INSERT INTO limit_report (id, delta, hit) SELECT * FROM hits",
	    "CREATE UNIQUE INDEX limit_report_index ON limit_report (id, delta)"
	    },
	    false },
	{ "SELECT count(*) FROM information_schema.tables WHERE"
	    " table_schema = database() AND table_name = 'mail_lock'", 1,
	    { "CREATE TABLE mail_lock (slot int NOT NULL PRIMARY KEY)"
	    " ENGINE=InnoDB" }, false },
	{ "SELECT count(*) FROM mail_lock", STORE_SLOTS + 2,
	    { "INSERT IGNORE INTO mail_lock SELECT a.n + 8 * b.n + 64 * c.n"
	    " + 512 * d.n + 4096 * e.n + 32768 * f.n FROM " DIGIT ") a, "
	    DIGIT ") b, " DIGIT ") c, " DIGIT ") d, " DIGIT ") e,"
	    " (SELECT 0 AS n UNION SELECT 1) f",
	    "INSERT IGNORE INTO mail_lock VALUES (65536), (65537)", "COMMIT" },
	    false },
	{ TRIGGER("deleted"), 1,
	    { "CREATE TRIGGER mail_count_deleted AFTER DELETE" CHANGED },
	    true },
	{ TRIGGER("updated"), 1,
	    { "CREATE TRIGGER mail_count_updated AFTER UPDATE" CHANGED }, true }
};

static int
store_build(struct store *s, size_t i)
{
	size_t	j;

	for (j = 0; j < STEPS && preparation[i].sql[j] != NULL; j++)
		if (store_build_sql(s, preparation[i].sql[j]) == -1)
			return -1;
	return 0;
}

static int
store_prepare(struct store *s)
{
	int64_t	n;
	size_t	i;

	for (i = 0; i < sizeof(preparation) / sizeof(preparation[0]); i++) {
		if (mysqldb_number(s->db, preparation[i].check, &n) == -1)
			return -1;
		if (n >= preparation[i].least || store_build(s, i) == 0)
			continue;
		/* Where the server logs, only some may make triggers. */
		if (!preparation[i].optional || s->builder == NULL ||
		    mysqldb_fault(s->builder) == MYSQLDB_FAULT_LOST)
			return -1;
		s->blind = true;
	}
	return 0;
}

/* One daemon at a time; the lock goes with the connection too. */
static int
store_upgrade(struct store *s)
{
	const struct schema_database	database = { store_has,
	    store_build_sql, s, s->settings->fold_case };
	const char			*name = "concat('policyd.',"
	    " md5(database()))";
	char				*sql;
	int64_t				 n = 0;
	bool				 changed;
	int				 ret;

	sql = alloc_printf("SELECT get_lock(%s, 1)", name);
	ret = mysqldb_number(s->db, sql, &n);
	free(sql);
	if (ret == -1)
		return -1;
	if (n != 1) {
		(void)strlcpy(s->error, "another process prepares the tables",
		    sizeof(s->error));
		return -1;
	}
	if (schema_upgrade(SCHEMA_MYSQL, &database, &changed) == -1 ||
	    store_prepare(s) == -1 ||
	    mysqldb_number(s->db, "SELECT @@auto_increment_increment",
	    &s->step) == -1)
		return -1;
	sql = alloc_printf("SELECT release_lock(%s)", name);
	ret = mysqldb_number(s->db, sql, &n);
	free(sql);
	/*
	 * A server that takes no writes says so here, not to the first batch.
	 */
	if (ret == -1 || mysqldb_exec(s->db,
	    "SET @policyd_rate_limit_own = 1") == -1 ||
	    mysqldb_exec(s->db, "DELETE FROM mail_state WHERE name = ''") == -1)
		return -1;
	return mysqldb_commit(s->db);
}

/* --- opening --- */

/* The server does all work of its own. */
void
store_start_helper(struct role_start *start, const struct settings *settings)
{
	(void)start;
	(void)settings;
}

struct store *
store_open(const struct settings *settings, int directory, bool replaces,
    bool *away, char *reason, size_t size)
{
	struct store	*s;
	bool		 good;

	(void)directory;
	(void)replaces;
	s = alloc_zero(1, sizeof(*s));
	s->changes = -1;
	others_init(&s->others);
	s->settings = settings;
	s->db = mysqldb_open(settings->mysql_config, settings->db_timeout,
	    settings->db_insecure_auth, statements, STATEMENT__MAX, away,
	    reason, size);
	if (s->db == NULL) {
		store_close(s);
		return NULL;
	}
	s->description = alloc_printf("mysql %s", mysqldb_place(s->db));
	good = store_upgrade(s) == 0;
	s->settings = NULL;
	if (good) {
		mysqldb_close(s->builder);
		s->builder = NULL;
		s->error[0] = '\0';
		return s;
	}
	*away = mysqldb_fault(s->db) != MYSQLDB_FAULT_RIGHTS &&
	    (s->builder == NULL ||
	    mysqldb_fault(s->builder) != MYSQLDB_FAULT_RIGHTS);
	(void)strlcpy(reason, s->error[0] != '\0' ? s->error :
	    mysqldb_error(s->db),
	    size);
	store_close(s);
	return NULL;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	mysqldb_close(s->builder);
	mysqldb_close(s->db);
	free(s->description);
	free(s->each);
	free(s->order);
	free(s->slot);
	free(s->end);
	free(s->row);
	free(s->see);
	free(s->hit);
	free(s);
}

enum sandbox_role
store_sandbox(void)
{
	return SANDBOX_LEDGER_SERVER;
}

int
store_fd(const struct store *s)
{
	return mysqldb_fd(s->db);
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

const char *
store_placeholder(void)
{
	return "?";
}
