#include <stdlib.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"

#define HOUR	3600
#define DAY	86400

static void
store_put_claim(struct store *s, const struct store_notice *notice,
    int64_t now, int64_t claim)
{
	struct pgsql_params	 p = { .count = 0 };
	char			*login = alloc_copy(notice->login, notice->len);

	pgsql_add_text(&p, login);
	pgsql_add_number(&p, now);
	pgsql_add_number(&p, now - HOUR);
	pgsql_add_number(&p, claim);
	pgsql_add_number(&p, now - DAY);
	pgsql_add_number(&p, now + DAY);
	pgsql_add_number(&p, STORE_NOTICES_MAX);
	pgsql_put(s->db, NOTICE_CLAIM, &p);
	free(login);
}

/* The number is locked until the commit: daemons claim one after the other. */
enum store_result
store_claim_notices(struct store *s, struct store_notice *list, size_t n,
    int64_t now)
{
	struct pgsql_params	number = { .count = 0 }, old = { .count = 0 };
	int64_t			claim;
	size_t			i;
	int			rows;

	arc4random_buf(&claim, sizeof(claim));
	pgsql_begin(s->db);
	pgsql_add_text(&number, "notices");
	pgsql_add_number(&number, now);
	pgsql_put(s->db, SET_NUMBER, &number);
	pgsql_add_number(&old, now - DAY);
	pgsql_add_number(&old, now + DAY);
	pgsql_put(s->db, NOTICE_CLEAN, &old);
	for (i = 0; i < n; i++)
		store_put_claim(s, &list[i], now, claim);
	(void)pgsql_take(s->db);
	(void)pgsql_take(s->db);
	for (i = 0; i < n; i++) {
		rows = pgsql_take(s->db);
		list[i].claim = rows < 1 ? STORE_NOTICE_NOT :
		    pgsql_column(s->db, 0, 0) == 1 ? STORE_NOTICE_OURS :
		    STORE_NOTICE_LEFT;
	}
	return store_end(s);
}
