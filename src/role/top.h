#ifndef TOP_H
#define TOP_H

#include "conf/settings.h"
#include "ipc/message.h"
#include "lib/window.h"

/*
 * Finds the first ids in the requested order, at most TOP_MAX, among those that
 * it is given. Only windows with counts are considered. With `domain`, finds
 * the domains whose ids together have the largest sums in the wanted window,
 * or, if none is wanted, in the longest one of each id.
 */
struct top;

/* What the caller knows. */
struct top_source {
	/* The counts of an id; NULL: unknown. */
	const struct window	*(*counts)(void *, const char *id,
				    size_t idlen);
	/*
	 * What SQL returned for an id; NULL: nothing is known. May itself be
	 * NULL.
	 */
	const struct limits	*(*sql)(void *, const struct settings_rule *,
				    const char *id, size_t idlen);
	/* What is granted to an id. */
	int64_t			(*granted)(void *, const char *id,
				    size_t idlen);
	void			*arg;
};

/* `answer` is filled in. All that is passed must stay valid until top_free. */
struct top	*top_new(struct msg_topped *answer, const struct msg_top *,
		    const struct top_source *, const struct settings *,
		    int64_t now);

/*
 * Considers an id; `top` is a struct top. Its counts under earlier names of its
 * rule (`was`) are added. An id under an earlier name is considered only if the
 * source has no counts under the rule's name.
 */
void		 top_on_id(void *top, const char *id, size_t idlen,
		    const struct window *);

/*
 * Completes `answer`. Its ids point to where they were given, or into what
 * top_free frees.
 */
void		 top_end(struct top *);
void		 top_free(struct top *);

#endif
