#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/num.h"

/* The steps of cleaning, each in a transaction of its own. */

/* Positions of store_clean that are not rowids. */
#define AT_ROWS		INT64_C(0)
#define AT_END		INT64_C(-1)
#define AT_VALUES	INT64_C(-2)
#define AT_REST		INT64_C(-3)

#define TAG_SECONDS	7200	/* longer than caches need tags */

/* Decisions wait for the lock of a step. */
const struct store_pace	store_pace = { INT64_C(500000), 4 };

/*
 * From here on counts of other dates in the existing runs are invalid, whether
 * their rows are deleted or not. An earlier cleaning that did not complete may
 * have left rows that this one keeps, if its clock was ahead, or if there were
 * rows of the future: then the runs are written again.
 */
static int
begin_rows(struct store *s, const struct numbers *n,
    const struct store_kept *kept)
{
	const int64_t	range[] = { kept->first, kept->last };
	int64_t		lacks, ahead;

	sqlite_bind(s->db, CLEAN_LACKS, 1, kept->last);
	if (store_one(s, CLEAN_LACKS, &lacks) == -1)
		return -1;
	if (n->oldest != STORE_OLDEST &&
	    (n->oldest > kept->first || lacks != 0) &&
	    store_forget_runs(s) == -1)
		return -1;
	sqlite_bind(s->db, CLEAN_AHEAD, 1, kept->last);
	if (store_one(s, CLEAN_AHEAD, &ahead) == -1 ||
	    store_run(s, CLEAN_VOID, 2, range) == -1 ||
	    store_run(s, CLEAN_CORRECTIONS, 2, range) == -1 ||
	    sqlite_step(s->db, RUNS_CHANGED) == -1 ||
	    store_put_number(s, "oldest", kept->first) == -1 ||
	    store_put_number(s, "newest", kept->last) == -1 ||
	    store_put_number(s, "cleaned", kept->first) == -1)
		return -1;
	/*
	 * Caches may hold deleted rows of the future, which would count later.
	 */
	return ahead == 0 ? 0 : sqlite_step(s->db, ROWS_CHANGED);
}

/*
 * Every daemon drops the old counts of the tail when it sees the new value of
 * `cleaned`. The daemons read everything again only if rows of the future are
 * deleted, or the newest row, whose rowid is then given out a second time.
 */
static int
clean_rows(struct store *s, const struct numbers *n,
    const struct store_kept *kept, size_t max, int64_t *position,
    int64_t *deleted)
{
	int64_t	from = *position, end = INT64_MAX, ahead, left;

	if (from == AT_ROWS)
		from = INT64_MIN;
	sqlite_bind(s->db, CLEAN_END, 1, from);
	sqlite_bind(s->db, CLEAN_END, 2, (int64_t)max - 1);
	if (store_find(s, CLEAN_END, &end) == -1)
		return -1;
	sqlite_bind(s->db, CLEAN_AHEAD_ROWS, 1, from);
	sqlite_bind(s->db, CLEAN_AHEAD_ROWS, 2, end);
	sqlite_bind(s->db, CLEAN_AHEAD_ROWS, 3, kept->last);
	if (store_one(s, CLEAN_AHEAD_ROWS, &ahead) == -1 ||
	    store_run(s, CLEAN, 4, (const int64_t[]) { from, end, kept->first,
	    kept->last }) == -1)
		return -1;
	*deleted = sqlite_changes(s->db);
	if (store_run(s, CLEAN_TAGS, 3, (const int64_t[]) { from, end,
	    num_sub_clamp(kept->last, WINDOW_SKEW + TAG_SECONDS) }) == -1 ||
	    store_one(s, LAST, &left) == -1)
		return -1;
	if ((ahead != 0 || left != n->last) &&
	    sqlite_step(s->db, ROWS_CHANGED) == -1)
		return -1;
	*position = end == INT64_MAX ? AT_VALUES : end;
	return 0;
}

/* Deletes old values, in the order of their key: they have no other. */
static int
clean_values(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position)
{
	const enum statement	 find = CLEAN_VALUES_END, gone = CLEAN_VALUES;
	const char		*id = NULL, *value = NULL;
	size_t			 idlen, valuelen;
	int			 more, ret;

	sqlite_bind_text(s->db, find, 1, s->clean_id.data, s->clean_id.len);
	sqlite_bind_text(s->db, find, 2, s->clean_value.data,
	    s->clean_value.len);
	sqlite_bind(s->db, find, 3, (int64_t)max - 1);
	if ((more = sqlite_step(s->db, find)) == -1)
		return -1;
	sqlite_bind_text(s->db, gone, 1, s->clean_id.data, s->clean_id.len);
	sqlite_bind_text(s->db, gone, 2, s->clean_value.data,
	    s->clean_value.len);
	sqlite_bind(s->db, gone, 3, kept->first);
	/* After the last ones: an empty blob is greater than any text. */
	sqlite_bind_blob(s->db, gone, 4, "", 0);
	sqlite_bind_blob(s->db, gone, 5, "", 0);
	sqlite_bind(s->db, gone, 6, kept->last);
	if (more == 1) {
		id = sqlite_column_text(s->db, find, 0, &idlen);
		value = sqlite_column_text(s->db, find, 1, &valuelen);
		sqlite_bind_text(s->db, gone, 4, id, idlen);
		sqlite_bind_text(s->db, gone, 5, value, valuelen);
	}
	ret = sqlite_step(s->db, gone);
	if (more == 0)
		*position = AT_REST;
	else if (ret == 0) {
		s->clean_id.len = s->clean_value.len = 0;
		str_add(&s->clean_id, id, idlen);
		str_add(&s->clean_value, value, valuelen);
	}
	sqlite_reset(s->db, find);
	return ret;
}

/*
 * The end: the older program's index goes, once all rows but a tail are in
 * runs, and so do runs without any valid counts.
 */
static int
clean_rest(struct store *s, const struct numbers *n, int64_t *position)
{
	if (s->indexed && n->last - n->horizon <= store_sizes.load &&
	    store_drop_index(s) == -1)
		return -1;
	if (sqlite_step(s->db, CLEAN_RUNS) == -1 ||
	    (sqlite_changes(s->db) > 0 &&
	    sqlite_step(s->db, RUNS_CHANGED) == -1))
		return -1;
	*position = AT_END;
	return store_put_number(s, "oldest", STORE_OLDEST) == -1 ||
	    store_put_number(s, "newest", STORE_NEWEST) == -1 ? -1 : 0;
}

enum store_result
store_clean(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	enum store_result	result;
	struct numbers		n;
	int64_t			next = *position, count = 0;
	int			ret;

	*deleted = 0;
	if ((result = store_begin_own(s)) != STORE_OK)
		return result;
	ret = store_read_numbers(s, &n);
	/* Is this the range of this cleaning, or of one that deletes more? */
	if (ret == 0 && (n.oldest < kept->first || n.newest > kept->last)) {
		next = AT_ROWS;
		ret = begin_rows(s, &n, kept);
	}
	if (next == AT_ROWS)
		s->clean_id.len = s->clean_value.len = 0;
	if (ret == 0 && next >= AT_ROWS)
		ret = clean_rows(s, &n, kept, max, &next, &count);
	else if (ret == 0 && next == AT_VALUES)
		ret = clean_values(s, kept, max, &next);
	else if (ret == 0)
		ret = clean_rest(s, &n, &next);
	if ((result = store_end(s, ret != -1)) != STORE_OK)
		return result;
	/* This process reads the file again with the next batch. */
	s->version = -1;
	*position = next;
	*deleted = count;
	(void)store_copy_log(s, true);
	return STORE_OK;
}

/* --- space --- */

/*
 * Only if the file was created with incremental vacuum, and if a quarter of it
 * is free, and at least 1000 pages: new rows fill the rest.
 */
static enum store_result
reclaim(struct store *s, bool *done)
{
	enum store_result	result;
	int64_t			much;

	*done = true;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (store_one(s, MUCH_FREE, &much) == -1 || (much != 0 &&
	    sqlite_exec(s->db, "PRAGMA incremental_vacuum(100)") == -1))
		return store_failed(s);
	*done = much == 0;
	return STORE_OK;
}

const struct store_optional	store_optional = {
	.start_helper = store_start_helper,
	.reclaim = reclaim
};
