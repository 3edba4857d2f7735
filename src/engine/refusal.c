#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refusal.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/num.h"

#define MINUTE		60
#define SENT_MAX	512	/* sent and not yet written by the ledger */
#define NUMBER_MAX	(INT64_MAX / 2)

/* A refusal that waits. */
struct entry {
	TAILQ_ENTRY(entry)	 entry;
	int64_t			 number;
	bool			 first;
	struct str		 payload;
};

/* A subject that was refused in this minute. */
struct subject {
	struct map_node		 node;		/* first */
	int64_t			 times;		/* summed, not kept */
	struct str		 payload;	/* the first of these */
	size_t			 len;
	char			 key[];
};

/*
 * `list` is ordered by number; `unsent` and all behind it were not sent to this
 * ledger. The texts of the refusal that is being made are in `text`.
 */
struct refusals {
	bool			 on;
	TAILQ_HEAD(, entry)	 list;
	struct entry		*unsent;
	size_t			 count;
	size_t			 sent;
	size_t			 bytes;
	size_t			 more;		/* not the first ones */
	int64_t			 number;	/* the last one given */
	struct map		*subjects;
	int64_t			 minute;	/* of the subjects */
	struct mono		 second;	/* end of this second */
	unsigned int		 extra;		/* kept in it */
	struct channel		*ledger;
	struct event		 timer;
	char			 text[REFUSAL_TEXT__MAX][REFUSAL_TEXT_MAX + 1];
};

/* --- those that wait --- */

static void
drop_entry(struct refusals *r, struct entry *e)
{
	if (r->unsent == e)
		r->unsent = TAILQ_NEXT(e, entry);
	else if (r->unsent == NULL || e->number < r->unsent->number)
		r->sent--;
	TAILQ_REMOVE(&r->list, e, entry);
	r->count--;
	r->bytes -= sizeof(*e) + e->payload.size;
	r->more -= !e->first;
	str_clear(&e->payload);
	free(e);
}

/* A number is given when it is queued, so that the list stays in order. */
static void
queue_refusal(struct refusals *r, struct msg_refusal *m)
{
	struct entry	*e;

	while (r->count >= REFUSAL_WAITING || r->bytes >= REFUSAL_BYTES) {
		TAILQ_FOREACH(e, &r->list, entry)
			if (r->more == 0 || !e->first)
				break;
		drop_entry(r, e);
	}
	e = alloc_zero(1, sizeof(*e));
	e->number = m->number = ++r->number;
	e->first = m->first;
	str_init(&e->payload);
	msg_refusal_put(&e->payload, m);
	TAILQ_INSERT_TAIL(&r->list, e, entry);
	if (r->unsent == NULL)
		r->unsent = e;
	r->count++;
	r->bytes += sizeof(*e) + e->payload.size;
	r->more += !m->first;
}

void
refusal_channel(struct refusals *r, struct channel *ledger)
{
	r->ledger = ledger;
	r->unsent = TAILQ_FIRST(&r->list);
	r->sent = 0;
}

void
refusal_send(struct refusals *r)
{
	struct entry	*e;

	while (r->ledger != NULL && (e = r->unsent) != NULL &&
	    r->sent < SENT_MAX &&
	    channel_queued(r->ledger) < CHANNEL_HIGH) {
		channel_send(r->ledger, MSG_REFUSAL, 0, &e->payload, -1);
		r->unsent = TAILQ_NEXT(e, entry);
		r->sent++;
	}
}

void
refusal_kept(struct refusals *r, int64_t number)
{
	struct entry	*e;

	while ((e = TAILQ_FIRST(&r->list)) != NULL && e != r->unsent &&
	    e->number <= number)
		drop_entry(r, e);
}

/* --- which are kept --- */

static int
same_subject(const struct map_node *node, const void *key, size_t len)
{
	const struct subject	*s = (const struct subject *)node;

	return s->len == len && memcmp(s->key, key, len) == 0;
}

static void
queue_summary(struct refusals *r, struct subject *s)
{
	struct msg_refusal	m;

	if (!r->on || s->times == 0 ||
	    msg_refusal_get(&m, s->payload.data, s->payload.len) == -1)
		return;
	m.times = s->times;
	queue_refusal(r, &m);
	str_clear(&s->payload);
	s->times = 0;
}

static void
on_subject(struct map_node *node, void *arg)
{
	queue_summary(arg, (struct subject *)node);
}

void
refusal_settle(struct refusals *r)
{
	map_each(r->subjects, on_subject, r);
}

static void
forget_subject(struct map_node *node, void *arg)
{
	struct refusals	*r = arg;
	struct subject	*s = (struct subject *)node;

	queue_summary(r, s);
	map_remove(r->subjects, node);
	str_clear(&s->payload);
	free(s);
}

/* Forgets the subjects of the last minute when it is over. */
static void
forget_last_minute(struct refusals *r, int64_t now)
{
	if (now / MINUTE == r->minute)
		return;
	r->minute = now / MINUTE;
	map_each(r->subjects, forget_subject, r);
}

static void
set_timer(struct refusals *r)
{
	static const struct timeval	second = { 1, 0 };

	if (!evtimer_pending(&r->timer, NULL))
		evtimer_add(&r->timer, &second);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct refusals	*r = arg;

	(void)fd;
	(void)what;
	forget_last_minute(r, clock_wall());
	if (map_count(r->subjects) > 0)
		set_timer(r);
}

/* The subject of a refusal; NULL: there is no room for a new one. */
static struct subject *
get_subject(struct refusals *r, const struct msg_refusal *m, bool *first)
{
	struct subject	*s;
	struct str	 key;
	uint64_t	 hash;

	str_init(&key);
	str_addc(&key, m->kind);
	str_addc(&key, m->shadow);
	str_add(&key, m->id, m->idlen);
	hash = map_hash(key.data, key.len);
	s = (struct subject *)map_find(r->subjects, hash, key.data, key.len);
	*first = s == NULL && map_count(r->subjects) < REFUSAL_IDS;
	if (*first) {
		s = alloc_zero(1, sizeof(*s) + key.len);
		memcpy(s->key, key.data, key.len);
		s->len = key.len;
		s->node.hash = hash;
		map_insert(r->subjects, &s->node);
		set_timer(r);
	}
	str_clear(&key);
	return s;
}

/* --- what is kept of one --- */

static void
set_texts(struct refusals *r, struct msg_refusal *m,
    const struct maillog_about *about)
{
	const struct maillog_value	*const value[REFUSAL_TEXT__MAX] = {
		[REFUSAL_LOGIN] = &about->login,
		[REFUSAL_SENDER] = &about->sender,
		[REFUSAL_RECIPIENT] = &about->recipient,
		[REFUSAL_CLIENT] = &about->client,
		[REFUSAL_CLIENT_NAME] = &about->client_name,
		[REFUSAL_STATE] = &about->state,
		[REFUSAL_QUEUE_ID] = &about->queue_id,
		[REFUSAL_INSTANCE] = &about->instance
	};
	size_t	i;

	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		m->text[i] = str_printable(r->text[i], sizeof(r->text[i]),
		    value[i]->bytes, value[i]->len);
		m->textlen[i] = strlen(m->text[i]);
	}
	if (num_parse(about->nrecipients.bytes, about->nrecipients.len, 0,
	    INT32_MAX, &m->recipients) == -1)
		m->recipients = 0;
	if (m->recipients == 0 && about->recipient.len > 0)
		m->recipients = 1;
}

static void
init_refusal(struct msg_refusal *m, enum refusal_kind kind)
{
	memset(m, 0, sizeof(*m));
	m->kind = (uint8_t)kind;
	m->id = m->rule = "";
}

static void
keep_refusal(struct refusals *r, struct msg_refusal *m,
    const struct maillog_about *about)
{
	struct subject	*s;

	m->date = clock_wall();
	m->times = 1;
	forget_last_minute(r, m->date);
	if (clock_passed(r->second, loop_now())) {
		r->second = clock_after(loop_now(), 1000);
		r->extra = 0;
	}
	s = get_subject(r, m, &m->first);
	if (m->first || r->extra < REFUSAL_MORE) {
		r->extra += !m->first;
		set_texts(r, m, about);
		queue_refusal(r, m);
	} else if (s != NULL && s->times++ == 0) {
		set_texts(r, m, about);
		msg_refusal_put(&s->payload, m);
	}
}

static void
add_window(struct msg_refusal *m, const struct limit *limit, int64_t used)
{
	m->window[m->nwindows].limit = *limit;
	m->window[m->nwindows++].used = used;
}

static void
keep_key_refusal(struct refusals *r, struct msg_refusal *m,
    const struct settings *s, const struct msg_charge *charge, size_t key,
    const struct limit *limit, int64_t used, const struct msg_weighed *weighed,
    const struct maillog_about *about)
{
	const struct msg_charge_key	*k = &charge->keys[key];
	const struct msg_weighed_key	*w;
	size_t				 i;

	m->id = k->id;
	m->idlen = k->idlen;
	m->n = k->amount;
	if (k->rule < s->nrules) {
		m->rule = s->rules[k->rule].name;
		m->rulelen = strlen(m->rule);
	}
	m->full = m->nwindows = 0;
	if (limit->seconds == 0)
		m->kind = REFUSAL_MAX_PER_MAIL;
	else if (weighed != NULL && key < weighed->nkeys) {
		w = &weighed->keys[key];
		for (i = 0; i < w->nwindows; i++) {
			if (w->windows[i].limit.seconds == limit->seconds) {
				m->full = m->nwindows;
				add_window(m, limit, used);
			} else
				add_window(m, &w->windows[i].limit,
				    w->windows[i].used);
		}
	}
	if (m->nwindows == 0)
		add_window(m, limit, used);
	keep_refusal(r, m, about);
}

void
refusal_verdict(struct refusals *r, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, struct memory *memory)
{
	struct msg_weighed		weighed;
	const struct msg_weighed	*windows = NULL;
	struct msg_refusal		m;
	size_t				i;

	if (!r->on || v->verdict == VERDICT_UNAVAILABLE ||
	    (v->verdict != VERDICT_REFUSED && v->over == 0 && v->shadowed == 0))
		return;
	if (memory != NULL) {
		memory_weigh(memory, charge, clock_wall(), &weighed);
		windows = &weighed;
	}
	if ((v->verdict == VERDICT_REFUSED || v->over != 0) &&
	    v->key < charge->nkeys) {
		init_refusal(&m, v->verdict == VERDICT_REFUSED ?
		    REFUSAL_LIMIT : REFUSAL_OVER);
		keep_key_refusal(r, &m, s, charge, v->key, &v->limit, v->used,
		    windows, about);
	}
	for (i = 0; i < charge->nkeys; i++) {
		if ((v->shadowed >> i & 1) == 0)
			continue;
		init_refusal(&m, REFUSAL_LIMIT);
		m.shadow = true;
		keep_key_refusal(r, &m, s, charge, i, &v->full[i].limit,
		    v->full[i].used, windows, about);
	}
}

void
refusal_blocked(struct refusals *r, const struct maillog_about *about,
    const struct override *block)
{
	struct msg_refusal	m;

	if (!r->on)
		return;
	init_refusal(&m, REFUSAL_BLOCK);
	if (block != NULL) {
		m.id = block->id;
		m.idlen = block->idlen;
	}
	if (block != NULL && block->kind == OVERRIDE_LOCK) {
		m.kind = REFUSAL_LOCK;
		m.rule = block->who;
		m.rulelen = block->wholen;
	}
	keep_refusal(r, &m, about);
}

/* --- settings --- */

void
refusal_use(struct refusals *r, const struct settings *s)
{
	r->on = s->history > 0;
	while (!r->on && !TAILQ_EMPTY(&r->list))
		drop_entry(r, TAILQ_FIRST(&r->list));
}

struct refusals *
refusal_new(void)
{
	struct refusals	*r = alloc_zero(1, sizeof(*r));

	TAILQ_INIT(&r->list);
	r->subjects = map_new(same_subject);
	arc4random_buf(&r->number, sizeof(r->number));
	r->number &= NUMBER_MAX;
	evtimer_set(&r->timer, on_timer, r);
	return r;
}
