#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"
#include "lib/window.h"

/* Runs the query for all ids at once, in a UNION. */
static int
ask_all(struct store *s, const char *query, size_t len,
    struct store_found *list, size_t n)
{
	struct str	 sql;
	const char	*text;
	size_t		 params, textlen, i;
	int64_t		 row;
	int		 more = -1;

	/* A newline keeps a comment at its end from hiding what follows. */
	str_init(&sql);
	for (i = 0; i < n; i++)
		str_addf(&sql, "%s(SELECT %zu AS n, q.* FROM (%.*s\n) AS q"
		    " LIMIT 1)", i > 0 ? " UNION ALL " : "", i, (int)len,
		    query);
	if (mysqldb_query_prepare(s->db, sql.data, sql.len, &params) == 0) {
		for (i = 0; i < params / n * n; i++)
			mysqldb_bind_text(s->db, list[i / (params / n)].id,
			    list[i / (params / n)].idlen);
		more = mysqldb_query_run(s->db, "nt") == 0 ? 1 : -1;
	}
	while (more == 1 && (more = mysqldb_next(s->db)) == 1) {
		row = mysqldb_column(s->db, 0);
		text = mysqldb_column_text(s->db, 1, &textlen);
		if (row >= 0 && (uint64_t)row < n && text != NULL &&
		    list[row].text == NULL)
			list[row].text = alloc_copy(text, textlen);
	}
	str_clear(&sql);
	return more;
}

/* Bounds the next query by what is left of the time. -1: nothing is. */
static int
bound_query(struct store *s, const struct mono *until)
{
	int	left;

	if (until == NULL)
		return 0;
	if ((left = clock_left(*until, clock_mono())) > 0 &&
	    mysqldb_query_bound(s->db, left) == 0)
		return 0;
	(void)strlcpy(s->error, "the query takes too long", sizeof(s->error));
	return -1;
}

/*
 * Runs the query for one id at a time: a query that returns two columns of the
 * same name, for example, cannot be a derived table, and one that fails for
 * some ids must not fail for the others.
 */
static int
ask_each(struct store *s, const char *query, size_t querylen,
    const struct mono *until, struct store_found *list, size_t n)
{
	const char	*text;
	size_t		 params, i, j, len;

	if (mysqldb_query_prepare(s->db, query, querylen, &params) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		/* Of ask_all, which failed. */
		free(list[i].text);
		list[i].text = NULL;
		list[i].failed = bound_query(s, until) == -1;
		if (list[i].failed)
			continue;
		for (j = 0; j < params; j++)
			mysqldb_bind_text(s->db, list[i].id, list[i].idlen);
		if (mysqldb_query_run(s->db, "t") == -1) {
			list[i].failed = true;
			if (store_result(s) != STORE_FAILED)
				return -1;
			continue;
		}
		if (mysqldb_next(s->db) == 1 &&
		    (text = mysqldb_column_text(s->db, 0, &len)) != NULL)
			list[i].text = alloc_copy(text, len);
		if (mysqldb_query_over(s->db) == -1)
			return -1;
	}
	return 0;
}

/* Finds out once for each query which of the two ways works. */
static int
ask(struct store *s, const char *query, const struct mono *until,
    struct store_found *list, size_t n)
{
	bool	each = s->each != NULL && strcmp(s->each, query) == 0;
	size_t	len = strlen(query);

	/* Without a semicolon at its end. */
	while (len > 0 && strchr("; \t\r\n", query[len - 1]) != NULL)
		len--;
	if (!each) {
		if (bound_query(s, until) == -1)
			return -1;
		if (ask_all(s, query, len, list, n) == 0)
			return 0;
		if (store_failed(s) != STORE_FAILED)
			return -1;
	}
	if (ask_each(s, query, len, until, list, n) == -1)
		return -1;
	if (!each) {
		free(s->each);
		s->each = alloc_string(query);
	}
	return 0;
}

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	const struct mono	until = clock_after(clock_mono(), timeout);
	enum store_result	result;

	result = store_end(s, ask(s, query, timeout > 0 ? &until : NULL, list,
	    n) == 0);
	if (s->db->fault != MYSQLDB_FAULT_LOST && timeout > 0)
		(void)mysqldb_query_bound(s->db, 0);
	return s->db->fault == MYSQLDB_FAULT_LOST ? STORE_LOST : result;
}

/* --- cleaning --- */

/* Most of a step waits for the disk, which others would use meanwhile. */
const struct store_pace	store_pace = { INT64_C(500000), 4 };

/* Every step waits for the disk once, so a step has at least so many rows. */
#define ROWS_LEAST	500

/* Values come last; *position stays the same until there are none. */
static int
clean_values(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *end)
{
	if (store_lock_ranges(s) == -1)
		return -1;
	mysqldb_begin(s->db, CLEAN_VALUES);
	mysqldb_bind(s->db, kept->first);
	mysqldb_bind(s->db, kept->last);
	mysqldb_bind(s->db, (int64_t)max);
	if (mysqldb_run(s->db) == -1)
		return -1;
	if (s->db->changes >= (int64_t)max)
		return 0;
	*end = -1;
	/* Sums that were not renewed for so long. */
	mysqldb_begin(s->db, CLEAN_SUMS);
	mysqldb_bind(s->db, kept->first);
	return mysqldb_run(s->db);
}

/*
 * Rows that are old by our clock may be in the caches of daemons with another
 * clock: if our clock is not the server's, count the deletion as a change.
 */
enum store_result
store_clean(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	enum store_result	result;
	int64_t			end = 0, gone = 0;
	bool			good;
	int			more;

	*deleted = 0;
	if (max < ROWS_LEAST)
		max = ROWS_LEAST;
	mysqldb_begin(s->db, CLEAN_END);
	mysqldb_bind(s->db, *position);
	mysqldb_bind(s->db, (int64_t)max);
	while ((more = mysqldb_next(s->db)) == 1)
		end = mysqldb_column(s->db, 0);
	good = more == 0;
	if (good && end == 0) {
		end = *position;
		good = clean_values(s, kept, max, &end) == 0;
	} else if (good) {
		mysqldb_begin(s->db, CLEAN);
		mysqldb_bind(s->db, *position);
		mysqldb_bind(s->db, end);
		mysqldb_bind(s->db, kept->first);
		mysqldb_bind(s->db, kept->last);
		good = mysqldb_run(s->db) == 0;
		gone = s->db->changes;
	}
	if (good && gone > 0) {
		mysqldb_begin(s->db, CLEAN_NOTE);
		mysqldb_bind(s->db, num_sub_clamp(kept->last, WINDOW_SKEW));
		good = mysqldb_run(s->db) == 0;
	}
	if ((result = store_end(s, good)) != STORE_OK)
		return result;
	*deleted = gone;
	*position = end;
	return STORE_OK;
}

/* --- scanning --- */

enum store_result
store_rows(struct store *s, size_t max, int64_t *position, void (*each)(void *,
    const char *, size_t, int64_t, int64_t), void *arg)
{
	const char	*id;
	size_t		 idlen, n;
	int		 more;

	mysqldb_begin(s->db, ROWS);
	mysqldb_bind(s->db, *position);
	mysqldb_bind(s->db, (int64_t)max);
	for (n = 0; (more = mysqldb_next(s->db)) == 1; n++) {
		*position = mysqldb_column(s->db, 0);
		id = mysqldb_column_text(s->db, 1, &idlen);
		if (id != NULL)
			each(arg, id, idlen, mysqldb_column(s->db, 2),
			    mysqldb_column(s->db, 3));
	}
	if (more != -1 && n < max)
		*position = -1;
	return store_end(s, more != -1);
}

/* --- what store_shared.h needs --- */

int64_t
store_line_number(const struct store_line *line, int column)
{
	return mysqldb_column(line->store->db, (size_t)column);
}

const char *
store_line_text(const struct store_line *line, int column, size_t *len)
{
	return mysqldb_column_text(line->store->db, (size_t)column, len);
}

/*
 * Calls in a row that have the same statement are one execution, if it takes
 * items.
 */
enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	const struct store_line		 line = { .store = s };
	const struct store_param	*p;
	const struct store_call		*end = c + n, *first;
	size_t				 i;
	int				 more = 0;

	if (n > 0 && (c->statement == VALUES_GONE || c->statement == LEARN ||
	    c->statement == PAIR_GONE || c->statement == PAIRS_FORGOTTEN ||
	    c->statement == CLEAN_PAIRS))
		more = store_lock_ranges(s);
	while (more == 0 && c < end) {
		first = c;
		mysqldb_begin(s->db, first->statement);
		do {
			for (i = 0; i < c->nparam; i++) {
				p = &c->param[i];
				if (p->text != NULL)
					mysqldb_bind_text(s->db, p->text,
					    p->len);
				else
					mysqldb_bind(s->db, p->number);
			}
		} while (++c < end && c->statement == first->statement &&
		    s->db->statement[c->statement].item != NULL);
		if (first->each == NULL)
			more = mysqldb_run(s->db);
		else
			while ((more = mysqldb_next(s->db)) == 1)
				first->each(&line, first->arg);
		if (more == 0 && first->changes != NULL)
			*first->changes += s->db->changes;
	}
	if (frame == STORE_BATCH_READS || frame == STORE_BATCH_WRITES)
		return more == 0 ? STORE_OK : store_result(s);
	return store_end(s, more == 0);
}
