#ifndef MAP_H
#define MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * An intrusive hash table: the caller's struct holds a struct map_node (first
 * member) and is owned by the caller. Growing never stops the world: nodes move
 * to the larger table a few at a time with later calls. The hash is keyed with
 * a random secret of the process, so strangers cannot choose colliding ids.
 */
struct map_node {
	struct map_node	*next;
	uint64_t	 hash;
};

/* Bytes that a node takes beside its own, about: its share of the table. */
#define MAP_NODE_COST	16

/* Whether the node is the one meant by `key` (`len` bytes). */
typedef int	 map_same(const struct map_node *, const void *key, size_t len);

struct map;

struct map	*map_new(map_same *);
void		 map_free(struct map *);	/* not the nodes */
size_t		 map_count(const struct map *);

/* SipHash of the bytes under the process's secret. */
uint64_t	 map_hash(const void *, size_t);

/*
 * SipHash-2-4 under a key of the caller's; the key's bytes read as
 * little-endian.
 */
uint64_t	 map_siphash(const uint64_t key[2], const void *, size_t);

/*
 * This hash will be looked for soon: said of many, memory is waited for once
 * and not for each.
 */
void		 map_ahead(const struct map *, uint64_t hash);

struct map_node	*map_find(struct map *, uint64_t hash, const void *key,
		    size_t len);

/* node->hash must be set; the key must not be there yet. */
void		 map_insert(struct map *, struct map_node *);
void		 map_remove(struct map *, struct map_node *);

/*
 * Calls `each` for every node; `each` may find, and may remove the node it is
 * given (and free it), but not insert.
 */
void		 map_each(struct map *,
		    void (*each)(struct map_node *, void *), void *);

#endif
