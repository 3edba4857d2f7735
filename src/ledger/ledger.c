#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "lib/clock.h"
#include "lib/log.h"

#define BUSY_MS		5		/* mean time between tries, at first */
#define BUSY_MOST_MS	40		/* and at most */
#define BUSY_LOG_MS	1000		/* at least */
#define IDLE_NS		INT64_C(5000000000)	/* see ledger_ended */
#define FAREWELL_MS	100	/* for verdicts, when the database is lost */

/* --- the state of the database --- */

static void	leave(struct ledger *, int) __attribute__((__noreturn__));

static void
leave(struct ledger *l, int status)
{
	/*
	 * Refusals are still sent; the engine asks the next ledger about all
	 * others.
	 */
	if (l->engine != NULL)
		(void)channel_drain(l->engine, clock_after(clock_mono(),
		    FAREWELL_MS));
	exit(status);
}

const char *
ledger_reason(const struct ledger *l)
{
	const char	*reason = store_error(l->store);

	return reason[0] != '\0' ? reason : "no reason is known";
}

void
ledger_lost(struct ledger *l)
{
	log_error("%s: %s", store_description(l->store), ledger_reason(l));
	leave(l, ROLE_AWAY);
}

void
ledger_ended(struct ledger *l, int64_t used)
{
	if (l->engine == NULL || l->scans || l->batch->count > 0 ||
	    charge_batch_unflushed(l->batch) ||
	    clock_mono().ns - used < IDLE_NS)
		ledger_lost(l);
	log_debug("%s: the idle connection is closed: %s",
	    store_description(l->store), ledger_reason(l));
	leave(l, ROLE_IDLE);
}

void
ledger_note(struct ledger *l, enum store_result result)
{
	int64_t	now, brief;

	l->busy = result == STORE_BUSY;
	l->figure[FIGURE_BUSY] += l->busy;
	l->figure[FIGURE_ERRORS] += result == STORE_FAILED;
	if (result == STORE_LOST)
		ledger_lost(l);
	if (!l->busy)
		l->pause = 0;
	else {
		/*
		 * Daemons that compete for one id would meet again and again
		 * after equal pauses.
		 */
		l->pause = l->pause == 0 ? BUSY_MS : l->pause * 2;
		if (l->pause > BUSY_MOST_MS)
			l->pause = BUSY_MOST_MS;
		l->retry = clock_after(clock_mono(),
		    1 + (int64_t)arc4random_uniform(2 * l->pause));
	}
	if (result == STORE_OK) {
		l->busy_since = 0;
		if (l->trouble[0] != '\0')
			log_notice("%s works again",
			    store_description(l->store));
		l->trouble[0] = '\0';
		return;
	}
	now = clock_mono().ns;
	if (l->busy_since == 0)
		l->busy_since = now;
	/*
	 * A lock that another process holds for a moment is not logged, nor
	 * are conflicts with other daemons while requests are still answered
	 * in time.
	 */
	brief = l->settings->db_timeout / 2;
	if (brief < BUSY_LOG_MS)
		brief = BUSY_LOG_MS;
	if (l->trouble[0] != '\0' ||
	    (l->busy && now - l->busy_since < brief * 1000000))
		return;
	(void)strlcpy(l->trouble, ledger_reason(l), sizeof(l->trouble));
	log_error("%s: %s", store_description(l->store), l->trouble);
}

/* --- messages --- */

struct str *
ledger_payload(struct ledger *l)
{
	l->payload.len = 0;
	return &l->payload;
}

void
ledger_answer(struct ledger *l, enum message_type type, uint64_t request)
{
	if (l->engine != NULL)
		channel_send(l->engine, type, request, &l->payload, -1);
}

void
ledger_drop_report(struct ledger *l)
{
	channel_free(l->report);
	l->report = NULL;
	l->wanted = 0;
}
