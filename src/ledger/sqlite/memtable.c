#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/memtable.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/num.h"

#define CHUNK		(64 * 1024)
#define NONE		UINT32_MAX

/* The counts of an id are a list from the last added to the first. */
struct memtable_count {
	struct pack_count	count;
	uint32_t		before;
};

struct memtable_id {
	struct map_node	 node;		/* first; its hash is the caller's */
	uint32_t	 last;
	uint32_t	 counts;
	uint32_t	 place;
	uint32_t	 idlen;
	char		 id[];
};

/* Ids are allocated in chunks, since they are never freed one by one. */
struct memtable_chunk {
	struct memtable_chunk	*next;
	size_t			 used;
	size_t			 size;
	char			 bytes[];
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct memtable_id	*e = (const struct memtable_id *)node;

	return e->idlen == len && memcmp(e->id, key, len) == 0;
}

struct memtable *
memtable_new(void)
{
	struct memtable	*t;

	t = alloc_zero(1, sizeof(*t));
	t->map = map_new(same_id);
	t->oldest = INT64_MAX;
	t->newest = INT64_MIN;
	return t;
}

void
memtable_free(struct memtable *t)
{
	struct memtable_chunk	*c, *next;

	if (t == NULL)
		return;
	for (c = t->chunks; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	map_free(t->map);
	free(t->place);
	free(t->count);
	free(t->end);
	free(t->found);
	free(t);
}

size_t
memtable_ids(const struct memtable *t)
{
	return map_count(t->map);
}

/* --- growing --- */

void
memtable_add_at(struct memtable *t, size_t place, int64_t date, int64_t amount)
{
	struct memtable_id	*e = t->place[place];

	t->rows++;
	if (date < t->oldest)
		t->oldest = date;
	if (date > t->newest)
		t->newest = date;
	if (e->last != NONE && t->count[e->last].count.date == date &&
	    num_add(t->count[e->last].count.amount, amount,
	    &t->count[e->last].count.amount) == 0)
		return;
	t->count = alloc_room(t->count, t->ncount, &t->size,
	    sizeof(t->count[0]));
	t->count[t->ncount] = (struct memtable_count){ { date, amount },
	    e->last };
	e->last = (uint32_t)t->ncount++;
	e->counts++;
}

size_t
memtable_add(struct memtable *t, uint64_t hash, const char *id, size_t idlen,
    int64_t date, int64_t amount)
{
	struct memtable_id	*e;
	struct memtable_chunk	*c = t->chunks;
	size_t			 need = (sizeof(*e) + idlen + 7) / 8 * 8;

	e = (struct memtable_id *)map_find(t->map, hash, id, idlen);
	if (e == NULL) {
		if (c == NULL || c->size - c->used < need) {
			c = alloc_resize(NULL, 1, sizeof(*c) + CHUNK + need);
			c->used = 0;
			c->size = CHUNK + need;
			c->next = t->chunks;
			t->chunks = c;
		}
		e = (struct memtable_id *)(void *)(c->bytes + c->used);
		c->used += need;
		e->node.hash = hash;
		e->last = NONE;
		e->counts = 0;
		e->place = (uint32_t)memtable_ids(t);
		e->idlen = (uint32_t)idlen;
		memcpy(e->id, id, idlen);
		t->place = alloc_room(t->place, e->place, &t->places,
		    sizeof(t->place[0]));
		t->place[e->place] = e;
		map_insert(t->map, &e->node);
	}
	memtable_add_at(t, e->place, date, amount);
	return e->place;
}

void
memtable_forget(struct memtable *t, int64_t first)
{
	struct memtable_id	*e;
	uint32_t		*link;
	size_t			 i;

	if (t == NULL || t->oldest >= first)
		return;
	t->oldest = first;
	for (i = 0; i < memtable_ids(t); i++) {
		e = t->place[i];
		link = &e->last;
		while (*link != NONE)
			if (t->count[*link].count.date < first) {
				*link = t->count[*link].before;
				e->counts--;
			} else
				link = &t->count[*link].before;
	}
}

/* --- reading --- */

static size_t
collect_counts(struct memtable *t, const struct memtable_id *e)
{
	uint32_t	at;
	size_t		i;

	if (e->counts > t->finds) {
		t->finds = e->counts * 2;
		t->found = alloc_resize(t->found, t->finds,
		    sizeof(t->found[0]));
	}
	i = e->counts;
	for (at = e->last; at != NONE; at = t->count[at].before)
		t->found[--i] = t->count[at].count;
	return pack_sort(t->found, e->counts);
}

size_t
memtable_find(struct memtable *t, uint64_t hash, const char *id, size_t idlen,
    const struct pack_count **counts)
{
	struct memtable_id	*e;
	size_t			 n;

	if (t == NULL)
		return 0;
	e = (struct memtable_id *)map_find(t->map, hash, id, idlen);
	if (e == NULL)
		return 0;
	n = collect_counts(t, e);
	*counts = t->found;
	return n;
}

/* --- writing out --- */

static size_t
part_of(const struct memtable *t, const struct memtable_id *e)
{
	return t->bits == 0 ? 0 : (size_t)(e->node.hash >> (64 - t->bits));
}

void
memtable_divide(struct memtable *t, unsigned int bits)
{
	struct memtable_id	**divided;
	size_t			  parts = (size_t)1 << bits, i, at = 0, n;

	t->bits = bits;
	t->end = alloc_zero(parts, sizeof(t->end[0]));
	for (i = 0; i < memtable_ids(t); i++)
		t->end[part_of(t, t->place[i])]++;
	/* From the size of each part to its start, which placing advances. */
	for (i = 0; i < parts; i++) {
		n = t->end[i];
		t->end[i] = at;
		at += n;
	}
	divided = alloc_zero(at + 1, sizeof(divided[0]));
	for (i = 0; i < at; i++)
		divided[t->end[part_of(t, t->place[i])]++] = t->place[i];
	free(t->place);
	t->place = divided;
}

void
memtable_part(struct memtable *t, size_t part, struct str *out,
    struct bloom *filter)
{
	const struct memtable_id	*e;
	size_t				 i, n;

	for (i = part == 0 ? 0 : t->end[part - 1]; i < t->end[part]; i++) {
		e = t->place[i];
		if ((n = collect_counts(t, e)) == 0)
			continue;
		pack_id(out, e->id, e->idlen, t->found, n);
		bloom_add(filter, e->node.hash);
	}
}
