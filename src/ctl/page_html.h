#ifndef PAGE_HTML_H
#define PAGE_HTML_H

#include <time.h>

#include "ctl/answer.h"
#include "ctl/health.h"

/* The HTML of `policyctl page`. Pure. */
enum page_part_name {
	PAGE_STATUS,
	PAGE_FILL,		/* ids nearest to their limits */
	PAGE_REFUSED,		/* ids that were refused most */
	PAGE_OVERRIDES,		/* blocks, locks and grants */
	PAGE_REFUSALS,		/* the last ones */
	PAGE_PART__MAX
};

struct page_part {
	struct answer	answer;
	struct str	fault;		/* why there is no answer */
};

struct page {
	char			host[256];
	time_t			made;
	enum health		health;
	struct str		reason;	/* unless it is HEALTH_WELL */
	struct page_part	part[PAGE_PART__MAX];
};

/*
 * Appends a whole document without scripts and without references to anything
 * else. Its policy allows the one style element by its hash.
 */
void	page_html(struct str *, const struct page *);

#endif
