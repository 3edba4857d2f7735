#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "report/hitlist.h"

static void
fill_row(struct mail_row *row, const struct msg_hit *hit)
{
	memset(row, 0, sizeof(*row));
	row->id = alloc_copy(hit->id, hit->idlen);
	row->idlen = hit->idlen;
	row->rule = alloc_copy(hit->rule, hit->rulelen);
	row->mails = hit->mails;
	row->seconds = hit->seconds;
}

static void
free_rows(struct mail_row *rows, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++) {
		free(rows[i].id);
		free(rows[i].rule);
	}
	free(rows);
}

static int
add_hit(struct hitlist *l, const struct message *m)
{
	struct mail_hits	*h = &l->hits;
	struct mail_row		*row;
	struct msg_hit		 hit;

	if (msg_hit_get(&hit, m->payload, m->len) == -1)
		return -1;
	if (!msg_hits_fit(&l->room, &hit)) {
		h->later++;
		return 0;
	}
	h->rows = alloc_room(h->rows, h->nrows, &l->size, sizeof(*h->rows));
	row = &h->rows[h->nrows++];
	fill_row(row, &hit);
	row->hits[hit.kind] = hit.hits;
	return 0;
}

static int
add_notice(struct hitlist *l, const struct message *m)
{
	struct mail_hits	*h = &l->hits;
	struct msg_hit		 hit;

	if (msg_hit_get(&hit, m->payload, m->len) == -1)
		return -1;
	if (h->nuntold == HITLIST_UNTOLD_MAX)
		return 0;
	h->untold = alloc_resize(h->untold, h->nuntold + 1,
	    sizeof(*h->untold));
	fill_row(&h->untold[h->nuntold++], &hit);
	l->kind = hit.kind;
	return 0;
}

static int
add_evidence(struct mail_hits *h, const struct message *m)
{
	struct mail_evidence	*e;
	struct msg_evidence	 from;

	if (msg_evidence_get(&from, m->payload, m->len) == -1)
		return -1;
	if (h->nevidence == HITLIST_EVIDENCE_MAX)
		return 0;
	h->evidence = alloc_resize(h->evidence, h->nevidence + 1, sizeof(*e));
	e = &h->evidence[h->nevidence++];
	memset(e, 0, sizeof(*e));
	e->kind = from.kind;
	e->of.id = alloc_copy(from.id, from.idlen);
	e->of.idlen = from.idlen;
	e->of.rule = alloc_copy(from.rule, from.rulelen);
	e->value = alloc_copy(from.value, from.valuelen);
	e->len = from.valuelen;
	e->times = from.times;
	return 0;
}

int
hitlist_add(struct hitlist *l, const struct message *m)
{
	uint64_t	last;

	if (l->whole)
		goto malformed;
	switch (m->type) {
	case MSG_HIT:
		return add_hit(l, m);
	case MSG_EVIDENCE:
		return add_evidence(&l->hits, m);
	case MSG_NOTICE:
		return add_notice(l, m);
	case MSG_NOTICE_END:
		if (m->len > 0)
			break;
		l->notice = l->whole = true;
		return 0;
	case MSG_HITS_END:
		if (msg_number_get(&last, m->payload, m->len) == -1)
			break;
		l->hits.last = last > INT64_MAX ? 0 : (int64_t)last;
		l->whole = true;
		return 0;
	default:
		break;
	}
 malformed:
	errno = EBADMSG;
	return -1;
}

void
hitlist_clear(struct hitlist *l)
{
	struct mail_hits	*h = &l->hits;
	size_t			 i;

	free_rows(h->rows, h->nrows);
	free_rows(h->untold, h->nuntold);
	for (i = 0; i < h->nevidence; i++) {
		free(h->evidence[i].of.id);
		free(h->evidence[i].of.rule);
		free(h->evidence[i].value);
	}
	free(h->evidence);
	memset(l, 0, sizeof(*l));
}
