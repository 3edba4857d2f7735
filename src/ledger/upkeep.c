#include <poll.h>
#include <string.h>

#include "ledger/ledger.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PROGRESS_NS	INT64_C(1000000000)
#define TROUBLE_SECONDS	60	/* between two such lines in the log */

/* --- refusals --- */

bool
upkeep_keep(struct ledger *l)
{
	int64_t	number;

	if (history_write(l->history, l->store, clock_mono(),
	    l->trouble[0] != '\0', &number) == STORE_LOST)
		ledger_lost(l);
	if (number == 0)
		return false;
	msg_number_put(ledger_payload(l), (uint64_t)number);
	ledger_answer(l, MSG_REFUSALS_KEPT, 0);
	return true;
}

void
upkeep_history(struct ledger *l, struct mono now)
{
	struct pollfd	p = { -1, POLLIN, 0 };
	bool		quiet;

	if (!history_due(l->history, true, now))
		return;
	/* Not while a charge waits, or while more are on their way. */
	if (l->engine != NULL)
		p.fd = channel_fd(l->engine);
	quiet = l->batch->count == 0 && !charge_batch_unflushed(l->batch) &&
	    poll(&p, 1, 0) == 0;
	if (quiet || history_due(l->history, false, now))
		(void)upkeep_keep(l);
}

/* --- cleaning --- */

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
	struct msg_cleaned	m = { .done = false };
	int64_t			now;

	if (l->clean.state != CLEAN_RUNNING)
		return;
	if (clean_step(&l->clean, l->store, l->settings, clock_wall()) ==
	    STORE_LOST)
		ledger_lost(l);
	now = clock_mono().ns;
	if (l->clean.state == CLEAN_RUNNING && now - l->progress < PROGRESS_NS)
		return;
	l->progress = now;
	m.done = l->clean.state != CLEAN_RUNNING;
	m.failed = l->clean.state == CLEAN_FAILED;
	m.records = l->clean.records;
	if (m.failed)
		(void)strlcpy(m.reason, ledger_reason(l), sizeof(m.reason));
	msg_cleaned_put(ledger_payload(l), &m);
	channel_send(l->parent, MSG_CLEANED, 0, &l->payload, -1);
	if (m.done)
		l->clean.state = CLEAN_NONE;
}

/* --- reporting --- */

int
upkeep_on_wanted(struct ledger *l, const struct message *m)
{
	l->wanted = m->type;
	return 0;
}

/*
 * A report that never receives the end of the list knows that the database
 * failed.
 */
void
upkeep_send_hits(struct ledger *l)
{
	enum message_type	wanted = l->wanted;

	if (l->report == NULL)
		return;
	l->wanted = 0;
	if (wanted == MSG_NOTICE_WANTED)
		notices_send(l->notices, l->report);
	else if (wanted == MSG_HITS_WANTED && hits_send(l->hits, l->store,
	    l->report, l->settings, l->limits, clock_wall()) != STORE_OK) {
		log_error("the hits for the report: %s", ledger_reason(l));
		ledger_drop_report(l);
	}
}

int
upkeep_on_hits_sent(struct ledger *l, const struct message *m)
{
	bool	good;

	(void)m;
	good = hits_forget(l->hits, l->store, clock_wall()) == STORE_OK;
	if (!good)
		log_error("the hits that were reported stay: %s",
		    ledger_reason(l));
	msg_number_put(ledger_payload(l), good);
	channel_send(l->parent, MSG_HITS_FORGOTTEN, 0, &l->payload, -1);
	return 0;
}

/* --- report_user --- */

void
upkeep_notices(struct ledger *l, struct mono now)
{
	enum store_result	result;
	unsigned int		suppressed;
	bool			new;

	result = notices_claim(l->notices, l->store, clock_wall(), now, &new);
	if (result == STORE_LOST)
		ledger_lost(l);
	if (result == STORE_FAILED && l->trouble[0] == '\0' &&
	    log_allowed(&l->notices_failed, TROUBLE_SECONDS, &suppressed))
		log_warning("users are not told yet: %s", ledger_reason(l));
	if (new)
		channel_signal(l->parent, MSG_NOTICE_NEW, 0);
}

int
upkeep_on_notice_sent(struct ledger *l, const struct message *m)
{
	uint64_t	good;

	if (msg_number_get(&good, m->payload, m->len) == -1 || good > 1)
		return -1;
	notices_sent(l->notices, good == 1);
	/* After a failure the parent waits before it tries again. */
	if (good == 1 && notices_any(l->notices))
		channel_signal(l->parent, MSG_NOTICE_NEW, 0);
	return 0;
}
