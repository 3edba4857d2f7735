#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * The connection, and its log. Commits go to the write-ahead log, which must be
 * copied into the file from time to time (a checkpoint). A checkpoint waits for
 * the disk twice, so the checkpointer does it while the ledger goes on. SQLite
 * restarts the log after a complete checkpoint. Under continuous load a
 * checkpoint is never complete, so the ledger itself copies the small rest
 * right after the checkpointer's turn.
 */
#define WAIT_MS		100		/* for a lock, in one call */
#define LOOK_NS		INT64_C(1000000000)
#define PAGES		1000		/* pages worth a checkpoint */
#define PAGES_MAX	65536		/* 256 MiB: the ledger copies */
#define PAGES_KEPT	PAGES		/* size of the log to keep, when idle */
#define COPY_NS		INT64_C(1000000000)
#define QUIET_NS	INT64_C(10000000000)
#define SHRINK_NS	INT64_C(10000000000)	/* between tries */
#define MS_NS		INT64_C(1000000)
#define RELEASE_MS	500		/* for the checkpointer to close */
#define GOODBYE_MS	2000		/* the same, at the end */
#define NAME_SIZE	264		/* of a file, with its suffix */

const enum sandbox_role	store_sandbox = SANDBOX_LEDGER_SQLITE;
const char *const	store_placeholder = "?1";

/* The path of the database, and its last component; NULL: there is none. */
static const char *
database_path(const struct settings *settings, const char **name)
{
	const struct value	*v;

	v = value_get(settings->sqlite_config, "database");
	if (v == NULL || v->type != VALUE_STR || strlen(v->bytes) != v->len)
		return NULL;
	*name = strrchr(v->bytes, '/');
	*name = *name != NULL ? *name + 1 : v->bytes;
	return **name == '\0' ? NULL : v->bytes;
}

/* --- the checkpointer --- */

void
store_start_helper(struct role_start *start, struct store_opening *o)
{
	struct sandbox_needs	 needs = { .role = SANDBOX_LEDGER_SQLITE };
	const char		*name;

	if (database_path(o->settings, &name) == NULL || start->directory == -1)
		return;
	o->checkpointer = checkpointer_start(start, &needs, name);
	if (o->checkpointer == NULL)
		log_warning("checkpointer of the write-ahead log: %s",
		    strerror(errno));
}

static void
lose_checkpointer(struct store *s)
{
	log_warning("the checkpointer of the write-ahead log is gone:"
	    " the ledger copies it by itself");
	checkpointer_leave(s->checkpointer);
	s->checkpointer = NULL;
}

/*
 * The log's file has the largest size that the log ever had. When all of it is
 * copied and no charge waits, the file is truncated if it is large.
 */
static int
shrink_log(struct store *s, int64_t now)
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
	if (sqlite_checkpoint(s->db, true) == -1)
		return (int)(SHRINK_NS / MS_NS);
	s->copied = s->largest = 0;
	return -1;
}

int
store_copy_log(struct store *s, bool quiet)
{
	int64_t	now = clock_mono().ns;
	int	pages, answer = 0;
	bool	heard, full;

	if (s->checkpointer != NULL &&
	    (answer = checkpointer_answer(s->checkpointer)) == -1)
		lose_checkpointer(s);
	if (s->db == NULL)
		return -1;
	pages = s->db->log_pages;
	/* SQLite has restarted the log. */
	if (pages < s->copied)
		s->copied = 0;
	if (pages > s->largest)
		s->largest = pages;
	if (pages == s->copied)
		return quiet ? shrink_log(s, now) : -1;
	full = pages >= PAGES_MAX;
	if (!full && pages - s->copied < PAGES && now - s->copy < COPY_NS)
		return (int)((s->copy + COPY_NS - now) / MS_NS) + 1;
	/* The checkpointer may be stopped: do not wait for it indefinitely. */
	heard = answer == 1 || pages >= 2 * PAGES_MAX;
	if (s->checkpointer != NULL &&
	    !(full && heard && now - s->finished >= COPY_NS))
		checkpointer_ask(s->checkpointer);
	else if (quiet || full) {
		(void)sqlite_checkpoint(s->db, false);
		s->finished = now;
	} else
		return -1;
	s->copied = pages;
	s->copy = now;
	return (int)(COPY_NS / MS_NS);
}

/* --- faults --- */

/*
 * Closes the file and drops what memory holds of it: the next file may be
 * another one. The checkpointer closes it too, so that the next opening reads
 * the disk and not the shared memory.
 */
static void
go_away(struct store *s)
{
	if (s->db == NULL)
		return;
	store_unload(s);
	store_free_runs(s);
	if (s->checkpointer != NULL &&
	    checkpointer_release(s->checkpointer, RELEASE_MS) == -1)
		lose_checkpointer(s);
	sqlite_close(s->db);
	s->db = NULL;
}

enum store_result
store_failed(struct store *s)
{
	enum sqlite_fault	fault = s->db->fault;
	bool			damaged = s->damaged;
	int64_t			now = clock_mono().ns;

	(void)strlcpy(s->error, damaged ? "a part of mail_part is damaged:"
	    " the counts are rebuilt from the rows" : s->db->error,
	    sizeof(s->error));
	if (sqlite_in_transaction(s->db))
		(void)sqlite_step(s->db, DO_ROLLBACK);
	if (fault == SQLITE_FAULT_BUSY && !damaged)
		return STORE_BUSY;
	s->readonly = fault == SQLITE_FAULT_READONLY;
	/* A full disk: make room in the log for the next writes. */
	if (fault == SQLITE_FAULT_FULL && now - s->copy >= COPY_NS) {
		s->copy = now;
		(void)sqlite_checkpoint(s->db, false);
	}
	if (fault == SQLITE_FAULT_FILE)
		sqlite_distrust(s->db);
	if (fault == SQLITE_FAULT_FILE || fault == SQLITE_FAULT_SCHEMA ||
	    damaged || sqlite_in_transaction(s->db))
		go_away(s);
	return STORE_FAILED;
}

enum store_result
store_end(struct store *s, bool good)
{
	if (good && sqlite_step(s->db, DO_COMMIT) == 0)
		return STORE_OK;
	return store_failed(s);
}

/* --- opening --- */

static enum store_result
connect_file(struct store *s)
{
	enum store_result	result;
	enum sqlite_fault	fault;
	bool			damaged = s->damaged;

	s->db = sqlite_open(s->directory, s->name, s->wait, store_statements,
	    STATEMENT__MAX, &fault, s->error, sizeof(s->error));
	if (s->db == NULL)
		return fault == SQLITE_FAULT_BUSY ? STORE_BUSY : STORE_FAILED;
	s->version = s->seen.changes = s->seen.runs = -1;
	s->reached = STORE_OLDEST;
	s->copied = s->largest = 0;
	s->moved = s->readonly = s->damaged = false;
	s->looked = s->now;
	if (store_prepare(s) == 0 && (!damaged || store_forget_runs(s) == 0)) {
		/* The log may not have existed at sqlite_open. */
		(void)sqlite_look(s->db);
		return STORE_OK;
	}
	result = store_failed(s);
	go_away(s);
	s->damaged = damaged;
	return result;
}

enum store_result
store_ready(struct store *s)
{
	enum sqlite_files	files = SQLITE_FILES_OURS;
	char			which[NAME_SIZE];
	bool			look;

	s->now = clock_mono().ns;
	if (s->db == NULL)
		return connect_file(s);
	look = s->now - s->looked >= LOOK_NS;
	if (look) {
		s->looked = s->now;
		files = sqlite_look(s->db);
	}
	/* Our log is copied into the file that we have open, renamed or not. */
	if (files != SQLITE_FILES_OURS) {
		log_warning("%s: the %s another file now", s->description,
		    files == SQLITE_FILES_OTHER ? "database is" :
		    "database's log is missing or");
		(void)sqlite_checkpoint(s->db, false);
		if (files == SQLITE_FILES_OTHER)
			sqlite_unlink_log(s->db);
	} else if (!s->moved && !(s->readonly && (look ||
	    sqlite_denied(s->directory, s->name, which, sizeof(which)) == 0)))
		return STORE_OK;
	go_away(s);
	return connect_file(s);
}

enum store_result
store_begin_own(struct store *s)
{
	enum store_result	result;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	return sqlite_step(s->db, DO_BEGIN) == -1 ? store_failed(s) : STORE_OK;
}

struct store *
store_open(const struct store_opening *o, bool *away, char *reason,
    size_t size)
{
	const struct settings	*settings = o->settings;
	const struct value	*sync;
	struct store		*s;
	const char		*path, *name;
	char			 which[NAME_SIZE];
	int			 error;

	*away = false;
	if ((path = database_path(settings, &name)) == NULL) {
		(void)strlcpy(reason, "sqlite_config names no database", size);
		return NULL;
	}
	if (!o->replaces && (error = sqlite_denied(o->directory, name, which,
	    sizeof(which))) != 0) {
		(void)snprintf(reason, size,
		    "sqlite %.*s%s can never be written: %s",
		    (int)(name - path), path, which, strerror(error));
		return NULL;
	}
	s = alloc_zero(1, sizeof(*s));
	s->name = alloc_string(name);
	s->description = alloc_printf("sqlite %s", path);
	s->directory = o->directory;
	sync = value_get(settings->sqlite_config, "synchronous");
	s->full = sync != NULL && sync->type == VALUE_STR &&
	    strcasecmp(sync->bytes, "full") == 0;
	if (settings->fold_case)
		s->fold = settings->nrules == 0 ? FOLD_ALL : FOLD_VALUE;
	s->wait = settings->db_timeout / 4 < WAIT_MS ?
	    (int)(settings->db_timeout / 4) : WAIT_MS;
	str_init(&s->buffer);
	str_init(&s->folded);
	str_init(&s->clean_id);
	str_init(&s->clean_value);
	s->checkpointer = o->checkpointer;
	(void)store_ready(s);
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	/*
	 * The last process to close the file copies the whole log and removes
	 * it.
	 */
	if (s->checkpointer != NULL)
		(void)checkpointer_release(s->checkpointer, GOODBYE_MS);
	checkpointer_leave(s->checkpointer);
	s->checkpointer = NULL;
	go_away(s);
	str_clear(&s->buffer);
	str_clear(&s->folded);
	free(s->append);
	str_clear(&s->clean_id);
	str_clear(&s->clean_value);
	free(s->name);
	free(s->description);
	free(s);
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
