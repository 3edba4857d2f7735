#include <stdio.h>
#include <stdlib.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"

#define BLOCK_ROWS	100			/* approximate */
#define VALUES_AT	(INT64_C(1) << 40)	/* positions in mail_distinct */

/*
 * All queries of a look-up together may take the server a number of
 * milliseconds. It keeps the time at which they end, by its own clock, in a
 * parameter of ours.
 */
#define CLOCK_MS	"(extract(epoch FROM clock_timestamp()) * 1000)::float8"
#define TIME_BOUND							\
	"SELECT set_config('policyd.until', (" CLOCK_MS			\
	" + $1::float8)::text, false)"
#define TIME_LEFT							\
	"SELECT set_config('statement_timeout', greatest(1,"		\
	" current_setting('policyd.until')::float8 - " CLOCK_MS		\
	")::int8::text, false)"

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	struct pgsql_params	 p = { .count = 0 };
	const char		*text;
	char			*id;
	size_t			 i, len;
	int			 rows;

	pgsql_begin(s->db);
	if (timeout > 0) {
		pgsql_add_number(&p, timeout);
		pgsql_put_query(s->db, TIME_BOUND, &p);
	}
	for (i = 0; i < n; i++) {
		if (timeout > 0)
			pgsql_put_query(s->db, TIME_LEFT, NULL);
		p.count = 0;
		id = alloc_copy(list[i].id, list[i].idlen);
		pgsql_add_literal(&p, id);
		pgsql_put_query(s->db, query, &p);
		free(id);
	}
	if (timeout > 0) {
		pgsql_put_query(s->db, s->db->usual, NULL);
		(void)pgsql_take(s->db);
	}
	for (i = 0; i < n; i++) {
		if (timeout > 0)
			(void)pgsql_take(s->db);
		rows = pgsql_take(s->db);
		list[i].failed = rows == -1;
		if (rows < 1)
			continue;
		text = pgsql_column_text(s->db, 0, 0, &len);
		if (text != NULL)
			list[i].text = alloc_copy(text, len);
	}
	return pgsql_end(s->db) == 0 || store_result(s) != STORE_LOST ?
	    STORE_OK : STORE_LOST;
}

/* --- cleaning --- */

/*
 * No batch waits for the locks of a step, only for the processor and the disk,
 * so what matters is the share of time that cleaning takes. Each step costs at
 * least half a millisecond for the transaction, however few rows it deletes.
 * With a rest of 9, at twice as many rows a second, the p99 of decisions was
 * twice that without cleaning; with 19 it was 1.4 times.
 */
const struct store_pace	store_pace = { INT64_C(2000000), 19 };

/*
 * Deletes from some blocks. Cleaning need not wait for the disk: rows that come
 * back after a crash are deleted the next time.
 */
enum store_result
store_clean(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	struct pgsql_params	p = { .count = 0 }, sums = { .count = 0 };
	bool			values = *position >= VALUES_AT;
	enum statement		n = values ? CLEAN_VALUES : CLEAN;
	int64_t			from, to, end = 0, gone = 0;

	from = values ? *position - VALUES_AT : *position;
	to = from + (max < BLOCK_ROWS ? 1 : (int64_t)(max / BLOCK_ROWS));
	*deleted = 0;
	pgsql_add_number(&p, from);
	pgsql_add_number(&p, to);
	pgsql_add_number(&p, kept->first);
	pgsql_add_number(&p, kept->last);
	pgsql_add_number(&sums, kept->first);
	for (;;) {
		pgsql_begin(s->db);
		pgsql_put(s->db, CLEAN_LIGHTLY, NULL);
		pgsql_put(s->db, n, &p);
		/* Once in a cleaning: sums not renewed for so long. */
		if (values && from == 0)
			pgsql_put(s->db, CLEAN_SUMS, &sums);
		if (pgsql_take(s->db) != -1 && pgsql_take(s->db) == 1) {
			gone = pgsql_column(s->db, 0, 0);
			end = pgsql_column(s->db, 0, 1);
		}
		if (pgsql_end(s->db) == 0)
			break;
		/* Another session has locked a row. */
		if (n != CLEAN || s->db->fault != PGSQL_FAULT_BUSY)
			return store_failed(s);
		store_rollback(s);
		n = CLEAN_LOCKED;
	}
	if (!values)
		*deleted = gone;
	if (to < end)
		*position = values ? to + VALUES_AT : to;
	else
		*position = values ? -1 : VALUES_AT;
	return STORE_OK;
}

/* --- scanning --- */

/*
 * A cursor reads the table once, whatever its indexes are, and keeps its
 * transaction open meanwhile.
 */
enum store_result
store_rows(struct store *s, size_t max, int64_t *position, void (*each)(void *,
    const char *, size_t, int64_t, int64_t), void *arg)
{
	enum store_result	 result;
	char			 fetch[64];
	const char		*id;
	size_t			 idlen;
	int			 rows, i;
	bool			 good = true;

	(void)snprintf(fetch, sizeof(fetch), "FETCH %zu FROM mail_rows", max);
	pgsql_begin(s->db);
	if (*position == 0) {
		pgsql_put_query(s->db, "BEGIN", NULL);
		pgsql_put_query(s->db, "DECLARE mail_rows NO SCROLL CURSOR FOR"
		    " SELECT id, date, recipient_count FROM mail_count", NULL);
	}
	pgsql_put_query(s->db, fetch, NULL);
	if (*position == 0)
		good = pgsql_take(s->db) != -1 && pgsql_take(s->db) != -1;
	rows = good ? pgsql_take(s->db) : -1;
	for (i = 0; i < rows; i++) {
		id = pgsql_column_text(s->db, i, 0, &idlen);
		if (id != NULL)
			each(arg, id, idlen, pgsql_column(s->db, i, 1),
			    pgsql_column(s->db, i, 2));
	}
	if (pgsql_end(s->db) == -1 || rows == -1) {
		result = store_failed(s);
		/* The cursor has ended with its transaction. */
		return result == STORE_BUSY && *position > 0 ? STORE_FAILED :
		    result;
	}
	(*position)++;
	if ((size_t)rows == max)
		return STORE_OK;
	*position = -1;
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_COMMIT, NULL);
	return store_end(s);
}
