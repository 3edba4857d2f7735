#include <stdlib.h>

#include "engine/memory_refused.h"
#include "engine/mapping.h"
#include "engine/replay.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

struct memory_refused {
	size_t	next;
	struct late {
		uint64_t	request;
		struct str	charge;		/* len 0: unused */
	}	late[LATE_MAX];
};

struct memory_refused *
memory_refused_new(void)
{
	return alloc_zero(1, sizeof(struct memory_refused));
}

void
memory_refused_keep(struct memory_refused *refused, uint64_t request,
    const struct str *charge)
{
	struct late	*l = &refused->late[refused->next++ % LATE_MAX];

	l->request = request;
	str_clear(&l->charge);
	str_add(&l->charge, charge->data, charge->len);
}

static void
take_back(const struct late *l, struct memory *memory,
    const struct msg_verdict *v)
{
	static struct msg_charge	charge;
	int64_t				tag;

	if (msg_charge_get(&charge, l->charge.data, l->charge.len) == -1)
		log_fatal("a charge of our own is broken");
	/* The ids that the ledger counted are those to take back. */
	mapping_take(memory_mapping(memory), NULL, &charge, v);
	/* Above 0: struct msg_charge. */
	arc4random_buf(&tag, sizeof(tag));
	replay_soon();
	(void)replay_back(&charge, v->charged, clock_wall(),
	    (tag & INT64_MAX) | 1);
}

void
memory_refused_verdict(struct memory_refused *refused, struct memory *memory,
    uint64_t request, const struct msg_verdict *v)
{
	struct late	*late = refused->late;
	size_t		 i;

	for (i = 0; i < LATE_MAX; i++)
		if (late[i].charge.len > 0 && late[i].request == request)
			break;
	if (i == LATE_MAX)
		return;
	if (v->verdict == VERDICT_ACCEPTED)
		take_back(&late[i], memory, v);
	str_clear(&late[i].charge);
}
