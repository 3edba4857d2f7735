#ifndef INSTANCE_H
#define INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The amounts charged recently under each key, by second. The key is a 64-bit
 * keyed hash that the caller makes (of id and instance, or of id, instance and
 * tag). The number of entries is bounded: a new entry evicts the oldest.
 */
struct instances;

struct instances	*instance_new(size_t entries);
void			 instance_free(struct instances *);
void			 instance_clear(struct instances *);

/* Bytes in use. */
size_t			 instance_bytes(const struct instances *);

/*
 * Adds an amount read from the database; entries before second `oldest` may be
 * evicted for it. `reading` is 0 for a row that was not read before. When rows
 * are read again, all rows of that reading have the same number: the first
 * amount of a reading replaces the known amount of its second, so that no row
 * counts twice.
 */
void			 instance_read(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest,
			    uint32_t reading);

/* Adds an amount that the running batch records. */
void			 instance_add(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest);

/* Prefetches a key that will be looked up soon, as map_ahead does. */
void			 instance_ahead(const struct instances *, uint64_t key);

/* The sum of a key; 0 for an unknown one. */
int64_t			 instance_total(const struct instances *, uint64_t key);

/*
 * Finds one second of this key, not before `oldest`, whose amount is above 0:
 * true, *date and *amount are set.
 */
bool			 instance_any(const struct instances *, uint64_t key,
			    int64_t oldest, int64_t *date, int64_t *amount);

/* Keeps, or undoes, every instance_add since the last settle or undo. */
void			 instance_settle(struct instances *);
void			 instance_undo(struct instances *);

#endif
