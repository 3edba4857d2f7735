#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/map.h"

#define FIRST_BUCKETS	16
#define BUCKETS_A_CALL	4	/* moved by each call */

/*
 * While `old` is set the table is being doubled: the nodes of buckets of `old`
 * below `moved` are in `table`, the others have not been moved yet. The table
 * is doubled at one node a bucket, so the move ends long before the next
 * doubling.
 */
struct map {
	map_same	 *same;
	size_t		  count;
	struct map_node	**table;
	size_t		  mask;
	struct map_node	**old;
	size_t		  oldmask;
	size_t		  moved;
	bool		  walked;	/* in map_each: nothing moves */
};

static uint64_t	secret[2];

/*
 * --- SipHash-2-4: Aumasson and Bernstein, "a fast short-input PRF", 2012 ---
 */

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
	v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
	v[0] = v[0] << 32 | v[0] >> 32;
	v[2] += v[1];
	v[0] += v[3];
	v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
	v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
	v[2] = v[2] << 32 | v[2] >> 32;
}

static inline uint64_t
little_endian(const unsigned char *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
	    (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
	    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

uint64_t
map_siphash(const uint64_t key[2], const void *src, size_t len)
{
	const unsigned char	*p = src;
	uint64_t		 v[4], word;
	size_t			 left, i;

	v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
	v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
	v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
	v[3] = key[1] ^ UINT64_C(0x7465646279746573);
	for (left = len; left >= 8; p += 8, left -= 8) {
		word = little_endian(p);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)(len & 0xff) << 56;
	for (i = 0; i < left; i++)
		word |= (uint64_t)p[i] << 8 * i;
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
map_hash(const void *src, size_t len)
{
	static bool	drawn;

	if (!drawn) {
		arc4random_buf(secret, sizeof(secret));
		drawn = true;
	}
	return map_siphash(secret, src, len);
}

struct map *
map_new(map_same *same)
{
	struct map	*map;

	map = alloc_zero(1, sizeof(*map));
	map->same = same;
	map->table = alloc_zero(FIRST_BUCKETS, sizeof(map->table[0]));
	map->mask = FIRST_BUCKETS - 1;
	/* Draws the secret now, before a sandbox is entered. */
	(void)map_hash("", 0);
	return map;
}

void
map_free(struct map *map)
{
	if (map == NULL)
		return;
	free(map->table);
	free(map->old);
	free(map);
}

size_t
map_count(const struct map *map)
{
	return map->count;
}

/* The chain for nodes of this hash. */
static struct map_node **
chain_of(struct map *map, uint64_t hash)
{
	if (map->old != NULL && (hash & map->oldmask) >= map->moved)
		return &map->old[hash & map->oldmask];
	return &map->table[hash & map->mask];
}

static void
move_buckets(struct map *map)
{
	struct map_node	*node, *next, **chain;
	unsigned int	 n;

	if (map->old == NULL || map->walked)
		return;
	for (n = 0; n < BUCKETS_A_CALL && map->moved <= map->oldmask; n++) {
		for (node = map->old[map->moved]; node != NULL; node = next) {
			next = node->next;
			chain = &map->table[node->hash & map->mask];
			node->next = *chain;
			*chain = node;
		}
		map->old[map->moved++] = NULL;
	}
	if (map->moved > map->oldmask) {
		free(map->old);
		map->old = NULL;
	}
}

static void
grow_table(struct map *map)
{
	size_t	size;

	if (map->old != NULL || map->walked || map->count <= map->mask)
		return;
	size = (map->mask + 1) * 2;
	map->old = map->table;
	map->oldmask = map->mask;
	map->moved = 0;
	map->table = alloc_zero(size, sizeof(map->table[0]));
	map->mask = size - 1;
}

struct map_node *
map_find(struct map *map, uint64_t hash, const void *key, size_t len)
{
	struct map_node	*node;

	move_buckets(map);
	for (node = *chain_of(map, hash); node != NULL; node = node->next)
		if (node->hash == hash && map->same(node, key, len))
			return node;
	return NULL;
}

void
map_insert(struct map *map, struct map_node *node)
{
	struct map_node	**chain;

	move_buckets(map);
	grow_table(map);
	chain = chain_of(map, node->hash);
	node->next = *chain;
	*chain = node;
	map->count++;
}

void
map_remove(struct map *map, struct map_node *node)
{
	struct map_node	**at;

	move_buckets(map);
	for (at = chain_of(map, node->hash); *at != NULL; at = &(*at)->next) {
		if (*at != node)
			continue;
		*at = node->next;
		node->next = NULL;
		map->count--;
		return;
	}
}

static void
visit_table(struct map_node **table, size_t first, size_t mask,
    void (*each)(struct map_node *, void *), void *arg)
{
	struct map_node	*node, *next;
	size_t		 i;

	for (i = first; i <= mask; i++)
		for (node = table[i]; node != NULL; node = next) {
			next = node->next;
			each(node, arg);
		}
}

void
map_each(struct map *map, void (*each)(struct map_node *, void *), void *arg)
{
	map->walked = true;
	if (map->old != NULL)
		visit_table(map->old, map->moved, map->oldmask, each, arg);
	visit_table(map->table, 0, map->mask, each, arg);
	map->walked = false;
}
