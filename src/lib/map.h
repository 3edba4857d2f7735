#ifndef MAP_H
#define MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * An intrusive hash table: the caller's struct has a struct map_node as its
 * first member, and the caller owns it. Growth is gradual: each later call
 * moves a few nodes to the larger table. The caller hashes the keys, with
 * map_hash or under another secret, so that strangers cannot choose ids that
 * collide.
 */
struct map_node {
	struct map_node	*next;
	uint64_t	 hash;
};

/* About how many bytes of the table each node takes, besides its own. */
#define MAP_NODE_COST	16

/* Whether the node has the key `key` of `len` bytes. */
typedef int	 map_same(const struct map_node *, const void *key, size_t len);

struct map;

struct map	*map_new(map_same *);
void		 map_free(struct map *);	/* not the nodes */
size_t		 map_count(const struct map *);

/* SipHash of the bytes under a random secret of this process. */
uint64_t	 map_hash(const void *, size_t);

/* SipHash-2-4 under the caller's key, whose bytes are read as little-endian. */
uint64_t	 map_siphash(const uint64_t key[2], const void *, size_t);

struct map_node	*map_find(struct map *, uint64_t hash, const void *key,
		    size_t len);

/* node->hash must be set; no node with this key may be in the map. */
void		 map_insert(struct map *, struct map_node *);
void		 map_remove(struct map *, struct map_node *);

/*
 * Calls `each` for every node. `each` may find nodes, and may remove and free
 * the node that it is given, but must not insert.
 */
void		 map_each(struct map *,
		    void (*each)(struct map_node *, void *), void *);

#endif
