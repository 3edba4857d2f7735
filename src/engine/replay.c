#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/mapping.h"
#include "engine/pending.h"
#include "engine/replay.h"
#include "engine/stats.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define AT_ONCE		256	/* unanswered ones, if all is well */
#define REFUSED_MAX	1024	/* refused charges that are kept */
#define PROBE_SECONDS	1	/* between two tries otherwise */

struct replay {
	TAILQ_ENTRY(replay)	 entry;
	uint64_t		 number;
	bool			 sent;
	bool			 back;		/* it takes back */
	int64_t			 date;
	struct str		 charge;
	int64_t			 charged[];	/* for each key */
};

TAILQ_HEAD(replay_list, replay);

static struct {
	struct replay_list	 list;		/* oldest first */
	size_t			 count;
	size_t			 bytes;
	size_t			 sent;		/* unanswered ones */
	uint64_t		 number;	/* last number given */
	bool			 well;		/* the database records them */
	uint64_t		 lost;		/* dropped, since last logged */
	uint64_t		 recorded;	/* since last logged */
	struct channel		*ledger;
	struct event		 timer;
	void			(*owed)(const struct msg_charge *,
				    const int64_t *, int64_t, int);
	size_t			 nrefused;	/* ever */
	struct {
		uint64_t	request;
		struct str	charge;		/* len 0: unused */
	}			 refused[REFUSED_MAX];
} replay;

static size_t
charge_size(const struct replay *r)
{
	return sizeof(*r) + r->charge.size + sizeof(r->charged[0]);
}

/* Sends one in a while, to find out whether the database records it. */
static void
schedule_probe(void)
{
	static const struct timeval	later = { PROBE_SECONDS, 0 };

	replay.well = false;
	if (replay.count > 0 && !evtimer_pending(&replay.timer, NULL))
		evtimer_add(&replay.timer, &later);
}

/* Sends until `most` are unanswered. */
static void
send_charges(size_t most)
{
	struct replay	*r;

	if (replay.ledger == NULL)
		return;
	TAILQ_FOREACH(r, &replay.list, entry) {
		if (replay.sent >= most ||
		    channel_queued(replay.ledger) >= CHANNEL_HIGH)
			return;
		if (r->sent)
			continue;
		channel_send(replay.ledger, MSG_CHARGE, r->number, &r->charge,
		    -1);
		r->sent = true;
		replay.sent++;
	}
}

bool
replay_send(void)
{
	if (!replay.well || replay.ledger == NULL ||
	    replay.sent == replay.count)
		return true;
	send_charges(AT_ONCE);
	return replay.sent == replay.count;
}

static void
on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (replay.well || replay.count == 0)
		return;
	send_charges(1);
	schedule_probe();
}

void
replay_soon(void)
{
	replay.well = true;
}

static struct replay *
keep_charge(struct msg_charge *charge, const int64_t *charged, int64_t date)
{
	struct replay	*r;
	size_t		 i;

	charge->date = date;
	charge->deadline = INT64_MAX;
	r = alloc_zero(1, sizeof(*r) + charge->nkeys * sizeof(r->charged[0]));
	r->date = date;
	for (i = 0; i < charge->nkeys; i++)
		r->charged[i] = charged[i];
	r->number = ++replay.number | PENDING_NOT;
	str_init(&r->charge);
	msg_charge_put(&r->charge, charge);
	TAILQ_INSERT_TAIL(&replay.list, r, entry);
	replay.count++;
	replay.bytes += charge_size(r);
	replay.owed(charge, r->charged, date, 1);
	return r;
}

bool
replay_add(struct msg_charge *charge, const int64_t *charged, int64_t date)
{
	if (replay.bytes >= REPLAY_BYTES_MAX) {
		stats_add(STATS_REPLAY_LOST, 1);
		if (replay.lost++ == 0)
			log_warning("no room for more of what is accepted "
			    "without the database: from now on it will not be "
			    "recorded (requests waiting: %zu)", replay.count);
		return false;
	}
	charge->mode = CHARGE_REPLAY;
	(void)keep_charge(charge, charged, date);
	schedule_probe();
	return true;
}

bool
replay_back(struct msg_charge *charge, const int64_t *charged, int64_t date,
    int64_t tag)
{
	int64_t	owed[CHARGE_KEYS_MAX], amount;
	size_t	i;

	if (replay.bytes >= REPLAY_BYTES_MAX)
		return false;
	charge->mode = CHARGE_BACK;
	charge->tag = tag;
	for (i = 0; i < charge->nkeys; i++) {
		amount = charged[i] > 0 ? charged[i] : 0;
		if (amount > CHARGE_AMOUNT_MAX)
			amount = CHARGE_AMOUNT_MAX;
		charge->keys[i].amount = amount;
		owed[i] = -amount;
	}
	keep_charge(charge, owed, date)->back = true;
	return true;
}

void
replay_verdict(uint64_t request, const struct msg_verdict *verdict)
{
	static struct msg_charge	 charge;
	struct replay			*r;

	TAILQ_FOREACH(r, &replay.list, entry)
		if (r->number == request)
			break;
	if (r == NULL || !r->sent)
		return;
	replay.sent--;
	if (verdict->verdict == VERDICT_UNAVAILABLE) {
		r->sent = false;
		schedule_probe();
		return;
	}
	replay.well = true;
	if (!r->back) {
		stats_add(STATS_REPLAYED, 1);
		replay.recorded++;
	}
	if (msg_charge_get(&charge, r->charge.data, r->charge.len) == -1)
		log_fatal("a charge of our own is broken");
	replay.owed(&charge, r->charged, r->date, -1);
	TAILQ_REMOVE(&replay.list, r, entry);
	replay.count--;
	replay.bytes -= charge_size(r);
	str_clear(&r->charge);
	free(r);
	if (replay.count > 0 || (replay.recorded == 0 && replay.lost == 0))
		return;
	log_notice("what was accepted without the database is recorded: %"
	    PRIu64 " request%s, %" PRIu64 " more did not fit into memory",
	    replay.recorded, replay.recorded == 1 ? "" : "s", replay.lost);
	replay.recorded = 0;
	replay.lost = 0;
}

/* --- charges that the memory refused while the ledger had them --- */

void
replay_refused(uint64_t request, const struct str *charge)
{
	size_t	i = replay.nrefused++ % REFUSED_MAX;

	replay.refused[i].request = request;
	str_clear(&replay.refused[i].charge);
	str_add(&replay.refused[i].charge, charge->data, charge->len);
}

void
replay_late(uint64_t request, const struct msg_verdict *v,
    struct mapping *mapping, int64_t tag)
{
	static struct msg_charge	 charge;
	struct str			*kept = NULL;
	size_t				 i;

	for (i = 0; i < REFUSED_MAX && kept == NULL; i++)
		if (replay.refused[i].charge.len > 0 &&
		    replay.refused[i].request == request)
			kept = &replay.refused[i].charge;
	if (kept == NULL)
		return;
	if (v->verdict == VERDICT_ACCEPTED) {
		if (msg_charge_get(&charge, kept->data, kept->len) == -1)
			log_fatal("a charge of our own is broken");
		/* The ids that the ledger counted are those to take back. */
		mapping_take(mapping, NULL, &charge, v);
		replay.well = true;
		(void)replay_back(&charge, v->charged, clock_wall(), tag);
	}
	str_clear(kept);
}

/* --- all of it --- */

void
replay_channel(struct channel *ledger)
{
	struct replay	*r;

	TAILQ_FOREACH(r, &replay.list, entry)
		r->sent = false;
	replay.sent = 0;
	replay.ledger = ledger;
	schedule_probe();
	/* A new ledger has probably reached the database. */
	replay.well = ledger != NULL;
}

size_t
replay_count(void)
{
	return replay.count;
}

bool
replay_busy(void)
{
	return replay.ledger != NULL && replay.count > 0 &&
	    (replay.well || replay.sent > 0);
}

void
replay_init(void (*owed)(const struct msg_charge *, const int64_t *, int64_t,
    int))
{
	replay.owed = owed;
	TAILQ_INIT(&replay.list);
	evtimer_set(&replay.timer, on_timer, NULL);
}
