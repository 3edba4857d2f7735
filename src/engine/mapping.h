#ifndef MAPPING_H
#define MAPPING_H

#include <stddef.h>

#include "conf/settings.h"
#include "ipc/message.h"

/*
 * id_sql: the ids that the ledger counts in place of those in the charges. For
 * db_error_action "memory" they are remembered, so that without the database
 * the same ids are counted. Pure; the least recently used ids are dropped.
 */

struct mapping;

struct mapping	*mapping_new(size_t max_bytes);
void		 mapping_resize(struct mapping *, size_t max_bytes);
void		 mapping_free(struct mapping *);

/*
 * Gives each key of a charge the id that was counted according to the ledger's
 * verdict, and that id's limits. A mapping that is not NULL remembers it. The
 * id points into the verdict. The settings are those that the charge was made
 * by; NULL: the limits stay as they are.
 */
void	mapping_take(struct mapping *, const struct settings *,
	    struct msg_charge *, const struct msg_verdict *);

/*
 * Gives each key the id that is remembered, without a verdict. A key without
 * one stays as it is, and the ledger maps it later. The ids are valid until the
 * next mapping_take or mapping_resize. With a mapping of NULL does nothing.
 */
void	mapping_recall(struct mapping *, const struct settings *,
	    struct msg_charge *);

#endif
