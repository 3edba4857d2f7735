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
#define RUNS_MANY	64	/* with more, they are merged under load */
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

int
store_read_runs(struct store *s)
{
	struct run	 run;
	const void	*bytes;
	size_t		 len;
	int64_t		 age;
	int		 more;
	bool		 ours;

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
		ours = s->job.kind == JOB_FLUSH &&
		    run.number == s->job.run.number;
		if (ours) {
			s->job.run.since = run.since;
			s->job.run.until = run.until;
		}
		/* The process that was writing the run may have ended. */
		age = clock_wall() - sqlite_column(s->db, RUNS, 2);
		if (run.state == RUN_WRITING && !ours &&
		    (age > ABANDONED || age < 0))
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

static struct run *
runs_find(const struct store *s, int64_t number)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++)
		if (s->run[i].number == number)
			return &s->run[i];
	return NULL;
}

static unsigned int
runs_bits(int64_t ids)
{
	unsigned int	bits = BITS_MIN;

	while (bits < BITS_MAX && ids >> bits > IDS_IN_PART)
		bits++;
	return bits;
}

static int64_t
runs_part(const struct run *run, size_t part)
{
	return (run->number << STORE_PART_BITS) + (int64_t)part;
}

int
store_open_part(struct store *s, const struct run *run, size_t part,
    struct pack *pack)
{
	const void	*bytes;
	size_t		 len;
	int		 more;

	sqlite_bind(s->db, PART, 1, runs_part(run, part));
	if ((more = sqlite_step(s->db, PART)) == 1) {
		bytes = sqlite_column_blob(s->db, PART, 0, &len);
		pack_open(pack, bytes, len);
	}
	return more;
}

int
store_close_part(struct store *s, int more)
{
	sqlite_reset(s->db, PART);
	if (more == -1)
		s->damaged = true;
	return more == -1 ? -1 : 0;
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
	int64_t		 full = (int64_t)store_sizes.tail;

	job_begin(s, JOB_FLUSH);
	s->frozen = s->tail;
	s->tail = memtable_new();
	s->tails++;
	s->job.upto = s->read;
	run->rows = (int64_t)memtable_rows(s->frozen);
	run->ids = (int64_t)memtable_ids(s->frozen);
	for (; run->rows >= full * STORE_MERGE && run->level < LEVEL_MAX;
	     full *= STORE_MERGE)
		run->level++;
	run->bits = runs_bits(run->ids);
	memtable_dates(s->frozen, &run->oldest, &run->newest);
	s->job.parts = (size_t)1 << run->bits;
	bloom_init(&run->filter, memtable_ids(s->frozen));
	memtable_divide(s->frozen, run->bits);
}

/* Merges the oldest runs of the lowest level that has enough of them. */
static bool
job_merge(struct store *s)
{
	struct run		*run = &s->job.run;
	const struct run	*source;
	unsigned int		 level, bits = BITS_MAX;
	size_t			 count[LEVEL_MAX + 1] = { 0 }, i;
	int64_t			 most = 0;

	for (i = 0; i < s->nrun; i++)
		if (s->run[i].state == RUN_WHOLE &&
		    s->run[i].level <= LEVEL_MAX)
			count[s->run[i].level]++;
	for (level = 0; level <= LEVEL_MAX && count[level] < STORE_MERGE;)
		level++;
	if (level > LEVEL_MAX)
		return false;
	job_begin(s, JOB_MERGE);
	run->oldest = INT64_MAX;
	run->newest = INT64_MIN;
	for (i = 0; s->job.nsource < STORE_MERGE; i++) {
		source = &s->run[i];
		if (source->state != RUN_WHOLE || source->level != level)
			continue;
		s->job.source[s->job.nsource++] = source->number;
		run->ids += source->ids;
		run->rows += source->rows;
		if (source->ids > most)
			most = source->ids;
		if (source->bits < bits)
			bits = source->bits;
		if (source->oldest < run->oldest)
			run->oldest = source->oldest;
		if (source->newest > run->newest)
			run->newest = source->newest;
	}
	run->level = level + 1;
	run->bits = runs_bits(2 * most);
	if (run->bits < bits)
		bits = run->bits;
	s->job.parts = (size_t)1 << bits;
	bloom_init(&run->filter, (size_t)run->ids);
	/* Ids in several sources are one: they are counted when merged. */
	run->ids = 0;
	return true;
}

/* Deletes an obsolete run. */
static void
job_drop(struct store *s)
{
	size_t	i;

	for (i = 0; i < s->nrun && s->run[i].state != RUN_OBSOLETE; i++)
		;
	if (i == s->nrun)
		return;
	job_begin(s, JOB_DROP);
	s->job.run = s->run[i];
	memset(&s->job.run.filter, 0, sizeof(s->job.run.filter));
	s->job.parts = ((size_t)1 << s->run[i].bits) / DROPPED + 1;
}

void
store_job_choose(struct store *s, bool quiet)
{
	size_t	rows = 0;
	bool	due;

	if (s->job.kind != JOB_NONE)
		return;
	if (s->frozen == NULL && s->tail != NULL)
		rows = memtable_rows(s->tail);
	if (s->behind)
		due = rows >= store_sizes.chunk ||
		    (s->read >= s->last && rows > 0);
	else
		due = rows >= store_sizes.tail;
	if (due)
		job_flush(s);
	else if ((quiet || s->nrun > RUNS_MANY) && !job_merge(s) && quiet)
		job_drop(s);
}

/* --- a part of a job --- */

/* Writes a part of the new run, if any id of the memtable is in it. */
static int
job_write_part(struct store *s, struct memtable *from, size_t part)
{
	s->buffer.len = 0;
	memtable_part(from, part, &s->buffer, &s->job.run.filter);
	if (s->buffer.len == 0)
		return 0;
	sqlite_bind(s->db, PART_NEW, 1, runs_part(&s->job.run, part));
	sqlite_bind_blob(s->db, PART_NEW, 2, s->buffer.data, s->buffer.len);
	return sqlite_step(s->db, PART_NEW);
}

static int
job_flush_part(struct store *s, size_t part)
{
	return job_write_part(s, s->frozen, part);
}

/* Adds the valid counts of one part of a source to `all`. */
static int
job_merge_part(struct store *s, struct memtable *all, const struct run *run,
    size_t part)
{
	struct pack		 pack;
	struct pack_count	 c;
	const char		*id;
	size_t			 idlen;
	uint64_t		 hash;
	int			 more;

	if ((more = store_open_part(s, run, part, &pack)) != 1)
		return more;
	while ((more = pack_next(&pack, &id, &idlen)) == 1) {
		hash = store_hash(s, id, idlen);
		while ((more = pack_count(&pack, &c)) == 1)
			if (c.date >= run->since && c.date <= run->until)
				memtable_add(all, hash, id, idlen, c.date,
				    c.amount);
		if (more == -1)
			break;
	}
	return store_close_part(s, more);
}

/*
 * Merges one stretch of hashes: a part of the run, source or new one, that has
 * the fewest. The others have `per` parts there.
 */
static int
job_merge_step(struct store *s, size_t step)
{
	struct run	*run = &s->job.run;
	const struct run *source;
	struct memtable	*all;
	size_t		 i, part, per;
	int		 ret = 0;

	all = memtable_new();
	for (i = 0; i < s->job.nsource; i++) {
		if ((source = runs_find(s, s->job.source[i])) == NULL)
			continue;
		per = ((size_t)1 << source->bits) / s->job.parts;
		for (part = step * per; part < (step + 1) * per && ret == 0;
		     part++)
			ret = job_merge_part(s, all, source, part);
	}
	run->ids += (int64_t)memtable_ids(all);
	memtable_divide(all, run->bits);
	per = ((size_t)1 << run->bits) / s->job.parts;
	for (part = step * per; part < (step + 1) * per && ret == 0; part++)
		ret = job_write_part(s, all, part);
	memtable_free(all);
	return ret;
}

static int
job_drop_parts(struct store *s, size_t step)
{
	sqlite_bind(s->db, PARTS_GONE, 1,
	    runs_part(&s->job.run, step * DROPPED));
	sqlite_bind(s->db, PARTS_GONE, 2,
	    runs_part(&s->job.run, (step + 1) * DROPPED));
	return sqlite_step(s->db, PARTS_GONE);
}

/* --- the steps of a job --- */

static int
job_discard(struct store *s, int64_t number)
{
	sqlite_bind(s->db, RUN_DISCARD, 1, number);
	return sqlite_step(s->db, RUN_DISCARD);
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
		return job_discard(s, run->number);
	/* Its parts are deleted after the next reading of the runs. */
	if (s->left != 0 && job_discard(s, s->left) == -1)
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

/*
 * In one transaction the run becomes valid, and the horizon moves or the
 * sources become obsolete.
 */
static int
job_finish(struct store *s)
{
	struct run	*run = &s->job.run;
	size_t		 i;
	int		 ret;

	if (s->job.kind == JOB_DROP) {
		sqlite_bind(s->db, RUN_GONE, 1, run->number);
		ret = sqlite_step(s->db, RUN_GONE);
		return ret == -1 ? -1 : sqlite_step(s->db, RUNS_CHANGED);
	}
	bloom_fold(&run->filter, (size_t)run->ids);
	sqlite_bind(s->db, RUN_DONE, 1, run->number);
	sqlite_bind(s->db, RUN_DONE, 2, run->ids);
	sqlite_bind(s->db, RUN_DONE, 3, run->rows);
	sqlite_bind(s->db, RUN_DONE, 4, run->oldest);
	sqlite_bind(s->db, RUN_DONE, 5, run->newest);
	sqlite_bind_blob(s->db, RUN_DONE, 6, run->filter.bytes,
	    run->filter.len);
	ret = sqlite_step(s->db, RUN_DONE);
	/* Another process took the run for an abandoned one. */
	if (ret == 0 && sqlite_changes(s->db) != 1)
		ret = -1;
	for (i = 0; i < s->job.nsource && ret == 0; i++)
		ret = job_discard(s, s->job.source[i]);
	if (s->job.kind == JOB_FLUSH && ret == 0)
		ret = store_put_number(s, "horizon", s->job.upto);
	return ret == -1 ? -1 : sqlite_step(s->db, RUNS_CHANGED);
}

int
store_job_step(struct store *s, size_t steps)
{
	static int	(*const do_part[])(struct store *, size_t) = {
		[JOB_FLUSH] = job_flush_part,
		[JOB_MERGE] = job_merge_step,
		[JOB_DROP] = job_drop_parts
	};
	struct job_progress	*now = &s->job.now;

	if (s->job.kind == JOB_NONE || now->stage == STAGE_DONE)
		return 0;
	if (now->stage == STAGE_BEGIN) {
		if (job_new_run(s) == -1)
			return -1;
		now->stage = STAGE_PARTS;
	}
	for (; steps > 0 && now->part < s->job.parts; steps--) {
		if (do_part[s->job.kind](s, now->part) == -1)
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

void
store_job_over(struct store *s, bool committed)
{
	struct run	*run;
	size_t		 i;

	if (s->job.kind == JOB_NONE)
		return;
	if (!committed) {
		s->job.now = s->job.kept;
		return;
	}
	s->job.kept = s->job.now;
	if (s->job.now.stage != STAGE_DONE)
		return;
	/* What is in memory follows what was committed. */
	s->left = 0;
	s->seen.runs++;
	if (s->job.kind == JOB_DROP) {
		if ((run = runs_find(s, s->job.run.number)) != NULL) {
			bloom_clear(&run->filter);
			s->nrun--;
			memmove(run, run + 1, (size_t)(s->run + s->nrun - run) *
			    sizeof(*run));
		}
		job_begin(s, JOB_NONE);
		return;
	}
	for (i = 0; i < s->job.nsource; i++)
		if ((run = runs_find(s, s->job.source[i])) != NULL)
			run->state = RUN_OBSOLETE;
	if (s->job.kind == JOB_FLUSH) {
		s->seen.horizon = s->job.upto;
		memtable_free(s->frozen);
		s->frozen = NULL;
	}
	s->job.run.state = RUN_WHOLE;
	runs_add(s, &s->job.run);
	memset(&s->job.run.filter, 0, sizeof(s->job.run.filter));
	job_begin(s, JOB_NONE);
}
