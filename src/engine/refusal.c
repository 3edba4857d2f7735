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
static struct {
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
} refusal;

/* --- those that wait --- */

static void
drop_entry(struct entry *e)
{
	if (refusal.unsent == e)
		refusal.unsent = TAILQ_NEXT(e, entry);
	else if (refusal.unsent == NULL || e->number < refusal.unsent->number)
		refusal.sent--;
	TAILQ_REMOVE(&refusal.list, e, entry);
	refusal.count--;
	refusal.bytes -= sizeof(*e) + e->payload.size;
	refusal.more -= !e->first;
	str_clear(&e->payload);
	free(e);
}

/* A number is given when it is queued, so that the list stays in order. */
static void
queue_refusal(struct msg_refusal *m)
{
	struct entry	*e;

	while (refusal.count >= REFUSAL_WAITING ||
	    refusal.bytes >= REFUSAL_BYTES) {
		TAILQ_FOREACH(e, &refusal.list, entry)
			if (refusal.more == 0 || !e->first)
				break;
		drop_entry(e);
	}
	e = alloc_zero(1, sizeof(*e));
	e->number = m->number = ++refusal.number;
	e->first = m->first;
	str_init(&e->payload);
	msg_refusal_put(&e->payload, m);
	TAILQ_INSERT_TAIL(&refusal.list, e, entry);
	if (refusal.unsent == NULL)
		refusal.unsent = e;
	refusal.count++;
	refusal.bytes += sizeof(*e) + e->payload.size;
	refusal.more += !m->first;
}

void
refusal_channel(struct channel *ledger)
{
	refusal.ledger = ledger;
	refusal.unsent = TAILQ_FIRST(&refusal.list);
	refusal.sent = 0;
}

void
refusal_send(void)
{
	struct entry	*e;

	while (refusal.ledger != NULL && (e = refusal.unsent) != NULL &&
	    refusal.sent < SENT_MAX &&
	    channel_queued(refusal.ledger) < CHANNEL_HIGH) {
		channel_send(refusal.ledger, MSG_REFUSAL, 0, &e->payload, -1);
		refusal.unsent = TAILQ_NEXT(e, entry);
		refusal.sent++;
	}
}

void
refusal_kept(int64_t number)
{
	struct entry	*e;

	while ((e = TAILQ_FIRST(&refusal.list)) != NULL &&
	    e != refusal.unsent && e->number <= number)
		drop_entry(e);
}

/* --- which are kept --- */

static int
same_subject(const struct map_node *node, const void *key, size_t len)
{
	const struct subject	*s = (const struct subject *)node;

	return s->len == len && memcmp(s->key, key, len) == 0;
}

static void
queue_summary(struct subject *s)
{
	struct msg_refusal	m;

	if (!refusal.on || s->times == 0 || msg_refusal_get(&m, s->payload.data,
	    s->payload.len) == -1)
		return;
	m.times = s->times;
	queue_refusal(&m);
	str_clear(&s->payload);
	s->times = 0;
}

static void
on_subject(struct map_node *node, void *arg)
{
	(void)arg;
	queue_summary((struct subject *)node);
}

void
refusal_settle(void)
{
	map_each(refusal.subjects, on_subject, NULL);
}

static void
forget_subject(struct map_node *node, void *arg)
{
	struct subject	*s = (struct subject *)node;

	(void)arg;
	queue_summary(s);
	map_remove(refusal.subjects, node);
	str_clear(&s->payload);
	free(s);
}

/* Forgets the subjects of the last minute when it is over. */
static void
forget_last_minute(int64_t now)
{
	if (now / MINUTE == refusal.minute)
		return;
	refusal.minute = now / MINUTE;
	map_each(refusal.subjects, forget_subject, NULL);
}

static void
set_timer(void)
{
	static const struct timeval	second = { 1, 0 };

	if (!evtimer_pending(&refusal.timer, NULL))
		evtimer_add(&refusal.timer, &second);
}

static void
on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	forget_last_minute(clock_wall());
	if (map_count(refusal.subjects) > 0)
		set_timer();
}

/* The subject of a refusal; NULL: there is no room for a new one. */
static struct subject *
get_subject(const struct msg_refusal *m, bool *first)
{
	struct subject	*s;
	struct str	 key;
	uint64_t	 hash;

	str_init(&key);
	str_addc(&key, m->kind);
	str_addc(&key, m->shadow);
	str_add(&key, m->id, m->idlen);
	hash = map_hash(key.data, key.len);
	s = (struct subject *)map_find(refusal.subjects, hash, key.data,
	    key.len);
	*first = s == NULL && map_count(refusal.subjects) < REFUSAL_IDS;
	if (*first) {
		s = alloc_zero(1, sizeof(*s) + key.len);
		memcpy(s->key, key.data, key.len);
		s->len = key.len;
		s->node.hash = hash;
		map_insert(refusal.subjects, &s->node);
		set_timer();
	}
	str_clear(&key);
	return s;
}

/* --- what is kept of one --- */

static void
set_texts(struct msg_refusal *m, const struct maillog_about *about)
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
		m->text[i] = str_printable(refusal.text[i],
		    sizeof(refusal.text[i]), value[i]->bytes, value[i]->len);
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
keep_refusal(struct msg_refusal *m, const struct maillog_about *about)
{
	struct subject	*s;

	m->date = clock_wall();
	m->times = 1;
	forget_last_minute(m->date);
	if (clock_passed(refusal.second, loop_now())) {
		refusal.second = clock_after(loop_now(), 1000);
		refusal.extra = 0;
	}
	s = get_subject(m, &m->first);
	if (m->first || refusal.extra < REFUSAL_MORE) {
		refusal.extra += !m->first;
		set_texts(m, about);
		queue_refusal(m);
	} else if (s != NULL && s->times++ == 0) {
		set_texts(m, about);
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
keep_key_refusal(struct msg_refusal *m, const struct settings *s,
    const struct msg_charge *charge, size_t key, const struct limit *limit,
    int64_t used, const struct msg_weighed *weighed,
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
	keep_refusal(m, about);
}

void
refusal_verdict(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    struct memory *memory)
{
	static struct msg_weighed	weighed;
	const struct msg_weighed	*windows = NULL;
	struct msg_refusal		m;
	size_t				i;

	if (!refusal.on || v->verdict == VERDICT_UNAVAILABLE ||
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
		keep_key_refusal(&m, s, charge, v->key, &v->limit, v->used,
		    windows, about);
	}
	for (i = 0; i < charge->nkeys; i++) {
		if ((v->shadowed >> i & 1) == 0)
			continue;
		init_refusal(&m, REFUSAL_LIMIT);
		m.shadow = true;
		keep_key_refusal(&m, s, charge, i, &v->full[i].limit,
		    v->full[i].used, windows, about);
	}
}

void
refusal_blocked(const struct maillog_about *about, const struct override *block)
{
	struct msg_refusal	m;

	if (!refusal.on)
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
	keep_refusal(&m, about);
}

/* --- settings --- */

void
refusal_use(const struct settings *s)
{
	refusal.on = s->history > 0;
	while (!refusal.on && !TAILQ_EMPTY(&refusal.list))
		drop_entry(TAILQ_FIRST(&refusal.list));
}

void
refusal_init(void)
{
	TAILQ_INIT(&refusal.list);
	refusal.subjects = map_new(same_subject);
	arc4random_buf(&refusal.number, sizeof(refusal.number));
	refusal.number &= NUMBER_MAX;
	evtimer_set(&refusal.timer, on_timer, NULL);
}
