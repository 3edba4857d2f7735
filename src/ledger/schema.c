#include <stddef.h>
#include <string.h>

#include "ledger/schema.h"
#include "lib/str.h"

#define LOG_SECONDS	60

/*
 * Ids may have this length (ledger/id.h); instances and states are cut to it.
 */
#define ID_TYPE		"varchar(255)"
#define INSTANCE_TYPE	"varchar(255)"
#define STATE_TYPE	"varchar(64)"
#define BINARY		" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

/*
 * MySQL: transactions, and keys of more than 767 bytes, whatever the server's
 * default. Some servers refuse a table without a primary key.
 */
#define ENGINE		" ENGINE=InnoDB ROW_FORMAT=DYNAMIC"

#define HIT_TABLE(name)							\
	"CREATE TABLE " name " (id {key} NOT NULL, delta bigint NOT NULL," \
	" hit bigint NOT NULL, PRIMARY KEY (id, delta)){rowid}{engine}"

#define REFUSAL								\
	"CREATE TABLE mail_refusal (date bigint NOT NULL,"		\
	" number bigint NOT NULL, is_first bigint NOT NULL,"		\
	" times bigint NOT NULL, shadow bigint NOT NULL,"		\
	" n bigint NOT NULL, recipients bigint NOT NULL,"		\
	" id {key} NOT NULL, rule {key} NOT NULL, kind {key} NOT NULL,"	\
	" windows {long} NOT NULL, login {key} NOT NULL,"		\
	" sender {key} NOT NULL, recipient {key} NOT NULL,"		\
	" client {key} NOT NULL, client_name {key} NOT NULL,"		\
	" state {key} NOT NULL, queue_id {key} NOT NULL,"		\
	" instance {key} NOT NULL, PRIMARY KEY (date, number)"
#define REFUSAL_INDEXES							\
	"CREATE INDEX mail_refusal_id ON mail_refusal (id, date, number);" \
	"CREATE INDEX mail_refusal_first ON mail_refusal (is_first, date," \
	" number)"

/* What the dialects write for a word in braces. */
static const struct {
	const char	*word;
	const char	*text[SCHEMA__MAX];
} words[] = {
	{ "{id}",	{ ID_TYPE, ID_TYPE, ID_TYPE BINARY } },
	{ "{key}",	{ "text", ID_TYPE, ID_TYPE BINARY } },
	{ "{long}",	{ "text", "text", "varchar(1024)" BINARY } },
	{ "{binary}",	{ "", "", BINARY } },
	{ "{rowid}",	{ " WITHOUT ROWID", "", "" } },
	{ "{engine}",	{ "", "", ENGINE } }
};

/*
 * A step runs when `column` of `table` (NULL: the table) is missing, or when
 * the column holds fewer than `width` characters or bytes. A statement that is
 * NULL is that of the dialect before; an empty one does nothing.
 */
struct step {
	const char	*table;
	const char	*column;
	int		 width;
	const char	*sql[SCHEMA__MAX];
};

static const struct step	steps[] = {
	/*
	 * seq keeps the order of the rows when a database is copied or
	 * compacted. Comparing ids by a language's rules would take half of
	 * PostgreSQL's time for a row.
	 */
	{ "mail_count", NULL, 0, {
	    "CREATE TABLE mail_count (id " ID_TYPE " NOT NULL,"
	    " date bigint NOT NULL, recipient_count int DEFAULT 1,"
	    " instance " INSTANCE_TYPE
	    " NOT NULL DEFAULT 'empty', protocol_state " STATE_TYPE
	    " NOT NULL DEFAULT '')",
	    "CREATE TABLE mail_count (id " ID_TYPE " COLLATE \"C\" NOT NULL,"
	    " date bigint NOT NULL, recipient_count bigint DEFAULT 1,"
	    " instance " INSTANCE_TYPE
	    " NOT NULL DEFAULT 'empty', protocol_state " STATE_TYPE
	    " NOT NULL DEFAULT '', tag bigint NOT NULL DEFAULT 0,"
	    " seq bigint);"
	    "CREATE SEQUENCE mail_count_seq_seq OWNED BY mail_count.seq",
	    "CREATE TABLE mail_count (id " ID_TYPE BINARY " NOT NULL,"
	    " date bigint NOT NULL, recipient_count bigint DEFAULT 1,"
	    " instance " INSTANCE_TYPE BINARY " NOT NULL DEFAULT 'empty',"
	    " protocol_state " STATE_TYPE " NOT NULL DEFAULT '',"
	    " tag bigint NOT NULL DEFAULT 0" SCHEMA_HIDDEN ","
	    " seq bigint NOT NULL" SCHEMA_HIDDEN " AUTO_INCREMENT PRIMARY KEY,"
	    " own tinyint NOT NULL DEFAULT 0" SCHEMA_HIDDEN ","
	    " batch bigint NOT NULL DEFAULT 1" SCHEMA_HIDDEN ")" ENGINE } },

	/* 0.5.1 lacks these. */
	{ "mail_count", "recipient_count", 0, {
	    "ALTER TABLE mail_count ADD COLUMN recipient_count int DEFAULT 1",
	    "ALTER TABLE mail_count ADD COLUMN recipient_count bigint"
	    " DEFAULT 1" } },
	{ "mail_count", "instance", 0, {
	    "ALTER TABLE mail_count ADD COLUMN instance {id}"
	    " NOT NULL DEFAULT 'empty'" } },
	{ "mail_count", "protocol_state", 0, {
	    "ALTER TABLE mail_count ADD COLUMN protocol_state " STATE_TYPE
	    " NOT NULL DEFAULT ''" } },

	/*
	 * No older program has a tag. On SQLite mail_tag has it. On PostgreSQL
	 * existing rows get 0: a constant default, so no row is rewritten;
	 * store_pgsql_open.c then drops the default, since rows that other
	 * programs insert have no tag.
	 */
	{ "mail_count", "tag", 0, {
	    "",
	    "ALTER TABLE mail_count ADD COLUMN tag bigint NOT NULL DEFAULT 0",
	    "ALTER TABLE mail_count ADD COLUMN tag bigint NOT NULL"
	    " DEFAULT 0" SCHEMA_HIDDEN } },
	{ "mail_count", "seq", 0, {
	    "",
	    "ALTER TABLE mail_count ADD COLUMN seq bigint DEFAULT 0;"
	    "CREATE SEQUENCE mail_count_seq_seq OWNED BY mail_count.seq",
	    "ALTER TABLE mail_count ADD COLUMN seq bigint NOT NULL"
	    SCHEMA_HIDDEN " AUTO_INCREMENT UNIQUE" } },
	{ "mail_count", "own", 0, {
	    "",
	    "",
	    "ALTER TABLE mail_count ADD COLUMN own tinyint NOT NULL"
	    " DEFAULT 1" SCHEMA_HIDDEN } },
	/* Existing rows count as one batch, before the first. */
	{ "mail_count", "batch", 0, {
	    "",
	    "",
	    "ALTER TABLE mail_count ADD COLUMN batch bigint NOT NULL"
	    " DEFAULT 1" SCHEMA_HIDDEN } },

	/*
	 * 1.x made this column with 32 bits; SQLite has no fixed width. Both
	 * servers rewrite the whole table in one statement.
	 */
	{ "mail_count", "recipient_count", SCHEMA_BYTES, {
	    "",
	    "ALTER TABLE mail_count ALTER COLUMN recipient_count TYPE bigint",
	    "ALTER TABLE mail_count MODIFY recipient_count bigint"
	    " DEFAULT 1" } },
	{ "mail_count", "id", 255, {
	    "",
	    "ALTER TABLE mail_count ALTER COLUMN id TYPE " ID_TYPE,
	    "ALTER TABLE mail_count MODIFY id " ID_TYPE BINARY " NOT NULL,"
	    ENGINE } },
	{ "mail_count", "instance", 255, {
	    "",
	    "ALTER TABLE mail_count ALTER COLUMN instance TYPE " INSTANCE_TYPE,
	    "ALTER TABLE mail_count MODIFY instance " INSTANCE_TYPE BINARY
	    " NOT NULL DEFAULT 'empty'" } },
	{ "mail_count", "protocol_state", 64, {
	    "",
	    "ALTER TABLE mail_count ALTER COLUMN protocol_state TYPE "
	    STATE_TYPE,
	    "ALTER TABLE mail_count MODIFY protocol_state " STATE_TYPE
	    " NOT NULL DEFAULT ''" } },

	/* 1.x made it only if `report` was on. */
	{ "limit_report", NULL, 0, {
	    "CREATE TABLE limit_report (id " ID_TYPE " NOT NULL,"
	    " delta int NOT NULL, hit int NOT NULL DEFAULT 0)",
	    "CREATE TABLE limit_report (id " ID_TYPE " NOT NULL,"
	    " delta bigint NOT NULL, hit bigint NOT NULL DEFAULT 0)",
	    "CREATE TABLE limit_report (id " ID_TYPE BINARY " NOT NULL,"
	    " delta bigint NOT NULL, hit bigint NOT NULL DEFAULT 0,"
	    " PRIMARY KEY (id, delta))" ENGINE } },
	{ "limit_report", "id", 255, {
	    "",
	    "ALTER TABLE limit_report ALTER COLUMN id TYPE " ID_TYPE,
	    "ALTER TABLE limit_report MODIFY id " ID_TYPE BINARY " NOT NULL,"
	    ENGINE } },

	/*
	 * The same for warn_at, for rules in shadow and for locks. Older
	 * programs, and earlier versions of ours, lack them:
	 * store_sqlite_open.c checks for the last one.
	 */
	{ "limit_warning", NULL, 0, { HIT_TABLE("limit_warning") } },
	{ "limit_shadow", NULL, 0, { HIT_TABLE("limit_shadow") } },
	{ "limit_lock", NULL, 0, { HIT_TABLE("limit_lock") } },

	/*
	 * The logins that report_user was told of: told is 1 if a mail was
	 * claimed, 0 if the login was left for the report, and 2 once that was
	 * sent.
	 */
	{ "mail_notice", NULL, 0, {
	    "CREATE TABLE mail_notice (login {key} NOT NULL PRIMARY KEY,"
	    " date bigint NOT NULL, told bigint NOT NULL,"
	    " claim bigint NOT NULL){rowid}{engine}" } },

	/* For sql_limits_by_id; the administrator may use another table. */
	{ "rate_limits", NULL, 0, {
	    "CREATE TABLE rate_limits (id {id} NOT NULL PRIMARY KEY,"
	    " limits varchar(255) NOT NULL){engine}" } },

	/*
	 * The time at which each value of a rule with distinct values was last
	 * seen.
	 */
	{ "mail_distinct", NULL, 0, {
	    "CREATE TABLE mail_distinct (id {key} NOT NULL,"
	    " value {key} NOT NULL, date bigint NOT NULL,"
	    " PRIMARY KEY (id, value)){rowid}{engine}" } },

	/*
	 * What the keys of rules that count new recipients know; hashes and
	 * dates (ledger/habits.h).
	 */
	{ "mail_habit", NULL, 0, {
	    "CREATE TABLE mail_habit (who bigint NOT NULL,"
	    " kind int NOT NULL, what bigint NOT NULL, since bigint NOT NULL,"
	    " seen bigint NOT NULL, PRIMARY KEY (who, kind, what))"
	    "{rowid}{engine}" } },

	/* Sums of ids with many rows; SQLite has runs instead. */
	{ "mail_sums", NULL, 0, {
	    "",
	    "CREATE TABLE mail_sums (id " ID_TYPE " NOT NULL,"
	    " part bigint NOT NULL, seq bigint NOT NULL,"
	    " since bigint NOT NULL, changes bigint NOT NULL,"
	    " counts bytea NOT NULL, PRIMARY KEY (id, part))",
	    "CREATE TABLE mail_sums (id " ID_TYPE BINARY " NOT NULL,"
	    " part bigint NOT NULL, seq bigint NOT NULL,"
	    " since bigint NOT NULL, changes bigint NOT NULL,"
	    " counts mediumblob NOT NULL, batch bigint NOT NULL DEFAULT 0,"
	    " PRIMARY KEY (id, part))" ENGINE } },
	{ "mail_sums", "batch", 0, {
	    "",
	    "",
	    "ALTER TABLE mail_sums ADD COLUMN batch bigint NOT NULL"
	    " DEFAULT 0" } },

	/*
	 * Changes by others to rows of mail_count that mail_state does not
	 * count yet.
	 */
	{ "mail_change", NULL, 0, {
	    "",
	    "CREATE TABLE mail_change (n bigserial PRIMARY KEY)",
	    "CREATE TABLE mail_change (session bigint NOT NULL PRIMARY KEY,"
	    " n bigint NOT NULL)" ENGINE } },

	/* What policyctl sets; few rows. */
	{ "mail_override", NULL, 0, {
	    "CREATE TABLE mail_override (id {key} NOT NULL, kind int NOT NULL,"
	    " amount bigint NOT NULL, expires bigint NOT NULL,"
	    " PRIMARY KEY (id, kind)){rowid}{engine}" } },

	/*
	 * Who set it, when and why; an earlier version of ours did not store
	 * that.
	 */
	{ "mail_override", "since", 0, {
	    "ALTER TABLE mail_override ADD COLUMN since bigint"
	    " NOT NULL DEFAULT 0" } },
	{ "mail_override", "who", 0, {
	    "ALTER TABLE mail_override ADD COLUMN who varchar(64){binary}"
	    " NOT NULL DEFAULT ''" } },
	{ "mail_override", "reason", 0, {
	    "ALTER TABLE mail_override ADD COLUMN reason varchar(255){binary}"
	    " NOT NULL DEFAULT ''" } },

	/* What policyctl says of refusals. */
	{ "mail_refusal", NULL, 0, {
	    REFUSAL ") WITHOUT ROWID;" REFUSAL_INDEXES,
	    REFUSAL ");" REFUSAL_INDEXES,
	    REFUSAL ", KEY mail_refusal_id (id, date, number),"
	    " KEY mail_refusal_first (is_first, date, number))" ENGINE } },

	/* Named numbers. */
	{ "mail_state", NULL, 0, {
	    "CREATE TABLE mail_state (name text NOT NULL PRIMARY KEY,"
	    " value bigint NOT NULL) WITHOUT ROWID",
	    "CREATE TABLE mail_state (name varchar(64) NOT NULL PRIMARY KEY,"
	    " value bigint NOT NULL){engine}" } }
};

/*
 * Older programs counted each spelling of an id separately. With fold_case the
 * counts of all spellings are added up, for ASCII letters. The servers read all
 * rows anyway when they build our indexes; SQLite folds ids when it reads them,
 * see store_sqlite_read.c.
 */
static const char *const	fold[SCHEMA__MAX] = {
	"",
	"UPDATE mail_count SET id = lower(id COLLATE \"C\")"
	" WHERE id <> lower(id COLLATE \"C\")",
	"UPDATE mail_count SET id = lower(id)"
	" WHERE CAST(id AS BINARY) <> CAST(lower(id) AS BINARY)"
	" AND length(CONVERT(id USING utf8mb4)) = char_length(id)"
};

void
schema_hit_failed(struct log_limit limit[HIT_KIND__MAX], enum hit_kind kind,
    const char *error)
{
	static const char *const	tables[HIT_KIND__MAX] = {
		[HIT_FULL] = "limit_report", [HIT_NEAR] = "limit_warning",
		[HIT_SHADOW] = "limit_shadow", [HIT_LOCK] = "limit_lock"
	};
	unsigned int			suppressed;

	if (log_allowed(&limit[kind], LOG_SECONDS, &suppressed))
		log_warning("%s: %s", tables[kind], error);
}

void
schema_log_step(const char *description, const char *sql, bool replaces)
{
	if (!replaces && (strncmp(sql, "ALTER", 5) == 0 ||
	    strncmp(sql, "UPDATE", 6) == 0))
		log_notice("%s: preparing the tables: %s", description, sql);
}

/* The statement of a step; empty: it does nothing. */
static void
build_statement(struct str *out, const struct step *step,
    enum schema_dialect dialect)
{
	const char	*at = step->sql[dialect];
	size_t		 i;
	int		 own;

	for (own = (int)dialect; at == NULL; own--)
		at = step->sql[own];
	out->len = 0;
	while (*at != '\0') {
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strncmp(at, words[i].word,
			    strlen(words[i].word)) == 0)
				break;
		if (i == sizeof(words) / sizeof(words[0]))
			str_addc(out, *at++);
		else {
			str_adds(out, words[i].text[dialect]);
			at += strlen(words[i].word);
		}
	}
}

/* A table without a column that only ours has is an older program's. */
static int
fold_ids(enum schema_dialect dialect, const struct schema_database *database)
{
	int	there, width;

	if (!database->fold || fold[dialect][0] == '\0')
		return 0;
	there = database->has(database->arg, "mail_count", NULL, &width);
	if (there != 1)
		return there;
	there = database->has(database->arg, "mail_count", "tag", &width);
	if (there != 0)
		return there == 1 ? 0 : -1;
	return database->run(database->arg, fold[dialect]);
}

/* MySQL rewrites the table for each ALTER, so consecutive ones are combined. */
struct altering {
	const char	*table;
	struct str	 sql;
	bool		 widens;	/* only widens columns */
};

static int
run_alter(struct altering *a, const struct schema_database *database)
{
	int	ret = 0;

	if (a->sql.len > 0)
		ret = a->widens ? database->widen(database->arg, a->sql.data) :
		    database->run(database->arg, a->sql.data);
	a->sql.len = 0;
	return ret;
}

static int
run_step(enum schema_dialect dialect, const struct step *step,
    const char *sql, struct altering *a, const struct schema_database *database)
{
	bool	first = a->sql.len == 0;

	if (!first && (step->column == NULL ||
	    strcmp(step->table, a->table) != 0)) {
		if (run_alter(a, database) == -1)
			return -1;
		first = true;
	}
	if (step->column == NULL)
		return database->run(database->arg, sql);
	a->table = step->table;
	a->widens = first && step->width == SCHEMA_BYTES;
	if (!first) {
		sql += strlen("ALTER TABLE ") + strlen(step->table);
		str_adds(&a->sql, ",");
	}
	str_adds(&a->sql, sql);
	return dialect == SCHEMA_MYSQL ? 0 : run_alter(a, database);
}

int
schema_upgrade(enum schema_dialect dialect,
    const struct schema_database *database, bool *changed)
{
	const struct step	*step;
	struct altering		 altering;
	struct str		 sql;
	size_t			 i;
	int			 width, there, ret = 0;

	*changed = false;
	if (fold_ids(dialect, database) == -1)
		return -1;
	str_init(&altering.sql);
	str_init(&sql);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && ret == 0; i++) {
		step = &steps[i];
		build_statement(&sql, step, dialect);
		if (sql.len == 0)
			continue;
		width = 0;
		there = database->has(database->arg, step->table, step->column,
		    &width);
		if (there == 1 && (width == 0 || width >= step->width))
			continue;
		/* An added column gets its full width at once. */
		if (there == 0 && step->width > 0)
			continue;
		ret = there == -1 ? -1 :
		    run_step(dialect, step, sql.data, &altering, database);
		*changed = true;
	}
	if (ret == 0)
		ret = run_alter(&altering, database);
	str_clear(&altering.sql);
	str_clear(&sql);
	return ret;
}
