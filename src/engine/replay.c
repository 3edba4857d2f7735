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

struct kept {
	TAILQ_ENTRY(kept)	 entry;
	uint64_t		 number;
	bool			 sent;
	bool			 back;		/* it takes back */
	int64_t			 date;
	struct str		 charge;
	int64_t			 charged[];	/* for each key */
};

TAILQ_HEAD(kept_list, kept);

struct replay {
	struct kept_list	 list;		/* oldest first */
	size_t			 count;
	size_t			 bytes;
	size_t			 sent;		/* unanswered ones */
	uint64_t		 number;	/* last number given */
	bool			 well;		/* the database records them */
	uint64_t		 lost;		/* dropped, since last logged */
	uint64_t		 recorded;	/* since last logged */
	struct channel		*ledger;
	struct event		 timer;
	void			(*owed)(void *, const struct msg_charge *,
				    const int64_t *, int64_t, int);
	void			*arg;
	size_t			 nrefused;	/* ever */
	struct {
		uint64_t	request;
		struct str	charge;		/* len 0: unused */
	}			 refused[REFUSED_MAX];
};

static size_t
charge_size(const struct kept *k)
{
	return sizeof(*k) + k->charge.size + sizeof(k->charged[0]);
}

/* Sends one in a while, to find out whether the database records it. */
static void
schedule_probe(struct replay *r)
{
	static const struct timeval	later = { PROBE_SECONDS, 0 };

	r->well = false;
	if (r->count > 0 && !evtimer_pending(&r->timer, NULL))
		evtimer_add(&r->timer, &later);
}

/* Sends until `most` are unanswered. */
static void
send_charges(struct replay *r, size_t most)
{
	struct kept	*k;

	if (r->ledger == NULL)
		return;
	TAILQ_FOREACH(k, &r->list, entry) {
		if (r->sent >= most ||
		    channel_queued(r->ledger) >= CHANNEL_HIGH)
			return;
		if (k->sent)
			continue;
		channel_send(r->ledger, MSG_CHARGE, k->number, &k->charge, -1);
		k->sent = true;
		r->sent++;
	}
}

bool
replay_send(struct replay *r)
{
	if (!r->well || r->ledger == NULL || r->sent == r->count)
		return true;
	send_charges(r, AT_ONCE);
	return r->sent == r->count;
}

static void
on_timer(int fd, short what, void *arg)
{
	struct replay	*r = arg;

	(void)fd;
	(void)what;
	if (r->well || r->count == 0)
		return;
	send_charges(r, 1);
	schedule_probe(r);
}

void
replay_soon(struct replay *r)
{
	r->well = true;
}

static struct kept *
keep_charge(struct replay *r, struct msg_charge *charge,
    const int64_t *charged, int64_t date)
{
	struct kept	*k;
	size_t		 i;

	charge->date = date;
	charge->deadline = INT64_MAX;
	k = alloc_zero(1, sizeof(*k) + charge->nkeys * sizeof(k->charged[0]));
	k->date = date;
	for (i = 0; i < charge->nkeys; i++)
		k->charged[i] = charged[i];
	k->number = ++r->number | PENDING_NOT;
	str_init(&k->charge);
	msg_charge_put(&k->charge, charge);
	TAILQ_INSERT_TAIL(&r->list, k, entry);
	r->count++;
	r->bytes += charge_size(k);
	r->owed(r->arg, charge, k->charged, date, 1);
	return k;
}

bool
replay_add(struct replay *r, struct msg_charge *charge, const int64_t *charged,
    int64_t date)
{
	if (r->bytes >= REPLAY_BYTES_MAX) {
		stats_add(STATS_REPLAY_LOST, 1);
		if (r->lost++ == 0)
			log_warning("no room for more of what is accepted "
			    "without the database: from now on it will not be "
			    "recorded (requests waiting: %zu)", r->count);
		return false;
	}
	charge->mode = CHARGE_REPLAY;
	(void)keep_charge(r, charge, charged, date);
	schedule_probe(r);
	return true;
}

bool
replay_back(struct replay *r, struct msg_charge *charge,
    const int64_t *charged, int64_t date, int64_t tag)
{
	int64_t	owed[CHARGE_KEYS_MAX], amount;
	size_t	i;

	if (r->bytes >= REPLAY_BYTES_MAX)
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
	keep_charge(r, charge, owed, date)->back = true;
	return true;
}

void
replay_verdict(struct replay *r, uint64_t request,
    const struct msg_verdict *verdict)
{
	struct msg_charge	 charge;
	struct kept		*k;

	TAILQ_FOREACH(k, &r->list, entry)
		if (k->number == request)
			break;
	if (k == NULL || !k->sent)
		return;
	r->sent--;
	if (verdict->verdict == VERDICT_UNAVAILABLE) {
		k->sent = false;
		schedule_probe(r);
		return;
	}
	r->well = true;
	if (!k->back) {
		stats_add(STATS_REPLAYED, 1);
		r->recorded++;
	}
	if (msg_charge_get(&charge, k->charge.data, k->charge.len) == -1)
		log_fatal("a charge of our own is broken");
	r->owed(r->arg, &charge, k->charged, k->date, -1);
	TAILQ_REMOVE(&r->list, k, entry);
	r->count--;
	r->bytes -= charge_size(k);
	str_clear(&k->charge);
	free(k);
	if (r->count > 0 || (r->recorded == 0 && r->lost == 0))
		return;
	log_notice("what was accepted without the database is recorded: %"
	    PRIu64 " request%s, %" PRIu64 " more did not fit into memory",
	    r->recorded, r->recorded == 1 ? "" : "s", r->lost);
	r->recorded = 0;
	r->lost = 0;
}

/* --- charges that the memory refused while the ledger had them --- */

void
replay_refused(struct replay *r, uint64_t request, const struct str *charge)
{
	size_t	i = r->nrefused++ % REFUSED_MAX;

	r->refused[i].request = request;
	str_clear(&r->refused[i].charge);
	str_add(&r->refused[i].charge, charge->data, charge->len);
}

void
replay_late(struct replay *r, uint64_t request, const struct msg_verdict *v,
    struct mapping *mapping, int64_t tag)
{
	struct msg_charge	 charge;
	struct str		*kept = NULL;
	size_t			 i;

	for (i = 0; i < REFUSED_MAX && kept == NULL; i++)
		if (r->refused[i].charge.len > 0 &&
		    r->refused[i].request == request)
			kept = &r->refused[i].charge;
	if (kept == NULL)
		return;
	if (v->verdict == VERDICT_ACCEPTED) {
		if (msg_charge_get(&charge, kept->data, kept->len) == -1)
			log_fatal("a charge of our own is broken");
		/* The ids that the ledger counted are those to take back. */
		mapping_take(mapping, NULL, &charge, v);
		r->well = true;
		(void)replay_back(r, &charge, v->charged, clock_wall(), tag);
	}
	str_clear(kept);
}

/* --- all of it --- */

void
replay_channel(struct replay *r, struct channel *ledger)
{
	struct kept	*k;

	TAILQ_FOREACH(k, &r->list, entry)
		k->sent = false;
	r->sent = 0;
	r->ledger = ledger;
	schedule_probe(r);
	/* A new ledger has probably reached the database. */
	r->well = ledger != NULL;
}

size_t
replay_count(const struct replay *r)
{
	return r->count;
}

bool
replay_busy(const struct replay *r)
{
	return r->ledger != NULL && r->count > 0 &&
	    (r->well || r->sent > 0);
}

struct replay *
replay_new(void (*owed)(void *, const struct msg_charge *, const int64_t *,
    int64_t, int), void *arg)
{
	struct replay	*r = alloc_zero(1, sizeof(*r));

	r->owed = owed;
	r->arg = arg;
	TAILQ_INIT(&r->list);
	evtimer_set(&r->timer, on_timer, r);
	return r;
}
