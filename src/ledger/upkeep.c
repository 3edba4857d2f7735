#include <string.h>

#include "ledger/ledger.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PROGRESS_NS	INT64_C(1000000000)

/* --- cleaning --- */

static void
upkeep_tell_cleaned(struct ledger *l)
{
	struct msg_cleaned	m;

	memset(&m, 0, sizeof(m));
	m.done = l->clean.state != CLEAN_RUNNING;
	m.failed = l->clean.state == CLEAN_FAILED;
	m.records = l->clean.records;
	l->payload.len = 0;
	msg_cleaned_put(&l->payload, &m);
	channel_send(l->parent, MSG_CLEANED, 0, &l->payload, -1);
}

int
upkeep_on_clean(struct ledger *l, const struct message *m)
{
	(void)m;
	if (l->clean.state == CLEAN_RUNNING)
		return 0;
	clean_begin(&l->clean, l->store, l->settings, l->limits, clock_wall());
	l->progress = clock_mono().ns;
	return 0;
}

void
upkeep_clean(struct ledger *l)
{
	int64_t	now;

	if (l->clean.state != CLEAN_RUNNING)
		return;
	if (clean_step(&l->clean, l->store, l->settings, clock_wall()) ==
	    STORE_LOST)
		ledger_lost(l);
	now = clock_mono().ns;
	if (l->clean.state == CLEAN_RUNNING && now - l->progress < PROGRESS_NS)
		return;
	l->progress = now;
	if (l->clean.state == CLEAN_FAILED)
		log_error("cleaning: %s", store_error(l->store));
	upkeep_tell_cleaned(l);
	if (l->clean.state != CLEAN_RUNNING)
		l->clean.state = CLEAN_NONE;
}

/* --- reporting --- */

/*
 * A report that never receives the end of the list knows that the database
 * failed.
 */
void
upkeep_send_hits(struct ledger *l)
{
	if (!l->hits_wanted || l->report == NULL)
		return;
	l->hits_wanted = false;
	if (hits_send(l->hits, l->store, l->report, l->settings, l->limits) ==
	    STORE_OK)
		return;
	log_error("the hits for the report: %s", store_error(l->store));
	ledger_drop_report(l);
}

int
upkeep_on_hits_wanted(struct ledger *l, const struct message *m)
{
	(void)m;
	l->hits_wanted = true;
	return 0;
}

int
upkeep_on_hits_sent(struct ledger *l, const struct message *m)
{
	bool	good;

	(void)m;
	good = hits_forget(l->hits, l->store, clock_wall()) == STORE_OK;
	if (!good)
		log_error("the hits that were reported stay: %s",
		    store_error(l->store));
	l->payload.len = 0;
	msg_number_put(&l->payload, good);
	channel_send(l->parent, MSG_HITS_FORGOTTEN, 0, &l->payload, -1);
	return 0;
}
