#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "conf/stored_id.h"
#include "ledger/batch/verdict.h"
#include "ledger/dispatch_habit.h"
#include "ledger/id.h"
#include "ledger/ledger.h"
#include "ledger/top_rows.h"
#include "lib/clock.h"
#include "lib/log.h"

#define TOP_LOOK_MAX	50000	/* ids: a few milliseconds */
#define QUESTIONS_MOST	256		/* in the batch, of policyctl */

/* --- charges --- */

static void
dispatch_on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct ledger	*l = arg;

	l->figure[FIGURE_CHARGES]++;
	msg_verdict_put(ledger_payload(l), v);
	ledger_answer(l, MSG_VERDICT, request);
}

static void
dispatch_on_weighed(void *arg, uint64_t request,
    const struct msg_weighed *weighed)
{
	struct ledger	*l = arg;

	msg_weighed_put(ledger_payload(l), weighed);
	ledger_answer(l, MSG_WEIGHED, request);
}

/* Whether the key is one of the login itself. */
static bool
dispatch_is_login(const struct settings *s, const struct msg_charge_key *k)
{
	const struct settings_rule	*rule;
	size_t				 i;

	if (s->nrules == 0)
		return s->limit_by_sasl;
	if (k->rule >= s->nrules)
		return false;
	rule = &s->rules[k->rule];
	for (i = 0; i < rule->nkey; i++)
		if (rule->key[i] == KEY_SASL_USERNAME)
			return true;
	return false;
}

static void
dispatch_tell_user(struct ledger *l, const struct charge_hit *hit)
{
	const struct verdict_charge	*c = hit->charge;
	const struct settings		*s = l->settings;
	const struct limits		*limits = verdict_limits(hit->key);
	struct msg_hit			 m;
	size_t				 i;

	if (s->report_user == NULL || c->from.subject.loginlen == 0 ||
	    !dispatch_is_login(s, &hit->key->charge))
		return;
	memset(&m, 0, sizeof(m));
	m.kind = (uint8_t)hit->kind;
	m.rule = "";
	m.seconds = hit->seconds;
	m.mails = hit->key->charge.max_per_mail;
	for (i = 0; hit->seconds > 0 && i < limits->count; i++)
		if (limits->list[i].seconds == hit->seconds)
			m.mails = limits->list[i].mails;
	notices_add(l->notices, s, c->from.subject.login,
	    c->from.subject.loginlen, &m, clock_mono());
}

static void
dispatch_on_hit(void *arg, const struct charge_hit *hit)
{
	const struct msg_charge_key	*k = &hit->key->charge;
	struct ledger			*l = arg;

	dispatch_tell_user(l, hit);
	if (hit->kind == HIT_FULL)
		l->figure[FIGURE_HITS]++;
	if (!l->settings->report_immediately)
		return;
	hits_refresh(l->hits, l->store, clock_mono());
	if (hits_first(l->hits, hit->kind, k->id, k->idlen, hit->seconds))
		channel_signal(l->parent, MSG_HIT_NEW, 0);
}

static void
dispatch_on_overridden(void *arg, uint64_t request,
    const struct msg_overridden *answer)
{
	struct ledger	*l = arg;

	if (answer->result == OVERRIDE_FAILED)
		log_warning("%s: %s", store_description(l->store),
		    store_error(l->store));
	msg_overridden_put(ledger_payload(l), answer);
	ledger_answer(l, MSG_OVERRIDDEN, request);
}

/*
 * Whether the engine has sent more charges: then batches overlap, if the store
 * can do that.
 */
static bool
dispatch_more(void *arg)
{
	struct ledger	*l = arg;
	struct pollfd	 p = { -1, POLLIN, 0 };

	if (l->engine != NULL)
		p.fd = channel_fd(l->engine);
	return poll(&p, 1, 0) == 1;
}

/* A failure to send is noticed by the next write to the channel. */
static void
dispatch_on_answered(void *arg)
{
	struct ledger	*l = arg;

	if (l->engine != NULL)
		(void)channel_flush(l->engine);
}

void
dispatch_decide(struct ledger *l)
{
	const struct charge_answers	answers = {
		dispatch_on_verdict, dispatch_on_hit, l, dispatch_on_weighed,
		dispatch_more, dispatch_on_answered, dispatch_on_overridden
	};
	size_t				count = charge_batch_count(l->batch);

	if (count == 0)
		return;
	l->figure[FIGURE_BATCHES]++;
	if (count > l->figure[FIGURE_LARGEST_BATCH])
		l->figure[FIGURE_LARGEST_BATCH] = count;
	ledger_note(l, charge_batch_run(l->batch, clock_wall(), clock_mono(),
	    &answers));
}

/* --- questions --- */

static int
dispatch_on_charge(struct ledger *l, const struct message *m)
{
	return charge_batch_add(l->batch, m->request, m->payload, m->len);
}

static int
dispatch_on_weigh(struct ledger *l, const struct message *m)
{
	return charge_batch_weigh(l->batch, m->request, m->payload, m->len);
}

static int
dispatch_on_reset(struct ledger *l, const struct message *m)
{
	return charge_batch_reset(l->batch, m->request, m->payload, m->len);
}

static int
dispatch_on_refusal(struct ledger *l, const struct message *m)
{
	struct msg_refusal	*refusal = &l->message.refusal;

	if (msg_refusal_get(refusal, m->payload, m->len) == -1)
		return -1;
	if (l->settings->history == 0)
		return 0;
	history_complete(refusal, l->cache, l->limits,
	    override_table_list(charge_batch_overrides(l->batch)), l->settings,
	    clock_wall());
	return history_add(l->history, refusal, clock_mono());
}

/* --- what is granted and blocked --- */

static void
dispatch_override_put(void *arg, const struct override *o)
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

void
dispatch_on_override_set(void *arg, const struct override *o)
{
	struct ledger	*l = arg;

	if (l->engine != NULL)
		dispatch_override_put(l, o);
}

/* The engine gets the list before any verdict that depends on it. */
void
dispatch_on_overrides(void *arg, bool changed)
{
	struct ledger	*l = arg;

	if (l->engine == NULL)
		return;
	if (changed || !l->overrides_sent) {
		channel_signal(l->engine, MSG_OVERRIDES_BEGIN, 0);
		override_list_each(override_table_list(
		    charge_batch_overrides(l->batch)), dispatch_override_put,
		    l);
	}
	l->overrides_sent = true;
	channel_signal(l->engine, MSG_OVERRIDES_END, 0);
}

static bool
dispatch_refresh(struct ledger *l)
{
	if (override_table_refresh(charge_batch_overrides(l->batch), l->store,
	    clock_wall(), clock_mono()) != STORE_LOST)
		return true;
	ledger_lost(l);
	return false;
}

void
dispatch_engine(struct ledger *l)
{
	l->overrides_sent = false;
	override_table_stale(charge_batch_overrides(l->batch));
	if (!dispatch_refresh(l) || l->overrides_sent)
		return;
	/* The database cannot be read now: the last list stays in force. */
	if (override_table_known(charge_batch_overrides(l->batch)))
		dispatch_on_overrides(l, true);
}

static int
dispatch_on_overrides_wanted(struct ledger *l, const struct message *m)
{
	override_table_stale(charge_batch_overrides(l->batch));
	if (dispatch_refresh(l) && l->engine != NULL)
		channel_signal(l->engine, MSG_OVERRIDES_END, m->request);
	return 0;
}

/* At most ten years, or for ever. */
static int64_t
dispatch_until(int64_t until, int64_t now)
{
	if (until == OVERRIDE_FOREVER || until <= now + OVERRIDE_SECONDS_MAX)
		return until;
	return now + OVERRIDE_SECONDS_MAX;
}

/*
 * Puts the id that id_sql gives into `room` and into the answer; false: the
 * query fails.
 */
static bool
dispatch_map(struct ledger *l, struct override *o, char room[ID_STORED_MAX + 1],
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
dispatch_earlier(struct ledger *l, struct override *list, size_t n)
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

static void
dispatch_override(struct ledger *l, uint64_t request,
    const struct msg_override *m, int64_t now)
{
	struct override		list[LEDGER_OVERRIDES_MAX], *o;
	struct msg_overridden	answer = { .result = OVERRIDE_FAILED };
	size_t			n, i;

	for (i = 0; i < m->nids; i++) {
		o = &list[i];
		o->kind = m->kind;
		o->amount = m->amount;
		o->since = now;
		o->until = dispatch_until(m->until, now);
		o->idlen = m->idlen[i];
		o->id = id_stored(m->id[i], &o->idlen, l->stored[i]);
		if (o->kind == OVERRIDE_GRANT &&
		    !dispatch_map(l, o, l->stored[i], &answer)) {
			dispatch_on_overridden(l, request, &answer);
			return;
		}
		o->who = m->who;
		o->wholen = m->wholen;
		o->reason = m->reason;
		o->reasonlen = m->reasonlen;
	}
	n = m->nids;
	if (m->kind == OVERRIDE_GRANT && m->until == 0)
		n = dispatch_earlier(l, list, n);
	/* A lock that the engine set while the database was away. */
	if (m->kind == OVERRIDE_LOCK)
		list[0].since = m->since < now ? m->since : now;
	charge_batch_change(l->batch, request, list, n, &answer,
	    clock_after(clock_mono(), l->settings->db_timeout));
}

static int
dispatch_on_override(struct ledger *l, const struct message *m)
{
	struct msg_override	*override = &l->message.override;

	if (msg_override_get(override, m->payload, m->len) == -1 ||
	    override->kind == OVERRIDE_KEY_BLOCK ||
	    override->kind == OVERRIDE_LOCKED || override->nids == 0 ||
	    !str_utf8_valid(override->who, override->wholen) ||
	    !str_utf8_valid(override->reason, override->reasonlen) ||
	    memchr(override->who, '\0', override->wholen) != NULL ||
	    memchr(override->reason, '\0', override->reasonlen) != NULL)
		return -1;
	dispatch_override(l, m->request, override, clock_wall());
	return 0;
}

static int
dispatch_on_habit(struct ledger *l, const struct message *m)
{
	struct msg_overridden	answer = { .result = OVERRIDE_DONE };
	struct habits		*habits = charge_batch_habits(l->batch);
	enum store_result	 result;

	if ((m->type == MSG_TRUST ?
	    dispatch_habit_trust(habits, l->store, &l->message.charge, m,
	    &result) :
	    dispatch_habit_forget(habits, l->store, &l->message.charge, m,
	    &result)) == -1)
		return -1;
	if (result == STORE_LOST)
		ledger_lost(l);
	if (result != STORE_OK) {
		answer.result = OVERRIDE_FAILED;
		log_warning("%s: %s", store_description(l->store),
		    store_error(l->store));
	}
	msg_overridden_put(ledger_payload(l), &answer);
	ledger_answer(l, MSG_OVERRIDDEN, m->request);
	return 0;
}

/*
 * Answers `top` by fill and by used from the cache of this ledger, if the rows
 * cannot be read (top_rows.h).
 */
static int
dispatch_on_top(struct ledger *l, const struct message *m)
{
	struct msg_topped	*answer = &l->message.topped;
	struct msg_top		 wanted;
	struct top_source	 source;
	struct top		*top;

	if (msg_top_get(&wanted, m->payload, m->len) == -1)
		return -1;
	if (wanted.by == TOP_BY_REFUSED)
		return seek_top(l->seek, m->request, m->payload, m->len,
		    clock_wall());
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
dispatch_on_figures(struct ledger *l, const struct message *m)
{
	struct msg_figures	answer;

	memcpy(answer.figure, l->figure, sizeof(answer.figure));
	answer.figure[FIGURE_LEARNED] = charge_batch_learned(l->batch);
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
} from_engine[MSG__MAX] = {
	[MSG_CHARGE]		= { dispatch_on_charge, false },
	[MSG_REFUSAL]		= { dispatch_on_refusal, false },
	[MSG_SEARCH]		= { upkeep_on_search, true },
	[MSG_WEIGH]		= { dispatch_on_weigh, true },
	[MSG_RESET]		= { dispatch_on_reset, true },
	[MSG_EXTERNAL]		= { dispatch_on_weigh, true },
	[MSG_OVERRIDE]		= { dispatch_on_override, true },
	[MSG_TRUST]		= { dispatch_on_habit, true },
	[MSG_FORGET]		= { dispatch_on_habit, true },
	[MSG_OVERRIDES_WANTED]	= { dispatch_on_overrides_wanted, true },
	[MSG_TOP]		= { dispatch_on_top, true },
	[MSG_FIGURES_WANTED]	= { dispatch_on_figures, true }
};

/*
 * Limits policyctl's questions: answers can be long, and weighed charges take
 * memory.
 */
static bool
dispatch_may_ask(struct ledger *l)
{
	return ++l->questions <= QUESTIONS_MOST &&
	    channel_queued(l->engine) <= 16 * CHANNEL_HIGH;
}

int
dispatch_message(struct ledger *l, const struct message *m)
{
	if (from_engine[m->type].handle != NULL &&
	    (!from_engine[m->type].question || dispatch_may_ask(l)) &&
	    from_engine[m->type].handle(l, m) == 0)
		return 0;
	log_error("engine broke the rules of its channel: no charge");
	return -1;
}
