#include <stdlib.h>
#include <string.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"
#include "lib/log.h"

/*
 * A server session that waits for the disk does nothing else. So when more
 * charges are waiting, a batch is committed without waiting (synchronous_commit
 * off): others see it, but a loss of power may undo it. Then a second
 * connection commits a transaction that writes to the log, and waits as the
 * server's administrator has configured: for the disk, or for a standby too.
 * That record is behind the batch in the log, so when it is confirmed the batch
 * is durable, and is answered. Meanwhile the next batch is read and written; it
 * is never durable before this one.
 */

static const char *const	flush[] = { STORE_FLUSH };

/*
 * A host name may stand for several servers. A lock that one session holds and
 * the other cannot take proves that both are on one server.
 */
static bool
same_server(struct store *s)
{
	uint32_t	word[2];
	char		*sql;
	int64_t		 key, mine = 0, other = 1;

	arc4random_buf(word, sizeof(word));
	key = (int64_t)word[0] << 31 ^ word[1];
	sql = alloc_printf("SELECT pg_try_advisory_lock(%lld)::int",
	    (long long)key);
	if (pgsql_number(s->db, sql, &mine) == 0 && mine == 1)
		(void)pgsql_number(s->flusher, sql, &other);
	free(sql);
	return mine == 1 && other == 0 &&
	    pgsql_exec(s->db, "SELECT pg_advisory_unlock_all()") == 0;
}

void
store_flusher_open(struct store *s, const struct settings *settings)
{
	char	reason[256] = "it is another server";
	bool	away;

	s->flusher = pgsql_open(settings, s->db, &away, reason, sizeof(reason));
	if (s->flusher != NULL) {
		/*
		 * Only tests whether it is permitted, without waiting for
		 * a standby: store_check_standby does that.
		 */
		if (same_server(s) && pgsql_exec(s->flusher,
		    "SET synchronous_commit = local") == 0 &&
		    pgsql_exec(s->flusher, flush[0]) == 0 &&
		    pgsql_exec(s->flusher, "RESET synchronous_commit") == 0 &&
		    pgsql_prepare(s->flusher, flush, 1) == 0)
			return;
		if (s->flusher->fault != PGSQL_NO_FAULT)
			(void)strlcpy(reason, s->flusher->error,
			    sizeof(reason));
	}
	log_notice("%s: no second connection, each batch waits for the disk:"
	    " %s", s->description, reason);
	pgsql_close(s->flusher);
	s->flusher = NULL;
}

void
store_end_wait(struct store *s, struct pgsql *lost, struct pgsql *other)
{
	if (!s->standby_lost && other != NULL && lost->timed_out)
		s->standby_lost = pgsql_end_wait(other, lost) == 1;
	if (s->standby_lost)
		(void)strlcpy(s->error, "a synchronous standby is missing"
		    " (SyncRep): see synchronous_standby_names",
		    sizeof(s->error));
}

/* Whether the commit is durable is unknown: the next ledger starts again. */
static enum store_result
flusher_lost(struct store *s)
{
	(void)strlcpy(s->error, s->flusher->error, sizeof(s->error));
	store_end_wait(s, s->flusher, s->db);
	s->spoilt = true;
	return STORE_LOST;
}

static void
on_input(void *arg)
{
	(void)store_flush(arg, false);
}

int
store_check_standby(struct store *s)
{
	int64_t	wanted_by;

	if (s->flusher == NULL || (pgsql_number(s->flusher, "SELECT 1 WHERE"
	    " current_setting('synchronous_standby_names') <> ''",
	    &wanted_by) == 0 && wanted_by == 0))
		return 0;
	if (pgsql_ask(s->flusher, 0) == 0 &&
	    pgsql_answered(s->flusher, true) == 1)
		return 0;
	(void)flusher_lost(s);
	return -1;
}

enum store_result
store_flush_begin(struct store *s)
{
	if (store_flush(s, true) == STORE_LOST)
		return STORE_LOST;
	if (pgsql_ask(s->flusher, 0) == -1)
		return flusher_lost(s);
	s->unflushed = true;
	pgsql_watch(s->db, s->flusher->fd, on_input, s);
	return STORE_OK;
}

enum store_result
store_flush(struct store *s, bool wait)
{
	int	done;

	if (!s->unflushed) {
		if (!wait && s->flusher != NULL && pgsql_ended(s->flusher))
			return flusher_lost(s);
		return s->spoilt ? STORE_LOST : STORE_OK;
	}
	if ((done = pgsql_answered(s->flusher, wait)) == 0)
		return STORE_OK;
	s->unflushed = false;
	pgsql_watch(s->db, -1, NULL, NULL);
	if (done == -1)
		return flusher_lost(s);
	s->flushed(s->arg);
	return STORE_OK;
}

static bool
halves(const struct store *s)
{
	return s->flusher != NULL;
}

static int
flush_fd(const struct store *s)
{
	return s->flusher != NULL ? s->flusher->fd : -1;
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
		.halves = halves,
		.on_flushed = on_flushed,
		.flush = store_flush,
		.fd = flush_fd
	},
	.shared = shared
};
