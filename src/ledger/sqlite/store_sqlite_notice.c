#include <stdlib.h>

#include "ledger/sqlite/store_sqlite.h"

#define HOUR	3600
#define DAY	86400

static bool
store_claim(struct store *s, struct store_notice *notice, int64_t now,
    int64_t claim)
{
	int	more;

	sqlite_bind_text(s->db, NOTICE_CLAIM, 1, notice->login, notice->len);
	sqlite_bind(s->db, NOTICE_CLAIM, 2, now);
	sqlite_bind(s->db, NOTICE_CLAIM, 3, now - HOUR);
	sqlite_bind(s->db, NOTICE_CLAIM, 4, claim);
	sqlite_bind(s->db, NOTICE_CLAIM, 5, now - DAY);
	sqlite_bind(s->db, NOTICE_CLAIM, 6, now + DAY);
	sqlite_bind(s->db, NOTICE_CLAIM, 7, STORE_NOTICES_MAX);
	if (sqlite_step(s->db, NOTICE_CLAIM) != 0)
		return false;
	notice->claim = STORE_NOTICE_NOT;
	sqlite_bind_text(s->db, NOTICE_OF, 1, notice->login, notice->len);
	sqlite_bind(s->db, NOTICE_OF, 2, claim);
	if ((more = sqlite_step(s->db, NOTICE_OF)) == 1) {
		notice->claim = sqlite_column(s->db, NOTICE_OF, 0) == 1 ?
		    STORE_NOTICE_OURS : STORE_NOTICE_LEFT;
		sqlite_reset(s->db, NOTICE_OF);
	}
	return more != -1;
}

enum store_result
store_claim_notices(struct store *s, struct store_notice *list, size_t n,
    int64_t now)
{
	enum store_result	result;
	int64_t			claim;
	bool			good;
	size_t			i;

	arc4random_buf(&claim, sizeof(claim));
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	sqlite_bind(s->db, NOTICE_CLEAN, 1, now - DAY);
	sqlite_bind(s->db, NOTICE_CLEAN, 2, now + DAY);
	good = sqlite_step(s->db, NOTICE_CLEAN) == 0;
	for (i = 0; i < n && good; i++)
		good = store_claim(s, &list[i], now, claim);
	return store_end(s, good);
}
