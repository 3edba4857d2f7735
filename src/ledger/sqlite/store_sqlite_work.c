#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/clock.h"

/*
 * When the jobs of store_sqlite_runs.c are done: a little with each batch, more
 * while no charge waits, and as much as possible while no charge can be
 * decided.
 */
#define SLICE_NS	INT64_C(1000000)	/* of idle work */
#define CATCH_UP_NS	INT64_C(20000000)	/* while charges wait */
#define SLICE_ROWS	500
#define SLICE_STEPS	4
#define REST_NS		INT64_C(10000000000)	/* after a job that failed */
#define INDEX_SMALL	2000000		/* rows */
#define INDEX_QUIET_NS	INT64_C(10000000000)

/* Whether there is work that can wait until no charge does. */
static bool
work_due(struct store *s)
{
	/*
	 * Dropping the older program's index takes a second for some millions
	 * of rows: a large one is dropped when no charge has come for a while,
	 * or by the next cleaning.
	 */
	return store_job_choose(s, true) || s->behind ||
	    store_obsolete_run(s) != NULL || (s->indexed &&
	    (s->last < INDEX_SMALL ||
	    clock_mono().ns - s->batched > INDEX_QUIET_NS));
}

/*
 * Does jobs, and reads rows of an older program, in the open transaction, which
 * must end after the last step of a job. `quiet`: also work that can wait.
 */
static int
work_until(struct store *s, int64_t until, bool quiet)
{
	struct run	*run;
	int		 ret = 0;

	while (ret == 0 && !store_job_done(s) && clock_mono().ns < until &&
	    (quiet ? work_due(s) : s->behind)) {
		if (store_job_choose(s, quiet))
			ret = store_job_step(s, SLICE_STEPS);
		else if (s->behind)
			ret = store_catch_up(s, SLICE_ROWS);
		else if ((run = store_obsolete_run(s)) != NULL)
			ret = store_delete_run(s, run);
		else
			ret = store_drop_index(s);
	}
	return ret;
}

enum store_result
store_hurry(struct store *s)
{
	bool	good;

	if (s->moved) {
		(void)strlcpy(s->error, "the tables were changed",
		    sizeof(s->error));
		(void)store_end(s, true);
		return STORE_BUSY;
	}
	good = work_until(s, clock_mono().ns + CATCH_UP_NS, false) == 0;
	good = store_end(s, good) == STORE_OK;
	store_job_over(s, good);
	if (!good)
		return STORE_FAILED;
	(void)strlcpy(s->error, "rows of an older program are being taken over",
	    sizeof(s->error));
	return STORE_BUSY;
}

/*
 * Does a part of the current job, in proportion to the rows of the batch, so
 * that the job is done long before the next one is due.
 */
void
store_work(struct store *s)
{
	size_t	steps;
	int	ret = 0;

	if (s->failed || s->nappend == 0 || s->batched < s->rest)
		return;
	if (store_job_choose(s, false)) {
		steps = s->job.parts * s->nappend * 2 / store_sizes.tail + 1;
		ret = store_job_step(s, steps);
	} else if (s->behind)
		ret = store_catch_up(s, SLICE_ROWS);
	if (ret == -1) {
		s->failed = true;
		s->rest = clock_mono().ns + REST_NS;
	}
}

/*
 * Work in a transaction of its own. First it reports what others did meanwhile
 * to the cache, as a batch would.
 */
int
store_idle(struct store *s)
{
	bool	good;

	/* Before the first batch the state that a job needs is not known. */
	if (s->db == NULL || s->tail == NULL || clock_mono().ns < s->rest ||
	    !work_due(s))
		return store_copy_log(s, true);
	if (sqlite_step(s->db, DO_BEGIN) == -1 ||
	    store_sync(s, &s->reader) == -1) {
		(void)store_failed(s);
		return store_copy_log(s, true);
	}
	good = s->moved ||
	    work_until(s, clock_mono().ns + SLICE_NS, true) == 0;
	good = store_end(s, good) == STORE_OK;
	store_job_over(s, good);
	if (!good) {
		s->version = s->seen.runs = -1;
		s->rest = clock_mono().ns + REST_NS;
	}
	return good && !s->moved ? 0 : store_copy_log(s, true);
}
