#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/log.h"

/*
 * A session that waits for the disk does nothing else. So when more charges are
 * waiting, the COMMIT of a batch is sent and not waited for, and the next batch
 * begins in a second session. InnoDB makes a commit visible, and releases its
 * locks, before it waits for the disk. Both batches lock the row STORE_ALL_SLOT
 * exclusively, so the second one sees all of the first; its commit is later in
 * the log, so it is never durable before the first. A server with a binary log
 * waits for the disk with the locks held: there batches do not overlap.
 */

/*
 * A host name may stand for several servers. A lock that one session holds and
 * the other sees proves that both are on one server.
 */
static bool
same_server(struct store *s)
{
	uint32_t	 word[2];
	char		*sql[3];
	int64_t		 mine = 0, visible = 0, given = 0;
	size_t		 i;

	arc4random_buf(word, sizeof(word));
	sql[0] = alloc_printf("SELECT get_lock('policyd.%08x%08x', 0)",
	    word[0], word[1]);
	sql[1] = alloc_printf("SELECT is_used_lock('policyd.%08x%08x')",
	    word[0], word[1]);
	sql[2] = alloc_printf("SELECT release_lock('policyd.%08x%08x')",
	    word[0], word[1]);
	if (mysqldb_number(s->db, sql[0], &mine) == 0 && mine == 1 &&
	    mysqldb_number(s->other, sql[1], &visible) == 0)
		(void)mysqldb_number(s->db, sql[2], &given);
	for (i = 0; i < 3; i++)
		free(sql[i]);
	return visible != 0 && given == 1 && mysqldb_commit(s->db) == 0;
}

void
store_other_open(struct store *s, const struct settings *settings,
    const struct mysqldb_statement *statements)
{
	char	reason[256] = "it is another server";
	bool	away;

	/* Batches of a cluster's nodes do not lock one row. */
	if (s->cluster)
		return;
	s->other = mysqldb_open(settings, settings->db_timeout, s->db,
	    statements, STATEMENT__MAX, &away, reason, sizeof(reason));
	if (s->other != NULL) {
		if (same_server(s) && mysqldb_exec(s->other, STORE_OWN) ==
		    0 && mysqldb_commit(s->other) == 0)
			return;
		if (s->other->fault != MYSQLDB_NO_FAULT)
			(void)strlcpy(reason, s->other->error, sizeof(reason));
	}
	log_notice("%s: no second connection, each batch waits for the disk:"
	    " %s", s->description, reason);
	mysqldb_close(s->other);
	s->other = NULL;
}

static void
on_input(void *arg)
{
	(void)store_flush(arg, false);
}

enum store_result
store_flush_begin(struct store *s)
{
	struct mysqldb	*db = s->db;

	if (store_flush(s, true) == STORE_LOST)
		return STORE_LOST;
	s->db = s->other;
	s->other = db;
	s->unflushed = true;
	mysqldb_watch(s->db, s->other, on_input, s);
	return STORE_OK;
}

enum store_result
store_flush(struct store *s, bool wait)
{
	int	done;

	if (s->spoilt)
		return STORE_LOST;
	if (!s->unflushed) {
		/* One that ends while it is not needed is done without. */
		if (!wait && s->other != NULL && mysqldb_input(s->other) &&
		    mysqldb_ended(s->other)) {
			mysqldb_close(s->other);
			s->other = NULL;
		}
		return STORE_OK;
	}
	if ((done = mysqldb_committed(s->other, wait)) == 0)
		return STORE_OK;
	s->unflushed = false;
	mysqldb_watch(s->db, NULL, NULL, NULL);
	if (done == -1) {
		/* Whether it is recorded is unknown: start again. */
		(void)strlcpy(s->error, s->other->error, sizeof(s->error));
		s->spoilt = true;
		return STORE_LOST;
	}
	s->flushed(s->arg);
	return STORE_OK;
}

static int
flush_fd(const struct store *s)
{
	return s->other != NULL ? s->other->fd : -1;
}

static void
on_flushed(struct store *s, void (*flushed)(void *), void *arg)
{
	s->flushed = flushed;
	s->arg = arg;
}

static bool
shared(const struct store *s)
{
	return !writers_silent(&s->others);
}

const struct store_optional	store_optional = {
	.overlap = {
		/* Statements of two halves cost more than the overlap saves. */
		.halves = NULL,
		.on_flushed = on_flushed,
		.flush = store_flush,
		.fd = flush_fd
	},
	.shared = shared
};
