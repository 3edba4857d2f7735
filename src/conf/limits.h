#ifndef CONF_LIMITS_H
#define CONF_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/reader.h"
#include "conf/settings.h"
#include "conf/value.h"
#include "lib/window.h"

/* Lists of [mails, seconds], and the lists that limits_by_id gives to ids. */
#define LIMITS_MAILS_MAX	INT64_C(1000000000000000)
#define LIMITS_SECONDS_MAX	INT64_C(3153600000)	/* a century */

/*
 * 0, or -1 with a reason, with `out` unchanged. Does not free the old content
 * of `out`.
 */
int		 limits_parse(struct limits *out, const struct value *,
		    char *reason, size_t);

reader		 limits_read;		/* struct limits */
void		 limits_clear(void *);
reader		 limits_read_by_id;	/* struct ids * */

/*
 * The longest window of any id in seconds, or `least`, if that is longer. NULL
 * is legal: no id.
 */
int64_t		 limits_by_id_longest(const struct ids *, int64_t least);

#endif
