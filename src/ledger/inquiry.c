#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "lib/alloc.h"

#define MOST		16		/* that wait */
#define ROWS		2000		/* in a piece */
#define REST_NS		INT64_C(1000000)	/* least, between two pieces */
#define PROGRESS_MS	500

struct inquiry *
inquiry_new(struct ledger *l, const struct message *m, size_t size,
    enum store_result (*step)(struct inquiry *))
{
	struct inquiry	*q;

	if (l->asked.count == (l->scans ? 1 : MOST))
		return NULL;
	q = alloc_zero(1, size);
	q->ledger = l;
	q->request = m->request;
	q->payload = alloc_copy(m->payload, m->len);
	q->len = m->len;
	q->step = step;
	q->fail = inquiry_fail;
	TAILQ_INSERT_TAIL(&l->asked.list, q, entry);
	l->asked.count++;
	return q;
}

static void
drop_inquiry(struct inquiries *asked, struct inquiry *q)
{
	TAILQ_REMOVE(&asked->list, q, entry);
	asked->count--;
	if (q->clear != NULL)
		q->clear(q);
	free(q->payload);
	free(q);
}

void
inquiry_clear(struct inquiries *asked)
{
	while (!TAILQ_EMPTY(&asked->list))
		drop_inquiry(asked, TAILQ_FIRST(&asked->list));
}

void
inquiry_fail(struct inquiry *q, const char *why)
{
	struct msg_searched	m = { .failed = true };

	(void)strlcpy(m.reason, why, sizeof(m.reason));
	msg_searched_put(ledger_payload(q->ledger), &m);
	ledger_answer(q->ledger, MSG_SEARCHED, q->request);
}

enum store_result
inquiry_rows(struct inquiry *q, void (*each)(void *, const char *, size_t,
    int64_t, int64_t))
{
	return store_rows(q->ledger->store, ROWS, &q->position, each, q);
}

void
inquiry_step(struct ledger *l)
{
	struct inquiry		*q = TAILQ_FIRST(&l->asked.list);
	struct mono		 began = clock_mono(), now;
	enum store_result	 result;
	int64_t			 rest = REST_NS;

	/* What was refused before the question is found. */
	if (q == NULL || q->answered || !clock_passed(l->asked.due, began) ||
	    upkeep_keep(l))
		return;
	if (q->progress.ns == 0)
		q->progress = clock_after(began, PROGRESS_MS);
	result = q->step(q);
	if (result == STORE_LOST && !l->scans)
		ledger_lost(l);
	if (q->why != NULL)
		result = STORE_FAILED;
	if (result == STORE_OK)
		q->deadline.ns = 0;
	else if (q->deadline.ns == 0)
		q->deadline = clock_after(began, l->settings->db_timeout);
	now = clock_mono();
	if (result == STORE_FAILED || result == STORE_LOST ||
	    (result == STORE_BUSY && clock_passed(q->deadline, now))) {
		q->fail(q, q->why != NULL ? q->why : ledger_reason(l));
		q->answered = true;
	}
	/* All rows are read without haste: decisions of others come first. */
	if (l->scans && clock_between(began, now) > rest)
		rest = clock_between(began, now);
	l->asked.due.ns = now.ns + rest;
	if (q->answered) {
		/* That of a scan stays, so that there is no other. */
		if (!l->scans)
			drop_inquiry(&l->asked, q);
	} else if (clock_passed(q->progress, now)) {
		q->progress = clock_after(now, PROGRESS_MS);
		msg_number_put(ledger_payload(l), (uint64_t)q->rows);
		ledger_answer(l, MSG_PROGRESS, q->request);
	}
}

int
inquiry_wait(const struct inquiries *asked)
{
	const struct inquiry	*q = TAILQ_FIRST(&asked->list);

	return q == NULL || q->answered ? -1 :
	    clock_left(asked->due, clock_mono());
}
