#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ledger/ledger.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "role/tally.h"

#define PAGE		500		/* rows */
#define PROGRESS_MS	500
#define DAY		86400	/* of top, usually */

struct question {
	TAILQ_ENTRY(question)	 entry;
	uint64_t		 request;
	struct msg_search	 wanted;	/* points to `bytes` */
	char			 stored[CHARGE_KEYS_MAX][ID_STORED_MAX + 1];
	bool			 everything;	/* matches every row */
	size_t			 id;		/* the one that is looked for */
	int64_t			 date;		/* before this row */
	int64_t			 number;
	int64_t			 rows;
	uint32_t		 found;
	struct mono		 progress;
	struct msg_searched	 answer;
	struct tally		*tally;		/* of MSG_TOP, with `top` */
	struct msg_top		 top;
	char			 bytes[];
};

struct seek {
	TAILQ_HEAD(, question)	 list;
	size_t			 count;
	size_t			 rows;		/* of the page */
	struct history_texts	 texts;		/* of the row */
	struct msg_topped	 topped;
};

struct seek *
seek_new(void)
{
	struct seek	*s;

	s = alloc_zero(1, sizeof(*s));
	TAILQ_INIT(&s->list);
	return s;
}

static void
seek_drop(struct seek *s, struct question *q)
{
	TAILQ_REMOVE(&s->list, q, entry);
	s->count--;
	tally_free(q->tally);
	free(q);
}

void
seek_clear(struct seek *s)
{
	while (!TAILQ_EMPTY(&s->list))
		seek_drop(s, TAILQ_FIRST(&s->list));
}

bool
seek_waits(const struct seek *s)
{
	return !TAILQ_EMPTY(&s->list);
}

/* A question with a copy of its payload; NULL: too many wait. */
static struct question *
seek_question(const struct seek *s, uint64_t request, const void *payload,
    size_t len)
{
	struct question	*q;

	if (s->count == SEEK_MOST)
		return NULL;
	q = alloc_zero(1, sizeof(*q) + len);
	if (len > 0)
		memcpy(q->bytes, payload, len);
	q->request = request;
	q->date = q->number = INT64_MAX;
	return q;
}

int
seek_add(struct seek *s, uint64_t request, const void *payload, size_t len)
{
	struct question		*q = seek_question(s, request, payload, len);
	struct msg_search	*w;
	size_t			 i, texts = 0;

	if (q == NULL || msg_search_get(&q->wanted, q->bytes, len) == -1) {
		free(q);
		return -1;
	}
	w = &q->wanted;
	for (i = 0; i < w->nids; i++)
		w->id[i] = id_stored(w->id[i], &w->idlen[i], q->stored[i]);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		texts += w->textlen[i];
	q->everything = !w->only_ids && w->anylen == 0 && w->nids == 0 &&
	    texts == 0;
	TAILQ_INSERT_TAIL(&s->list, q, entry);
	s->count++;
	return 0;
}

int
seek_top(struct seek *s, uint64_t request, const void *payload, size_t len,
    int64_t now)
{
	struct question	*q = seek_question(s, request, payload, len);
	struct msg_top	*top;

	if (q == NULL || msg_top_get(&q->top, q->bytes, len) == -1) {
		free(q);
		return -1;
	}
	top = &q->top;
	if (top->seconds == 0)
		top->seconds = DAY;
	q->tally = tally_new();
	q->wanted.since = num_sub_clamp(now, top->seconds);
	TAILQ_INSERT_TAIL(&s->list, q, entry);
	s->count++;
	return 0;
}

/* --- which rows match --- */

static void
seek_sum(struct question *q, const struct msg_refusal *m)
{
	const char	*colon = m->idlen > 0 ? memchr(m->id, ':', m->idlen) :
			    NULL;
	size_t		 bare = 0;

	if (m->kind == REFUSAL_OVER || (q->top.rulelen > 0 &&
	    (q->top.rulelen != m->rulelen ||
	    memcmp(q->top.rule, m->rule, m->rulelen) != 0)))
		return;
	/* The value is behind the rule's name or the kind of block or lock. */
	if ((m->kind == REFUSAL_BLOCK || m->kind == REFUSAL_LOCK) &&
	    colon != NULL)
		bare = (size_t)(colon + 1 - m->id);
	else if (m->rulelen > 0 && m->idlen > m->rulelen &&
	    m->id[m->rulelen] == ':')
		bare = m->rulelen + 1;
	tally_add(q->tally, m->id, m->idlen, bare, q->top.domain, m->times,
	    m->shadow);
}

static bool
seek_same(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && (alen == 0 || strncasecmp(a, b, alen) == 0);
}

/* "@domain" is every address there. */
static bool
seek_text(const char *text, size_t len, const char *any, size_t anylen)
{
	if (anylen > 1 && any[0] == '@' && len > anylen)
		return seek_same(text + len - anylen, anylen, any, anylen);
	return seek_same(text, len, any, anylen);
}

/* Whether the word of a search is anything of this row. */
static bool
seek_any(const struct msg_search *w, const struct msg_refusal *m)
{
	const char	*value;
	size_t		 i;

	if (w->anylen == 0)
		return false;
	if (m->textlen[REFUSAL_QUEUE_ID] == w->anylen &&
	    memcmp(m->text[REFUSAL_QUEUE_ID], w->any, w->anylen) == 0)
		return true;
	for (i = REFUSAL_LOGIN; i <= REFUSAL_CLIENT; i++)
		if (seek_text(m->text[i], m->textlen[i], w->any, w->anylen))
			return true;
	if (seek_same(m->id, m->idlen, w->any, w->anylen))
		return true;
	value = m->idlen > 0 ? memchr(m->id, ':', m->idlen) : NULL;
	return value != NULL && seek_text(value + 1,
	    m->idlen - (size_t)(value + 1 - m->id), w->any, w->anylen);
}

static bool
seek_matches(const struct question *q, const struct msg_refusal *m)
{
	const struct msg_search	*w = &q->wanted;
	size_t			 i, n = 0;

	if (q->everything)
		return true;
	for (i = 0; i < w->nids; i++)
		if (w->idlen[i] == m->idlen &&
		    memcmp(w->id[i], m->id, m->idlen) == 0)
			return true;
	if (w->only_ids)
		return false;
	if (seek_any(w, m))
		return true;
	/* All texts that are asked for, and at least one. */
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		if (w->textlen[i] == 0)
			continue;
		/* At DATA the recipient of several is not known. */
		if (i == REFUSAL_RECIPIENT && m->textlen[i] == 0)
			continue;
		if (!seek_same(m->text[i], m->textlen[i], w->text[i],
		    w->textlen[i]))
			return false;
		n++;
	}
	return n > 0;
}

static void
seek_on_row(void *arg, const struct store_refusal *row)
{
	struct ledger		*l = arg;
	struct seek		*s = l->seek;
	struct question		*q = TAILQ_FIRST(&s->list);
	struct msg_refusal	 m;

	s->rows++;
	q->rows++;
	q->date = row->number[STORE_REFUSAL_DATE];
	q->number = row->number[STORE_REFUSAL_NUMBER];
	if (!history_read(&m, row, &s->texts))
		return;
	if (q->tally != NULL) {
		seek_sum(q, &m);
		return;
	}
	if (!seek_matches(q, &m))
		return;
	if (m.shadow)
		q->answer.shadow = num_add_clamp(q->answer.shadow, m.times);
	else if (m.kind != REFUSAL_OVER)
		q->answer.refused = num_add_clamp(q->answer.refused, m.times);
	if (q->found < q->wanted.n) {
		q->found++;
		msg_refusal_put(ledger_payload(l), &m);
		ledger_answer(l, MSG_FOUND, q->request);
	}
}

/* --- a piece --- */

static void
seek_end(struct ledger *l, struct question *q)
{
	struct seek	*s = l->seek;

	if (q->tally == NULL || q->answer.failed) {
		msg_searched_put(ledger_payload(l), &q->answer);
		ledger_answer(l, MSG_SEARCHED, q->request);
	} else {
		s->topped.by = TOP_BY_REFUSED;
		s->topped.domain = q->top.domain;
		tally_top(q->tally, &s->topped, q->top.n, q->top.seconds);
		msg_topped_put(ledger_payload(l), &s->topped);
		ledger_answer(l, MSG_TOPPED, q->request);
	}
	seek_drop(s, q);
}

void
seek_step(struct ledger *l, int64_t oldest)
{
	struct seek		*s = l->seek;
	struct question		*q = TAILQ_FIRST(&s->list);
	struct msg_search	*w;
	struct store_page	 page = { .max = PAGE };
	struct mono		 now = clock_mono();
	enum store_result	 result;

	if (q == NULL)
		return;
	w = &q->wanted;
	s->rows = 0;
	if (q->progress.ns == 0)
		q->progress = clock_after(now, PROGRESS_MS);
	if (w->only_ids && q->id < w->nids) {
		page.id = w->id[q->id];
		page.idlen = w->idlen[q->id];
	}
	page.since = oldest > w->since ? oldest : w->since;
	page.date = q->date;
	page.number = q->number;
	result = w->only_ids && w->nids == 0 ? STORE_OK :
	    store_refusals(l->store, &page, seek_on_row, l);
	if (result == STORE_LOST)
		ledger_lost(l);
	if (result == STORE_BUSY)
		return;
	if (result != STORE_OK) {
		q->answer.failed = true;
		(void)strlcpy(q->answer.reason, store_error(l->store),
		    sizeof(q->answer.reason));
		seek_end(l, q);
		return;
	}
	if (s->rows < PAGE || (q->everything && q->found == w->n)) {
		q->date = q->number = INT64_MAX;
		if (!w->only_ids || ++q->id >= w->nids) {
			seek_end(l, q);
			return;
		}
	}
	if (clock_passed(q->progress, now)) {
		q->progress = clock_after(now, PROGRESS_MS);
		msg_number_put(ledger_payload(l), (uint64_t)q->rows);
		ledger_answer(l, MSG_PROGRESS, q->request);
	}
}
