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
	struct mail_row	*row;
	struct msg_hit	 hit;

	if (msg_hit_get(&hit, m->payload, m->len) == -1)
		return -1;
	if (!msg_hits_fit(&l->room, &hit)) {
		l->later++;
		return 0;
	}
	if (l->nrows == l->size) {
		l->size = l->size == 0 ? 64 : l->size * 2;
		l->rows = alloc_resize(l->rows, l->size, sizeof(*l->rows));
	}
	row = &l->rows[l->nrows++];
	fill_row(row, &hit);
	row->hits[hit.kind] = hit.hits;
	return 0;
}

static int
add_notice(struct hitlist *l, const struct message *m)
{
	struct msg_hit	hit;

	if (msg_hit_get(&hit, m->payload, m->len) == -1)
		return -1;
	if (l->nuntold == HITLIST_UNTOLD_MAX)
		return 0;
	l->untold = alloc_resize(l->untold, l->nuntold + 1, sizeof(*l->untold));
	fill_row(&l->untold[l->nuntold++], &hit);
	l->kind = hit.kind;
	return 0;
}

static int
add_evidence(struct hitlist *l, const struct message *m)
{
	struct mail_evidence	*e;
	struct msg_evidence	 from;

	if (msg_evidence_get(&from, m->payload, m->len) == -1)
		return -1;
	if (l->nevidence == HITLIST_EVIDENCE_MAX)
		return 0;
	l->evidence = alloc_resize(l->evidence, l->nevidence + 1,
	    sizeof(*l->evidence));
	e = &l->evidence[l->nevidence++];
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

	if (m->type == MSG_HIT && !l->whole)
		return add_hit(l, m);
	if (m->type == MSG_EVIDENCE && !l->whole)
		return add_evidence(l, m);
	if (m->type == MSG_NOTICE && !l->whole)
		return add_notice(l, m);
	if (m->type == MSG_NOTICE_END && !l->whole && m->len == 0) {
		l->notice = l->whole = true;
		return 0;
	}
	if (m->type != MSG_HITS_END || l->whole ||
	    msg_number_get(&last, m->payload, m->len) == -1) {
		errno = EBADMSG;
		return -1;
	}
	l->last = last > INT64_MAX ? 0 : (int64_t)last;
	l->whole = true;
	return 0;
}

void
hitlist_clear(struct hitlist *l)
{
	size_t	i;

	free_rows(l->rows, l->nrows);
	free_rows(l->untold, l->nuntold);
	for (i = 0; i < l->nevidence; i++) {
		free(l->evidence[i].of.id);
		free(l->evidence[i].of.rule);
		free(l->evidence[i].value);
	}
	free(l->evidence);
	memset(l, 0, sizeof(*l));
}
