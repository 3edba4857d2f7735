#ifndef CONF_LIMITS_H
#define CONF_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/reader.h"
#include "conf/settings.h"
#include "conf/value.h"
#include "lib/window.h"

/* Lists of [mails, seconds], and which of them an id has under limits_by_id. */
#define LIMITS_MAILS_MAX	INT64_C(1000000000000000)
#define LIMITS_SECONDS_MAX	INT64_C(3153600000)	/* a century */

/*
 * 0, or -1 with a reason; then `out` is untouched. What was in it is not freed.
 */
int		 limits_parse(struct limits *out, const struct value *,
		    char *reason, size_t);

reader		 limits_read;		/* struct limits */
reader		 limits_read_by_id;	/* struct ids * */

/* Seconds of the longest window of any id; 0 when there is none, or NULL. */
int64_t		 limits_by_id_longest(const struct ids *);

/* Seconds of the longest window; 0 when there is none. */
int64_t		 limits_longest(const struct limits *);

#endif
