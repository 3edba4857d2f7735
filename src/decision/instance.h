#ifndef INSTANCE_H
#define INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How a repeated request is recognised. Postfix asks again with the same
 * instance, and the engine sends a charge to the next ledger with the same
 * instance and tag. The amounts charged recently are kept here, by second,
 * under two keys of each charge and id: a keyed hash of id and instance, and
 * one of id, instance and tag. Ledger and memory look them up and fill in
 * `charged` and `repeated` of struct decision_key; new_amount() in decision.c
 * then charges only what is new. The number of entries is bounded:
 * if all are in use, a new entry evicts the one that was added first.
 */
struct instances;

/*
 * Seconds for which an instance is remembered (and read back after a restart).
 */
#define INSTANCE_SECONDS	3600

/*
 * The keys of (id, instance) and of (id, instance, tag). An empty instance and
 * a tag of 0 are not remembered.
 */
struct instance_keys {
	bool		has_instance;
	bool		has_tag;
	uint64_t	instance;
	uint64_t	tag;
};

void			 instance_keys_of(struct instance_keys *,
			    uint64_t id_hash, const char *instance,
			    size_t len, int64_t tag);

/* The same in two steps: the first is the same for all ids of a charge. */
void			 instance_name(struct instance_keys *name,
			    const char *instance, size_t len, int64_t tag);
void			 instance_of_id(struct instance_keys *,
			    const struct instance_keys *name, uint64_t id_hash);

struct instances	*instance_new(size_t entries);
void			 instance_free(struct instances *);
void			 instance_clear(struct instances *);

/*
 * Returns a table of another size with the newest entries of this one, which it
 * frees. Call it when everything is settled.
 */
struct instances	*instance_resize(struct instances *, size_t entries);

/* Bytes in use; INSTANCE_COST: about so many for each entry. */
#define INSTANCE_COST	48
size_t			 instance_bytes(const struct instances *);

/*
 * Adds the amount of a committed row; instance_undo does not undo that. Entries
 * before second `oldest` may be evicted for it. `reading` is 0 unless the row
 * may have been read before. When rows are read again, all rows of that reading
 * have the same number: the first amount of a reading replaces the known amount
 * of its second, so that no row counts twice.
 */
void			 instance_read(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest,
			    uint32_t reading);

/* Adds an amount that the running batch records. */
void			 instance_add(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest);

/* The sum of a key; 0 for an unknown one. */
int64_t			 instance_total(const struct instances *, uint64_t key);

/*
 * Finds one second of this key, not before `oldest`, whose amount is above 0:
 * true, *date and *amount are set.
 */
bool			 instance_any(const struct instances *, uint64_t key,
			    int64_t oldest, int64_t *date, int64_t *amount);

/*
 * Keeps, or undoes, every instance_add since the last settle or undo. Entries
 * that these evicted stay evicted.
 */
void			 instance_settle(struct instances *);
void			 instance_undo(struct instances *);

#endif
