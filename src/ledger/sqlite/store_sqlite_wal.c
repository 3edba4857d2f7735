#include <errno.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Commits go to the write-ahead log, which must be copied into the file from
 * time to time (a checkpoint). A checkpoint waits for the disk twice, so the
 * checkpointer does it while the ledger goes on. SQLite restarts the log after
 * a complete checkpoint. Under continuous load a checkpoint is never complete,
 * so the ledger itself copies the small rest right after the checkpointer's
 * turn.
 */
#define PAGES		1000		/* pages worth a checkpoint */
#define PAGES_MAX	65536		/* 256 MiB: the ledger copies */
#define PAGES_KEPT	PAGES		/* size of the log to keep, when idle */
#define COPY_NS		INT64_C(1000000000)
#define QUIET_NS	INT64_C(10000000000)
#define SHRINK_NS	INT64_C(10000000000)	/* between tries */
#define MS_NS		INT64_C(1000000)

static struct checkpointer	*started;

void
store_start_helper(struct role_start *start, const struct settings *settings)
{
	struct sandbox_needs	 needs;
	const struct value	*database;
	const char		*name;

	database = value_get(settings->sqlite_config, "database");
	if (database == NULL || database->type != VALUE_STR ||
	    start->directory == -1)
		return;
	name = strrchr(database->bytes, '/');
	memset(&needs, 0, sizeof(needs));
	needs.role = SANDBOX_LEDGER_SQLITE;
	started = checkpointer_start(start, &needs, name != NULL ? name + 1 :
	    database->bytes);
	if (started == NULL)
		log_warning("checkpointer of the write-ahead log: %s",
		    strerror(errno));
}

struct checkpointer *
store_take_helper(void)
{
	struct checkpointer	*checkpointer = started;

	started = NULL;
	return checkpointer;
}

static void
store_lose_keeper(struct store *s)
{
	log_warning("the checkpointer of the write-ahead log is gone:"
	    " the ledger copies it by itself");
	checkpointer_leave(s->checkpointer);
	s->checkpointer = NULL;
}

/* Whether the checkpointer has just done a checkpoint. */
static bool
store_hear_keeper(struct store *s)
{
	int	heard;

	if (s->checkpointer == NULL)
		return false;
	if ((heard = checkpointer_answer(s->checkpointer)) == -1)
		store_lose_keeper(s);
	return heard == 1;
}

void
store_release_log(struct store *s)
{
	if (s->checkpointer != NULL &&
	    checkpointer_release(s->checkpointer) == -1)
		store_lose_keeper(s);
}

void
store_empty_log(struct store *s)
{
	int64_t	now = clock_mono().ns;

	if (now - s->copy < COPY_NS)
		return;
	s->copy = now;
	(void)sqlite_checkpoint(s->db);
}

/*
 * The log's file has the largest size that the log ever had. When all of it is
 * copied and no charge waits, the file is truncated if it is large.
 */
static int
store_shrink_log(struct store *s, int64_t now)
{
	int64_t	due;

	if (s->largest <= PAGES_KEPT)
		return -1;
	due = s->batched + QUIET_NS > s->shrink ? s->batched + QUIET_NS :
	    s->shrink;
	if (now < due)
		return (int)((due - now) / MS_NS) + 1;
	if (s->checkpointer != NULL && checkpointer_busy(s->checkpointer))
		return (int)(COPY_NS / MS_NS);
	s->shrink = now + SHRINK_NS;
	if (sqlite_shrink_log(s->db) == -1)
		return (int)(SHRINK_NS / MS_NS);
	s->copied = s->largest = 0;
	return -1;
}

int
store_copy_log(struct store *s, bool quiet)
{
	int64_t	now = clock_mono().ns;
	int	pages;
	bool	heard, full;

	heard = store_hear_keeper(s);
	if (s->db == NULL)
		return -1;
	pages = sqlite_log_pages(s->db);
	/* SQLite has restarted the log. */
	if (pages < s->copied)
		s->copied = 0;
	if (pages > s->largest)
		s->largest = pages;
	if (pages == s->copied)
		return quiet ? store_shrink_log(s, now) : -1;
	full = pages >= PAGES_MAX;
	if (!full && pages - s->copied < PAGES && now - s->copy < COPY_NS)
		return (int)((s->copy + COPY_NS - now) / MS_NS) + 1;
	/* The checkpointer may be stopped: do not wait for it indefinitely. */
	heard = heard || pages >= 2 * PAGES_MAX;
	if (s->checkpointer != NULL &&
	    !(full && heard && now - s->finished >= COPY_NS))
		checkpointer_ask(s->checkpointer);
	else if (quiet || full) {
		(void)sqlite_checkpoint(s->db);
		s->finished = now;
	} else
		return -1;
	s->copied = pages;
	s->copy = now;
	return (int)(COPY_NS / MS_NS);
}
