#include <string.h>
#include <strings.h>

#include "ledger/ledger.h"
#include "ledger/seek.h"
#include "lib/num.h"
#include "role/tally.h"

#define PAGE		500		/* rows */
#define DAY		86400

struct seek {
	struct inquiry		 inquiry;	/* first */
	struct msg_search	 wanted;	/* points to the payload */
	char			 stored[CHARGE_KEYS_MAX][ID_STORED_MAX + 1];
	bool			 everything;	/* matches every row */
	size_t			 id;		/* the one that is looked for */
	int64_t			 date;		/* before this row */
	int64_t			 number;
	uint32_t		 found;
	struct msg_searched	 answer;
	struct tally		*tally;		/* of MSG_TOP, with `top` */
	struct msg_top		 top;
};

/* --- which rows match --- */

static void
count_refusal(struct seek *s, const struct msg_refusal *m)
{
	const char	*colon = m->idlen > 0 ? memchr(m->id, ':', m->idlen) :
			    NULL;
	size_t		 bare = 0;

	if (m->kind == REFUSAL_OVER || (s->top.rulelen > 0 &&
	    (s->top.rulelen != m->rulelen ||
	    memcmp(s->top.rule, m->rule, m->rulelen) != 0)))
		return;
	/* The value is behind the rule's name or the kind of block or lock. */
	if ((m->kind == REFUSAL_BLOCK || m->kind == REFUSAL_LOCK) &&
	    colon != NULL)
		bare = (size_t)(colon + 1 - m->id);
	else if (m->rulelen > 0 && m->idlen > m->rulelen &&
	    m->id[m->rulelen] == ':')
		bare = m->rulelen + 1;
	tally_add(s->tally, m->id, m->idlen, bare, s->top.domain, m->times,
	    m->shadow);
}

static bool
same_text(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && (alen == 0 || strncasecmp(a, b, alen) == 0);
}

/* "@domain" is every address there. */
static bool
text_matches(const char *text, size_t len, const char *any, size_t anylen)
{
	if (anylen > 1 && any[0] == '@' && len > anylen)
		return same_text(text + len - anylen, anylen, any, anylen);
	return same_text(text, len, any, anylen);
}

/* Whether the word of a search is anything of this row. */
static bool
any_matches(const struct msg_search *w, const struct msg_refusal *m)
{
	const char	*value;
	size_t		 i;

	if (w->anylen == 0)
		return false;
	if (m->textlen[REFUSAL_QUEUE_ID] == w->anylen &&
	    memcmp(m->text[REFUSAL_QUEUE_ID], w->any, w->anylen) == 0)
		return true;
	for (i = REFUSAL_LOGIN; i <= REFUSAL_CLIENT; i++)
		if (text_matches(m->text[i], m->textlen[i], w->any, w->anylen))
			return true;
	if (same_text(m->id, m->idlen, w->any, w->anylen))
		return true;
	value = m->idlen > 0 ? memchr(m->id, ':', m->idlen) : NULL;
	return value != NULL && text_matches(value + 1,
	    m->idlen - (size_t)(value + 1 - m->id), w->any, w->anylen);
}

static bool
refusal_matches(const struct seek *s, const struct msg_refusal *m)
{
	const struct msg_search	*w = &s->wanted;
	size_t			 i, n = 0;

	if (s->everything)
		return true;
	for (i = 0; i < w->nids; i++)
		if (w->idlen[i] == m->idlen &&
		    memcmp(w->id[i], m->id, m->idlen) == 0)
			return true;
	if (w->only_ids)
		return false;
	if (any_matches(w, m))
		return true;
	/* All texts that are asked for, and at least one. */
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		if (w->textlen[i] == 0)
			continue;
		/* At DATA the recipient of several is not known. */
		if (i == REFUSAL_RECIPIENT && m->textlen[i] == 0)
			continue;
		/* Letter case matters in queue ids. */
		if (!same_text(m->text[i], m->textlen[i], w->text[i],
		    w->textlen[i]) || (i == REFUSAL_QUEUE_ID &&
		    memcmp(m->text[i], w->text[i], w->textlen[i]) != 0))
			return false;
		n++;
	}
	return n > 0;
}

static void
on_row(void *arg, const struct store_refusal *row)
{
	struct seek		*s = arg;
	struct ledger		*l = s->inquiry.ledger;
	struct history_texts	 texts;
	struct msg_refusal	 m;

	s->inquiry.rows++;
	s->date = row->number[STORE_REFUSAL_DATE];
	s->number = row->number[STORE_REFUSAL_NUMBER];
	if (!history_read(&m, row, &texts))
		return;
	if (s->tally != NULL) {
		count_refusal(s, &m);
		return;
	}
	if (!refusal_matches(s, &m))
		return;
	if (m.shadow)
		s->answer.shadow = num_add_clamp(s->answer.shadow, m.times);
	else if (m.kind != REFUSAL_OVER)
		s->answer.refused = num_add_clamp(s->answer.refused, m.times);
	if (s->found < s->wanted.n) {
		s->found++;
		msg_refusal_put(ledger_payload(l), &m);
		ledger_answer(l, MSG_FOUND, s->inquiry.request);
	}
}

/* --- a piece --- */

static void
send_answer(struct seek *s)
{
	struct ledger		*l = s->inquiry.ledger;
	struct msg_topped	*topped = &l->message.topped;

	s->inquiry.answered = true;
	if (s->tally == NULL) {
		msg_searched_put(ledger_payload(l), &s->answer);
		ledger_answer(l, MSG_SEARCHED, s->inquiry.request);
		return;
	}
	memset(topped, 0, sizeof(*topped));
	topped->by = TOP_BY_REFUSED;
	topped->domain = s->top.domain;
	tally_top(s->tally, topped, s->top.n, s->top.seconds);
	msg_topped_put(ledger_payload(l), topped);
	ledger_answer(l, MSG_TOPPED, s->inquiry.request);
}

static enum store_result
step(struct inquiry *q)
{
	struct seek		*s = (struct seek *)q;
	struct ledger		*l = q->ledger;
	struct msg_search	*w = &s->wanted;
	struct store_page	 page = { .max = PAGE };
	enum store_result	 result;
	int64_t			 rows = q->rows;

	if (w->only_ids && s->id < w->nids) {
		page.id = w->id[s->id];
		page.idlen = w->idlen[s->id];
	}
	/* Older ones are not kept any longer. */
	page.since = num_sub_clamp(clock_wall(), l->settings->history * DAY);
	if (page.since < w->since)
		page.since = w->since;
	page.date = s->date;
	page.number = s->number;
	result = w->only_ids && w->nids == 0 ? STORE_OK :
	    store_refusals(l->store, &page, on_row, s);
	if (result != STORE_OK)
		return result;
	if (q->rows - rows < PAGE || (s->everything && s->found == w->n)) {
		s->date = s->number = INT64_MAX;
		if (!w->only_ids || ++s->id >= w->nids)
			send_answer(s);
	}
	return STORE_OK;
}

/* --- questions --- */

static void
clear_question(struct inquiry *q)
{
	tally_free(((struct seek *)q)->tally);
}

/* NULL: too many questions wait, which is the answer. */
static struct seek *
new_seek(struct ledger *l, const struct message *m)
{
	struct inquiry	*q = inquiry_new(l, m, sizeof(struct seek), step);
	struct seek	*s = (struct seek *)q;

	if (q == NULL) {
		inquiry_fail(&(struct inquiry){ .ledger = l,
		    .request = m->request }, "too many questions wait");
		return NULL;
	}
	q->clear = clear_question;
	s->date = s->number = INT64_MAX;
	return s;
}

int
seek_on_search(struct ledger *l, const struct message *m)
{
	struct seek		*s = new_seek(l, m);
	struct msg_search	*w;
	size_t			 i, texts = 0;

	if (s == NULL)
		return 0;
	w = &s->wanted;
	if (msg_search_get(w, s->inquiry.payload, m->len) == -1)
		return -1;
	for (i = 0; i < w->nids; i++)
		w->id[i] = id_stored(w->id[i], &w->idlen[i], s->stored[i]);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		texts += w->textlen[i];
	s->everything = !w->only_ids && w->anylen == 0 && w->nids == 0 &&
	    texts == 0;
	return 0;
}

int
seek_on_top(struct ledger *l, const struct message *m)
{
	struct seek	*s = new_seek(l, m);

	if (s == NULL)
		return 0;
	if (msg_top_get(&s->top, s->inquiry.payload, m->len) == -1)
		return -1;
	/* Of a day, usually. */
	if (s->top.seconds == 0)
		s->top.seconds = DAY;
	s->tally = tally_new();
	s->wanted.since = num_sub_clamp(clock_wall(), s->top.seconds);
	return 0;
}
