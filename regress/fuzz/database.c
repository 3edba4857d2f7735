#include <stdint.h>
#include <string.h>

#include "store.h"

/*
 * A hostile database file. The first byte says how it is made: 0: the rest is
 * the file; 1: the rest are changes to a file of our own, each of three bytes
 * for its place and one for what stands there, so that most of it stays sound.
 */
#define DATABASE_MAX	(1024 * 1024)

static uint8_t	good[DATABASE_MAX];
static size_t	good_size;

static size_t
database_read(const char *name, uint8_t *bytes)
{
	ssize_t	n;
	int	fd;

	fd = openat(fuzz_directory_fd, name, O_RDONLY | O_CLOEXEC);
	fuzz_require(fd != -1);
	n = read(fd, bytes, DATABASE_MAX);
	fuzz_require(n > 0 && n < DATABASE_MAX);
	close(fd);
	return (size_t)n;
}

static void
database_write(const char *name, const uint8_t *bytes, size_t size)
{
	int	fd;

	fd = openat(fuzz_directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0600);
	fuzz_require(fd != -1 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void
database_on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	(void)arg;
	(void)request;
	(void)v;
}

static void
database_on_hit(void *arg, const struct charge_hit *hit)
{
	(void)arg;
	(void)hit;
}

static void
database_on_reported(void *arg, const char *id, size_t idlen, int64_t seconds,
    int64_t hits)
{
	(void)arg;
	(void)id;
	(void)idlen;
	(void)seconds;
	(void)hits;
}

/* Charges some ids, as often as it takes for each table to be written. */
static void
database_charge(struct fuzz_store *s, unsigned int rounds)
{
	static struct msg_charge	 m;
	struct msg_charge_key		*k = &m.keys[0];
	struct limit			 limit = { 3, 86400 };
	struct mono			 mono = { 0 };
	struct str			 payload;
	char				 id[16];
	unsigned int			 i;

	s->batch->answers = (struct charge_answers){
		.verdict = database_on_verdict, .hit = database_on_hit
	};
	memset(&m, 0, sizeof(m));
	m.deadline = INT64_MAX;
	m.instance = "";
	m.state = "DATA";
	m.statelen = 4;
	m.nkeys = 2;
	str_init(&payload);
	for (i = 0; i < rounds; i++) {
		(void)snprintf(id, sizeof(id), "id%u", i % 7);
		m.instance = id;
		m.instancelen = strlen(id);
		m.tag = i + 1;
		k[0].id = k[1].id = id;
		k[0].idlen = k[1].idlen = strlen(id);
		k[0].amount = k[1].amount = 1;
		k[0].value = "";
		k[0].limits.count = k[1].limits.count = 1;
		k[0].limits.list = k[1].limits.list = &limit;
		k[0].report = true;
		k[0].reported = 1;
		k[1].kind = CHARGE_DISTINCT;
		k[1].id = "addresses";
		k[1].idlen = 9;
		k[1].value = id;
		k[1].valuelen = strlen(id);
		payload.len = 0;
		msg_charge_put(&payload, &m);
		(void)charge_batch_add(s->batch, MSG_CHARGE, i, payload.data,
		    payload.len);
		if (charge_batch_run(s->batch, STORE_NOW + i, mono) ==
		    STORE_LOST)
			break;
		(void)store_idle(s->store);
	}
	str_clear(&payload);
}

/* Everything that a ledger does with its file. */
static void
database_use(struct fuzz_store *s)
{
	static const struct store_kept	kept = {
		STORE_NOW - 1000, STORE_NOW + 1000
	};
	int64_t				position = 0, deleted;
	int				i;
	bool				done;

	database_charge(s, 9);
	for (i = 0; i < HIT_KIND__MAX; i++)
		(void)store_hits(s->store, (enum hit_kind)i,
		    database_on_reported, NULL);
	(void)override_table_refresh(s->batch->overrides, s->store,
	    STORE_NOW, (struct mono){ 0 });
	for (i = 0; i < 8 && position != -1; i++)
		if (store_clean(s->store, &kept, 50, &position,
		    &deleted) != STORE_OK)
			break;
	(void)store_optional.reclaim(s->store, &done);
	for (i = 0; i < 8 && store_idle(s->store) == 0; i++)
		;
}

static void
database_make(void)
{
	struct fuzz_store	s;

	fuzz_store_init();
	fuzz_require(fuzz_store_open(&s));
	database_charge(&s, 300);
	fuzz_store_close(&s);
	good_size = database_read("db.sqlite3", good);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t		bytes[DATABASE_MAX];
	struct fuzz_store	s;
	size_t			at;

	if (good_size == 0)
		database_make();
	if (size < 1)
		return 0;
	fuzz_store_clear();
	if (data[0] % 2 == 0)
		database_write("db.sqlite3", data + 1, size - 1);
	else {
		memcpy(bytes, good, good_size);
		for (data++, size--; size >= 4; data += 4, size -= 4) {
			at = (size_t)data[0] << 16 | (size_t)data[1] << 8 |
			    data[2];
			bytes[at % good_size] = data[3];
		}
		database_write("db.sqlite3", bytes, good_size);
	}
	if (!fuzz_store_open(&s))
		return 0;
	database_use(&s);
	fuzz_store_close(&s);
	return 0;
}
