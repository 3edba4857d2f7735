#include <stdlib.h>
#include <string.h>

#include "engine/control/away.h"
#include "engine/blocks.h"
#include "engine/control/change_list.h"
#include "engine/reply.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"

struct change_sorted {
	const struct override	**list;
	size_t			  n;
	int64_t			  now;
};

static void
change_on_override(void *arg, const struct override *o)
{
	struct change_sorted	*sorted = arg;

	if (o->until > sorted->now && o->kind != OVERRIDE_LOCKED)
		sorted->list[sorted->n++] = o;
}

/* By kind and id. */
static int
change_order(const void *a, const void *b)
{
	const struct override	*const *x = a, *const *y = b;
	size_t			 len;
	int			 order;

	if ((*x)->kind != (*y)->kind)
		return (*x)->kind < (*y)->kind ? 1 : -1;
	len = (*x)->idlen < (*y)->idlen ? (*x)->idlen : (*y)->idlen;
	if ((order = memcmp((*x)->id, (*y)->id, len)) != 0)
		return order;
	return (*x)->idlen < (*y)->idlen ? -1 : (*x)->idlen > (*y)->idlen;
}

/* By kind, the newest first. */
static int
change_newer(const void *a, const void *b)
{
	const struct override	*const *x = a, *const *y = b;

	if ((*x)->kind == (*y)->kind && (*x)->since != (*y)->since)
		return (*x)->since < (*y)->since ? 1 : -1;
	return change_order(a, b);
}

void
change_list(struct control *c, const struct control_word *word, size_t n)
{
	int64_t	most = 0;

	if (n > 0 && num_parse(word->bytes, word->len, 1, UINT32_MAX, &most) ==
	    -1) {
		control_fail(c, "list: a number of at least 1 is expected");
		return;
	}
	control_question(c)->most = (uint32_t)most;
	if (!control_ask(c, MSG_OVERRIDES_WANTED, NULL))
		change_list_on_timeout(c);
}

static void
change_list_reply(struct str *out, const struct change_sorted *sorted,
    uint32_t most)
{
	uint32_t	listed = 0;
	size_t		i;

	for (i = 0; i < sorted->n; i++) {
		if (i > 0 && sorted->list[i]->kind != sorted->list[i - 1]->kind)
			listed = 0;
		if (most == 0 || listed++ < most)
			blocks_reply(out, sorted->list[i]);
	}
}

/* While the database is away, the list is the one that is known. */
void
change_list_on_timeout(struct control *c)
{
	struct change_sorted	 sorted = { .n = 0, .now = clock_wall() };
	struct str		*out = control_answer(c);
	uint32_t		 most = control_question(c)->most;

	if (!blocks_known()) {
		away_fail(c, NULL);
		return;
	}
	sorted.list = alloc_zero(override_list_count(blocks_list(),
	    OVERRIDE_BLOCK) + override_list_count(blocks_list(),
	    OVERRIDE_LOCK) + override_list_count(blocks_list(),
	    OVERRIDE_GRANT) + 1, sizeof(sorted.list[0]));
	override_list_each(blocks_list(), change_on_override, &sorted);
	qsort(sorted.list, sorted.n, sizeof(sorted.list[0]),
	    most > 0 ? change_newer : change_order);
	reply_begin(out, "");
	reply_number(out, "total", (int64_t)sorted.n);
	reply_end(out);
	change_list_reply(out, &sorted, most);
	free(sorted.list);
	control_end(c);
}

int
change_list_on_answer(struct control *c, const struct message *m)
{
	if (m->type != MSG_OVERRIDES_END)
		return -1;
	change_list_on_timeout(c);
	return 0;
}
