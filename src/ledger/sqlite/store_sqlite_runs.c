#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/clock.h"

#define IDS_IN_PART	16	/* approximate */
#define BITS_MIN	8
#define BITS_MAX	16
#define LEVEL_MAX	16
#define DROPPED		64	/* parts deleted in one step */
#define RUNS_MANY	64	/* runs, from which merging does not wait */
#define ABANDONED	600	/* seconds; writing a run takes less */

/* --- the runs that there are --- */

void
store_free_runs(struct store *s)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++)
		bloom_clear(&s->run[i].filter);
	free(s->run);
	s->run = NULL;
	s->nrun = 0;
}

static void
runs_add(struct store *s, const struct run *run)
{
	s->run = alloc_resize(s->run, s->nrun + 1, sizeof(s->run[0]));
	s->run[s->nrun++] = *run;
}

/* Whether a run that is being written was abandoned by a process that ended. */
static bool
runs_abandoned(const struct store *s, const struct run *run, int64_t began)
{
	int64_t	age = clock_wall() - began;

	return run->state == RUN_WRITING && (s->job.kind == JOB_NONE ||
	    s->job.run.number != run->number) && (age > ABANDONED || age < 0);
}

int
store_read_runs(struct store *s)
{
	struct run	 run;
	const void	*bytes;
	size_t		 len;
	int		 more;

	store_free_runs(s);
	/* Another process may have merged or deleted the same runs. */
	if (s->job.kind != JOB_FLUSH)
		store_job_drop(s);
	while ((more = sqlite_step(s->db, RUNS)) == 1) {
		memset(&run, 0, sizeof(run));
		run.number = sqlite_column(s->db, RUNS, 0);
		run.state = (enum run_state)sqlite_column(s->db, RUNS, 1);
		run.level = (unsigned int)sqlite_column(s->db, RUNS, 3);
		run.bits = (unsigned int)sqlite_column(s->db, RUNS, 4);
		run.ids = sqlite_column(s->db, RUNS, 5);
		run.rows = sqlite_column(s->db, RUNS, 6);
		run.oldest = sqlite_column(s->db, RUNS, 7);
		run.newest = sqlite_column(s->db, RUNS, 8);
		run.since = sqlite_column(s->db, RUNS, 9);
		run.until = sqlite_column(s->db, RUNS, 10);
		if (s->job.kind == JOB_FLUSH &&
		    run.number == s->job.run.number) {
			s->job.run.since = run.since;
			s->job.run.until = run.until;
		}
		if (runs_abandoned(s, &run, sqlite_column(s->db, RUNS, 2)))
			run.state = RUN_OBSOLETE;
		if (run.bits > BITS_MAX || run.state == RUN_WRITING)
			continue;
		if (run.state == RUN_WHOLE) {
			bytes = sqlite_column_blob(s->db, RUNS, 11, &len);
			bloom_load(&run.filter, bytes, len);
		}
		runs_add(s, &run);
	}
	return more;
}

static unsigned int
runs_bits(int64_t ids)
{
	unsigned int	bits = BITS_MIN;

	while (bits < BITS_MAX && ids >> bits > IDS_IN_PART)
		bits++;
	return bits;
}

static unsigned int
runs_level(int64_t rows)
{
	unsigned int	level = 0;
	int64_t		full = store_sizes.tail;

	for (; rows >= full * STORE_MERGE && level < LEVEL_MAX;
	     full *= STORE_MERGE)
		level++;
	return level;
}

static int64_t
run_part(const struct run *run, size_t part)
{
	return (run->number << STORE_PART_BITS) + (int64_t)part;
}

/* --- choosing a job --- */

static void
job_begin(struct store *s, enum job_kind kind)
{
	memset(&s->job, 0, sizeof(s->job));
	s->job.kind = kind;
	s->job.run.since = STORE_OLDEST;
	s->job.run.until = STORE_NEWEST;
}

void
store_job_drop(struct store *s)
{
	if (s->job.kept.stage != STAGE_BEGIN && s->job.kind != JOB_DROP)
		s->left = s->job.run.number;
	bloom_clear(&s->job.run.filter);
	job_begin(s, JOB_NONE);
}

/* From here on new rows go to a new tail; the old one is written as a run. */
static void
job_flush(struct store *s)
{
	struct run	*run = &s->job.run;

	job_begin(s, JOB_FLUSH);
	s->frozen = s->tail;
	s->tail = memtable_new();
	s->tails++;
	s->job.upto = s->read;
	run->rows = (int64_t)memtable_rows(s->frozen);
	run->ids = (int64_t)memtable_ids(s->frozen);
	run->level = runs_level(run->rows);
	run->bits = runs_bits(run->ids);
	memtable_dates(s->frozen, &run->oldest, &run->newest);
	s->job.parts = (size_t)1 << run->bits;
	bloom_init(&run->filter, memtable_ids(s->frozen));
	memtable_divide(s->frozen, run->bits);
}

static bool
job_flush_due(const struct store *s)
{
	if (s->frozen != NULL || s->tail == NULL)
		return false;
	if (!s->behind)
		return memtable_rows(s->tail) >= store_sizes.tail;
	return memtable_rows(s->tail) >= store_sizes.chunk ||
	    (s->read >= s->last && memtable_rows(s->tail) > 0);
}

static const struct run *
runs_find(const struct store *s, int64_t number)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++)
		if (s->run[i].number == number)
			return &s->run[i];
	return NULL;
}

/* Adds a source of the merged run. */
static void
job_add_source(struct store *s, const struct run *source)
{
	struct run	*run = &s->job.run;

	s->job.source[s->job.nsource++] = source->number;
	run->ids += source->ids;
	run->rows += source->rows;
	if (source->ids > s->job.most)
		s->job.most = source->ids;
	if (source->bits < s->job.bits)
		s->job.bits = source->bits;
	if (source->oldest < run->oldest)
		run->oldest = source->oldest;
	if (source->newest > run->newest)
		run->newest = source->newest;
}

/* Chooses the runs to merge: of the lowest level that has enough of them. */
static bool
job_merge(struct store *s)
{
	struct run	*run = &s->job.run;
	unsigned int	 level;
	size_t		 i;

	for (level = 0; level <= LEVEL_MAX; level++) {
		job_begin(s, JOB_MERGE);
		s->job.bits = BITS_MAX;
		run->oldest = INT64_MAX;
		run->newest = INT64_MIN;
		for (i = 0; i < s->nrun && s->job.nsource < STORE_MERGE; i++)
			if (s->run[i].state == RUN_WHOLE &&
			    s->run[i].level == level)
				job_add_source(s, &s->run[i]);
		if (s->job.nsource < STORE_MERGE)
			continue;
		/*
		 * How many ids are in several sources is known only at the end.
		 */
		run->level = level + 1;
		run->bits = runs_bits(2 * s->job.most);
		s->job.parts = (size_t)1 << s->job.bits;
		bloom_init(&run->filter, (size_t)run->ids);
		run->ids = 0;
		return true;
	}
	job_begin(s, JOB_NONE);
	return false;
}

static bool
job_drop(struct store *s)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++) {
		if (s->run[i].state != RUN_OBSOLETE)
			continue;
		job_begin(s, JOB_DROP);
		s->job.run = s->run[i];
		memset(&s->job.run.filter, 0, sizeof(s->job.run.filter));
		s->job.parts = ((size_t)1 << s->run[i].bits) / DROPPED + 1;
		return true;
	}
	return false;
}

void
store_job_choose(struct store *s, bool quiet)
{
	if (s->job.kind != JOB_NONE)
		return;
	if (job_flush_due(s))
		job_flush(s);
	else if ((quiet || s->nrun > RUNS_MANY) && !job_merge(s) && quiet)
		(void)job_drop(s);
}

/* --- writing a run --- */

static int
job_state(struct store *s, int64_t number, enum run_state state)
{
	sqlite_bind(s->db, RUN_STATE, 1, number);
	sqlite_bind(s->db, RUN_STATE, 2, state);
	return sqlite_step(s->db, RUN_STATE);
}

static int
job_new_run(struct store *s)
{
	struct run	*run = &s->job.run;

	/*
	 * The process that writes the run may only be slow: it must not
	 * complete it now.
	 */
	if (s->job.kind == JOB_DROP)
		return job_state(s, run->number, RUN_OBSOLETE);
	/* Its parts are deleted after the next reading of the runs. */
	if (s->left != 0 && job_state(s, s->left, RUN_OBSOLETE) == -1)
		return -1;
	if (store_one(s, RUN_NUMBER, &run->number) == -1)
		return -1;
	run->state = RUN_WRITING;
	sqlite_bind(s->db, RUN_NEW, 1, run->number);
	sqlite_bind(s->db, RUN_NEW, 2, clock_wall());
	sqlite_bind(s->db, RUN_NEW, 3, run->level);
	sqlite_bind(s->db, RUN_NEW, 4, run->bits);
	return sqlite_step(s->db, RUN_NEW);
}

static int
job_write_part(struct store *s, size_t part)
{
	if (s->buffer.len == 0)
		return 0;
	sqlite_bind(s->db, PART_NEW, 1, run_part(&s->job.run, part));
	sqlite_bind_blob(s->db, PART_NEW, 2, s->buffer.data, s->buffer.len);
	return sqlite_step(s->db, PART_NEW);
}

static int
job_flush_part(struct store *s, size_t part)
{
	s->buffer.len = 0;
	memtable_part(s->frozen, part, &s->buffer, &s->job.run.filter);
	return job_write_part(s, part);
}

static int
job_drop_parts(struct store *s, size_t step)
{
	sqlite_bind(s->db, PARTS_GONE, 1,
	    run_part(&s->job.run, step * DROPPED));
	sqlite_bind(s->db, PARTS_GONE, 2,
	    run_part(&s->job.run, (step + 1) * DROPPED));
	return sqlite_step(s->db, PARTS_GONE);
}

/* --- merging: all that the sources have in one stretch of hashes --- */

/*
 * Adds the ids of a source in this range to a tail, which adds up their counts.
 */
static int
merge_take(struct store *s, struct memtable *all, const struct run *run,
    const void *bytes, size_t len)
{
	struct pack		 pack;
	struct pack_count	 c;
	const char		*id;
	size_t			 idlen;
	uint64_t		 hash;
	int			 more;

	pack_open(&pack, bytes, len);
	while ((more = pack_next(&pack, &id, &idlen)) == 1) {
		hash = store_hash(s, id, idlen);
		while ((more = pack_count(&pack, &c)) == 1)
			if (c.date >= run->since && c.date <= run->until)
				memtable_add(all, hash, id, idlen, c.date,
				    c.amount);
		if (more == -1)
			break;
	}
	if (more == -1)
		s->damaged = true;
	return more == -1 ? -1 : 0;
}

static int
merge_read(struct store *s, struct memtable *all, const struct run *run,
    size_t step)
{
	const void	*bytes;
	size_t		 len, part, per;
	int		 more, ret = 0;

	per = ((size_t)1 << run->bits) / s->job.parts;
	for (part = step * per; part < (step + 1) * per && ret == 0; part++) {
		sqlite_bind(s->db, PART, 1, run_part(run, part));
		if ((more = sqlite_step(s->db, PART)) == 1) {
			bytes = sqlite_column_blob(s->db, PART, 0, &len);
			ret = merge_take(s, all, run, bytes, len);
			sqlite_reset(s->db, PART);
		} else if (more == -1)
			return -1;
	}
	return ret;
}

static int
job_merge_step(struct store *s, size_t step)
{
	struct run	*run = &s->job.run;
	const struct run *source;
	struct memtable	*all;
	size_t		 i, part, per;
	int		 ret = 0;

	all = memtable_new();
	for (i = 0; i < s->job.nsource && ret == 0; i++)
		if ((source = runs_find(s, s->job.source[i])) != NULL)
			ret = merge_read(s, all, source, step);
	run->ids += (int64_t)memtable_ids(all);
	memtable_divide(all, run->bits);
	per = ((size_t)1 << run->bits) / s->job.parts;
	for (part = step * per; part < (step + 1) * per && ret == 0; part++) {
		s->buffer.len = 0;
		memtable_part(all, part, &s->buffer, &run->filter);
		ret = job_write_part(s, part);
	}
	memtable_free(all);
	return ret;
}

/* --- the end of a job --- */

/*
 * In one step the run becomes valid, and the horizon moves or the sources
 * become obsolete.
 */
static int
job_finish_run(struct store *s)
{
	struct run	*run = &s->job.run;
	void		*bytes;
	size_t		 len, i;
	int		 ret;

	bloom_fold(&run->filter, (size_t)run->ids);
	bytes = bloom_bytes(&run->filter, &len);
	sqlite_bind(s->db, RUN_DONE, 1, run->number);
	sqlite_bind(s->db, RUN_DONE, 2, run->ids);
	sqlite_bind(s->db, RUN_DONE, 3, run->rows);
	sqlite_bind(s->db, RUN_DONE, 4, run->oldest);
	sqlite_bind(s->db, RUN_DONE, 5, run->newest);
	sqlite_bind_blob(s->db, RUN_DONE, 6, bytes, len);
	ret = sqlite_step(s->db, RUN_DONE);
	free(bytes);
	/* Another process took the run for an abandoned one. */
	if (ret == 0 && sqlite_changes(s->db) != 1)
		ret = -1;
	for (i = 0; i < s->job.nsource && ret == 0; i++)
		ret = job_state(s, s->job.source[i], RUN_OBSOLETE);
	if (s->job.kind == JOB_FLUSH && ret == 0)
		ret = store_put_number(s, "horizon", s->job.upto);
	return ret;
}

static int
job_finish(struct store *s)
{
	int	ret;

	if (s->job.kind == JOB_DROP) {
		sqlite_bind(s->db, RUN_GONE, 1, s->job.run.number);
		ret = sqlite_step(s->db, RUN_GONE);
	} else
		ret = job_finish_run(s);
	return ret == -1 ? -1 : sqlite_step(s->db, RUNS_CHANGED);
}

static const struct {
	int	(*part)(struct store *, size_t);
} jobs[] = {
	[JOB_FLUSH]	= { job_flush_part },
	[JOB_MERGE]	= { job_merge_step },
	[JOB_DROP]	= { job_drop_parts }
};

int
store_job_step(struct store *s, size_t steps)
{
	struct job_progress	*now = &s->job.now;

	if (s->job.kind == JOB_NONE || now->stage == STAGE_DONE)
		return 0;
	if (now->stage == STAGE_BEGIN) {
		if (job_new_run(s) == -1)
			return -1;
		now->stage = STAGE_PARTS;
	}
	for (; steps > 0 && now->part < s->job.parts; steps--) {
		if (jobs[s->job.kind].part(s, now->part) == -1)
			return -1;
		now->part++;
	}
	if (steps == 0)
		return 0;
	if (job_finish(s) == -1)
		return -1;
	now->stage = STAGE_DONE;
	return 0;
}

/* --- what is in memory follows what was committed --- */

static void
runs_set_state(struct store *s, int64_t number, enum run_state state)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++)
		if (s->run[i].number == number)
			s->run[i].state = state;
}

static void
runs_remove(struct store *s, int64_t number)
{
	size_t	i;

	for (i = 0; i < s->nrun && s->run[i].number != number; i++)
		;
	if (i == s->nrun)
		return;
	bloom_clear(&s->run[i].filter);
	memmove(&s->run[i], &s->run[i + 1],
	    (s->nrun - i - 1) * sizeof(s->run[0]));
	s->nrun--;
}

static void
job_done(struct store *s)
{
	size_t	i;

	s->runs_version++;
	if (s->job.kind == JOB_DROP) {
		runs_remove(s, s->job.run.number);
		job_begin(s, JOB_NONE);
		return;
	}
	for (i = 0; i < s->job.nsource; i++)
		runs_set_state(s, s->job.source[i], RUN_OBSOLETE);
	if (s->job.kind == JOB_FLUSH) {
		s->horizon = s->job.upto;
		memtable_free(s->frozen);
		s->frozen = NULL;
	}
	s->job.run.state = RUN_WHOLE;
	runs_add(s, &s->job.run);
	memset(&s->job.run.filter, 0, sizeof(s->job.run.filter));
	job_begin(s, JOB_NONE);
}

void
store_job_over(struct store *s, bool committed)
{
	if (s->job.kind == JOB_NONE)
		return;
	if (!committed)
		s->job.now = s->job.kept;
	else if (s->job.now.stage == STAGE_DONE) {
		s->left = 0;
		job_done(s);
	} else
		s->job.kept = s->job.now;
}
