#ifndef INSTANCE_H
#define INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What was charged lately under which key, a 64-bit keyed hash that the caller
 * makes (of id and instance, or of these and a tag). Amounts are kept by
 * second. Bounded: the oldest entries make room for new ones.
 */
struct instances;

struct instances	*instance_new(size_t entries);
void			 instance_free(struct instances *);
void			 instance_clear(struct instances *);

/* Bytes in use. */
size_t			 instance_bytes(const struct instances *);

/*
 * What the database has; entries before `oldest` may be forgotten for it.
 * `reading` is 0 for what is new. What is read again has a number that is the
 * same for all that is read at once: it takes the place of what was known of
 * that second, so that nothing counts twice.
 */
void			 instance_read(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest,
			    uint32_t reading);

/* What the database is to have. */
void			 instance_add(struct instances *, uint64_t key,
			    int64_t date, int64_t amount, int64_t oldest);

/* This key will be asked for soon: as map_ahead. */
void			 instance_ahead(const struct instances *, uint64_t key);

/* The sum of a key; 0 for an unknown one. */
int64_t			 instance_total(const struct instances *, uint64_t key);

/*
 * Some second of this key, not before `oldest`, at which the sum is above 0:
 * true, *date and *amount are set.
 */
bool			 instance_any(const struct instances *, uint64_t key,
			    int64_t oldest, int64_t *date, int64_t *amount);

/* All that was added since the last settle is kept for good, or undone. */
void			 instance_settle(struct instances *);
void			 instance_undo(struct instances *);

#endif
