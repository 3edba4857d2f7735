#include <string.h>

#include "decision/decision.h"
#include "lib/num.h"

#define DAY	86400	/* seconds */

bool
decision_counts(const struct msg_charge_key *key, uint8_t pass)
{
	return pass == 0 ? key->pass == 0 : (key->pass & pass) != 0;
}

/* --- how much is new --- */

/*
 * New recipients from an unfamiliar network. What was asked about at RCPT does
 * not count again at DATA.
 */
static int64_t
new_recipients(const struct decision *d, const struct decision_key *k)
{
	const struct msg_charge_key	*c = k->charge;
	const struct habit_terms	 terms = { c->unfamiliar, c->learn };
	int64_t				 n = c->amount;

	if (d->mode == CHARGE_BACK)
		return k->repeated ? 0 : n;
	if (d->mode == CHARGE_REPLAY || k->network == NULL || k->repeated)
		return 0;
	if (d->tag == 0)
		n = num_sub_clamp(n, k->charged > k->at_rcpt ? k->charged :
		    k->at_rcpt);
	return n <= 0 ? 0 : habit_amount(k->network,
	    c->valuelen > 0 ? k->recipient : NULL, n, &terms, d->now);
}

/*
 * An instance is charged once. Where tags tell the charges of one instance
 * apart, each tag is charged once, and all add to the instance's total.
 */
static int64_t
new_amount(const struct decision *d, const struct decision_key *k)
{
	const struct msg_charge_key	*c = k->charge;

	if (CHARGE_MAY_REFUSE(d->mode) && !decision_counts(c, d->pass))
		return 0;
	/* A mail adds nothing to an external count, but needs room for 1. */
	if (c->kind == CHARGE_EXTERNAL && d->mode != CHARGE_ADD)
		return CHARGE_MAY_REFUSE(d->mode);
	if (c->kind == CHARGE_EXTERNAL)
		return k->seen == -1 ? c->amount : 0;
	/* CHARGE_BACK does not forget that a value was seen. */
	if (c->kind == CHARGE_DISTINCT)
		return d->mode != CHARGE_BACK;
	if (c->kind == CHARGE_HABIT)
		return new_recipients(d, k);
	if (d->mode == CHARGE_BACK || (d->tag != 0 && c->kind != CHARGE_TOTAL))
		return k->repeated ? 0 : c->amount;
	if (d->mode == CHARGE_EACH && c->kind != CHARGE_TOTAL)
		return c->amount;
	return c->amount > k->charged ?
	    num_sub_clamp(c->amount, k->charged) : 0;
}

void
decision_amounts(struct decision *d)
{
	size_t	i;

	d->nhits = d->nnear = 0;
	for (i = 0; i < d->nkeys; i++)
		d->key[i].amount = new_amount(d, &d->key[i]);
}

/* A date so far in the future is from a wrong clock and does not count. */
static bool
in_future(const struct decision *d, int64_t date)
{
	return date > num_add_clamp(d->now, WINDOW_SKEW);
}

/* The new amount in one window: 0 for a value that the window holds already. */
static int64_t
new_in_window(const struct decision *d, const struct decision_key *k,
    int64_t seconds)
{
	if (k->charge->kind != CHARGE_DISTINCT)
		return k->amount;
	return k->seen == -1 || k->seen < num_add_clamp(d->now, -seconds) ||
	    in_future(d, k->seen);
}

/* What this mail was already charged under this key. */
static int64_t
charged_before(const struct decision_key *k)
{
	return CHARGE_HAS_VALUE(k->charge->kind) ? 0 : k->charged;
}

/* Whether the key refuses nothing: its rule is in shadow, or only learns. */
static bool
is_shadow(const struct decision_key *k)
{
	return k->charge->shadow || k->learning;
}

/* The limit plus what was granted. */
static struct limit
limit_with_grant(const struct decision_key *k, const struct limit *limit)
{
	struct limit	sum = *limit;

	sum.mails = num_add_clamp(limit->mails, k->granted);
	return sum;
}

/*
 * Whether the ledger said that this amount has no room yet (`wait`). A repeated
 * charge of a soft key is over its limit until that time.
 */
static bool
has_to_wait(const struct decision *d, const struct decision_key *k)
{
	int64_t	amount;

	if (d->now >= k->wait.until)
		return false;
	amount = new_in_window(d, k, k->wait.limit.seconds);
	return amount > 0 ? amount >= k->wait.amount : k->charge->soft;
}

/* --- when it would be accepted --- */

/*
 * The first time from `at` on at which the charge fits under the key; -1:
 * never.
 */
static int64_t
first_fit(const struct decision *d, const struct decision_key *k, int64_t at)
{
	struct limit	 list[LIMITS_MAX];
	struct limits	 limits = { 0, list };
	int64_t		 known, granted, after;
	size_t		 i;

	if (has_to_wait(d, k) && at < k->wait.until)
		at = k->wait.until;
	granted = at < k->granted_until ? k->granted : 0;
	for (i = 0; i < k->limits->count && limits.count < LIMITS_MAX; i++) {
		known = num_sub_clamp(k->amount,
		    new_in_window(d, k, k->limits->list[i].seconds));
		/*
		 * A value that a window holds already needs no room, unless the
		 * key is soft.
		 */
		if (known > 0 && !k->charge->soft)
			continue;
		list[limits.count] = k->limits->list[i];
		list[limits.count].mails = num_add_clamp(
		    num_add_clamp(list[limits.count].mails, known), granted);
		limits.count++;
	}
	after = window_retry_after(k->window, &limits, k->amount, at);
	if (after == -1)
		return -1;
	after = num_add_clamp(at, after);
	/* A grant that has ended by then has no effect. */
	if (granted > 0 && after >= k->granted_until)
		return first_fit(d, k, k->granted_until);
	return after;
}

/*
 * Seconds until the charge fits under each of these keys, a bit for each; -1:
 * it never does.
 */
static int64_t
find_retry_after(const struct decision *d, uint32_t keys)
{
	int64_t	at = d->now, then;
	size_t	i = 0;

	/*
	 * While the charge waits for one key, a negative amount may leave a
	 * window of another key, which then is full again. So all keys are
	 * checked again from the later time on.
	 */
	while (i < d->nkeys) {
		then = (keys >> i & 1) == 0 ? at :
		    first_fit(d, &d->key[i], at);
		if (then == -1)
			return -1;
		i = then > at ? 0 : i + 1;
		at = then;
	}
	return num_sub_clamp(at, d->now);
}

/* --- the windows --- */

static void
set_full_window(struct msg_verdict *v, size_t n, const struct limit *limit,
    int64_t used)
{
	v->full[n].limit = *limit;
	v->full[n].used = used;
	v->full[n].retry_after = 0;
}

static void
add_hit(struct decision *d, size_t n, size_t window)
{
	/* What only learns is logged and not reported. */
	if (d->key[n].learning)
		return;
	d->hits[d->nhits].key = n;
	d->hits[d->nhits++].window = window;
}

void
decision_no_room(const struct decision *d, struct msg_verdict *v, size_t n,
    const struct limit *limit, int64_t used)
{
	const struct decision_key	*k = &d->key[n];
	bool				 soft = k->charge->soft, answers = true;
	uint32_t			 keys = 0;
	size_t				 i;

	set_full_window(v, n, limit, used);
	if (is_shadow(k)) {
		v->shadowed |= UINT32_C(1) << n;
		return;
	}
	v->full[n].retry_after = find_retry_after(d, UINT32_C(1) << n);
	if (v->full[n].retry_after == -1)
		v->full[n].retry_after = limit->seconds;
	if (soft) {
		answers = v->over == 0 || n < v->key;
		v->over |= UINT32_C(1) << n;
	} else {
		v->verdict = VERDICT_REFUSED;
		v->over = 0;
		v->never = !has_to_wait(d, k) &&
		    num_add_clamp(charged_before(k), k->amount) > limit->mails;
	}
	if (!answers)
		return;
	v->key = (uint16_t)n;
	v->limit = *limit;
	v->used = used;
	/*
	 * All keys that may refuse; if a soft key gives the answer, the soft
	 * keys too.
	 */
	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		if (!is_shadow(k) && decision_counts(k->charge, d->pass) &&
		    (k->charge->soft ? soft : k->amount > 0))
			keys |= UINT32_C(1) << i;
	}
	v->retry_after = v->never ? -1 : find_retry_after(d, keys);
	if (v->retry_after == -1)
		v->retry_after = limit->seconds;
}

void
decision_check_mail(struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit = { k->charge->max_per_mail, 0 };
	int64_t				 charged = charged_before(k);

	if (limit.mails == 0 || k->amount == 0 ||
	    num_add_clamp(charged, k->amount) <= limit.mails)
		return;
	add_hit(d, n, DECISION_MAIL);
	set_full_window(v, n, &limit, charged);
	if (is_shadow(k)) {
		v->shadowed |= UINT32_C(1) << n;
		return;
	}
	/* Soft actions are for limits only. */
	v->verdict = VERDICT_REFUSED;
	v->over = 0;
	v->never = v->per_mail = true;
	v->key = (uint16_t)n;
	v->limit = limit;
	v->used = charged;
	v->retry_after = 0;
}

/* Warns if `amount` takes the used share of the limit to warn_at or beyond. */
static void
add_warning(struct decision *d, struct msg_verdict *v, size_t n,
    size_t window, const struct limit *limit, int64_t used, int64_t amount)
{
	unsigned int	warn_at = d->key[n].charge->warn_at;
	double		at = (double)limit->mails * warn_at / 100;

	if (warn_at == 0 || (double)used >= at ||
	    (double)used + (double)amount < at)
		return;
	v->warned |= UINT32_C(1) << n;
	set_full_window(v, n, limit, num_add_clamp(used, amount));
	if (d->nnear < sizeof(d->near) / sizeof(d->near[0])) {
		d->near[d->nnear].key = n;
		d->near[d->nnear++].window = window;
	}
}

/*
 * Checks max_per_mail and all windows of one key. `nearest` is the largest used
 * share of a limit so far; the verdict names that window.
 */
static void
check_key(struct decision *d, struct msg_verdict *v, size_t n, double *nearest)
{
	const struct decision_key	*k = &d->key[n];
	bool				 soft;
	struct limit			 limit;
	int64_t				 used, amount, sum;
	double				 share;
	size_t				 i;

	soft = k->charge->soft && !is_shadow(k);
	/*
	 * Nothing is new in a repeated request, or at DATA if the recipients
	 * were charged at RCPT. Only a soft key is checked then: while it is
	 * over a limit, its action is the answer again. A habit is over only
	 * for a mail that it has counted.
	 */
	if (k->amount == 0 && (!soft ||
	    (k->charge->kind == CHARGE_HABIT && k->charged <= 0)))
		return;
	decision_check_mail(d, v, n);
	if (v->verdict == VERDICT_REFUSED)
		return;
	if (has_to_wait(d, k)) {
		decision_no_room(d, v, n, &k->wait.limit, window_used(k->window,
		    k->wait.limit.seconds, d->now));
		return;
	}
	for (i = 0; i < k->limits->count; i++) {
		limit = limit_with_grant(k, &k->limits->list[i]);
		used = window_used(k->window, limit.seconds, d->now);
		amount = new_in_window(d, k, limit.seconds);
		sum = num_add_clamp(used, amount);
		if (sum > limit.mails && (amount > 0 || soft)) {
			if (amount > 0 && k->charge->kind != CHARGE_EXTERNAL)
				add_hit(d, n, i);
			decision_no_room(d, v, n, &limit, used);
			return;
		}
		if (k->amount == 0 || k->charge->kind == CHARGE_EXTERNAL)
			continue;
		share = limit.mails == 0 ? 1 :
		    (double)sum / (double)limit.mails;
		if (v->over == 0 && share >= *nearest) {
			*nearest = share;
			v->key = (uint16_t)n;
			v->limit = limit;
			v->used = sum;
		}
		add_warning(d, v, n, i, &limit, used, amount);
	}
}

/*
 * CHARGE_ADD: the charge with which the sum reaches a limit is a hit. Mails are
 * refused from then on, without a further hit.
 */
static void
add_reached_hits(struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit;
	int64_t				 used, sum;
	size_t				 i;

	for (i = 0; i < k->limits->count; i++) {
		limit = limit_with_grant(k, &k->limits->list[i]);
		used = window_used(k->window, limit.seconds, d->now);
		sum = num_add_clamp(used, k->amount);
		add_warning(d, v, n, i, &limit, used, k->amount);
		if (used >= limit.mails || sum < limit.mails)
			continue;
		add_hit(d, n, i);
		set_full_window(v, n, &limit, sum);
		if (k->charge->shadow)
			v->shadowed |= UINT32_C(1) << n;
		else
			v->over |= UINT32_C(1) << n;
	}
}

/*
 * When a key refuses the mail, drops what then does not happen: warnings, and
 * the hits of soft keys, whose actions would have let Postfix take the mail.
 */
static void
drop_effects(struct decision *d, struct msg_verdict *v)
{
	const struct msg_charge_key	*c;
	size_t				 n = 0, i;

	v->warned = 0;
	d->nnear = 0;
	for (i = 0; i < d->nhits; i++) {
		c = d->key[d->hits[i].key].charge;
		if (!c->soft || c->shadow || d->hits[i].window == DECISION_MAIL)
			d->hits[n++] = d->hits[i];
	}
	d->nhits = n;
}

void
decision_make(struct decision *d, struct msg_verdict *v)
{
	double	nearest = -1;
	size_t	i;

	/*
	 * The arrays from `charged` on are not zeroed: an element is read only
	 * where one of the bits or counts before them says that it is set.
	 */
	memset(v, 0, offsetof(struct msg_verdict, charged));
	decision_amounts(d);
	v->verdict = VERDICT_ACCEPTED;
	v->passed = d->pass;
	for (i = 0; i < d->nkeys && CHARGE_MAY_REFUSE(d->mode); i++) {
		if (!decision_counts(d->key[i].charge, d->pass))
			continue;
		check_key(d, v, i, &nearest);
		if (v->verdict == VERDICT_REFUSED) {
			drop_effects(d, v);
			return;
		}
	}
	v->ncharged = (uint32_t)d->nkeys;
	for (i = 0; i < d->nkeys; i++) {
		if (d->mode == CHARGE_ADD)
			add_reached_hits(d, v, i);
		v->charged[i] = d->mode != CHARGE_ADD &&
		    d->key[i].charge->kind == CHARGE_EXTERNAL ? 0 :
		    d->key[i].amount;
	}
}

/* --- what is recorded --- */

/*
 * The date to record. A mail that was accepted without the database brings its
 * own date, which must not be in the future, nor older than a day and every
 * window.
 */
static int64_t
date_to_record(const struct decision *d)
{
	int64_t	oldest, longest = DAY;
	size_t	i;

	if (CHARGE_MAY_REFUSE(d->mode) || d->date <= 0 || d->date >= d->now)
		return d->now;
	for (i = 0; i < d->nkeys; i++)
		longest = window_longest(d->key[i].limits, longest);
	oldest = num_sub_clamp(d->now, longest);
	return d->date > oldest ? d->date : oldest;
}

size_t
decision_records(const struct decision *d, struct decision_record *list)
{
	const struct decision_key	*k;
	int64_t				 date = date_to_record(d);
	size_t				 n = 0, i;

	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		if (k->amount == 0 || (d->mode != CHARGE_ADD &&
		    k->charge->kind == CHARGE_EXTERNAL))
			continue;
		if (k->charge->kind != CHARGE_DISTINCT) {
			list[n++] = (struct decision_record){ i, date,
			    d->mode == CHARGE_BACK ? -k->amount : k->amount,
			    d->tag };
			continue;
		}
		/*
		 * If the clock was set back, a value keeps its later date,
		 * unless that is too far in the future to count.
		 */
		if (k->seen >= date && !in_future(d, k->seen))
			continue;
		if (k->seen != -1)
			list[n++] = (struct decision_record){ i, k->seen, -1,
			    0 };
		list[n++] = (struct decision_record){ i, date, 1, 0 };
	}
	return n;
}

bool
decision_takes_back(const struct decision *d, const struct msg_verdict *v)
{
	return v->verdict == VERDICT_REFUSED && d->mode == CHARGE_EACH &&
	    !v->per_mail;
}

/* --- what is only weighed --- */

static void
weigh_window(const struct decision *d, const struct decision_key *k,
    const struct limit *limit, struct msg_weighed_key *answer)
{
	struct msg_window	*w = &answer->windows[answer->nwindows++];
	struct limits		 one;

	w->limit = limit_with_grant(k, limit);
	w->used = window_used(k->window, limit->seconds, d->now);
	w->amount = k->amount > 0 ? new_in_window(d, k, limit->seconds) : 0;
	one.count = 1;
	one.list = &w->limit;
	w->retry_after = w->amount > 0 && num_add_clamp(w->amount,
	    charged_before(k)) > w->limit.mails ? -1 :
	    window_retry_after(k->window, &one, w->amount, d->now);
}

void
decision_weigh(const struct decision *d, struct msg_weighed *weighed)
{
	const struct decision_key	*k;
	const struct limit		*full;
	struct msg_weighed_key		*answer;
	struct msg_window		*room = weighed->store;
	size_t				 i, j;

	weighed->nkeys = d->nkeys;
	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		answer = &weighed->keys[i];
		answer->amount = k->amount;
		answer->sql = k->limits != &k->charge->limits;
		answer->granted = k->granted;
		answer->granted_for = k->granted > 0 ?
		    k->granted_until - d->now : 0;
		answer->habit = false;
		answer->nwindows = 0;
		answer->windows = room;
		for (j = 0; j < k->limits->count && j < LIMITS_MAX &&
		    decision_counts(k->charge, d->pass); j++)
			weigh_window(d, k, &k->limits->list[j], answer);
		/*
		 * The window that the ledger found full is listed too: it may
		 * be one of limits by SQL, which the caller does not know.
		 */
		full = &k->wait.limit;
		for (j = 0; j < answer->nwindows; j++)
			if (answer->windows[j].limit.mails == full->mails &&
			    answer->windows[j].limit.seconds == full->seconds)
				break;
		if (has_to_wait(d, k) && j < LIMITS_MAX && full->seconds != 0) {
			if (j == answer->nwindows)
				weigh_window(d, k, full, answer);
			answer->windows[j].retry_after = k->wait.until - d->now;
		}
		room += answer->nwindows;
	}
}
