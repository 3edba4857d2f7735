#include <sys/types.h>
#include <sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/stored_id.h"
#include "ledger/history.h"
#include "ledger/id.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/num.h"

#define WAITING_MAX	4096
#define ROWS		64		/* in one transaction */
#define TRIM_ROWS	200
#define SOON_MS		20		/* wait for further rows */
#define LATEST_MS	1000		/* then write even if charges wait */
#define REST_MS		1000		/* after a failure */
#define FRESH_SECONDS	2		/* the cache is as it was then */
#define WINDOWS_SIZE	1024
#define LOG_SECONDS	60
#define COUNT_EVERY	20000		/* rows added, until all are counted */

int64_t	history_most = HISTORY_MOST;

struct waiting {
	TAILQ_ENTRY(waiting)	 entry;
	uint64_t		 failed;	/* the try, 0: none */
	struct store_refusal	 row;	/* points behind itself */
	char			 bytes[];
};

struct history {
	TAILQ_HEAD(, waiting)	 list;
	size_t			 count;
	size_t			 most;		/* rows to write at once */
	uint64_t		 tries;
	uint64_t		 succeeded;	/* the last that did */
	struct mono		 soon;		/* of the first one */
	struct mono		 latest;
	struct mono		 rest;		/* not before */
	int64_t			 rows;		/* in the table, -1: unknown */
	int64_t			 added;		/* since all were counted */
	struct log_limit	 failed;	/* in the log */
};

struct history *
history_new(void)
{
	struct history	*h;

	h = alloc_zero(1, sizeof(*h));
	TAILQ_INIT(&h->list);
	h->rows = -1;
	h->most = ROWS;
	return h;
}

static void
drop_waiting(struct history *h, struct waiting *w)
{
	TAILQ_REMOVE(&h->list, w, entry);
	h->count--;
	free(w);
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	while (!TAILQ_EMPTY(&h->list))
		drop_waiting(h, TAILQ_FIRST(&h->list));
	free(h);
}

/* --- taking them in --- */

void
history_complete(struct msg_refusal *m, struct cache *cache,
    struct lookup *lookup, const struct override_list *overrides,
    const struct settings *settings, int64_t now)
{
	const struct settings_rule	*rule;
	const struct limits		*limits;
	const struct limit		*l;
	const struct refusal_window	 known = m->window[0];
	const struct window		*window;
	char				 stored[ID_STORED_MAX + 1];
	const char			*id;
	int64_t				 granted;
	size_t				 len = m->idlen, i;
	bool				 found = false;

	if (m->nwindows != 1 || m->kind == REFUSAL_MAX_PER_MAIL ||
	    now - m->date > FRESH_SECONDS || m->date > now)
		return;
	id = id_stored(m->id, &len, stored);
	if ((window = cache_peek(cache, id, len)) == NULL)
		return;
	rule = stored_id_rule(settings, id, len);
	limits = stored_id_limits(settings, lookup_limits(lookup, rule, id,
	    len), rule, id, len);
	for (i = 0; i < limits->count; i++)
		found = found ||
		    limits->list[i].seconds == known.limit.seconds;
	if (!found || limits->count > LIMITS_MAX)
		return;
	granted = override_granted(overrides, id, len, now);
	for (i = 0; i < limits->count; i++) {
		l = &limits->list[i];
		if (l->seconds == known.limit.seconds) {
			m->full = i;
			m->window[i] = known;
			continue;
		}
		m->window[i].limit.seconds = l->seconds;
		m->window[i].limit.mails = num_add_clamp(l->mails, granted);
		m->window[i].used = window_used(window, l->seconds, now);
	}
	m->nwindows = limits->count;
}

/* "150/86400/150! 60/600/61": limit, seconds, used; the one without room. */
static size_t
format_windows(char text[WINDOWS_SIZE], const struct msg_refusal *m)
{
	size_t	i, len = 0;
	int	n;

	text[0] = '\0';
	for (i = 0; i < m->nwindows; i++) {
		n = snprintf(text + len, WINDOWS_SIZE - len,
		    "%s%" PRId64 "/%" PRId64 "/%" PRId64 "%s", i > 0 ? " " : "",
		    m->window[i].limit.mails, m->window[i].limit.seconds,
		    m->window[i].used, i == m->full ? "!" : "");
		if (n < 0 || (size_t)n >= WINDOWS_SIZE - len) {
			text[len] = '\0';
			break;
		}
		len += (size_t)n;
	}
	return len;
}

static void
schedule_write(struct history *h, struct mono now)
{
	h->soon = clock_after(now, SOON_MS);
	h->latest = clock_after(now, LATEST_MS);
}

int
history_add(struct history *h, const struct msg_refusal *m, struct mono now)
{
	struct store_refusal	 r;
	struct waiting		*w;
	char			 windows[WINDOWS_SIZE];
	char			 stored[ID_STORED_MAX + 1], *at;
	size_t			 i, size = 0;

	r.number[STORE_REFUSAL_DATE] = m->date;
	r.number[STORE_REFUSAL_NUMBER] = m->number;
	r.number[STORE_REFUSAL_FIRST] = m->first;
	r.number[STORE_REFUSAL_TIMES] = m->times;
	r.number[STORE_REFUSAL_SHADOW] = m->shadow;
	r.number[STORE_REFUSAL_N] = m->n;
	r.number[STORE_REFUSAL_RECIPIENTS] = m->recipients;
	r.len[STORE_REFUSAL_ID] = m->idlen;
	r.text[STORE_REFUSAL_ID] = id_stored(m->id, &r.len[STORE_REFUSAL_ID],
	    stored);
	r.text[STORE_REFUSAL_RULE] = m->rule;
	r.len[STORE_REFUSAL_RULE] = m->rulelen;
	r.text[STORE_REFUSAL_KIND] = msg_refusal_kinds[m->kind];
	r.len[STORE_REFUSAL_KIND] = strlen(msg_refusal_kinds[m->kind]);
	r.text[STORE_REFUSAL_WINDOWS] = windows;
	r.len[STORE_REFUSAL_WINDOWS] = format_windows(windows, m);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		r.text[STORE_REFUSAL_TEXT + i] = m->text[i];
		r.len[STORE_REFUSAL_TEXT + i] = m->textlen[i];
	}
	for (i = 0; i < STORE_REFUSAL_TEXTS; i++) {
		if (r.len[i] > 0 &&
		    (memchr(r.text[i], '\0', r.len[i]) != NULL ||
		    !str_utf8_valid(r.text[i], r.len[i])))
			return -1;
		size += r.len[i];
	}
	if (h->count == WAITING_MAX)
		drop_waiting(h, TAILQ_FIRST(&h->list));
	w = alloc_zero(1, sizeof(*w) + size);
	w->row = r;
	for (i = 0, at = w->bytes; i < STORE_REFUSAL_TEXTS; i++) {
		w->row.text[i] = at;
		if (r.len[i] > 0)
			memcpy(at, r.text[i], r.len[i]);
		at += r.len[i];
	}
	if (h->count++ == 0)
		schedule_write(h, now);
	TAILQ_INSERT_TAIL(&h->list, w, entry);
	return 0;
}

/* --- writing --- */

bool
history_due(const struct history *h, bool quiet, struct mono now)
{
	if (h->count == 0 || !clock_passed(h->rest, now))
		return false;
	return clock_passed(h->latest, now) || (quiet &&
	    (h->count >= ROWS || clock_passed(h->soon, now)));
}

int
history_wait(const struct history *h, struct mono now)
{
	if (h->count == 0)
		return -1;
	return clock_left(h->rest.ns > h->soon.ns ? h->rest : h->soon, now);
}

/*
 * One row that the database does not take must not hold up the others: it goes
 * behind them, and is dropped if it fails again after some of them succeeded.
 */
static void
postpone_first(struct history *h)
{
	struct waiting	*w = TAILQ_FIRST(&h->list);

	if (h->most > 1) {
		h->most = 1;
		return;
	}
	if (w->failed > 0 && h->succeeded > w->failed) {
		drop_waiting(h, w);
		return;
	}
	w->failed = ++h->tries;
	TAILQ_REMOVE(&h->list, w, entry);
	TAILQ_INSERT_TAIL(&h->list, w, entry);
}

static enum store_result
handle_failure(struct history *h, struct store *store,
    enum store_result result, struct mono now, bool known)
{
	unsigned int		suppressed;

	h->rest = clock_after(now, REST_MS);
	h->rows = -1;
	if (result == STORE_LOST)
		return STORE_LOST;
	if (result == STORE_FAILED && !known &&
	    log_allowed(&h->failed, LOG_SECONDS, &suppressed))
		log_warning("%s: refusals cannot be kept for policyctl: %s",
		    store_description(store), store_error(store));
	return STORE_OK;
}

enum store_result
history_write(struct history *h, struct store *store, struct mono now,
    bool known, int64_t *number)
{
	struct store_refusal	 row[ROWS];
	const struct waiting	*w;
	enum store_result	 result;
	int64_t			 added, deleted = 0, last = 0;
	size_t			 n = 0, i;

	*number = 0;
	TAILQ_FOREACH(w, &h->list, entry) {
		if (n == h->most)
			break;
		last = w->row.number[STORE_REFUSAL_NUMBER];
		row[n++] = w->row;
	}
	if (n == 0)
		return STORE_OK;
	if ((result = store_add_refusals(store, row, n, &added)) != STORE_OK) {
		if (result == STORE_FAILED)
			postpone_first(h);
		return handle_failure(h, store, result, now, known);
	}
	*number = last;
	h->succeeded = ++h->tries;
	h->most = h->most * 2 < ROWS ? h->most * 2 : ROWS;
	for (i = 0; i < n; i++)
		drop_waiting(h, TAILQ_FIRST(&h->list));
	schedule_write(h, now);
	h->added += added;
	if (h->rows != -1)
		h->rows += added;
	/* Other daemons write rows too, so all are counted now and then. */
	if (h->rows == -1 || h->added >= COUNT_EVERY) {
		result = store_count_refusals(store, &h->rows);
		h->added = 0;
	}
	if (result == STORE_OK && h->rows > history_most) {
		result = store_clean_refusals(store, NULL,
		    h->rows - history_most < TRIM_ROWS ?
		    (size_t)(h->rows - history_most) : TRIM_ROWS, &deleted);
		h->rows -= deleted;
	}
	return result == STORE_OK ? STORE_OK :
	    handle_failure(h, store, result, now, known);
}

/* --- reading --- */

static bool
parse_number(const char **at, char end, int64_t min, int64_t *out)
{
	const char	*stop = strchr(*at, end);

	if (stop == NULL || num_parse(*at, (size_t)(stop - *at), min,
	    INT64_MAX, out) == -1)
		return false;
	*at = stop + 1;
	return true;
}

static bool
parse_windows(struct msg_refusal *m, const char *text)
{
	struct refusal_window	*w;
	size_t			 len;
	int64_t			 used;

	m->full = m->nwindows = 0;
	while (*text != '\0') {
		if (m->nwindows == LIMITS_MAX)
			return false;
		w = &m->window[m->nwindows];
		if (!parse_number(&text, '/', 0, &w->limit.mails) ||
		    !parse_number(&text, '/', 0, &w->limit.seconds))
			return false;
		len = strcspn(text, "! ");
		if (num_parse(text, len, INT64_MIN, INT64_MAX, &used) == -1)
			return false;
		w->used = used;
		text += len;
		if (*text == '!') {
			m->full = m->nwindows;
			text++;
		}
		m->nwindows++;
		text += *text == ' ';
	}
	return true;
}

bool
history_read(struct msg_refusal *m, const struct store_refusal *r,
    struct history_texts *texts)
{
	char	windows[WINDOWS_SIZE];
	size_t	i, n;

	for (i = 0; i < STORE_REFUSAL_NUMBERS; i++)
		if (r->number[i] < 0)
			return false;
	for (i = 0; i < STORE_REFUSAL_TEXTS; i++)
		str_printable_again(texts->text[i], sizeof(texts->text[i]),
		    r->text[i], r->len[i]);
	n = r->len[STORE_REFUSAL_WINDOWS];
	if (n >= sizeof(windows))
		return false;
	memcpy(windows, r->text[STORE_REFUSAL_WINDOWS], n);
	windows[n] = '\0';
	memset(m, 0, sizeof(*m));
	m->date = r->number[STORE_REFUSAL_DATE];
	m->number = r->number[STORE_REFUSAL_NUMBER];
	m->first = r->number[STORE_REFUSAL_FIRST] != 0;
	m->times = r->number[STORE_REFUSAL_TIMES];
	m->shadow = r->number[STORE_REFUSAL_SHADOW] != 0;
	m->n = r->number[STORE_REFUSAL_N];
	m->recipients = r->number[STORE_REFUSAL_RECIPIENTS];
	m->id = r->text[STORE_REFUSAL_ID];
	m->idlen = r->len[STORE_REFUSAL_ID];
	m->rule = texts->text[STORE_REFUSAL_RULE];
	m->rulelen = strlen(m->rule);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		m->text[i] = texts->text[STORE_REFUSAL_TEXT + i];
		m->textlen[i] = strlen(m->text[i]);
	}
	while (m->kind < REFUSAL_KIND__MAX && strcmp(msg_refusal_kinds[m->kind],
	    texts->text[STORE_REFUSAL_KIND]) != 0)
		m->kind++;
	return m->times > 0 && m->idlen <= ID_STORED_MAX &&
	    m->kind < REFUSAL_KIND__MAX && parse_windows(m, windows);
}
