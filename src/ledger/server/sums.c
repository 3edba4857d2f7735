#include <string.h>

#include "ledger/server/sums.h"

struct sums_sizes	sums_sizes = {
	.rows = 20000,
	.part = 32768,
	.piece = 10000,
	.least = 1000,
	.recent = 10000,
	.news = 10000,
	.foreign = 200000,
	.step = 500
};

enum sums_reading
sums_reading(const struct store_cursor *c)
{
	if (c->loaded)
		return SUMS_READ_NEWS;
	switch (c->position) {
	case 0:
		return SUMS_READ_FIRST;
	case SUMS_RECENT:
		return SUMS_READ_RECENT;
	case SUMS_NEWER:
		return SUMS_READ_NEWER;
	default:
		return c->no_sums ? SUMS_READ_FIRST : SUMS_READ_KEPT;
	}
}

int64_t
sums_part(int64_t amount, bool narrow)
{
	if (narrow && amount > INT32_MAX)
		return INT32_MAX;
	if (narrow && amount < -INT32_MAX)
		return -INT32_MAX;
	return amount;
}

size_t
sums_piece(size_t ids, size_t budget)
{
	size_t	each;

	if (budget > sums_sizes.piece)
		budget = sums_sizes.piece;
	each = budget / ids;
	return each < sums_sizes.least ? sums_sizes.least : each;
}

int64_t
sums_position(const struct store_touch *t)
{
	return t->cursor->position != 0 ? t->cursor->position : t->since;
}

void
sums_end_piece(struct store_cursor *c, int64_t upto, int64_t newest)
{
	c->loaded = upto == INT64_MAX;
	c->rows = c->loaded && c->position != 0 ? sums_sizes.rows : 0;
	c->position = c->loaded ? 0 : upto + 1;
	c->newest = c->base = newest;
}

void
sums_count(struct store_cursor *c, uint32_t rows)
{
	if (c->rows < sums_sizes.rows)
		c->rows += rows;
}

size_t
sums_pack(struct str *out, const struct pack_count *counts, size_t n)
{
	if (n > sums_sizes.part)
		n = sums_sizes.part;
	pack_id(out, "", 0, counts, n);
	return n;
}

/* Seconds before every window are not needed. */
static void
hand_to_reader(struct store_row *row, const struct store_touch *t, size_t index,
    const struct store_reader *reader)
{
	if (row->date >= t->since)
		reader->first(reader->arg, index, row);
}

int
sums_tell(const void *bytes, size_t len, const struct store_touch *t,
    size_t index, const struct store_reader *reader)
{
	struct pack		 pack;
	struct pack_count	 count;
	struct store_row	 row;
	const char		*id;
	size_t			 idlen;
	int			 more;

	memset(&row, 0, sizeof(row));
	row.id = t->id;
	row.idlen = t->idlen;
	row.instance = row.state = "";
	pack_open(&pack, bytes, len);
	if (pack_next(&pack, &id, &idlen) != 1 || idlen != 0)
		return -1;
	while ((more = pack_count(&pack, &count)) == 1) {
		row.date = count.date;
		row.amount = count.amount;
		hand_to_reader(&row, t, index, reader);
	}
	return more;
}

void
sums_tell_instance(const struct store_row *row, const struct store_touch *t,
    size_t index, const struct store_reader *reader)
{
	struct store_row	copy = *row;

	if (row->amount == INT64_MIN)
		return;
	hand_to_reader(&copy, t, index, reader);
	copy.amount = -row->amount;
	copy.instance = "";
	copy.instancelen = 0;
	copy.tag = 0;
	hand_to_reader(&copy, t, index, reader);
}

int
sums_choose(const struct store_touch *touch, size_t n, size_t *index)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (touch[i].cursor->loaded &&
		    touch[i].cursor->rows >= sums_sizes.rows) {
			*index = i;
			return 0;
		}
	return -1;
}
