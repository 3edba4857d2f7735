#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/window.h"

struct entry {
	int64_t	when;
	int64_t	amount;
};

struct window {
	size_t		 count;
	size_t		 size;
	struct entry	*list;		/* by `when`, each once */
};

void
window_limits_copy(struct limits *dst, const struct limits *src)
{
	dst->count = src->count;
	dst->list = NULL;
	if (src->count == 0)
		return;
	dst->list = alloc_resize(NULL, src->count, sizeof(dst->list[0]));
	memcpy(dst->list, src->list, src->count * sizeof(dst->list[0]));
}

void
window_limits_clear(struct limits *limits)
{
	free(limits->list);
	limits->list = NULL;
	limits->count = 0;
}

int
window_limits_equal(const struct limits *a, const struct limits *b)
{
	size_t	i;

	if (a->count != b->count)
		return 0;
	for (i = 0; i < a->count; i++)
		if (a->list[i].mails != b->list[i].mails ||
		    a->list[i].seconds != b->list[i].seconds)
			return 0;
	return 1;
}

struct window *
window_new(void)
{
	return alloc_zero(1, sizeof(struct window));
}

void
window_free(struct window *w)
{
	if (w == NULL)
		return;
	free(w->list);
	free(w);
}

size_t
window_size(const struct window *w)
{
	return sizeof(*w) + w->size * sizeof(w->list[0]);
}

/* Index of the first entry at or after `when`. */
static size_t
window_index(const struct window *w, int64_t when)
{
	size_t	lo = 0, hi = w->count, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (w->list[mid].when < when)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
window_add(struct window *w, int64_t when, int64_t amount)
{
	size_t	i;

	i = window_index(w, when);
	if (i < w->count && w->list[i].when == when) {
		w->list[i].amount = num_add_clamp(w->list[i].amount, amount);
		if (w->list[i].amount == 0) {
			w->count--;
			memmove(&w->list[i], &w->list[i + 1],
			    (w->count - i) * sizeof(w->list[0]));
		}
		return;
	}
	if (amount == 0)
		return;
	if (w->count == w->size) {
		w->size = w->size == 0 ? 4 : w->size * 2;
		w->list = alloc_resize(w->list, w->size, sizeof(w->list[0]));
	}
	memmove(&w->list[i + 1], &w->list[i], (w->count - i) * sizeof(w->list[0]));
	w->list[i].when = when;
	w->list[i].amount = amount;
	w->count++;
}

int64_t
window_used(struct window *w, int64_t seconds, int64_t now)
{
	int64_t	since, used = 0;
	size_t	i;

	if (num_sub(now, seconds, &since) == -1)
		since = INT64_MIN;
	for (i = window_index(w, since); i < w->count; i++)
		used = num_add_clamp(used, w->list[i].amount);
	return used;
}

int
window_full(struct window *w, const struct limits *limits, int64_t amount,
    int64_t now, int64_t *used)
{
	int64_t	sum;
	size_t	i;

	for (i = 0; i < limits->count; i++) {
		sum = window_used(w, limits->list[i].seconds, now);
		if (num_add_clamp(sum, amount) > limits->list[i].mails) {
			if (used != NULL)
				*used = sum;
			return (int)i;
		}
	}
	return -1;
}

/* When the first `amount` more fits into one limit and goes on fitting is not asked. */
static int64_t
retry_one(struct window *w, const struct limit *limit, int64_t amount, int64_t now)
{
	int64_t	since, used, when;
	size_t	i;

	used = window_used(w, limit->seconds, now);
	if (num_add_clamp(used, amount) <= limit->mails)
		return now;
	if (num_sub(now, limit->seconds, &since) == -1)
		since = INT64_MIN;
	for (i = window_index(w, since); i < w->count; i++) {
		used = num_add_clamp(used, -w->list[i].amount);
		if (num_add_clamp(used, amount) > limit->mails)
			continue;
		/* The entry counts as long as now - seconds <= when. */
		when = num_add_clamp(w->list[i].when, limit->seconds);
		return num_add_clamp(when, 1);
	}
	return INT64_MAX;
}

int64_t
window_retry_after(struct window *w, const struct limits *limits, int64_t amount,
    int64_t now)
{
	int64_t	at = now, one;
	size_t	i;

	/*
	 * A correction (a negative amount) that leaves one window can make it full again
	 * while another is waited for: from the later time on all are asked again.
	 */
	for (i = 0; i < limits->count; i++) {
		one = retry_one(w, &limits->list[i], amount, at);
		if (one == INT64_MAX)
			return -1;
		if (one > at) {
			at = one;
			i = (size_t)-1;
		}
	}
	return at - now;
}

void
window_forget(struct window *w, int64_t before)
{
	size_t	i;

	i = window_index(w, before);
	if (i == 0)
		return;
	w->count -= i;
	memmove(w->list, w->list + i, w->count * sizeof(w->list[0]));
}

int64_t
window_newest(const struct window *w)
{
	return w->count == 0 ? INT64_MIN : w->list[w->count - 1].when;
}
