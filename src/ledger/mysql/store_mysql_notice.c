#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"

#define HOUR	3600
#define DAY	86400

static bool
store_claim(struct store *s, struct store_notice *notice, int64_t now,
    int64_t claim)
{
	int	more;

	mysqldb_begin(s->db, NOTICE_CLAIM);
	mysqldb_bind_text(s->db, notice->login, notice->len);
	mysqldb_bind(s->db, now);
	mysqldb_bind(s->db, STORE_NOTICES_MAX);
	mysqldb_bind(s->db, now - HOUR);
	mysqldb_bind(s->db, claim);
	mysqldb_bind(s->db, now - DAY);
	mysqldb_bind(s->db, now + DAY);
	mysqldb_bind(s->db, now - DAY);
	mysqldb_bind(s->db, now + DAY);
	mysqldb_bind(s->db, now - DAY);
	mysqldb_bind(s->db, now + DAY);
	if (mysqldb_run(s->db, 0) == -1)
		return false;
	notice->claim = STORE_NOTICE_NOT;
	mysqldb_begin(s->db, NOTICE_OF);
	mysqldb_bind_text(s->db, notice->login, notice->len);
	mysqldb_bind(s->db, claim);
	if (mysqldb_run(s->db, 0) == -1)
		return false;
	while ((more = mysqldb_next(s->db)) == 1)
		notice->claim = mysqldb_column(s->db, 0) == 1 ?
		    STORE_NOTICE_OURS : STORE_NOTICE_LEFT;
	return more == 0;
}

/* The number is locked until the commit: daemons claim one after the other. */
enum store_result
store_claim_notices(struct store *s, struct store_notice *list, size_t n,
    int64_t now)
{
	int64_t	claim;
	bool	good;
	size_t	i;

	arc4random_buf(&claim, sizeof(claim));
	mysqldb_begin(s->db, SET_NUMBER);
	mysqldb_bind_text(s->db, "notices", strlen("notices"));
	mysqldb_bind(s->db, now);
	good = mysqldb_run(s->db, 0) == 0;
	if (good) {
		mysqldb_begin(s->db, NOTICE_CLEAN);
		mysqldb_bind(s->db, now - DAY);
		mysqldb_bind(s->db, now + DAY);
		good = mysqldb_run(s->db, 0) == 0;
	}
	for (i = 0; i < n && good; i++)
		good = store_claim(s, &list[i], now, claim);
	return store_end(s, good);
}
