#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/window.h"

/*
 * A list of seconds, oldest first, each with the total of what was recorded
 * before it. The sum of a window is the total of all less the total before the
 * window's first second: one search and no adding up, for any length and any
 * `now`, whichever way the clock moves.
 *
 * Totals count modulo 2^32 (narrow) or 2^64 (wide). Only differences are used,
 * and none is larger than `mass`, the sum of the absolute values of all
 * amounts. So eight bytes a second suffice for most windows. A window becomes
 * wide when an amount or a time does not fit, and narrow again after it was
 * empty.
 */
#define BASE_BACK	(INT64_C(1) << 31)

void
window_limits_clear(struct limits *limits)
{
	free(limits->list);
	limits->list = NULL;
	limits->count = 0;
}

int64_t
window_longest(const struct limits *limits, int64_t least)
{
	size_t	i;

	for (i = 0; i < limits->count; i++)
		if (limits->list[i].seconds > least)
			least = limits->list[i].seconds;
	return least;
}

/* --- the list; entries are numbered from the oldest --- */

static struct window_second *
narrow_at(struct window *w, size_t i)
{
	return (w->size > WINDOW_IN_PLACE ? w->list.narrow : w->list.here) +
	    w->head + i;
}

static const struct window_second *
narrow_of(const struct window *w, size_t i)
{
	return (w->size > WINDOW_IN_PLACE ? w->list.narrow : w->list.here) +
	    w->head + i;
}

static struct window_wide_second *
wide_at(const struct window *w, size_t i)
{
	return w->list.wide + w->head + i;
}

static int64_t
when_at(const struct window *w, size_t i)
{
	if (w->wide)
		return wide_at(w, i)->when;
	return w->sum.narrow.base + narrow_of(w, i)->when;
}

/* The sum of the entries from `i` on; `i` may be the count. */
static int64_t
sum_from(const struct window *w, size_t i)
{
	uint64_t	sum;
	uint32_t	low;

	if (i == w->count)
		return 0;
	if (w->wide) {
		sum = w->sum.wide.total - wide_at(w, i)->before;
		return sum <= INT64_MAX ? (int64_t)sum :
		    -(int64_t)(UINT64_MAX - sum) - 1;
	}
	low = w->sum.narrow.total - narrow_of(w, i)->before;
	return low <= INT32_MAX ? (int64_t)low :
	    -(int64_t)(UINT32_MAX - low) - 1;
}

/* The sum of the entries from `i` to before `end`. */
static int64_t
sum_between(const struct window *w, size_t i, size_t end)
{
	return sum_from(w, i) - sum_from(w, end);
}

static int64_t
amount_at(const struct window *w, size_t i)
{
	return sum_between(w, i, i + 1);
}

static int64_t
mass_of(const struct window *w)
{
	return w->wide ? w->sum.wide.mass : (int64_t)w->sum.narrow.mass;
}

static void
set_mass(struct window *w, int64_t mass)
{
	if (w->wide)
		w->sum.wide.mass = mass;
	else
		w->sum.narrow.mass = (uint32_t)mass;
}

static int64_t
magnitude(int64_t amount)
{
	return amount < 0 ? -amount : amount;
}

/*
 * Number of the first entry at or after `when`. Most windows begin at the
 * oldest entry or near the newest, so it looks there first.
 */
static size_t
list_find(const struct window *w, int64_t when)
{
	size_t	lo = 0, hi = w->count, mid, step;

	if (hi == 0 || when_at(w, 0) >= when)
		return 0;
	for (step = 1; step < hi; step *= 2) {
		mid = hi - step;
		if (when_at(w, mid) < when) {
			lo = mid + 1;
			break;
		}
		hi = mid;
	}
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (when_at(w, mid) < when)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
list_free(struct window *w)
{
	if (w->wide)
		free(w->list.wide);
	else if (w->size > WINDOW_IN_PLACE)
		free(w->list.narrow);
}

static void
resize_narrow(struct window *w, size_t size)
{
	struct window_second	*old = w->size > WINDOW_IN_PLACE ?
				    w->list.narrow : NULL;
	struct window_second	*to, *from = narrow_at(w, 0);

	if (size > WINDOW_IN_PLACE)
		to = alloc_resize(NULL, size, sizeof(*to));
	else {
		to = w->list.here;
		size = WINDOW_IN_PLACE;
	}
	memmove(to, from, w->count * sizeof(*to));
	free(old);
	if (size > WINDOW_IN_PLACE)
		w->list.narrow = to;
	w->size = (uint32_t)size;
	w->head = 0;
}

/* Makes a narrow window wide. */
static void
resize_wide(struct window *w, size_t size)
{
	struct window_wide_second	*to;
	uint64_t			 total;
	int64_t				 mass = mass_of(w);
	size_t				 i;

	to = alloc_resize(NULL, size, sizeof(*to));
	total = w->wide ? w->sum.wide.total : w->sum.narrow.total;
	for (i = 0; i < w->count; i++) {
		to[i].when = when_at(w, i);
		to[i].before = total - (uint64_t)sum_from(w, i);
	}
	list_free(w);
	w->list.wide = to;
	w->size = (uint32_t)size;
	w->head = 0;
	w->wide = true;
	w->sum.wide.total = total;
	w->sum.wide.mass = mass;
}

/* Moves the entries to new memory for `size` of them. */
static void
list_resize(struct window *w, size_t size)
{
	if (size > UINT32_MAX)
		log_fatal("a window of %zu seconds", size);
	if (w->wide)
		resize_wide(w, size);
	else
		resize_narrow(w, size);
}

/* Moves `n` entries. */
static void
list_shift(struct window *w, size_t from, size_t to, size_t n)
{
	if (w->wide)
		memmove(wide_at(w, to), wide_at(w, from),
		    n * sizeof(struct window_wide_second));
	else
		memmove(narrow_at(w, to), narrow_at(w, from),
		    n * sizeof(struct window_second));
}

/* Adds `amount` to entry `i`. */
static void
list_raise(struct window *w, size_t i, int64_t amount)
{
	if (w->wide)
		w->sum.wide.total += (uint64_t)amount;
	else
		w->sum.narrow.total += (uint32_t)amount;
	for (i++; i < w->count; i++) {
		if (w->wide)
			wide_at(w, i)->before += (uint64_t)amount;
		else
			narrow_at(w, i)->before += (uint32_t)amount;
	}
}

static void
list_insert(struct window *w, size_t i, int64_t when)
{
	uint32_t	head = w->head;
	uint64_t	sum;

	/*
	 * Without room at the end: moves entries only if so many are gone that
	 * moving stays cheap on average.
	 */
	if (head + w->count >= w->size && head > w->size / 8) {
		w->head = 0;
		list_shift(w, head, 0, w->count);
	} else if (head + w->count >= w->size)
		list_resize(w, (size_t)w->size + w->size / 2 + 1);
	sum = (uint64_t)sum_from(w, i);
	list_shift(w, i, i + 1, w->count - i);
	w->count++;
	if (w->wide) {
		wide_at(w, i)->when = when;
		wide_at(w, i)->before = w->sum.wide.total - sum;
	} else {
		narrow_at(w, i)->when =
		    (uint32_t)(when - w->sum.narrow.base);
		narrow_at(w, i)->before = w->sum.narrow.total - (uint32_t)sum;
	}
}

/* Whether a time and a mass fit into narrow entries. */
static bool
fits_narrow(const struct window *w, int64_t when, int64_t mass)
{
	int64_t	since;

	return mass <= INT32_MAX &&
	    num_sub(when, w->sum.narrow.base, &since) == 0 &&
	    since >= 0 && since <= UINT32_MAX;
}

/* --- the window --- */

void
window_init(struct window *w)
{
	memset(w, 0, sizeof(*w));
	w->size = WINDOW_IN_PLACE;
}

void
window_clear(struct window *w)
{
	list_free(w);
	window_init(w);
}

size_t
window_memory(const struct window *w)
{
	if (w->wide)
		return w->size * sizeof(struct window_wide_second);
	return w->size > WINDOW_IN_PLACE ?
	    w->size * sizeof(struct window_second) : 0;
}

void
window_add(struct window *w, int64_t when, int64_t amount)
{
	int64_t	old, rest, new, mass;
	size_t	i;
	bool	there;

	i = list_find(w, when);
	there = i < w->count && when_at(w, i) == when;
	old = there ? amount_at(w, i) : 0;
	rest = mass_of(w) - magnitude(old);
	/* Clamped, so that the sum of all stays within int64_t. */
	new = num_add_clamp(old, amount);
	if (new > INT64_MAX - rest)
		new = INT64_MAX - rest;
	else if (new < rest - INT64_MAX)
		new = rest - INT64_MAX;
	if (new == old)
		return;
	mass = rest + magnitude(new);
	if (w->count == 0)
		w->sum.narrow.base = when < INT64_MIN + BASE_BACK ? INT64_MIN :
		    when - BASE_BACK;
	if (!w->wide && !fits_narrow(w, when, mass))
		resize_wide(w, (size_t)w->count + WINDOW_IN_PLACE);
	if (!there)
		list_insert(w, i, when);
	list_raise(w, i, new - old);
	set_mass(w, mass);
	if (new != 0)
		return;
	/* The second is forgotten. */
	if (i == 0)
		w->head++;
	else
		list_shift(w, i + 1, i, w->count - i - 1);
	if (--w->count == 0)
		window_clear(w);
}

/* The first entry that lies too far in the future to count. */
static size_t
end_of(const struct window *w, int64_t now)
{
	int64_t	last = num_add_clamp(now, WINDOW_SKEW);

	if (w->count == 0 || when_at(w, w->count - 1) <= last)
		return w->count;
	return list_find(w, last + 1);
}

int64_t
window_used(const struct window *w, int64_t seconds, int64_t now)
{
	size_t	start, end;

	start = list_find(w, num_sub_clamp(now, seconds));
	end = end_of(w, now);
	return start >= end ? 0 : sum_between(w, start, end);
}

/*
 * The first entry from `i` on such that the sum from it to before `end` is at
 * most `most`.
 */
static size_t
start_for(const struct window *w, size_t i, size_t end, int64_t most)
{
	size_t	hi = end, mid;

	/*
	 * With a negative amount the sums are not monotonic, so it tries one by
	 * one.
	 */
	if (mass_of(w) != sum_from(w, 0)) {
		while (i < hi && sum_between(w, i, end) > most)
			i++;
		return i;
	}
	while (i < hi) {
		mid = i + (hi - i) / 2;
		if (sum_between(w, mid, end) > most)
			i = mid + 1;
		else
			hi = mid;
	}
	return i;
}

/*
 * The first time from `now` on at which `amount` more fits; INT64_MAX: never.
 */
static int64_t
fits_at(const struct window *w, const struct limit *limit, int64_t amount,
    int64_t now)
{
	int64_t	most;
	size_t	i, first, end;

	/*
	 * Fails only if the amount is very negative, and then it always fits.
	 */
	if (num_sub(limit->mails, amount, &most) == -1)
		most = INT64_MAX;
	end = end_of(w, now);
	first = list_find(w, num_sub_clamp(now, limit->seconds));
	if (first > end)
		first = end;
	i = start_for(w, first, end, most);
	if (i == first && sum_between(w, i, end) <= most)
		return now;
	if (sum_between(w, i, end) > most)
		return INT64_MAX;
	/* The entry before it counts as long as now - seconds <= when. */
	return num_add_clamp(when_at(w, i - 1),
	    num_add_clamp(limit->seconds, 1));
}

int64_t
window_retry_after(const struct window *w, const struct limits *limits,
    int64_t amount, int64_t now)
{
	int64_t	at = now, then;
	size_t	i = 0;

	/*
	 * While the amount waits for one window, a negative amount may leave
	 * another window, which then is full again. So all windows are checked
	 * again from the later time on.
	 */
	while (i < limits->count) {
		then = fits_at(w, &limits->list[i], amount, at);
		if (then == INT64_MAX)
			return -1;
		i = then > at ? 0 : i + 1;
		at = then;
	}
	return num_sub(at, now, &then) == -1 ? -1 : then;
}

void
window_forget(struct window *w, int64_t before)
{
	int64_t	mass = mass_of(w);
	size_t	i, n;

	if ((n = list_find(w, before)) == 0)
		return;
	if (n == w->count) {
		window_clear(w);
		return;
	}
	for (i = 0; i < n; i++)
		mass -= magnitude(amount_at(w, i));
	set_mass(w, mass);
	w->head += (uint32_t)n;
	w->count -= (uint32_t)n;
	/* Few entries are left of many: frees memory. */
	if (w->size > WINDOW_IN_PLACE && w->count < w->size / 4)
		list_resize(w, (size_t)w->count + w->count / 2 + 1);
}

int64_t
window_newest(const struct window *w)
{
	return w->count == 0 ? INT64_MIN : when_at(w, w->count - 1);
}

void
window_each(const struct window *w, void (*each)(void *, int64_t, int64_t),
    void *arg)
{
	size_t	i;

	for (i = 0; i < w->count; i++)
		each(arg, when_at(w, i), amount_at(w, i));
}
