#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/store_mysql.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define STEPS		4
#define BUILD_MS	3600000		/* for one step of an upgrade */

#define ROW	"id, date, recipient_count, instance, tag"
#define INDEX_NEWS	"FROM mail_count FORCE INDEX (mail_count_news) WHERE "
#define INDEX_DATE	"FROM mail_count FORCE INDEX (mail_count_index) WHERE "
#define BY_SEQ		INDEX_NEWS "own = 1 AND "
#define BY_DATE		INDEX_DATE "own = 1 AND "
#define BY_OTHERS	INDEX_NEWS "own = 0"

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
	[CHANGES] = { "SELECT value + " NOTED
	    ", (SELECT coalesce(max(seq), 0) FROM mail_count),"
	    " EXISTS (SELECT 1 " BY_OTHERS ")"
	    " FROM mail_state WHERE name = 'changes'",
	    NULL, NULL, NULL, "nnn", false },
	[NEWS] = { "SELECT " ROW ", seq " BY_SEQ "(",
	    "(id = ? AND seq > ?)", " OR ", ") ORDER BY id, seq LIMIT 20000",
	    "tnntnn", false },
	[ENDS] = { "",
	    "SELECT cast(? AS signed),"
	    " (SELECT coalesce(max(seq), 0) " BY_SEQ "id = ?),"
	    " coalesce((SELECT date " INDEX_DATE "id = ? AND date >= ?"
	    " ORDER BY date LIMIT ?, 1), 9223372036854775807)",
	    " UNION ALL ", NULL, "nnn", false },
	[FIRST] = { "SELECT id, date, cast(sum(recipient_count) AS signed) "
	    BY_DATE "date < ? AND (", "(id = ? AND date >= ? AND date <= ?)",
	    " OR ", ") GROUP BY id, date", "tnn", false },
	[SINGLE] = { "SELECT " ROW " " BY_DATE "date >= ? AND (",
	    "(id = ? AND date >= ? AND date <= ?)", " OR ", ")", "tnntn",
	    false },
	[LATE] = { "SELECT " ROW " " BY_SEQ "(",
	    "(id = ? AND seq > ? AND date < ? AND date >= ?)", " OR ", ")",
	    "tnntn", false },
	[KEPT] = { "SELECT s.id, s.seq, s.counts FROM mail_sums s, mail_state c"
	    " WHERE c.name = 'changes' AND s.changes = c.value + " NOTED
	    " AND s.seq <= ?"
	    " AND (", "(s.id = ? AND s.since <= ?)", " OR ",
	    ") ORDER BY s.id, s.part", "tnt", false },
	[RECENT] = { "", "(SELECT " ROW " " BY_SEQ "id = ? AND seq <= ?"
	    " ORDER BY seq DESC LIMIT ?)", " UNION ALL ", NULL, "tnntn", true },
	[VALUE] = { "", "SELECT cast(? AS signed), date FROM mail_distinct"
	    " WHERE id = ? AND value = ?", " UNION ALL ", NULL, "nn", false },
	[FOREIGN] = { "SELECT " ROW " " BY_OTHERS " ORDER BY id LIMIT ?",
	    NULL, NULL, NULL, "tnntn", false },
	[FOREIGN_IDS] = { "SELECT id " BY_OTHERS " ORDER BY id LIMIT ?",
	    NULL, NULL, NULL, "t", false },
	[FOREIGN_ANY] = { "", "SELECT cast(? AS signed)"
	    " FROM DUAL WHERE EXISTS (SELECT 1 " BY_OTHERS " AND id = ?)",
	    " UNION ALL ",
	    NULL, "n", true },
	[FOREIGN_OF] = { "SELECT '', date, recipient_count,"
	    " if(date >= ?, instance, ''), 0 " BY_OTHERS " AND id = ? LIMIT ?",
	    NULL, NULL, NULL, "tnntn", false },
	[APPEND] = { "INSERT INTO mail_count (" ROW ", protocol_state, own)"
	    " VALUES ", "(?, ?, ?, ?, ?, ?, 1)", ",", NULL, NULL, true },
	[SEE] = { "INSERT INTO mail_distinct (id, value, date) VALUES ",
	    "(?, ?, ?)", ",", " ON DUPLICATE KEY UPDATE date = values(date)",
	    NULL, true },
	[HIT] = HIT_NEW("limit_report"),
	[WARNING] = HIT_NEW("limit_warning"),
	[SHADOWED] = HIT_NEW("limit_shadow"),
	[LOCKED] = HIT_NEW("limit_lock"),
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
	[CLEAN_NOTE] = { "UPDATE mail_state SET value = value + 1"
	    " WHERE name = 'changes' AND abs(unix_timestamp() - ?) > 60",
	    NULL, NULL, NULL, NULL, false },
	[CLEAN_VALUES] = { "DELETE FROM mail_distinct"
	    " WHERE date < ? OR date > ?"
	    " ORDER BY date LIMIT ?", NULL, NULL, NULL, NULL, false },
	[CLEAN_SUMS] = { "DELETE FROM mail_sums WHERE since < ?",
	    NULL, NULL, NULL, NULL, false },
	[HITS] = HIT_ALL("limit_report"),
	[WARNINGS] = HIT_ALL("limit_warning"),
	[SHADOWS] = HIT_ALL("limit_shadow"),
	[LOCKS_SET] = HIT_ALL("limit_lock"),
	[HITS_LESS] = HIT_LESS("limit_report"),
	[WARNINGS_LESS] = HIT_LESS("limit_warning"),
	[SHADOWS_LESS] = HIT_LESS("limit_shadow"),
	[LOCKS_SET_LESS] = HIT_LESS("limit_lock"),
	[HITS_GONE] = HIT_GONE("limit_report"),
	[WARNINGS_GONE] = HIT_GONE("limit_warning"),
	[SHADOWS_GONE] = HIT_GONE("limit_shadow"),
	[LOCKS_SET_GONE] = HIT_GONE("limit_lock"),
	[OVERRIDES] = { "SELECT id, kind, amount, expires, since, who, reason"
	    " FROM mail_override WHERE expires > ?",
	    NULL, NULL, NULL, "tnnnntt", false },
	[OVERRIDE_GONE] = { "DELETE FROM mail_override"
	    " WHERE (id = ? AND kind = ?) OR expires <= ?",
	    NULL, NULL, NULL, NULL, false },
	[OVERRIDE_NEW] = { "REPLACE INTO mail_override"
	    " (id, kind, amount, expires, since, who, reason)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?)",
	    NULL, NULL, NULL, NULL, false },
	[VALUES_GONE] = { "DELETE FROM mail_distinct WHERE id = ?",
	    NULL, NULL, NULL, NULL, false },
	[TAKE_PICK] = { "SELECT seq " BY_OTHERS " ORDER BY id LIMIT ?"
	    " FOR UPDATE", NULL, NULL, NULL, "n", false },
	[TAKE_PICK_FREE] = { "SELECT seq " BY_OTHERS " ORDER BY id LIMIT ?"
	    " FOR UPDATE SKIP LOCKED", NULL, NULL, NULL, "n", false },
	[TAKE_COPY] = { "INSERT INTO mail_count (" ROW ", protocol_state, own)"
	    " SELECT " FOLDED ", date, recipient_count, instance, tag,"
	    " protocol_state, 1 FROM mail_count WHERE seq IN (",
	    "?", ",", ")", NULL, false },
	/* By primary key: a scan would wait for rows that are not committed. */
	[TAKE_DROP] = { "DELETE m FROM (",
	    "SELECT cast(? AS signed) AS n", " UNION ALL ",
	    ") p STRAIGHT_JOIN mail_count m ON m.seq = p.n", NULL, false }
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
		/* A column that does not compare by bytes counts as missing. */
		sql = alloc_printf("SELECT if(column_name IN ('id',"
		    " 'instance') AND"
		    " coalesce(collation_name, 'utf8mb4_bin') <>"
		    " 'utf8mb4_bin', 1,"
		    " CASE data_type WHEN 'int' THEN 4 WHEN 'mediumint' THEN 3"
		    " WHEN 'smallint' THEN 2 ELSE"
		    " coalesce(character_maximum_length, 0) END) + 1"
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

/* The statement without the keywords that the server does not know. */
static char *
store_server_sql(const struct store *s, const char *sql)
{
	const size_t	 len = strlen(SCHEMA_HIDDEN);
	char		*copy = alloc_string(sql), *at;

	while (!s->hides && (at = strstr(copy, SCHEMA_HIDDEN)) != NULL)
		memmove(at, at + len, strlen(at + len) + 1);
	return copy;
}

/* Runs a slow statement on a connection of its own. */
static int
store_build_sql(void *arg, const char *sql)
{
	struct store	*s = arg;
	char		*known;
	bool		 away;
	int		 ret;

	if (s->builder == NULL)
		s->builder = mysqldb_open(s->settings->mysql_config, BUILD_MS,
		    s->settings->db_insecure_auth, NULL, 0, &away,
		    s->error, sizeof(s->error));
	if (s->builder == NULL)
		return -1;
	known = store_server_sql(s, sql);
	if (strncmp(known, "ALTER", 5) == 0 || strncmp(known, "UPDATE", 6) == 0)
		log_notice("%s: preparing the tables: %s", s->description,
		    known);
	ret = mysqldb_exec(s->builder, known);
	free(known);
	if (ret == 0)
		return 0;
	(void)strlcpy(s->error, mysqldb_error(s->builder), sizeof(s->error));
	return -1;
}

static int
store_widen(void *arg, const char *sql)
{
	struct store	*s = arg;

	if (store_build_sql(s, sql) == 0)
		return 0;
	if (s->builder == NULL ||
	    mysqldb_fault(s->builder) != MYSQLDB_FAULT_RIGHTS)
		return -1;
	s->narrow = true;
	log_warning(STORE_NARROW, s->description, s->error);
	s->error[0] = '\0';
	return 0;
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
	" 'mail_count_" event "' AND action_statement LIKE"		\
	" '%mail_change %'"
#define CHANGED								\
	" ON mail_count FOR EACH ROW"					\
	" IF @policyd_rate_limit_own IS NULL THEN"			\
	" INSERT INTO mail_change VALUES (connection_id() % 256, 1)"	\
	" ON DUPLICATE KEY UPDATE n = n + 1; END IF"

#define DIGIT								\
	"(SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3"	\
	" UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7"

/* Runs the statements if the number that `check` returns is below `least`. */
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
	/*
	 * Existing rows count as ours; rows inserted from now on are foreign.
	 */
	{ "SELECT count(*) FROM information_schema.columns WHERE"
	    " table_schema = database() AND table_name = 'mail_count'"
	    " AND column_name = 'own' AND column_default = '0'", 1,
	    { "ALTER TABLE mail_count ALTER COLUMN own SET DEFAULT 0" },
	    false },
	/* The first version of these tables had this index without `own`. */
	{ "SELECT count(*) = 0 FROM information_schema.statistics WHERE"
	    " table_schema = database() AND table_name = 'mail_count'"
	    " AND index_name = 'mail_count_news' AND column_name = 'id'"
	    " AND seq_in_index = 1", 1,
	    { "DROP INDEX mail_count_news ON mail_count" }, false },
	{ INDEX("mail_count", "mail_count_news", "seq", 3), 1,
	    { "CREATE INDEX mail_count_news ON mail_count (own, id, seq)" },
	    false },
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
	    { "DROP TRIGGER IF EXISTS mail_count_deleted",
	    "CREATE TRIGGER mail_count_deleted AFTER DELETE" CHANGED },
	    true },
	{ TRIGGER("updated"), 1,
	    { "DROP TRIGGER IF EXISTS mail_count_updated",
	    "CREATE TRIGGER mail_count_updated AFTER UPDATE" CHANGED }, true }
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

/* Triggers that we have no privilege to see work all the same. */
static bool
store_noticed(struct store *s)
{
	static const char *const	sql[] = {
		"INSERT INTO mail_count (id, date, own) VALUES ('', 0, 1)",
		"UPDATE mail_count SET date = 1 WHERE seq = last_insert_id()",
		"DELETE FROM mail_count WHERE seq = last_insert_id()"
	};
	static const char		notes[] = "SELECT n FROM mail_change"
	    " WHERE session = connection_id() % 256";
	int64_t				before, after;
	size_t				i;
	bool				good;

	good = mysqldb_number(s->db, notes, &before) == 0;
	for (i = 0; i < sizeof(sql) / sizeof(sql[0]) && good; i++)
		good = mysqldb_exec(s->db, sql[i]) == 0;
	good = good && mysqldb_number(s->db, notes, &after) == 0 &&
	    after >= before + 2;
	return mysqldb_rollback(s->db) == 0 && good;
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
		/*
		 * With binary logging, only privileged users may create
		 * triggers.
		 */
		if (!preparation[i].optional || s->builder == NULL ||
		    mysqldb_fault(s->builder) == MYSQLDB_FAULT_LOST)
			return -1;
		if (s->blind || store_noticed(s))
			continue;
		log_warning("%s: no triggers can be created, what others"
		    " delete or change counts ten seconds later"
		    " (log_bin_trust_function_creators): %s", s->description,
		    s->error);
		s->blind = true;
	}
	return 0;
}

/*
 * In SQL: whether the server is MariaDB or MySQL of these versions, or later.
 */
#define VERSION_PART(n)							\
	"substring_index(substring_index(version(), '.', " #n "), '.', -1)"
#define SINCE(mariadb, mysql)						\
	"SELECT " VERSION_PART(1) " * 1000000 + " VERSION_PART(2)	\
	" * 1000 + " VERSION_PART(3) " >= if(version() LIKE '%MariaDB%', " \
	#mariadb ", " #mysql ")"

/* Finds out which features the server has. */
static int
store_features(struct store *s)
{
	int64_t	hides, skips;

	if (mysqldb_number(s->db, SINCE(10003000, 8000023), &hides) == -1 ||
	    mysqldb_number(s->db, SINCE(10006000, 8000001), &skips) == -1)
		return -1;
	s->hides = hides != 0;
	s->skips = skips != 0;
	return 0;
}

/*
 * Warns about visible columns, which a program of 1.1 or 1.2 on these tables
 * cannot use.
 */
static int
store_warn_visible(struct store *s)
{
	int	width, five, ours;

	if (s->hides)
		return 0;
	five = store_has(s, "mail_count", "protocol_state", &width);
	ours = store_has(s, "mail_count", "tag", &width);
	if (five == -1 || ours == -1)
		return -1;
	if (five == 1 && ours == 0)
		log_warning("%s: this server cannot hide columns (MariaDB 10.3"
		    " and MySQL 8.0.23 can): from now on versions 1.1 and 1.2"
		    " cannot write to mail_count any more, upgrade all of them",
		    s->description);
	return 0;
}

/* Hides our columns that an earlier start has not hidden. */
static int
store_hide(struct store *s)
{
	int64_t	hidden;

	if (!s->hides)
		return 0;
	if (mysqldb_number(s->db, "SELECT count(*) FROM"
	    " information_schema.columns WHERE table_schema = database()"
	    " AND table_name = 'mail_count' AND extra LIKE '%INVISIBLE%'",
	    &hidden) == -1)
		return -1;
	return hidden >= 3 ? 0 : store_build_sql(s, "ALTER TABLE mail_count"
	    " MODIFY tag bigint NOT NULL DEFAULT 0" SCHEMA_HIDDEN ","
	    " MODIFY seq bigint NOT NULL" SCHEMA_HIDDEN " AUTO_INCREMENT,"
	    " MODIFY own tinyint NOT NULL DEFAULT 0" SCHEMA_HIDDEN);
}

/* One daemon at a time; the lock is also released with the connection. */
static int
store_upgrade(struct store *s)
{
	const struct schema_database	database = { store_has,
	    store_build_sql, store_widen, s, s->settings->fold_case };
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
	if (store_features(s) == -1 || store_warn_visible(s) == -1 ||
	    schema_upgrade(SCHEMA_MYSQL, &database, &changed) == -1 ||
	    store_prepare(s) == -1 || store_hide(s) == -1 ||
	    mysqldb_number(s->db, "SELECT @@auto_increment_increment",
	    &s->step) == -1)
		return -1;
	sql = alloc_printf("SELECT release_lock(%s)", name);
	ret = mysqldb_number(s->db, sql, &n);
	free(sql);
	/* A read-only server must fail here, not in the first batch. */
	if (ret == -1 || mysqldb_exec(s->db,
	    "SET @policyd_rate_limit_own = 1") == -1 ||
	    mysqldb_exec(s->db, "DELETE FROM mail_state WHERE name = ''") == -1)
		return -1;
	return mysqldb_commit(s->db);
}

/* --- opening --- */

/* A server needs no helper. */
void
store_start_helper(struct role_start *start, const struct settings *settings)
{
	(void)start;
	(void)settings;
}

/* Whether only the administrator can mend the fault. */
static bool
store_unusable(const struct store *s)
{
	return s->builder != NULL &&
	    mysqldb_fault(s->builder) == MYSQLDB_FAULT_TABLE;
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
	foreign_init(&s->foreign, settings);
	str_init(&s->names_text);
	s->fold = foreign_fold(settings);
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
	*away = !store_unusable(s);
	(void)snprintf(reason, size, "%s%s", *away ? "" :
	    "mail_count cannot be used as it is: ",
	    s->error[0] != '\0' ? s->error : mysqldb_error(s->db));
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
	foreign_clear(&s->foreign);
	str_clear(&s->names_text);
	free(s->name);
	free(s->seq);
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
