#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/pgsql/pgsql.h"
#include "ledger/schema.h"
#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"

/* LOCK_ALL is taken in share mode by all but large batches. */
#define LOCK_ALL_KEY	"5791025316413866753"
#define LOCK_SCHEMA_KEY	"5791025316413866754"

/* More numbers than are given out between two starts. */
#define NUMBERS_STEP	"4294967296"

/*
 * Deletes old rows in the blocks $1 to $2 of a table. Rows that are old by our
 * clock may be in the caches of daemons with another clock: if our clock is not
 * the server's, this counts as a change. $4 is a day (WINDOW_SKEW) later.
 */
#define CLEAN_BLOCKS(table, where)					\
	"WITH gone AS (DELETE FROM " table " WHERE " where		\
	" RETURNING 1), noted AS (UPDATE mail_state SET value = value + 1" \
	" WHERE name = 'changes' AND EXISTS (SELECT 1 FROM gone)"	\
	" AND abs(extract(epoch FROM now()) - ($4::bigint - 86400)) > 60)" \
	" SELECT count(*), pg_relation_size('" table "')"		\
	" / current_setting('block_size')::bigint FROM gone"

/*
 * Skips rows that another session has locked, until the next cleaning. Locking
 * the others first costs as much as deleting them.
 */
#define CLEAN_UNLOCKED(table, where)					\
	CLEAN_BLOCKS(table, "ctid = ANY(ARRAY(SELECT ctid FROM " table	\
	" WHERE " where " FOR UPDATE SKIP LOCKED))")

#define CLEAN_STATEMENTS(blocks)					\
	[CLEAN] = CLEAN_BLOCKS("mail_count", blocks CLEAN_OLD),		\
	[CLEAN_LOCKED] = CLEAN_UNLOCKED("mail_count", blocks CLEAN_OLD), \
	[CLEAN_VALUES] = CLEAN_UNLOCKED("mail_distinct", blocks CLEAN_OLD)
#define CLEAN_OLD	" AND (date < $3::bigint OR date > $4::bigint)"
#define CLEAN_TID(n)	"('(' || " n "::bigint || ',0)')::tid"
#define CLEAN_RANGE							\
	"ctid >= " CLEAN_TID("$1") " AND ctid < " CLEAN_TID("$2")

/*
 * Servers before 14 would read the whole table for a range of ctid. So this
 * lists every ctid that a block can have, which makes a deletion three times as
 * slow, and ten times where nothing is old.
 */
#define CLEAN_PLACES							\
	"ctid = ANY(ARRAY(SELECT ('(' || b || ',' || o || ')')::tid"	\
	" FROM generate_series($1::bigint, $2::bigint - 1) b,"		\
	" generate_series(1, 291) o))"
#define KNOWS_RANGES	"SELECT (" PGSQL_SINCE(140000) ")::int"

/* Foreign rows may have any amount. */
#define SUM_CLAMPED							\
	"greatest(least(sum(c.recipient_count), 9223372036854775807),"	\
	" -9223372036854775807)::bigint"

#define HIT_NEW(table)							\
	"INSERT INTO " table " (id, delta, hit)"			\
	" SELECT id, delta, count(*) FROM unnest($1::text[], $2::bigint[])" \
	" t(id, delta) GROUP BY id, delta ORDER BY id, delta"		\
	" ON CONFLICT (id, delta)"					\
	" DO UPDATE SET hit = " table ".hit + excluded.hit"
#define HIT_ALL(table)							\
	"SELECT id, delta, sum(hit)::bigint FROM " table		\
	" GROUP BY id, delta HAVING sum(hit) > 0"			\
	" ORDER BY sum(hit) DESC, id, delta"
#define HIT_LESS(table)							\
	"UPDATE " table " SET hit = hit - $1::bigint"			\
	" WHERE id = $2::text AND delta = $3::bigint"
#define HIT_GONE(table)							\
	"DELETE FROM " table " WHERE id = $1::text"			\
	" AND delta = $2::bigint AND hit <= 0"

#define REFUSAL_BEFORE							\
	" WHERE (date, number) < ($2::bigint, $3::bigint)"		\
	" AND date BETWEEN $4::bigint AND $1::bigint"
#define REFUSAL_ORDER(max)						\
	" ORDER BY date DESC, number DESC LIMIT " max "::bigint"
#define REFUSALS_GONE(which, max)					\
	"DELETE FROM mail_refusal WHERE (date, number) IN"		\
	" (SELECT date, number FROM mail_refusal WHERE " which		\
	" ORDER BY date, number LIMIT " max "::bigint FOR UPDATE SKIP LOCKED)"

#define LEARN_PAIRS(pairs)						\
	"INSERT INTO mail_habit (who, kind, what, since, seen) " pairs	\
	" ON CONFLICT (who, kind, what)"				\
	" DO UPDATE SET since = excluded.since, seen = excluded.seen"

#define FOREIGN_ID_LOWER(id)	"lower(" id " COLLATE \"C\")"

/* Folds an id; the parameter is an enum foreign_fold. */
#define FOREIGN_ID_FOLDED(id, how)					\
	"CASE " how "::bigint WHEN 0 THEN " id " WHEN 1 THEN "		\
	FOREIGN_ID_LOWER(id) " ELSE left(" id ", strpos(" id ", ':'))"	\
	" || " FOREIGN_ID_LOWER("substr(" id ", strpos(" id ", ':') + 1)") \
	" END"

static const char *const	statements[STATEMENT__MAX] = {
	[DO_BEGIN] = "BEGIN",
	[DO_COMMIT] = "COMMIT",
	[DO_ROLLBACK] = "ROLLBACK",
	[LOCK_ALL] = "SELECT pg_advisory_xact_lock(" LOCK_ALL_KEY ")",
	[LOCK] = "SELECT count(CASE n WHEN 1 THEN"
	    " pg_advisory_xact_lock_shared(" LOCK_ALL_KEY ")"
	    " ELSE pg_advisory_xact_lock(k) END)"
	    " FROM unnest($1::bigint[]) WITH ORDINALITY u(k, n)",
	/* ORDER BY makes every server use the index, which is mostly empty. */
	[CHANGES] = "SELECT value + c.n, last_value, (SELECT 1 FROM mail_count"
	    " WHERE seq IS NULL ORDER BY " FOREIGN_ID_LOWER("id") " LIMIT 1),"
	    " c.n FROM mail_state, mail_count_seq_seq,"
	    " (SELECT count(*) AS n FROM mail_change) c"
	    " WHERE name = 'changes'",
	[NEWS] = "SELECT t.n, m.date, m.recipient_count, m.instance, m.tag,"
	    " m.seq"
	    " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY t(id,"
	    " newest, n),"
	    " LATERAL (SELECT * FROM mail_count c WHERE c.id = t.id"
	    " AND c.seq > t.newest ORDER BY c.seq LIMIT $3::bigint) m",
	[FIRST] = "SELECT t.n, r.control, r.date, r.amount, r.instance, r.tag"
	    " FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])"
	    " WITH ORDINALITY t(id, since, position, base, n),"
	    " LATERAL (SELECT coalesce((SELECT date FROM mail_count"
	    " WHERE id = t.id AND date >= t.position ORDER BY date"
	    " OFFSET $5::bigint LIMIT 1), 9223372036854775807) AS upto"
	    " OFFSET 0) e,"
	    " LATERAL (SELECT true AS control, e.upto AS date,"
	    " coalesce((SELECT seq"
	    " FROM mail_count WHERE id = t.id AND seq IS NOT NULL"
	    " ORDER BY seq DESC LIMIT 1), 0) AS amount,"
	    " NULL AS instance, 0 AS tag"
	    " UNION ALL SELECT false, c.date, " SUM_CLAMPED ","
	    " CASE WHEN c.date >= $6::bigint THEN c.instance END AS i,"
	    " CASE WHEN c.date >= $6::bigint THEN c.tag ELSE 0 END AS g"
	    " FROM (SELECT * FROM mail_count WHERE id = t.id"
	    " AND date >= t.position AND date <= e.upto AND seq IS NOT NULL"
	    " ORDER BY date LIMIT 1000000000) c GROUP BY c.date, i, g"
	    " UNION ALL SELECT false, c.date, c.recipient_count, c.instance,"
	    " c.tag"
	    " FROM (SELECT * FROM mail_count WHERE id = t.id AND seq > t.base"
	    " ORDER BY seq LIMIT 1000000000) c"
	    " WHERE c.date < t.position AND c.date >= t.since) r",
	[KEPT] = "SELECT t.n, s.seq, s.counts"
	    " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY t(id,"
	    " since, n) JOIN mail_sums s ON s.id = t.id WHERE s.since <="
	    " t.since AND s.changes = (SELECT value FROM mail_state"
	    " WHERE name = 'changes') + (SELECT count(*) FROM mail_change)"
	    " ORDER BY t.n, s.part",
	[RECENT] = "SELECT t.n, m.date, m.recipient_count, m.instance, m.tag"
	    " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY t(id,"
	    " newest, n), LATERAL (SELECT * FROM mail_count c"
	    " WHERE c.id = t.id AND c.seq <= t.newest ORDER BY c.seq DESC"
	    " LIMIT $3::bigint) m WHERE m.date >= $4::bigint",
	[VALUE] = "SELECT t.n, d.date FROM unnest($1::text[], $2::text[])"
	    " WITH ORDINALITY t(id, value, n), LATERAL (SELECT date"
	    " FROM mail_distinct WHERE id = t.id AND value = t.value LIMIT 1)"
	    " d",
	[FOREIGN] = "SELECT t.n, m.date, m.recipient_count,"
	    " CASE WHEN m.date >= $4::bigint THEN m.instance END, 0"
	    " FROM unnest($1::text[]) WITH ORDINALITY t(id, n),"
	    " LATERAL (SELECT * FROM mail_count c WHERE c.seq IS NULL"
	    " AND " FOREIGN_ID_LOWER("c.id") " = " FOREIGN_ID_LOWER("t.id")
	    " AND " FOREIGN_ID_FOLDED("c.id", "$2") " = t.id"
	    " ORDER BY " FOREIGN_ID_LOWER("c.id") " LIMIT $3::bigint) m"
	    " ORDER BY t.n",
	[APPEND] = "INSERT INTO mail_count (id, date,"
	    " recipient_count, instance, protocol_state, tag, seq)"
	    " SELECT *, nextval('mail_count_seq_seq')"
	    " FROM unnest($1::text[], $2::bigint[], $3::bigint[],"
	    " $4::text[], $5::text[], $6::bigint[])",
	[APPENDED] = "SELECT currval('mail_count_seq_seq')",
	[AHEAD] = "SELECT currval('mail_count_seq_seq'),"
	    " set_config('synchronous_commit', 'off', true)",
	[FLUSH] = STORE_FLUSH,
	[SEE] = "INSERT INTO mail_distinct (id, value, date)"
	    " SELECT id, value, max(date) FROM unnest($1::text[], $2::text[],"
	    " $3::bigint[]) t(id, value, date) GROUP BY id, value"
	    " ON CONFLICT (id, value) DO UPDATE SET date = excluded.date",
	[HIT] = HIT_NEW("limit_report"),
	[WARNING] = HIT_NEW("limit_warning"),
	[SHADOWED] = HIT_NEW("limit_shadow"),
	[LOCKED] = HIT_NEW("limit_lock"),
	[SUMS_GONE] = "DELETE FROM mail_sums WHERE id = ANY($1::text[])",
	[SUMS_NEW] = "INSERT INTO mail_sums (id, part, seq, since, changes,"
	    " counts) SELECT * FROM unnest($1::text[], $2::bigint[],"
	    " $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])",
	[NUMBER] = "SELECT value FROM mail_state WHERE name = $1::text",
	[SET_NUMBER] = "INSERT INTO mail_state (name, value)"
	    " VALUES ($1::text, $2::bigint)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[CLEAN_LIGHTLY] = "SELECT"
	    " set_config('synchronous_commit', 'off', true),"
	    " set_config('lock_timeout', '20', true)",
	CLEAN_STATEMENTS(CLEAN_RANGE),
	[CLEAN_SUMS] = "DELETE FROM mail_sums WHERE (id, part) IN"
	    " (SELECT id, part FROM mail_sums WHERE since < $1::bigint"
	    " FOR UPDATE SKIP LOCKED)",
	STORE_HIT_STATEMENTS,
	[OVERRIDES] = "SELECT id, kind::bigint, amount, expires, since, who,"
	    " reason FROM mail_override WHERE expires > $1::bigint",
	[OVERRIDE_GONE] = "DELETE FROM mail_override"
	    " WHERE id = $1::text AND kind = $2::bigint",
	[OVERRIDE_CLEAN] = "DELETE FROM mail_override"
	    " WHERE expires < $1::bigint",
	[OVERRIDE_NEW] = "INSERT INTO mail_override (id, kind, amount, expires,"
	    " since, who, reason) VALUES ($1::text, $2::bigint, $3::bigint,"
	    " $4::bigint, $5::bigint, $6::text, $7::text)"
	    " ON CONFLICT (id, kind) DO UPDATE"
	    " SET amount = excluded.amount, expires = excluded.expires,"
	    " since = excluded.since, who = excluded.who,"
	    " reason = excluded.reason",
	[NOTICE_CLEAN] = "DELETE FROM mail_notice WHERE told <> 0"
	    " AND (date <= $1::bigint OR date > $2::bigint)",
	[NOTICE_CLAIM] = "INSERT INTO mail_notice (login, date, told, claim)"
	    " SELECT $1::text, $2::bigint, (SELECT CASE WHEN count(*) <"
	    " $3::bigint THEN 1 ELSE 0 END FROM mail_notice"
	    " WHERE told = 1 AND date > $4::bigint), $5::bigint"
	    " ON CONFLICT (login) DO UPDATE SET date = excluded.date,"
	    " told = excluded.told, claim = excluded.claim"
	    " WHERE mail_notice.date <= excluded.date - 86400"
	    " OR mail_notice.date > excluded.date + 86400",
	[NOTICE_OF] = "SELECT told FROM mail_notice WHERE login = $1::text"
	    " AND claim = $2::bigint",
	[NOTICES_LEFT] = "SELECT login FROM mail_notice WHERE told = 0"
	    " AND date <= $1::bigint ORDER BY date, login",
	[NOTICES_DONE] = "UPDATE mail_notice SET told = 2 WHERE told = 0"
	    " AND date <= $1::bigint",
	[VALUES_GONE] = "DELETE FROM mail_distinct WHERE id = $1::text",
	[REFUSAL_NEW] = "INSERT INTO mail_refusal (" STORE_REFUSAL_COLUMNS ")"
	    " VALUES ($1::bigint, $2::bigint, $3::bigint, $4::bigint,"
	    " $5::bigint, $6::bigint, $7::bigint, $8::text, $9::text,"
	    " $10::text, $11::text, $12::text, $13::text, $14::text,"
	    " $15::text, $16::text, $17::text, $18::text, $19::text)"
	    " ON CONFLICT DO NOTHING",
	[REFUSALS] = "SELECT " STORE_REFUSAL_COLUMNS " FROM mail_refusal"
	    REFUSAL_BEFORE REFUSAL_ORDER("$5"),
	[REFUSALS_OF] = "SELECT " STORE_REFUSAL_COLUMNS " FROM mail_refusal"
	    REFUSAL_BEFORE " AND id = $5::text" REFUSAL_ORDER("$6"),
	[REFUSALS_COUNT] = "SELECT count(*) FROM mail_refusal",
	[REFUSALS_OLD] = REFUSALS_GONE("date < $1::bigint"
	    " OR date > $2::bigint", "$3"),
	[TRIM_REFUSALS] = REFUSALS_GONE("is_first = 0", "$1"),
	[TRIM_OLDEST] = REFUSALS_GONE("true", "$1"),
	[PAIR] = "SELECT t.n, h.since, h.seen FROM unnest($1::bigint[],"
	    " $2::bigint[], $3::bigint[]) WITH ORDINALITY"
	    " t(who, kind, what, n), LATERAL (SELECT since, seen"
	    " FROM mail_habit WHERE who = t.who AND kind = t.kind"
	    " AND what = t.what LIMIT 1) h",
	[PAIRS] = "SELECT what, since, seen FROM mail_habit"
	    " WHERE who = $1::bigint AND kind = $2::bigint",
	[LEARN] = LEARN_PAIRS("VALUES ($1::bigint, $2::bigint, $3::bigint,"
	    " $4::bigint, $5::bigint)"),
	[LEARN_ALL] = LEARN_PAIRS("SELECT * FROM unnest($1::bigint[],"
	    " $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])"),
	[PAIR_GONE] = "DELETE FROM mail_habit WHERE who = $1::bigint"
	    " AND kind = $2::bigint AND what = $3::bigint",
	[PAIRS_FORGOTTEN] = "DELETE FROM mail_habit"
	    " WHERE who = $1::bigint AND since >= $2::bigint",
	[CLEAN_PAIRS_END] = "SELECT who FROM mail_habit WHERE who > $1::bigint"
	    " ORDER BY who LIMIT 1 OFFSET $2::bigint",
	/* Skips rows that a batch has locked, until the next cleaning. */
	[CLEAN_PAIRS] = "DELETE FROM mail_habit WHERE ctid = ANY(ARRAY("
	    "SELECT ctid FROM mail_habit WHERE who > $1::bigint"
	    " AND who <= $2::bigint AND (seen < $3::bigint"
	    " OR since > $4::bigint) FOR UPDATE SKIP LOCKED))",
	[FIRST_NUMBER] = "INSERT INTO mail_state (name, value)"
	    " VALUES ($1::text, $2::bigint) ON CONFLICT (name) DO NOTHING",
	[TAKE_LIGHTLY] = "SELECT"
	    " set_config('synchronous_commit', 'off', true)",
	[TAKE_IN] = "WITH taken AS (UPDATE mail_count"
	    " SET seq = nextval('mail_count_seq_seq'),"
	    " id = " FOREIGN_ID_FOLDED("id", "$1")
	    " WHERE ctid = ANY(ARRAY(SELECT ctid FROM mail_count"
	    " WHERE seq IS NULL ORDER BY " FOREIGN_ID_LOWER("id")
	    " LIMIT $2::bigint FOR UPDATE SKIP LOCKED)) RETURNING 1)"
	    " SELECT count(*) FROM taken",
	[TAKE_NOTES] = "WITH gone AS (DELETE FROM mail_change RETURNING 1)"
	    " UPDATE mail_state SET value = value"
	    " + (SELECT count(*) FROM gone) WHERE name = 'changes'",
	[RENUMBER] = "SELECT setval('mail_count_seq_seq', $1::bigint + "
	    NUMBERS_STEP ")"
};

/* Replacements for servers that do not know ranges of ctid. */
static const char *const	rangeless[STATEMENT__MAX] = {
	CLEAN_STATEMENTS(CLEAN_PLACES)
};

/*
 * The trigger ignores this program, which identifies itself by a setting of its
 * session.
 */
static const char *const	preparation[][2] = {
	/* The first version of these tables gave a seq to foreign rows. */
	{ "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_attrdef d"
	    " JOIN pg_attribute a ON a.attrelid = d.adrelid"
	    " AND a.attnum = d.adnum"
	    " WHERE d.adrelid = to_regclass('mail_count')"
	    " AND a.attname = 'seq')",
	    "UPDATE mail_count SET seq = 0 WHERE seq IS NULL;"
	    "ALTER TABLE mail_count ALTER COLUMN seq DROP DEFAULT" },
	{ "SELECT 1 FROM mail_state WHERE name = 'changes'",
	    "INSERT INTO mail_state VALUES ('changes', 0)" },
	{ "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
	    " WHERE i.indrelid = to_regclass('mail_count')"
	    " AND pg_get_indexdef(c.oid) LIKE '%(id, date)'",
	    "CREATE INDEX ON mail_count (id, date)" },
	{ "SELECT 1 FROM pg_class WHERE oid = to_regclass('mail_count_news')",
	    "CREATE INDEX mail_count_news ON mail_count (id, seq)"
	    " WHERE seq IS NOT NULL" },
	{ "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
	    " WHERE i.indrelid = to_regclass('limit_report') AND i.indisunique"
	    " AND pg_get_indexdef(c.oid) LIKE '%(id, delta)'",
	    "CREATE TEMPORARY TABLE hits ON COMMIT DROP AS SELECT id, delta,"
	    " sum(hit) AS hit FROM limit_report GROUP BY id, delta;"
	    "DELETE FROM limit_report;"
	    "INSERT INTO limit_report (id, delta, hit) SELECT * FROM hits;"
	    "CREATE UNIQUE INDEX ON limit_report (id, delta)" },
	{ "SELECT 1 FROM pg_class"
	    " WHERE oid = to_regclass('mail_count_foreign')",
	    "CREATE INDEX mail_count_foreign ON mail_count"
	    " ((" FOREIGN_ID_LOWER("id") ")) WHERE seq IS NULL" },
	{ "SELECT 1 FROM pg_proc WHERE proname = 'mail_count_changed'"
	    " AND prosrc LIKE '%mail_change %'"
	    " AND pg_function_is_visible(oid)",
	    "CREATE OR REPLACE FUNCTION mail_count_changed() RETURNS trigger"
	    " LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS"
	    " $$ BEGIN IF current_setting('policyd_rate_limit.own', true)"
	    " IS DISTINCT FROM 'on' THEN INSERT INTO mail_change"
	    " DEFAULT VALUES; END IF; RETURN NULL; END $$" },
	{ "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('mail_count')"
	    " AND tgname = 'mail_count_changed'",
	    "CREATE TRIGGER mail_count_changed AFTER DELETE OR UPDATE OR"
	    " TRUNCATE"
	    " ON mail_count FOR EACH STATEMENT"
	    " EXECUTE FUNCTION mail_count_changed()" }
};

/*
 * Every start continues after all numbers ever given out, also if the sequence
 * was set back while no daemon ran.
 */
#define NUMBERS								\
	"INSERT INTO mail_state SELECT 'numbers', last_value + "	\
	NUMBERS_STEP " FROM mail_count_seq_seq"				\
	" ON CONFLICT (name) DO UPDATE SET value ="			\
	" greatest(mail_state.value + " NUMBERS_STEP ", excluded.value);" \
	"SELECT setval('mail_count_seq_seq', value) FROM mail_state"	\
	" WHERE name = 'numbers';"

/* --- opening --- */

static int
has_column(void *arg, const char *table, const char *column, int *width)
{
	struct store	*s = arg;
	char		*sql;
	int64_t		 n = 0;
	int		 ret;

	if (column == NULL)
		sql = alloc_printf("SELECT count(*) FROM pg_class"
		    " WHERE oid = to_regclass('%s')", table);
	else
		sql = alloc_printf("SELECT CASE WHEN atttypmod > 4 THEN"
		    " atttypmod - 4 WHEN atttypid IN ('int2'::regtype,"
		    " 'int4'::regtype) THEN attlen ELSE 0 END + 1"
		    " FROM pg_attribute WHERE"
		    " attrelid = to_regclass('%s') AND attname = '%s'"
		    " AND NOT attisdropped", table, column);
	ret = pgsql_number(s->db, sql, &n);
	free(sql);
	if (ret == -1)
		return -1;
	if (column != NULL && n > 0)
		*width = (int)n - 1;
	return n > 0;
}

static int
run_step(void *arg, const char *sql)
{
	struct store	*s = arg;

	schema_log_step(s->description, sql, s->replaces);
	return pgsql_exec(s->db, sql);
}

static int
widen(void *arg, const char *sql)
{
	struct store	*s = arg;

	if (pgsql_exec(s->db, "SAVEPOINT widen") == -1)
		return -1;
	if (run_step(s, sql) == 0)
		return 0;
	if (s->db->fault != PGSQL_FAULT_RIGHTS)
		return -1;
	s->narrow = true;
	log_warning(STORE_NARROW, s->description, s->db->error);
	return pgsql_exec(s->db, "ROLLBACK TO SAVEPOINT widen");
}

#define LEFT_MS		60000	/* then a wait was left behind */

/*
 * Upgrades the tables and prepares the statements. A standby that is missing
 * must not hold up the start, so nothing here waits for one.
 */
static int
set_up(struct store *s, const struct settings *settings)
{
	const struct schema_database	 database = { has_column, run_step,
	    widen, s, settings->fold_case };
	const char			*statement[STATEMENT__MAX];
	char				*sql;
	int64_t				 n;
	size_t				 i;
	bool				 changed;
	int				 ret;

	if (pgsql_exec(s->db, "SET synchronous_commit = local") == -1)
		return -1;
	/*
	 * Ends waits for a synchronous standby that other ledgers left behind:
	 * such a wait outlives its client, and would use up the server's
	 * connections.
	 */
	sql = alloc_printf("SELECT count(pg_cancel_backend(pid)) FROM"
	    " pg_stat_activity WHERE pid <> pg_backend_pid() AND datname ="
	    " current_database() AND usename = current_user AND"
	    " application_name = current_setting('application_name') AND"
	    " wait_event = 'SyncRep' AND state_change < clock_timestamp() -"
	    " make_interval(secs => %lld / 1000.0)",
	    (long long)(2 * settings->db_timeout + LEFT_MS));
	ret = pgsql_number(s->db, sql, &n);
	free(sql);
	if (ret == -1 || pgsql_exec(s->db, "SET policyd_rate_limit.own = 'on';"
	    "BEGIN;"
	    "SELECT pg_advisory_xact_lock(" LOCK_SCHEMA_KEY ")") == -1 ||
	    schema_upgrade(SCHEMA_PGSQL, &database, &changed) == -1)
		return -1;
	for (i = 0; i < sizeof(preparation) / sizeof(preparation[0]); i++)
		if (pgsql_number(s->db, preparation[i][0], &n) == -1 ||
		    (n == 0 && pgsql_exec(s->db, preparation[i][1]) == -1))
			return -1;
	if (pgsql_exec(s->db, NUMBERS "COMMIT") == -1 ||
	    pgsql_exec(s->db, "RESET synchronous_commit") == -1 ||
	    pgsql_number(s->db, KNOWS_RANGES, &n) == -1)
		return -1;
	for (i = 0; i < STATEMENT__MAX; i++)
		statement[i] = n == 0 && rangeless[i] != NULL ? rangeless[i] :
		    statements[i];
	return pgsql_prepare(s->db, statement, STATEMENT__MAX);
}

const enum sandbox_role	store_sandbox = SANDBOX_LEDGER_SERVER;
const char *const	store_placeholder = "$1";

struct store *
store_open(const struct store_opening *o, bool *away, char *reason,
    size_t size)
{
	const struct settings	*settings = o->settings;
	struct store		*s;
	int64_t			 other;
	size_t			 i;

	s = alloc_zero(1, sizeof(*s));
	s->replaces = o->replaces;
	s->changes = -1;
	s->young = clock_after(clock_mono(), 4 * settings->db_timeout + 1000);
	writers_init(&s->others);
	foreign_init(&s->foreign, settings);
	for (i = 0; i < COLUMN__MAX; i++)
		str_init(&s->column[i].bytes);
	s->db = pgsql_open(settings, NULL, away, reason, size);
	if (s->db == NULL)
		goto fail;
	s->description = alloc_printf("pgsql %s", s->db->place);
	if (s->db->exposed && !o->replaces)
		log_warning("%s: this libpq (before 16) shows the password to "
		    "any server that listens there and asks for it: use a UNIX "
		    "socket or sslmode=verify-full", s->description);
	/* A ctid identifies a row in one table only. */
	if (pgsql_number(s->db, "SELECT count(*) FROM pg_class c"
	    " WHERE oid = to_regclass('mail_count') AND (relkind <> 'r' OR"
	    " EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = c.oid))",
	    &other) == 0 && other > 0) {
		*away = false;
		(void)strlcpy(reason, SCHEMA_UNFIT "mail_count must be a plain"
		    " table, without partitions or children", size);
		goto fail;
	}
	if (set_up(s, settings) == 0) {
		if (o->serves)
			store_flusher_open(s, settings);
		if (store_check_standby(s) == 0)
			return s;
	}
	*away = !s->db->unfit;
	(void)snprintf(reason, size, "%s%s", *away ? "" : SCHEMA_UNFIT,
	    s->error[0] != '\0' ? s->error : s->db->error);
 fail:
	store_close(s);
	return NULL;
}

void
store_close(struct store *s)
{
	size_t	i;

	if (s == NULL)
		return;
	pgsql_close(s->flusher);
	pgsql_close(s->db);
	for (i = 0; i < COLUMN__MAX; i++)
		str_clear(&s->column[i].bytes);
	foreign_clear(&s->foreign);
	free(s->index);
	free(s->lock);
	free(s->description);
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
	return pgsql_ended(s->db) && store_result(s) == STORE_LOST;
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
