#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define STEPS		4
#define BUILD_MS	3600000		/* for one step of an upgrade */
#define UPGRADE_TRIES	30
#define UPGRADE_MS	300		/* longest pause between them */

/* --- schema.h's database --- */

static int
has_column(void *arg, const char *table, const char *column, int *width)
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

/* Runs a slow statement on a connection of its own. */
static int
build(void *arg, const char *sql)
{
	const size_t	 len = strlen(SCHEMA_HIDDEN);
	struct store	*s = arg;
	char		*known, *at;
	bool		 away;
	int		 ret;

	if (s->builder == NULL)
		s->builder = mysqldb_open(s->settings, BUILD_MS, s->db, NULL, 0,
		    &away, s->error, sizeof(s->error));
	if (s->builder == NULL)
		return -1;
	/* Without the keywords that the server does not know. */
	known = alloc_string(sql);
	while (!s->hides && (at = strstr(known, SCHEMA_HIDDEN)) != NULL)
		memmove(at, at + len, strlen(at + len) + 1);
	schema_log_step(s->description, known, s->replaces);
	ret = mysqldb_exec(s->builder, known);
	free(known);
	if (ret == -1)
		(void)strlcpy(s->error, s->builder->error, sizeof(s->error));
	return ret;
}

static int
widen(void *arg, const char *sql)
{
	struct store	*s = arg;

	if (build(s, sql) == 0)
		return 0;
	if (s->builder == NULL || s->builder->fault != MYSQLDB_FAULT_RIGHTS)
		return -1;
	s->narrow = true;
	log_warning(STORE_NARROW, s->description, s->error);
	s->error[0] = '\0';
	return 0;
}

/* --- other missing parts --- */

/* What of a table of ours is in information_schema. */
#define IN_SCHEMA(view, table, where)					\
	" FROM information_schema." view " WHERE table_schema = database()" \
	" AND table_name = '" table "' AND " where
#define COLUMN(table, where)						\
	"SELECT count(*)" IN_SCHEMA("columns", table, where)
#define INDEX(table, where)						\
	"SELECT count(*)" IN_SCHEMA("statistics", table, where)
#define NO_INDEX(table, where)						\
	"SELECT count(*) = 0" IN_SCHEMA("statistics", table, where)

/*
 * In SQL: whether the server is MariaDB or MySQL of these versions, or later.
 */
#define VERSION_PART(n)							\
	"substring_index(substring_index(version(), '.', " #n "), '.', -1)"
#define SINCE(mariadb, mysql)						\
	"(" VERSION_PART(1) " * 1000000 + " VERSION_PART(2) " * 1000"	\
	" + " VERSION_PART(3) " >= if(version() LIKE '%MariaDB%', "	\
	#mariadb ", " #mysql "))"
#define KNOWS_INVISIBLE	SINCE(10003000, 8000023)
#define KNOWS_SKIP_LOCKED	SINCE(10006000, 8000001)

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

/*
 * Runs the statements if `check` returns 0. With `optional` the start goes on
 * without them.
 */
static const struct {
	const char	*check;
	bool		 optional;
	const char	*sql[STEPS];
} preparation[] = {
	{ "SELECT count(*) FROM mail_state WHERE name = 'changes'", false,
	    { "INSERT INTO mail_state VALUES ('changes', 0)", "COMMIT" } },
	{ INDEX("mail_count", "index_name = 'mail_count_index'"
	    " AND column_name = 'date' AND seq_in_index = 2"), false,
	    { "CREATE INDEX mail_count_index ON mail_count (id, date)" } },
	/*
	 * Existing rows count as ours; rows inserted from now on are foreign.
	 */
	{ COLUMN("mail_count", "column_name = 'own'"
	    " AND column_default = '0'"), false,
	    { "ALTER TABLE mail_count ALTER COLUMN own SET DEFAULT 0" } },
	/* The first version of these tables had this index without `own`. */
	{ NO_INDEX("mail_count", "index_name = 'mail_count_news'"
	    " AND column_name = 'id' AND seq_in_index = 1"), false,
	    { "DROP INDEX mail_count_news ON mail_count" } },
	/* Later, it had `seq` in place of `batch`. */
	{ NO_INDEX("mail_count", "index_name = 'mail_count_news'"
	    " AND column_name = 'seq'"), false,
	    { "DELETE FROM mail_sums", "COMMIT", "DROP INDEX mail_count_news ON"
	    " mail_count" } },
	{ INDEX("mail_count", "index_name = 'mail_count_news'"
	    " AND column_name = 'batch' AND seq_in_index = 3"), false,
	    { "CREATE INDEX mail_count_news ON mail_count (own, id, batch)" } },
	{ INDEX("mail_distinct", "index_name = 'mail_distinct_date'"
	    " AND column_name = 'date' AND seq_in_index = 1"), false,
	    { "CREATE INDEX mail_distinct_date ON mail_distinct (date)" } },
	{ INDEX("limit_report", "non_unique = 0 AND column_name = 'delta'"
	    " AND seq_in_index = 2"), false,
	    { "CREATE TEMPORARY TABLE hits AS SELECT id, delta, sum(hit) AS hit"
	    " FROM limit_report GROUP BY id, delta", "DELETE FROM limit_report",
	    "INSERT INTO limit_report (id, delta, hit) SELECT * FROM hits",
	    "CREATE UNIQUE INDEX limit_report_index ON"
	    " limit_report (id, delta)" } },
	{ COLUMN("mail_lock", "column_name = 'slot'"), false,
	    { "CREATE TABLE mail_lock (slot int NOT NULL PRIMARY KEY,"
	    " batch bigint NOT NULL DEFAULT 1) ENGINE=InnoDB" } },
	{ COLUMN("mail_lock", "column_name = 'batch'"), false,
	    { "ALTER TABLE mail_lock ADD COLUMN batch bigint NOT NULL"
	    " DEFAULT 1" } },
	{ "SELECT count(*) >= 65538 FROM mail_lock", false,
	    { "SET @newest = (SELECT coalesce(max(batch), 0) + 1"
	    " FROM mail_count)",
	    "INSERT IGNORE INTO mail_lock (slot, batch) SELECT a.n + 8 * b.n"
	    " + 64 * c.n + 512 * d.n + 4096 * e.n + 32768 * f.n, @newest"
	    " FROM " DIGIT ") a, "
	    DIGIT ") b, " DIGIT ") c, " DIGIT ") d, " DIGIT ") e,"
	    " (SELECT 0 AS n UNION SELECT 1) f",
	    "INSERT IGNORE INTO mail_lock VALUES (65536, 1),"
	    " (65537, @newest)", "COMMIT" } },
	{ TRIGGER("deleted"), true,
	    { "DROP TRIGGER IF EXISTS mail_count_deleted",
	    "CREATE TRIGGER mail_count_deleted AFTER DELETE" CHANGED } },
	{ TRIGGER("updated"), true,
	    { "DROP TRIGGER IF EXISTS mail_count_updated",
	    "CREATE TRIGGER mail_count_updated AFTER UPDATE" CHANGED } },
	/* Our columns that an earlier start has not hidden. */
	{ "SELECT count(*) >= 4 OR NOT " KNOWS_INVISIBLE
	    IN_SCHEMA("columns", "mail_count", "extra LIKE '%INVISIBLE%'"),
	    false,
	    { "ALTER TABLE mail_count"
	    " MODIFY tag bigint NOT NULL DEFAULT 0" SCHEMA_HIDDEN ","
	    " MODIFY seq bigint NOT NULL" SCHEMA_HIDDEN " AUTO_INCREMENT,"
	    " MODIFY own tinyint NOT NULL DEFAULT 0" SCHEMA_HIDDEN ","
	    " MODIFY batch bigint NOT NULL DEFAULT 1" SCHEMA_HIDDEN } }
};

/* Triggers that we have no privilege to see work all the same. */
static bool
noticed(struct store *s)
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
prepare_tables(struct store *s)
{
	int64_t	n;
	size_t	i, j;

	for (i = 0; i < sizeof(preparation) / sizeof(preparation[0]); i++) {
		if (mysqldb_number(s->db, preparation[i].check, &n) == -1)
			return -1;
		if (n != 0)
			continue;
		for (j = 0; j < STEPS && preparation[i].sql[j] != NULL; j++)
			if (build(s, preparation[i].sql[j]) == -1)
				break;
		if (j == STEPS || preparation[i].sql[j] == NULL)
			continue;
		/*
		 * With binary logging, only privileged users may create
		 * triggers.
		 */
		if (!preparation[i].optional || s->builder == NULL ||
		    s->builder->fault == MYSQLDB_FAULT_LOST)
			return -1;
		if (s->blind || noticed(s))
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
 * Finds out which features the server has. Warns about visible columns, which a
 * program of 1.1 or 1.2 on these tables cannot use.
 */
static int
find_features(struct store *s)
{
	int64_t	hides, skips, cluster;
	int	width, five, ours;

	/*
	 * Not every server knows this variable. After any other fault it is
	 * unknown whether there is a cluster.
	 */
	if (mysqldb_number(s->db, "SELECT @@wsrep_on", &cluster) == -1 &&
	    s->db->fault != MYSQLDB_FAULT_STATEMENT)
		return -1;
	if (mysqldb_number(s->db, "SELECT " KNOWS_INVISIBLE, &hides) == -1 ||
	    mysqldb_number(s->db, "SELECT " KNOWS_SKIP_LOCKED, &skips) == -1 ||
	    mysqldb_number(s->db, "SELECT @@auto_increment_increment",
	    &s->step) == -1 ||
	    (five = has_column(s, "mail_count", "protocol_state", &width)) ==
	    -1 || (ours = has_column(s, "mail_count", "tag", &width)) == -1)
		return -1;
	s->hides = hides != 0;
	s->skips = skips != 0;
	s->cluster = cluster != 0;
	if (s->cluster)
		s->db->outside = true;
	if (!s->hides && five == 1 && ours == 0)
		log_warning("%s: this server cannot hide columns (MariaDB 10.3"
		    " and MySQL 8.0.23 can): from now on versions 1.1 and 1.2"
		    " cannot write to mail_count any more, upgrade all of them",
		    s->description);
	return 0;
}

static bool
overtaken(struct mysqldb *db)
{
	return db != NULL && (db->fault == MYSQLDB_FAULT_BUSY ||
	    db->fault == MYSQLDB_FAULT_EXISTS);
}

#define LOCK_NAME	"concat('policyd.', md5(database()))"

/*
 * One daemon at a time; the lock is also released with the connection. Daemons
 * on other nodes of a cluster may prepare the tables at the same time: what is
 * still missing is looked for again.
 */
int
store_upgrade(struct store *s)
{
	const struct schema_database	database = { has_column,
	    build, widen, s, s->settings->fold_case };
	int64_t				n;
	bool				changed;
	int				tries;

	if (mysqldb_number(s->db, "SELECT get_lock(" LOCK_NAME ", 1)",
	    &n) == -1)
		return -1;
	if (n != 1) {
		(void)strlcpy(s->error, "another process prepares the tables",
		    sizeof(s->error));
		return -1;
	}
	if (find_features(s) == -1)
		return -1;
	for (tries = 0; schema_upgrade(SCHEMA_MYSQL, &database,
	    &changed) == -1 || prepare_tables(s) == -1; tries++) {
		if (tries == UPGRADE_TRIES || (!overtaken(s->builder) &&
		    !overtaken(s->db)))
			return -1;
		if (mysqldb_rollback(s->db) == -1 || (s->builder != NULL &&
		    mysqldb_rollback(s->builder) == -1))
			return -1;
		(void)poll(NULL, 0, (int)arc4random_uniform(UPGRADE_MS));
	}
	if (mysqldb_number(s->db, "SELECT release_lock(" LOCK_NAME ")",
	    &n) == -1 || mysqldb_exec(s->db, STORE_OWN) == -1)
		return -1;
	/* A read-only server must fail here, not in the first batch. */
	if (mysqldb_exec(s->db, "DELETE FROM mail_state WHERE name = ''") == -1)
		return -1;
	return mysqldb_commit(s->db);
}
