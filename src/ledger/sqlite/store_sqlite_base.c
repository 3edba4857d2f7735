#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/map.h"

/* What the other files of this store call. */

struct store_sizes	store_sizes = {
	.tail = 50000, .chunk = 200000, .load = 100000, .recent = 20000
};

void
store_note(struct store *s)
{
	if (s->damaged)
		(void)strlcpy(s->error,
		    "a part of mail_part is damaged: the counts"
		    " are rebuilt from the rows",
		    sizeof(s->error));
	else
		(void)strlcpy(s->error, sqlite_error(s->db), sizeof(s->error));
}

int
store_one(struct store *s, enum statement n, int64_t *out)
{
	if (sqlite_step(s->db, n) != 1)
		return -1;
	*out = sqlite_column(s->db, n, 0);
	sqlite_reset(s->db, n);
	return 0;
}

int
store_put_number(struct store *s, const char *name, int64_t value)
{
	sqlite_bind_text(s->db, SET_NUMBER, 1, name, strlen(name));
	sqlite_bind(s->db, SET_NUMBER, 2, value);
	return sqlite_step(s->db, SET_NUMBER);
}

int
store_find_number(struct store *s, const char *name, int64_t *value)
{
	int	more;

	*value = 0;
	sqlite_bind_text(s->db, NUMBER, 1, name, strlen(name));
	if ((more = sqlite_step(s->db, NUMBER)) == 1) {
		*value = sqlite_column(s->db, NUMBER, 0);
		sqlite_reset(s->db, NUMBER);
	}
	return more == -1 ? -1 : 0;
}

uint64_t
store_hash(const struct store *s, const char *id, size_t idlen)
{
	return map_siphash(s->seen.key, id, idlen);
}
