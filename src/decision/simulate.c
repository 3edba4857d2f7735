#include <stdlib.h>
#include <string.h>

#include "decision/decision.h"
#include "decision/simulate.h"
#include "lib/alloc.h"

/* Merges two sorted halves, so that rows of one second keep their order. */
static void
merge(struct simulate_row *rows, struct simulate_row *other, size_t n)
{
	size_t	half = n / 2, i = 0, j = half, k;

	if (n < 2)
		return;
	merge(rows, other, half);
	merge(rows + half, other, n - half);
	if (rows[half - 1].date <= rows[half].date)
		return;
	memcpy(other, rows, n * sizeof(*rows));
	for (k = 0; k < n; k++)
		rows[k] = j == n || (i < half && other[i].date <=
		    other[j].date) ? other[i++] : other[j++];
}

void
simulate_sort(struct simulate_row *rows, size_t n)
{
	struct simulate_row	*other;
	size_t			 i;

	for (i = 1; i < n; i++)
		if (rows[i].date < rows[i - 1].date)
			break;
	/* The tables are in the order of time but for a few rows. */
	if (i >= n)
		return;
	other = alloc_zero(n, sizeof(*other));
	merge(rows, other, n);
	free(other);
}

void
simulate_limits(const struct simulate_row *rows, size_t n,
    const struct limits *limits, struct simulate_result *result)
{
	struct window		w;
	struct msg_charge_key	charge = { .kind = CHARGE_SUM };
	struct decision		d;
	struct msg_verdict	v;
	int64_t			seconds = window_longest(limits, 0);
	int64_t			amount, used;
	size_t			i;

	memset(result, 0, sizeof(*result));
	memset(&d, 0, sizeof(d));
	if (limits->count == 0) {
		for (i = 0; i < n; i++)
			result->total += rows[i].amount;
		return;
	}
	window_init(&w);
	d.mode = CHARGE_ONCE;
	d.nkeys = 1;
	d.key[0].charge = &charge;
	d.key[0].limits = limits;
	d.key[0].window = &w;
	for (i = 0; i < n; i++) {
		amount = rows[i].amount;
		d.now = rows[i].date;
		if (amount < 0) {
			used = window_used(&w, seconds, d.now);
			amount = -amount < used ? amount : -used;
			result->total += rows[i].amount;
			if (amount < 0)
				window_add(&w, d.now, amount);
			continue;
		}
		result->total += amount;
		d.tag = (int64_t)i + 1;
		charge.amount = amount;
		decision_make(&d, &v);
		if (v.verdict != VERDICT_REFUSED) {
			window_add(&w, d.now, amount);
			window_forget(&w, d.now - seconds);
			continue;
		}
		if (result->refusals++ == 0) {
			result->first = d.now;
			result->limit = v.limit;
		}
		result->refused += amount;
	}
	window_clear(&w);
}

int64_t
simulate_peak(const struct simulate_row *rows, size_t n, int64_t seconds)
{
	int64_t	sum = 0, peak = 0;
	size_t	i, old = 0;

	for (i = 0; i < n; i++) {
		for (; (int64_t)rows[old].date + seconds < rows[i].date; old++)
			sum -= rows[old].amount;
		sum += rows[i].amount;
		if (sum > peak)
			peak = sum;
	}
	return peak;
}

int64_t
simulate_quantile(const int64_t *sorted, size_t n, size_t part, size_t of)
{
	size_t	at = (n * part + of - 1) / of;

	return sorted[at > 0 ? at - 1 : 0];
}
