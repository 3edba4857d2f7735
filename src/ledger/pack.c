#include <stdlib.h>

#include "ledger/pack.h"
#include "lib/num.h"

#define NUMBER_MAX	10	/* bytes of 64 bits, seven bits each */

/*
 * --- numbers ---
 *
 * Seven bits in a byte, the lowest first; the top bit says that more follow.
 */

static void
put_number(struct str *out, uint64_t n)
{
	while (n >= 0x80) {
		str_addc(out, (int)(n & 0x7f) | 0x80);
		n >>= 7;
	}
	str_addc(out, (int)n);
}

static int
get_number(struct pack *p, uint64_t *out)
{
	uint64_t	n = 0;
	unsigned int	i;

	for (i = 0; i < NUMBER_MAX && i < p->left; i++) {
		n |= (uint64_t)(p->at[i] & 0x7f) << 7 * i;
		if ((p->at[i] & 0x80) != 0)
			continue;
		p->at += i + 1;
		p->left -= i + 1;
		*out = n;
		return 0;
	}
	return -1;
}

/* Maps signed numbers to unsigned ones, small absolute values to small ones. */
static uint64_t
zigzag_encode(int64_t n)
{
	return (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t
zigzag_decode(uint64_t n)
{
	return (int64_t)(n >> 1 ^ ((n & 1) != 0 ? UINT64_MAX : 0));
}

/* --- */

void
pack_id(struct str *out, const char *id, size_t idlen,
    const struct pack_count *c, size_t n)
{
	uint64_t	date = 0;
	size_t		i;

	put_number(out, idlen);
	str_add(out, id, idlen);
	put_number(out, n);
	/* Differences are modulo 2^64, so any two dates have one. */
	for (i = 0; i < n; i++) {
		put_number(out,
		    zigzag_encode((int64_t)((uint64_t)c[i].date - date)));
		put_number(out, zigzag_encode(c[i].amount));
		date = (uint64_t)c[i].date;
	}
}

void
pack_open(struct pack *p, const void *bytes, size_t len)
{
	p->at = bytes;
	p->left = len;
	p->counts = 0;
	p->date = 0;
}

int
pack_count(struct pack *p, struct pack_count *c)
{
	uint64_t	date, amount;

	if (p->counts == 0)
		return 0;
	if (get_number(p, &date) == -1 || get_number(p, &amount) == -1)
		return -1;
	p->counts--;
	p->date = (int64_t)((uint64_t)p->date + (uint64_t)zigzag_decode(date));
	c->date = p->date;
	c->amount = zigzag_decode(amount);
	return 1;
}

int
pack_next(struct pack *p, const char **id, size_t *idlen)
{
	struct pack_count	skipped;
	uint64_t		n;
	int			more;

	while ((more = pack_count(p, &skipped)) == 1)
		;
	if (more == -1)
		return -1;
	if (p->left == 0)
		return 0;
	if (get_number(p, &n) == -1 || n > p->left)
		return -1;
	*id = (const char *)p->at;
	*idlen = (size_t)n;
	p->at += n;
	p->left -= (size_t)n;
	if (get_number(p, &n) == -1 || n > p->left)
		return -1;
	p->counts = (size_t)n;
	p->date = 0;
	return 1;
}

static int
by_date(const void *a, const void *b)
{
	const struct pack_count	*x = a, *y = b;

	return x->date < y->date ? -1 : x->date > y->date;
}

size_t
pack_sort(struct pack_count *c, size_t n)
{
	size_t	i, kept = 0;

	/* Rows are mostly in order already. */
	for (i = 1; i < n && c[i - 1].date <= c[i].date; i++)
		;
	if (i < n)
		qsort(c, n, sizeof(c[0]), by_date);
	for (i = 0; i < n; i++) {
		if (kept > 0 && c[kept - 1].date == c[i].date)
			c[kept - 1].amount = num_add_clamp(c[kept - 1].amount,
			    c[i].amount);
		else
			c[kept++] = c[i];
		if (c[kept - 1].amount == 0 && (i + 1 == n ||
		    c[i + 1].date != c[i].date))
			kept--;
	}
	return kept;
}
