#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "conf/stored_id.h"
#include "ledger/batch/verdict.h"
#include "ledger/id.h"
#include "ledger/ledger.h"
#include "ledger/seek.h"
#include "ledger/top_rows.h"
#include "ledger/try_rows.h"
#include "lib/clock.h"
#include "lib/log.h"

#define TOP_LOOK_MAX	50000	/* ids: a few milliseconds */

/* --- charges --- */

static int
on_charge(struct ledger *l, const struct message *m)
{
	return charge_batch_add(l->batch, m->type, m->request, m->payload,
	    m->len);
}

static void
on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct ledger	*l = arg;

	l->figure[FIGURE_CHARGES]++;
	msg_verdict_put(ledger_payload(l), v);
	ledger_answer(l, MSG_VERDICT, request);
}

static void
on_weighed(void *arg, uint64_t request, const struct msg_weighed *weighed)
{
	struct ledger	*l = arg;

	msg_weighed_put(ledger_payload(l), weighed);
	ledger_answer(l, MSG_WEIGHED, request);
}

/* report_user: a hit of a key of the login itself. */
static void
notify_user(struct ledger *l, const struct charge_hit *hit)
{
	const struct override_subject	*from = &hit->charge->from.subject;
	const struct msg_charge_key	*k = &hit->key->charge;
	const struct limits		*limits = verdict_limits(hit->key);
	const struct settings		*s = l->settings;
	struct msg_hit			 m = { .kind = (uint8_t)hit->kind,
					    .rule = "", .seconds = hit->seconds,
					    .mails = k->max_per_mail };
	size_t				 i;
	bool				 login = s->limit_by_sasl;

	if (s->nrules > 0) {
		login = false;
		for (i = 0; k->rule < s->nrules &&
		    i < s->rules[k->rule].nkey; i++)
			login |= s->rules[k->rule].key[i] == KEY_SASL_USERNAME;
	}
	if (s->report_user == NULL || from->loginlen == 0 || !login)
		return;
	for (i = 0; hit->seconds > 0 && i < limits->count; i++)
		if (limits->list[i].seconds == hit->seconds)
			m.mails = limits->list[i].mails;
	notices_add(l->notices, s, from->login, from->loginlen, &m,
	    clock_mono());
}

static void
on_hit(void *arg, const struct charge_hit *hit)
{
	const struct msg_charge_key	*k = &hit->key->charge;
	struct ledger			*l = arg;

	notify_user(l, hit);
	if (hit->kind == HIT_FULL)
		l->figure[FIGURE_HITS]++;
	if (!l->settings->report_immediately)
		return;
	hits_refresh(l->hits, l->store, clock_mono());
	if (hits_first(l->hits, hit->kind, k->id, k->idlen, hit->seconds))
		channel_signal(l->parent, MSG_HIT_NEW, 0);
}

static void
on_overridden(void *arg, uint64_t request, const struct msg_overridden *answer)
{
	struct ledger	*l = arg;

	if (answer->result == OVERRIDE_FAILED)
		log_warning("%s: %s", store_description(l->store),
		    ledger_reason(l));
	msg_overridden_put(ledger_payload(l), answer);
	ledger_answer(l, MSG_OVERRIDDEN, request);
}

/*
 * Whether the engine has sent more charges: then batches overlap, if the store
 * can do that.
 */
static bool
more_arrived(void *arg)
{
	struct ledger	*l = arg;
	struct pollfd	 p = { -1, POLLIN, 0 };

	if (l->engine != NULL)
		p.fd = channel_fd(l->engine);
	return poll(&p, 1, 0) == 1;
}

/* A failure to send is noticed by the next write to the channel. */
static void
on_answered(void *arg)
{
	struct ledger	*l = arg;

	if (l->engine != NULL)
		(void)channel_flush(l->engine);
}

struct charge_answers
dispatch_answers(struct ledger *l)
{
	return (struct charge_answers){
		on_verdict, on_hit, l, on_weighed,
		more_arrived, on_answered, on_overridden
	};
}

void
dispatch_decide(struct ledger *l)
{
	size_t	count = l->batch->count;

	if (count == 0)
		return;
	l->figure[FIGURE_BATCHES]++;
	if (count > l->figure[FIGURE_LARGEST_BATCH])
		l->figure[FIGURE_LARGEST_BATCH] = count;
	ledger_note(l, charge_batch_run(l->batch, clock_wall(), clock_mono()));
}

/* --- questions --- */

static int
on_refusal(struct ledger *l, const struct message *m)
{
	struct msg_refusal	*refusal = &l->message.refusal;

	if (msg_refusal_get(refusal, m->payload, m->len) == -1)
		return -1;
	if (l->settings->history == 0)
		return 0;
	history_complete(refusal, l->cache, l->limits,
	    l->batch->overrides->list, l->settings,
	    clock_wall());
	return history_add(l->history, refusal, clock_mono());
}

/* --- what is granted and blocked --- */

void
dispatch_on_override_set(void *arg, const struct override *o)
{
	struct ledger		*l = arg;
	struct msg_override	 m = { .kind = o->kind, .amount = o->amount,
				    .since = o->since, .until = o->until,
				    .who = o->who, .wholen = o->wholen,
				    .reason = o->reason,
				    .reasonlen = o->reasonlen, .nids = 1 };

	m.id[0] = o->id;
	m.idlen[0] = o->idlen;
	msg_override_put(ledger_payload(l), &m);
	ledger_answer(l, MSG_OVERRIDES_PART, 0);
}

/* The engine gets the list before any verdict that depends on it. */
void
dispatch_on_overrides(void *arg, bool changed)
{
	struct ledger	*l = arg;

	if (l->engine == NULL || l->scans)
		return;
	if (changed || !l->overrides_sent) {
		channel_signal(l->engine, MSG_OVERRIDES_BEGIN, 0);
		override_list_each(l->batch->overrides->list,
		    dispatch_on_override_set, l);
	}
	l->overrides_sent = true;
	channel_signal(l->engine, MSG_OVERRIDES_END, 0);
}

/* Reads the list, unless the database cannot be read now. */
static enum store_result
refresh_overrides(struct ledger *l)
{
	enum store_result	result;

	l->batch->overrides->known = false;
	result = override_table_refresh(l->batch->overrides, l->store,
	    clock_wall(), clock_mono());
	if (result == STORE_LOST)
		ledger_lost(l);
	return result;
}

void
dispatch_engine(struct ledger *l)
{
	l->overrides_sent = false;
	(void)refresh_overrides(l);
	/* If it was not read, the last list stays in force. */
	if (!l->overrides_sent &&
	    l->batch->overrides->ever)
		dispatch_on_overrides(l, true);
}

static int
on_overrides_wanted(struct ledger *l, const struct message *m)
{
	/* This may send the list, from the same payload. */
	enum store_result	result = refresh_overrides(l);

	msg_text_put(ledger_payload(l), result == STORE_OK ? "" :
	    ledger_reason(l));
	ledger_answer(l, MSG_OVERRIDES_END, m->request);
	return 0;
}

/*
 * Puts the id that id_sql gives into `room` and into the answer; false: the
 * query fails.
 */
static bool
map_override(struct ledger *l, struct override *o, char room[ID_STORED_MAX + 1],
    struct msg_overridden *answer)
{
	const char	*id = o->id;
	bool		 unknown;

	if (charge_batch_map(l->batch, clock_mono(), stored_id_rule(l->settings,
	    id, o->idlen), &id, &o->idlen, &unknown) == STORE_LOST)
		ledger_lost(l);
	if (id != o->id) {
		o->id = memcpy(room, id, o->idlen);
		answer->id[answer->nids] = o->id;
		answer->idlen[answer->nids++] = o->idlen;
	}
	return !unknown;
}

/*
 * Adds the same for the ids under earlier names of their rules, so that a grant
 * that was made under one of those ends too. Returns how many there are now.
 */
static size_t
add_earlier_names(struct ledger *l, struct override *list, size_t n)
{
	const struct settings_rule	*rule;
	size_t				 had = n, bare, i, j;
	int				 len;

	for (i = 0; i < had; i++) {
		rule = stored_id_rule(l->settings, list[i].id, list[i].idlen);
		bare = stored_id_bare(list[i].id, list[i].idlen);
		for (j = 0; rule != NULL && j < rule->nwas; j++) {
			len = snprintf(l->stored[n], sizeof(l->stored[n]),
			    "%s:%.*s",
			    rule->was[j], (int)(list[i].idlen - bare),
			    list[i].id + bare);
			if (len > ID_STORED_MAX)
				continue;
			list[n] = list[i];
			list[n].id = l->stored[n];
			list[n++].idlen = (size_t)len;
		}
	}
	return n;
}

static int
on_override(struct ledger *l, const struct message *message)
{
	struct msg_override	*m = &l->message.override;
	struct override		 list[LEDGER_OVERRIDES_MAX], *o;
	struct msg_overridden	 answer = { .result = OVERRIDE_FAILED };
	int64_t			 now = clock_wall(), until;
	size_t			 n, i;

	if (msg_override_get(m, message->payload, message->len) == -1 ||
	    m->kind == OVERRIDE_KEY_BLOCK || m->kind == OVERRIDE_LOCKED ||
	    m->nids == 0 || !str_utf8_valid(m->who, m->wholen) ||
	    !str_utf8_valid(m->reason, m->reasonlen) ||
	    memchr(m->who, '\0', m->wholen) != NULL ||
	    memchr(m->reason, '\0', m->reasonlen) != NULL)
		return -1;
	/* At most ten years, or for ever. */
	until = m->until;
	if (until != OVERRIDE_FOREVER && until > now + OVERRIDE_SECONDS_MAX)
		until = now + OVERRIDE_SECONDS_MAX;
	for (i = 0; i < m->nids; i++) {
		o = &list[i];
		*o = (struct override){ .kind = m->kind, .amount = m->amount,
		    .since = now, .until = until, .idlen = m->idlen[i],
		    .who = m->who, .wholen = m->wholen, .reason = m->reason,
		    .reasonlen = m->reasonlen };
		o->id = id_stored(m->id[i], &o->idlen, l->stored[i]);
		if (o->kind == OVERRIDE_GRANT &&
		    !map_override(l, o, l->stored[i], &answer)) {
			on_overridden(l, message->request, &answer);
			return 0;
		}
	}
	n = m->nids;
	if (m->kind == OVERRIDE_GRANT && m->until == 0)
		n = add_earlier_names(l, list, n);
	/* A lock that the engine set while the database was away. */
	if (m->kind == OVERRIDE_LOCK)
		list[0].since = m->since < now ? m->since : now;
	charge_batch_change(l->batch, message->request, list, n, &answer,
	    clock_after(clock_mono(), l->settings->db_timeout));
	return 0;
}

/*
 * MSG_TRUST: trusts the networks of keys, without a waiting time, like networks
 * that were used long ago. MSG_FORGET: forgets what keys learned since a date.
 */
static int
on_habit(struct ledger *l, const struct message *message)
{
	struct msg_overridden		 answer = { .result = OVERRIDE_DONE };
	struct habits			*h = l->batch->habits;
	struct msg_charge		*m = &l->message.charge;
	const struct msg_charge_key	*k;
	struct store_pair		 list[CHARGE_KEYS_MAX];
	enum store_result		 result;
	char				 room[ID_STORED_MAX + 1];
	const char			*id;
	int64_t				 n;
	size_t				 len, i;

	if (msg_charge_get(m, message->payload, message->len) == -1 ||
	    m->nkeys == 0)
		return -1;
	for (i = 0; i < m->nkeys; i++)
		if (m->keys[i].kind != CHARGE_HABIT)
			return -1;
	result = habits_ready(h, l->store);
	for (i = 0; i < m->nkeys && result == STORE_OK; i++) {
		k = &m->keys[i];
		len = k->idlen;
		id = id_stored(k->id, &len, room);
		habits_name(h, &list[i], PAIR_NETWORK, id, len, k->network,
		    k->networklen);
		list[i].known.first = 0;
		list[i].known.last = clock_wall();
		if (message->type == MSG_FORGET)
			result = store_forget_pairs(l->store, list[i].who,
			    m->date, &n);
	}
	if (message->type == MSG_TRUST && result == STORE_OK)
		result = store_set_pairs(l->store, list, m->nkeys);
	if (result == STORE_LOST)
		ledger_lost(l);
	if (result != STORE_OK)
		answer.result = OVERRIDE_FAILED;
	on_overridden(l, message->request, &answer);
	return 0;
}

/*
 * Answers `top` by fill and by used from the cache of this ledger, if the rows
 * cannot be read (top_rows.h).
 */
static int
on_top(struct ledger *l, const struct message *m)
{
	struct msg_topped	*answer = &l->message.topped;
	struct msg_top		 wanted;
	struct top_source	 source;
	struct top		*top;

	if (msg_top_get(&wanted, m->payload, m->len) == -1)
		return -1;
	if (wanted.by == TOP_BY_REFUSED)
		return seek_on_top(l, m);
	source = top_rows_source(l);
	top = top_new(answer, &wanted, &source, l->settings, clock_wall());
	cache_each(l->cache, TOP_LOOK_MAX, top_on_id, top);
	top_end(top);
	msg_topped_put(ledger_payload(l), answer);
	ledger_answer(l, MSG_TOPPED, m->request);
	top_free(top);
	return 0;
}

static int
on_figures(struct ledger *l, const struct message *m)
{
	struct msg_figures	answer;

	memcpy(answer.figure, l->figure, sizeof(answer.figure));
	answer.figure[FIGURE_LEARNED] = l->batch->learned;
	answer.figure[FIGURE_CACHE_IDS] = cache_ids(l->cache);
	answer.figure[FIGURE_CACHE_BYTES] = cache_bytes(l->cache);
	(void)strlcpy(answer.database, store_description(l->store),
	    sizeof(answer.database));
	(void)strlcpy(answer.fault, l->trouble, sizeof(answer.fault));
	msg_figures_put(ledger_payload(l), &answer);
	ledger_answer(l, MSG_FIGURES, m->request);
	return 0;
}

static const struct {
	int	(*handle)(struct ledger *, const struct message *);
	bool	 question;		/* asked by policyctl */
	/* In a ledger that scans, in place of `handle`. */
	int	(*scan)(struct ledger *, const struct message *);
} from_engine[MSG__MAX] = {
	[MSG_CHARGE]		= { .handle = on_charge },
	[MSG_REFUSAL]		= { .handle = on_refusal },
	[MSG_SEARCH]		= { .handle = seek_on_search,
	    .question = true },
	[MSG_WEIGH]		= { .handle = on_charge, .question = true },
	[MSG_RESET]		= { .handle = on_charge, .question = true },
	[MSG_EXTERNAL]		= { .handle = on_charge, .question = true },
	[MSG_OVERRIDE]		= { .handle = on_override, .question = true },
	[MSG_TRUST]		= { .handle = on_habit, .question = true },
	[MSG_FORGET]		= { .handle = on_habit, .question = true },
	[MSG_OVERRIDES_WANTED]	= { .handle = on_overrides_wanted,
	    .question = true },
	[MSG_TOP]		= { .handle = on_top,
	    .question = true, .scan = top_rows_on_top },
	[MSG_SIMULATE]		= { .scan = try_rows_on_simulate },
	[MSG_FIGURES_WANTED]	= { .handle = on_figures, .question = true }
};

int
dispatch_message(struct ledger *l, const struct message *m)
{
	int	(*handle)(struct ledger *, const struct message *);

	handle = l->scans ? from_engine[m->type].scan :
	    from_engine[m->type].handle;
	/*
	 * Limits policyctl's questions: answers can be long, and weighed
	 * charges take memory.
	 */
	if (from_engine[m->type].question && (++l->questions > QUESTIONS_MAX ||
	    channel_queued(l->engine) > 16 * CHANNEL_HIGH))
		handle = NULL;
	if (handle != NULL && handle(l, m) == 0)
		return 0;
	log_error("engine broke the rules of its channel: no charge");
	return -1;
}
