#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/control/change.h"
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
collect_override(void *arg, const struct override *o)
{
	struct change_sorted	*sorted = arg;

	if (o->until > sorted->now && o->kind != OVERRIDE_LOCKED)
		sorted->list[sorted->n++] = o;
}

/* By kind and id. */
static int
by_id(const void *a, const void *b)
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
by_date(const void *a, const void *b)
{
	const struct override	*const *x = a, *const *y = b;

	if ((*x)->kind == (*y)->kind && (*x)->since != (*y)->since)
		return (*x)->since < (*y)->since ? 1 : -1;
	return by_id(a, b);
}

/*
 * Answers with the list. `why`: it is the last one that was read, for this
 * reason; "": it was read now.
 */
static void
reply_list(struct control *c, const char *why)
{
	struct change_sorted	 sorted = { .n = 0, .now = clock_wall() };
	const struct override_list *list = blocks_list(c->engine->blocks);
	const struct override	*o;
	struct str		*out = &c->answer;
	uint32_t		 most = c->most, listed = 0;
	size_t			 i;

	if (!blocks_known(c->engine->blocks)) {
		away_fail(c, NULL);
		return;
	}
	sorted.list = alloc_zero(override_list_count(list, OVERRIDE_BLOCK) +
	    override_list_count(list, OVERRIDE_LOCK) +
	    override_list_count(list, OVERRIDE_GRANT) + 1,
	    sizeof(sorted.list[0]));
	override_list_each(list, collect_override, &sorted);
	qsort(sorted.list, sorted.n, sizeof(sorted.list[0]),
	    most > 0 ? by_date : by_id);
	reply_begin(out, "");
	reply_number(out, "total", (int64_t)sorted.n);
	reply_text(out, "source", *why != '\0' ? "memory" : "database");
	if (*why != '\0')
		reply_text(out, "reason", why);
	reply_end(out);
	for (i = 0; i < sorted.n; i++) {
		o = sorted.list[i];
		if (i > 0 && o->kind != sorted.list[i - 1]->kind)
			listed = 0;
		if (most == 0 || listed++ < most)
			blocks_reply(out, o);
	}
	free(sorted.list);
	control_end(c);
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
	c->most = (uint32_t)most;
	if (!control_ask(c, MSG_OVERRIDES_WANTED, NULL))
		control_task(c, TASK_STATE);
}

/* No ledger serves; the parent knows why. */
void
change_list_on_state(struct control *c, const struct msg_state *m)
{
	char	why[sizeof(m->fault) + 32];

	(void)snprintf(why, sizeof(why), "the database is away%s%s",
	    m->fault[0] != '\0' ? ": " : "", m->fault);
	reply_list(c, why);
}

int
change_list_on_answer(struct control *c, const struct message *m)
{
	char	why[512];

	if (m->type != MSG_OVERRIDES_END ||
	    msg_text_get(why, sizeof(why), m->payload, m->len) == -1)
		return -1;
	reply_list(c, why);
	return 0;
}

void
change_list_on_timeout(struct control *c)
{
	reply_list(c, "the database did not answer in time");
}
