#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/num.h"

/* Positions of store_clean that are not rowids. */
#define AT_ROWS		INT64_C(0)
#define AT_END		INT64_C(-1)
#define AT_VALUES	INT64_C(-2)
#define AT_REST		INT64_C(-3)

#define TAG_SECONDS	7200	/* longer than caches need tags */
#define FREE_PAGES	1000	/* fewer are kept for new rows */
#define FREE_SHARE	4
#define FREE_STEP	"100"

/* --- cleaning --- */

/* Decisions wait for the lock of a step. */
const struct store_pace	store_pace = { INT64_C(500000), 4 };

/* The last rowid of the next range; INT64_MAX: it is the last range. */
static int
clean_rows_end(struct store *s, int64_t from, size_t max, int64_t *end)
{
	int	more;

	sqlite_bind(s->db, CLEAN_END, 1, from);
	sqlite_bind(s->db, CLEAN_END, 2, (int64_t)max - 1);
	*end = INT64_MAX;
	if ((more = sqlite_step(s->db, CLEAN_END)) == 1) {
		*end = sqlite_column(s->db, CLEAN_END, 0);
		sqlite_reset(s->db, CLEAN_END);
	}
	return more;
}

/*
 * From here on counts of other dates in the existing runs are invalid, whether
 * their rows are deleted or not. An earlier cleaning that did not complete, by
 * another clock, may have left rows that this one keeps.
 */
static int
clean_begin_rows(struct store *s, const struct store_kept *kept, bool narrows)
{
	int64_t	ahead;

	if (!narrows && store_forget_runs(s) == -1)
		return -1;
	sqlite_bind(s->db, CLEAN_AHEAD, 1, kept->last);
	sqlite_bind(s->db, CLEAN_VOID, 1, kept->first);
	sqlite_bind(s->db, CLEAN_VOID, 2, kept->last);
	sqlite_bind(s->db, CLEAN_CORRECTIONS, 1, kept->first);
	sqlite_bind(s->db, CLEAN_CORRECTIONS, 2, kept->last);
	if (store_one(s, CLEAN_AHEAD, &ahead) == -1 ||
	    sqlite_step(s->db, CLEAN_VOID) == -1 ||
	    sqlite_step(s->db, CLEAN_CORRECTIONS) == -1 ||
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
 * 1: mail_state has the range of this cleaning, or of one that deletes more; 0:
 * it must be written first.
 */
static int
clean_marked(struct store *s, const struct store_kept *kept, bool *narrows)
{
	int64_t	oldest, newest;

	if (store_find_number(s, "oldest", &oldest) == -1 ||
	    store_find_number(s, "newest", &newest) == -1)
		return -1;
	*narrows = oldest == STORE_OLDEST ||
	    (oldest <= kept->first && newest >= kept->last);
	return oldest >= kept->first && newest <= kept->last;
}

/*
 * Rows after the horizon are in the memory of every daemon, which reads them
 * all again after a deletion. So all of them are cleaned in one step, unless
 * there are very many.
 */
static int
clean_rows(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	int64_t	from = *position, end, horizon;

	if (store_one(s, HORIZON, &horizon) == -1)
		return -1;
	if (from == AT_ROWS)
		from = INT64_MIN;
	if (from >= horizon && max < (size_t)store_sizes.load)
		max = (size_t)store_sizes.load;
	if (clean_rows_end(s, from, max, &end) == -1)
		return -1;
	sqlite_bind(s->db, CLEAN, 1, from);
	sqlite_bind(s->db, CLEAN, 2, end);
	sqlite_bind(s->db, CLEAN, 3, kept->first);
	sqlite_bind(s->db, CLEAN, 4, kept->last);
	if (sqlite_step(s->db, CLEAN) == -1)
		return -1;
	*deleted = sqlite_changes(s->db);
	sqlite_bind(s->db, CLEAN_TAGS, 1, from);
	sqlite_bind(s->db, CLEAN_TAGS, 2, end);
	sqlite_bind(s->db, CLEAN_TAGS, 3,
	    num_sub_clamp(kept->last, WINDOW_SKEW + TAG_SECONDS));
	if (sqlite_step(s->db, CLEAN_TAGS) == -1)
		return -1;
	if (*deleted > 0 && end > horizon &&
	    sqlite_step(s->db, ROWS_CHANGED) == -1)
		return -1;
	*position = end == INT64_MAX ? AT_VALUES : end;
	return 0;
}

static void
clean_keep(char **at, const char *text, size_t len)
{
	free(*at);
	*at = text == NULL ? NULL : alloc_copy(text, len);
}

static void
clean_bind(struct store *s, enum statement n, int at, const char *text)
{
	if (text == NULL)
		text = "";
	sqlite_bind_text(s->db, n, at, text, strlen(text));
}

/* Deletes old values, in the order of their key: they have no other. */
static int
clean_values(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position)
{
	const enum statement	end = CLEAN_VALUES_END;
	enum statement		gone = CLEAN_VALUES_REST;
	char			*id = NULL, *value = NULL;
	const char		*text;
	size_t			len;
	int			more, ret;

	clean_bind(s, end, 1, s->clean_id);
	clean_bind(s, end, 2, s->clean_value);
	sqlite_bind(s->db, end, 3, (int64_t)max - 1);
	if ((more = sqlite_step(s->db, end)) == 1) {
		text = sqlite_column_text(s->db, end, 0, &len);
		clean_keep(&id, text, len);
		text = sqlite_column_text(s->db, end, 1, &len);
		clean_keep(&value, text, len);
		sqlite_reset(s->db, end);
		gone = CLEAN_VALUES;
		clean_bind(s, gone, 4, id);
		clean_bind(s, gone, 5, value);
	}
	clean_bind(s, gone, 1, s->clean_id);
	clean_bind(s, gone, 2, s->clean_value);
	sqlite_bind(s->db, gone, 3, kept->first);
	sqlite_bind(s->db, gone, 6, kept->last);
	ret = more == -1 ? -1 : sqlite_step(s->db, gone);
	free(s->clean_id);
	free(s->clean_value);
	s->clean_id = id;
	s->clean_value = value;
	if (more != 1)
		*position = AT_REST;
	return ret;
}

/* The index is not needed once all rows but a tail are in runs. */
static int
clean_index(struct store *s)
{
	int64_t	last, horizon;

	if (!s->indexed)
		return 0;
	if (store_one(s, LAST, &last) == -1 ||
	    store_one(s, HORIZON, &horizon) == -1)
		return -1;
	if (last - horizon > store_sizes.load)
		return 0;
	s->indexed = false;
	return store_drop_index(s);
}

/* Deletes runs without any valid counts. */
static int
clean_rest(struct store *s, int64_t *position)
{
	if (clean_index(s) == -1 || sqlite_step(s->db, CLEAN_RUNS) == -1)
		return -1;
	if (sqlite_changes(s->db) > 0 && sqlite_step(s->db, RUNS_CHANGED) == -1)
		return -1;
	if (store_put_number(s, "oldest", STORE_OLDEST) == -1 ||
	    store_put_number(s, "newest", STORE_NEWEST) == -1)
		return -1;
	*position = AT_END;
	return 0;
}

/* One step, inside a transaction. */
static int
clean_some(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	bool	narrows;
	int	marked;

	if ((marked = clean_marked(s, kept, &narrows)) == -1)
		return -1;
	if (marked == 0) {
		*position = AT_ROWS;
		if (clean_begin_rows(s, kept, narrows) == -1)
			return -1;
	}
	if (*position == AT_ROWS) {
		clean_keep(&s->clean_id, NULL, 0);
		clean_keep(&s->clean_value, NULL, 0);
	}
	if (*position >= AT_ROWS)
		return clean_rows(s, kept, max, position, deleted);
	if (*position == AT_VALUES)
		return clean_values(s, kept, max, position);
	return clean_rest(s, position);
}

enum store_result
store_clean(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *position, int64_t *deleted)
{
	enum store_result	result;
	int64_t			next = *position;
	int			ret;

	*deleted = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	ret = clean_some(s, kept, max, &next, deleted);
	result = store_end(s, ret != -1);
	if (result != STORE_OK) {
		*deleted = 0;
		return result;
	}
	/* This process reads the file again with the next batch. */
	s->version = -1;
	*position = next;
	(void)store_copy_log(s, true);
	return STORE_OK;
}

/*
 * Only if the file was created with incremental vacuum, and if much of it is
 * free: new rows fill the rest.
 */
static enum store_result
store_reclaim(struct store *s, bool *done)
{
	enum store_result	result;
	int64_t			mode, unused, pages;

	*done = true;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_number(s->db, "PRAGMA auto_vacuum", &mode) == -1 ||
	    sqlite_number(s->db, "PRAGMA freelist_count", &unused) == -1 ||
	    sqlite_number(s->db, "PRAGMA page_count", &pages) == -1)
		return store_failed(s);
	if (mode != 2 || unused < FREE_PAGES || unused < pages / FREE_SHARE)
		return STORE_OK;
	if (sqlite_exec(s->db, "PRAGMA incremental_vacuum(" FREE_STEP ")") ==
	    -1)
		return store_failed(s);
	*done = false;
	return STORE_OK;
}

/* --- scanning --- */

enum store_result
store_rows(struct store *s, size_t max, int64_t *position, void (*each)(void *,
    const char *, size_t, int64_t, int64_t), void *arg)
{
	enum store_result	 result;
	const char		*id;
	size_t			 idlen, n;
	int			 more;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	sqlite_bind(s->db, ROWS, 1, *position == 0 ? INT64_MIN : *position);
	sqlite_bind(s->db, ROWS, 2, (int64_t)max);
	for (n = 0; (more = sqlite_step(s->db, ROWS)) == 1; n++) {
		*position = sqlite_column(s->db, ROWS, 0);
		id = sqlite_column_text(s->db, ROWS, 1, &idlen);
		if (id != NULL)
			each(arg, id, idlen, sqlite_column(s->db, ROWS, 2),
			    sqlite_column(s->db, ROWS, 3));
	}
	if (more == -1)
		return store_failed(s);
	if (n < max)
		*position = -1;
	return STORE_OK;
}

/* A file does not close by itself. */
int
store_fd(const struct store *s)
{
	(void)s;
	return -1;
}

bool
store_ended(struct store *s)
{
	(void)s;
	return false;
}

const struct store_optional	store_optional = {
	.start_helper = store_start_helper,
	.reclaim = store_reclaim
};
