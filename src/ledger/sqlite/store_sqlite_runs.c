#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/clock.h"

#define IDS_IN_PART	16	/* approximate */
#define BITS_MIN	8
#define BITS_MAX	16
#define LEVEL_MAX	16
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
	s->nrun = s->runs = 0;
}

/*
 * Gives the job up. The run that it was writing is not touched: it may be
 * another's by now. In time it is taken for an abandoned one.
 */
static void
job_drop(struct store *s)
{
	bloom_clear(&s->job.run.filter);
	memset(&s->job, 0, sizeof(s->job));
}

void
store_unload(struct store *s)
{
	job_drop(s);
	memtable_free(s->tail);
	memtable_free(s->frozen);
	s->tail = s->frozen = NULL;
}

/* The run that a flush writes, unless another process took it over. */
static bool
runs_ours(const struct store *s, const struct run *run, int64_t began)
{
	return s->frozen != NULL && s->job.kept > 0 &&
	    run->number == s->job.run.number && run->state == RUN_WRITING &&
	    began == s->job.began;
}

int
store_read_runs(struct store *s)
{
	struct run	 run;
	const void	*bytes;
	size_t		 len;
	int64_t		 began, age;
	int		 more;
	bool		 lost = s->frozen != NULL && s->job.kept > 0;

	store_free_runs(s);
	/* Another process may have merged or deleted the same runs. */
	if (s->frozen == NULL)
		job_drop(s);
	while ((more = sqlite_step(s->db, RUNS)) == 1) {
		run = (struct run) {
			.number = sqlite_column(s->db, RUNS, 0),
			.state = (enum run_state)sqlite_column(s->db, RUNS, 1),
			.level = (unsigned int)sqlite_column(s->db, RUNS, 3),
			.bits = (unsigned int)sqlite_column(s->db, RUNS, 4),
			.ids = sqlite_column(s->db, RUNS, 5),
			.rows = sqlite_column(s->db, RUNS, 6),
			.oldest = sqlite_column(s->db, RUNS, 7),
			.newest = sqlite_column(s->db, RUNS, 8),
			.since = sqlite_column(s->db, RUNS, 9),
			.until = sqlite_column(s->db, RUNS, 10)
		};
		began = sqlite_column(s->db, RUNS, 2);
		age = clock_wall() - began;
		if (runs_ours(s, &run, began)) {
			lost = false;
			s->job.run.since = run.since;
			s->job.run.until = run.until;
		} else if (run.state == RUN_WRITING &&
		    (age > ABANDONED || age < 0))
			/* The process that was writing it may have ended. */
			run.state = RUN_OBSOLETE;
		if (run.bits > BITS_MAX || run.state == RUN_WRITING)
			continue;
		if (run.state == RUN_WHOLE) {
			bytes = sqlite_column_blob(s->db, RUNS, 11, &len);
			bloom_load(&run.filter, bytes, len);
		}
		s->run = alloc_room(s->run, s->nrun, &s->runs, sizeof(run));
		s->run[s->nrun++] = run;
	}
	/* Its number may be another run's now: read the tail again. */
	if (lost && more == 0)
		store_unload(s);
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

/* From here on new rows go to a new tail; the old one is written as a run. */
static void
job_flush(struct store *s)
{
	struct run	*run = &s->job.run;
	int64_t		 full = (int64_t)store_sizes.tail;

	s->frozen = s->tail;
	s->tail = memtable_new();
	s->tails++;
	s->job.upto = s->read;
	*run = (struct run) {
		.ids = (int64_t)memtable_ids(s->frozen),
		.rows = (int64_t)s->frozen->rows,
		.oldest = s->frozen->oldest,
		.newest = s->frozen->newest,
		.since = STORE_OLDEST,
		.until = STORE_NEWEST
	};
	for (; run->rows >= full * STORE_MERGE && run->level < LEVEL_MAX;
	     full *= STORE_MERGE)
		run->level++;
	run->bits = runs_bits(run->ids);
	s->job.parts = (size_t)1 << run->bits;
	bloom_init(&run->filter, (size_t)run->ids);
	memtable_divide(s->frozen, run->bits);
}

/* Merges the oldest runs of the lowest level that has enough of them. */
static void
job_merge(struct store *s)
{
	struct run		*run = &s->job.run;
	const struct run	*source;
	unsigned int		 level, bits = BITS_MAX;
	int64_t			 most = 0;
	size_t			 i, n = 0;

	for (level = 0; n < STORE_MERGE && level <= LEVEL_MAX; level++)
		for (i = n = 0; i < s->nrun && n < STORE_MERGE; i++)
			if (s->run[i].state == RUN_WHOLE &&
			    s->run[i].level == level)
				s->job.source[n++] = &s->run[i];
	if (n < STORE_MERGE)
		return;
	*run = (struct run) {
		.level = level,		/* one above the sources */
		.oldest = INT64_MAX,
		.newest = INT64_MIN,
		.since = STORE_OLDEST,
		.until = STORE_NEWEST
	};
	for (i = 0; i < STORE_MERGE; i++) {
		source = s->job.source[i];
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
	run->bits = runs_bits(2 * most);
	if (run->bits < bits)
		bits = run->bits;
	s->job.parts = (size_t)1 << bits;
	bloom_init(&run->filter, (size_t)run->ids);
	/* An id may be in several sources: ids are counted while merging. */
	run->ids = 0;
}

bool
store_job_choose(struct store *s, bool quiet)
{
	size_t	rows = s->tail->rows;
	bool	due;

	if (s->job.parts > 0)
		return true;
	if (s->behind)
		due = rows >= store_sizes.chunk ||
		    (s->read >= s->last && rows > 0);
	else
		due = rows >= store_sizes.tail;
	if (due)
		job_flush(s);
	else if (quiet || s->nrun > RUNS_MANY)
		job_merge(s);
	return s->job.parts > 0;
}

/* --- the steps of a job --- */

static int
job_begin(struct store *s)
{
	struct run	*run = &s->job.run;

	if (store_one(s, RUN_NUMBER, &run->number) == -1)
		return -1;
	s->job.began = clock_wall();
	return store_run(s, RUN_NEW, 4, (const int64_t[]) { run->number,
	    s->job.began, run->level, run->bits });
}

/* Adds the valid counts of one part of a source to `all`. */
static int
merge_part(struct store *s, struct memtable *all, const struct run *source,
    size_t part)
{
	struct pack		 pack;
	struct pack_count	 c;
	const char		*id;
	size_t			 idlen;
	uint64_t		 hash;
	int			 more;

	if ((more = store_open_part(s, source, part, &pack)) != 1)
		return more;
	while ((more = pack_next(&pack, &id, &idlen)) == 1) {
		hash = store_hash(s, id, idlen);
		while ((more = pack_count(&pack, &c)) == 1)
			if (c.date >= source->since && c.date <= source->until)
				memtable_add(all, hash, id, idlen, c.date,
				    c.amount);
		if (more == -1)
			break;
	}
	return store_close_part(s, more);
}

/* The counts that the sources have in a stretch; NULL: a fault. */
static struct memtable *
merge_stretch(struct store *s, size_t stretch)
{
	struct run		*run = &s->job.run;
	const struct run	*source;
	struct memtable		*all = memtable_new();
	size_t			 i, part, per;

	for (i = 0; i < STORE_MERGE; i++) {
		source = s->job.source[i];
		per = ((size_t)1 << source->bits) / s->job.parts;
		for (part = stretch * per; part < (stretch + 1) * per; part++)
			if (merge_part(s, all, source, part) == -1) {
				memtable_free(all);
				return NULL;
			}
	}
	run->ids += (int64_t)memtable_ids(all);
	memtable_divide(all, run->bits);
	return all;
}

/* Writes those parts of the new run that are in a stretch and have ids. */
static int
job_write(struct store *s, size_t stretch)
{
	struct run	*run = &s->job.run;
	struct memtable	*from = s->frozen;
	size_t		 part, per = ((size_t)1 << run->bits) / s->job.parts;
	int		 ret = 0;

	if (from == NULL && (from = merge_stretch(s, stretch)) == NULL)
		return -1;
	for (part = stretch * per; part < (stretch + 1) * per && ret == 0;
	     part++) {
		s->buffer.len = 0;
		memtable_part(from, part, &s->buffer, &run->filter);
		if (s->buffer.len == 0)
			continue;
		sqlite_bind(s->db, PART_NEW, 1, runs_part(run, part));
		sqlite_bind_blob(s->db, PART_NEW, 2, s->buffer.data,
		    s->buffer.len);
		ret = sqlite_step(s->db, PART_NEW);
	}
	if (from != s->frozen)
		memtable_free(from);
	return ret;
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

	bloom_fold(&run->filter, (size_t)run->ids);
	sqlite_bind(s->db, RUN_DONE, 1, run->number);
	sqlite_bind(s->db, RUN_DONE, 2, run->ids);
	sqlite_bind(s->db, RUN_DONE, 3, run->rows);
	sqlite_bind(s->db, RUN_DONE, 4, run->oldest);
	sqlite_bind(s->db, RUN_DONE, 5, run->newest);
	sqlite_bind_blob(s->db, RUN_DONE, 6, run->filter.bytes,
	    run->filter.len);
	if (sqlite_step(s->db, RUN_DONE) == -1)
		return -1;
	/* Another process took the run for an abandoned one: read the runs. */
	if (sqlite_changes(s->db) != 1) {
		s->version = s->seen.runs = -1;
		return -1;
	}
	if (s->frozen != NULL) {
		if (store_put_number(s, "horizon", s->job.upto) == -1)
			return -1;
	} else
		for (i = 0; i < STORE_MERGE; i++)
			if (store_run(s, RUN_DISCARD, 1,
			    &s->job.source[i]->number) == -1)
				return -1;
	return sqlite_step(s->db, RUNS_CHANGED);
}

bool
store_job_done(const struct store *s)
{
	return s->job.parts > 0 && s->job.now == s->job.parts + 2;
}

int
store_job_step(struct store *s, size_t steps)
{
	struct job	*job = &s->job;
	int		 ret = 0;

	for (; ret == 0 && steps > 0 && !store_job_done(s); steps--) {
		if (job->now == 0)
			ret = job_begin(s);
		else if (job->now <= job->parts)
			ret = job_write(s, job->now - 1);
		else
			ret = job_finish(s);
		job->now++;
	}
	return ret;
}

void
store_job_over(struct store *s, bool committed)
{
	size_t	i;

	if (!committed) {
		s->job.now = s->job.kept;
		return;
	}
	s->job.kept = s->job.now;
	if (!store_job_done(s))
		return;
	/* What is in memory follows what was committed. */
	if (s->frozen != NULL) {
		s->seen.horizon = s->job.upto;
		memtable_free(s->frozen);
		s->frozen = NULL;
	} else
		for (i = 0; i < STORE_MERGE; i++)
			s->job.source[i]->state = RUN_OBSOLETE;
	s->job.run.state = RUN_WHOLE;
	s->run = alloc_room(s->run, s->nrun, &s->runs, sizeof(s->run[0]));
	s->run[s->nrun++] = s->job.run;
	s->seen.runs++;
	memset(&s->job, 0, sizeof(s->job));
}

/* --- runs that are not needed any more --- */

struct run *
store_obsolete_run(const struct store *s)
{
	size_t	i;

	for (i = 0; i < s->nrun; i++)
		if (s->run[i].state == RUN_OBSOLETE)
			return &s->run[i];
	return NULL;
}

int
store_delete_run(struct store *s, struct run *run)
{
	const int64_t	parts[] = { runs_part(run, 0),
	    runs_part(run, (size_t)1 << STORE_PART_BITS) };

	/*
	 * The process that was writing this run may be slow and not gone: from
	 * here on it cannot complete the run.
	 */
	if (store_run(s, RUN_DISCARD, 1, &run->number) == -1 ||
	    store_run(s, PARTS_GONE, 2, parts) == -1)
		return -1;
	if (sqlite_changes(s->db) > 0)
		return 0;
	if (store_run(s, RUN_GONE, 1, &run->number) == -1 ||
	    sqlite_step(s->db, RUNS_CHANGED) == -1)
		return -1;
	s->seen.runs++;
	bloom_clear(&run->filter);
	s->nrun--;
	memmove(run, run + 1, (size_t)(s->run + s->nrun - run) * sizeof(*run));
	return 0;
}
