#include <string.h>

#include "ledger/sqlite/store_sqlite.h"

static void
bind_pair(struct store *s, int n, const struct store_pair *p)
{
	sqlite_bind(s->db, n, 1, p->who);
	sqlite_bind(s->db, n, 2, p->kind);
	sqlite_bind(s->db, n, 3, p->what);
}

int
store_read_pairs(struct store *s, struct store_batch *batch)
{
	struct store_pair	*p;
	size_t			 i;
	int			 more;

	for (i = 0; i < batch->npair; i++) {
		p = &batch->pair[i];
		p->known.first = -1;
		bind_pair(s, PAIR, p);
		if ((more = sqlite_step(s->db, PAIR)) == -1)
			return -1;
		if (more == 0)
			continue;
		p->known.first = sqlite_column(s->db, PAIR, 0);
		p->known.last = sqlite_column(s->db, PAIR, 1);
		sqlite_reset(s->db, PAIR);
	}
	return 0;
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	bind_pair(s, LEARN, p);
	sqlite_bind(s->db, LEARN, 4, p->known.first);
	sqlite_bind(s->db, LEARN, 5, p->known.last);
	store_write(s, LEARN);
}
