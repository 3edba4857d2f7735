#include <string.h>

#include "ledger/ledger.h"
#include "ledger/top_rows.h"
#include "ledger/try_rows.h"
#include "lib/alloc.h"
#include "lib/clock.h"

#define ROWS_STEP	2000		/* rows in a step */
#define REST_NS		INT64_C(1000000)	/* least, between two steps */
#define PROGRESS_NS	INT64_C(500000000)

enum scan_state {
	SCAN_IDLE,
	SCAN_READING,
	SCAN_ANSWERING		/* with what was read */
};

struct scan {
	struct channel		*engine;
	enum scan_state		 state;
	struct try_rows		*try;		/* NULL: not `policyctl try` */
	struct top_rows		*top;		/* NULL: not `policyctl top` */
	int64_t			 position;	/* of store_rows */
	int64_t			 rows;
	int64_t			 next;		/* step, monotonic ns */
	int64_t			 reported;	/* progress, the same */
	int64_t			 failing;	/* since when; 0: it works */
};

/* Sends what was put into ledger_payload(). */
static void
answer(struct ledger *l, enum message_type type)
{
	channel_send(l->scan->engine, type, 0, &l->payload, -1);
}

static void
fail(struct ledger *l, const char *why)
{
	struct msg_searched	m = { .failed = true };

	l->scan->state = SCAN_IDLE;
	if (l->scan->try != NULL) {
		try_rows_fail(l->scan->try, why);
		return;
	}
	(void)strlcpy(m.reason, why, sizeof(m.reason));
	msg_searched_put(ledger_payload(l), &m);
	answer(l, MSG_SEARCHED);
}

static void
on_row(void *arg, const char *id, size_t len, int64_t date, int64_t amount)
{
	struct ledger	*l = arg;
	struct scan	*scan = l->scan;

	scan->rows++;
	if (scan->state != SCAN_READING)
		return;
	if (scan->top != NULL) {
		if (!top_rows_add(scan->top, id, len, date, amount))
			fail(l, "the counts of all ids take more memory than "
			    "memory_limit");
	} else if (!try_rows_add(scan->try, id, len, date, amount))
		fail(l, "more than 20000000 rows are kept, which are too many "
		    "to try");
}

static void
read_rows(struct ledger *l)
{
	struct scan		*scan = l->scan;
	enum store_result	 result;
	int64_t			 now = clock_mono().ns;

	result = store_rows(l->store, ROWS_STEP, &scan->position, on_row, l);
	if (scan->state != SCAN_READING)
		return;
	if (result == STORE_OK) {
		scan->failing = 0;
		if (scan->position == -1)
			scan->state = SCAN_ANSWERING;
		return;
	}
	/* A cursor is lost with its transaction. */
	if (scan->failing == 0)
		scan->failing = now;
	if (result != STORE_BUSY || now - scan->failing >
	    l->settings->db_timeout * 1000000)
		fail(l, store_error(l->store));
}

struct channel *
scan_channel(const struct scan *scan)
{
	return scan == NULL ? NULL : scan->engine;
}

int
scan_begin(struct ledger *l, const struct message *m)
{
	if (m->fd == -1 || l->scan != NULL || l->engine != NULL)
		return -1;
	l->scan = alloc_zero(1, sizeof(*l->scan));
	l->scan->engine = channel_new(m->fd, ROLE_LEDGER, ROLE_ENGINE);
	return 0;
}

int
scan_on_engine(struct ledger *l, const struct message *m)
{
	struct scan	*scan = l->scan;
	char		 why[512] = "";

	if (scan->try != NULL || scan->top != NULL)
		return -1;
	scan->reported = clock_mono().ns;
	if (m->type == MSG_SIMULATE)
		scan->try = try_rows_new(l, scan->engine, m->payload, m->len,
		    why, sizeof(why));
	else if (m->type == MSG_TOP)
		scan->top = top_rows_new(l, m->payload, m->len);
	if (scan->try == NULL && scan->top == NULL)
		return -1;
	scan->state = SCAN_READING;
	if (why[0] != '\0')
		fail(l, why);
	return 0;
}

void
scan_step(struct ledger *l)
{
	const struct msg_topped	*topped;
	struct scan		*scan = l->scan;
	int64_t			 now = clock_mono().ns, done, took;

	if (scan == NULL || scan->state == SCAN_IDLE || now < scan->next)
		return;
	if (scan->state == SCAN_READING)
		read_rows(l);
	else if (scan->top != NULL) {
		if (top_rows_list(scan->top, &topped) == STORE_LOST)
			fail(l, store_error(l->store));
		else if (topped != NULL) {
			msg_topped_put(ledger_payload(l), topped);
			answer(l, MSG_TOPPED);
			scan->state = SCAN_IDLE;
		}
	} else if (try_rows_decide(scan->try))
		scan->state = SCAN_IDLE;
	done = clock_mono().ns;
	took = done - now;
	scan->next = done + (took > REST_NS ? took : REST_NS);
	if (scan->state == SCAN_IDLE || done - scan->reported < PROGRESS_NS)
		return;
	scan->reported = done;
	msg_number_put(ledger_payload(l), (uint64_t)scan->rows);
	answer(l, MSG_PROGRESS);
}

int
scan_wait(const struct scan *scan)
{
	struct mono	next;

	if (scan == NULL || scan->state == SCAN_IDLE)
		return -1;
	next.ns = scan->next;
	return clock_left(next, clock_mono());
}
