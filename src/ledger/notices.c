#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "conf/addressee.h"
#include "ledger/notices.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/map.h"

#define KNOWN_MAX	100000		/* logins of a day */
#define ADDED_MAX	1000		/* to be claimed */
#define CLAIM_MAX	20		/* in one transaction */
#define CLAIM_MS	1000		/* between two of these */
#define KNOWN_MS	(INT64_C(86400) * 1000)
#define TRIES_MAX	3

struct known {
	struct map_node	 node;		/* first */
	struct mono	 until;
	size_t		 len;
	char		 login[];
};

struct notice {
	TAILQ_ENTRY(notice)	 entry;
	unsigned int		 tries;
	struct msg_hit		 hit;	/* without its strings */
	char			*rule;
	size_t			 len;
	char			*login;
};

TAILQ_HEAD(notice_list, notice);

struct notices {
	struct map		*known;
	struct notice_list	 added;
	size_t			 nadded;
	struct mono		 next;		/* claim not before */
	struct notice_list	 claimed;
};

static int
same_login(const struct map_node *node, const void *key, size_t len)
{
	const struct known	*k = (const struct known *)node;

	return k->len == len && memcmp(k->login, key, len) == 0;
}

struct notices *
notices_new(void)
{
	struct notices	*n;

	n = alloc_zero(1, sizeof(*n));
	n->known = map_new(same_login);
	TAILQ_INIT(&n->added);
	TAILQ_INIT(&n->claimed);
	return n;
}

static void
drop_if_old(struct map_node *node, void *arg)
{
	struct notices	*n = arg;

	if (!clock_passed(((const struct known *)node)->until, clock_mono()))
		return;
	map_remove(n->known, node);
	free(node);
}

static void
drop_notice(struct notice_list *list, struct notice *notice)
{
	TAILQ_REMOVE(list, notice, entry);
	free(notice->rule);
	free(notice->login);
	free(notice);
}

void
notices_add(struct notices *n, const struct settings *s, const char *login,
    size_t len, const struct msg_hit *hit, struct mono now)
{
	struct known	*k;
	struct notice	*notice;
	char		 address[ADDRESSEE_MAX];
	uint64_t	 hash = map_hash(login, len);

	if (s->report_user == NULL || n->nadded == ADDED_MAX ||
	    addressee_of(s, login, len, address) == -1)
		return;
	k = (struct known *)map_find(n->known, hash, login, len);
	if (k != NULL && !clock_passed(k->until, now))
		return;
	if (k == NULL) {
		if (map_count(n->known) >= KNOWN_MAX)
			map_each(n->known, drop_if_old, n);
		if (map_count(n->known) >= KNOWN_MAX)
			return;
		k = alloc_zero(1, sizeof(*k) + len);
		k->node.hash = hash;
		k->len = len;
		memcpy(k->login, login, len);
		map_insert(n->known, &k->node);
	}
	k->until = clock_after(now, KNOWN_MS);
	notice = alloc_zero(1, sizeof(*notice));
	notice->hit = *hit;
	notice->rule = alloc_copy(hit->rule, hit->rulelen);
	notice->login = alloc_copy(login, len);
	notice->len = len;
	TAILQ_INSERT_TAIL(&n->added, notice, entry);
	n->nadded++;
}

int
notices_wait(const struct notices *n, struct mono now)
{
	return n->nadded == 0 ? -1 : clock_left(n->next, now);
}

enum store_result
notices_claim(struct notices *n, struct store *store, int64_t wall,
    struct mono now, bool *new)
{
	struct store_notice	 list[CLAIM_MAX];
	struct notice		*notice;
	enum store_result	 result;
	size_t			 count = 0, i;

	*new = false;
	if (n->nadded == 0 || !clock_passed(n->next, now))
		return STORE_OK;
	n->next = clock_after(now, CLAIM_MS);
	TAILQ_FOREACH(notice, &n->added, entry) {
		if (count == CLAIM_MAX)
			break;
		list[count].login = notice->login;
		list[count++].len = notice->len;
	}
	if ((result = store_claim_notices(store, list, count, wall)) !=
	    STORE_OK)
		return result;
	for (i = 0; i < count; i++) {
		notice = TAILQ_FIRST(&n->added);
		n->nadded--;
		if (list[i].claim != STORE_NOTICE_OURS) {
			drop_notice(&n->added, notice);
			continue;
		}
		TAILQ_REMOVE(&n->added, notice, entry);
		TAILQ_INSERT_TAIL(&n->claimed, notice, entry);
		*new = true;
	}
	return STORE_OK;
}

bool
notices_any(const struct notices *n)
{
	return !TAILQ_EMPTY(&n->claimed);
}

void
notices_send(struct notices *n, struct channel *channel)
{
	struct notice	*notice = TAILQ_FIRST(&n->claimed);
	struct msg_hit	 m;
	struct str	 payload;

	str_init(&payload);
	if (notice != NULL) {
		m = notice->hit;
		m.id = notice->login;
		m.idlen = notice->len;
		m.rule = notice->rule;
		m.rulelen = strlen(notice->rule);
		msg_hit_put(&payload, &m);
		channel_send(channel, MSG_NOTICE, 0, &payload, -1);
	}
	channel_signal(channel, MSG_NOTICE_END, 0);
	str_clear(&payload);
}

void
notices_sent(struct notices *n, bool good)
{
	struct notice	*notice = TAILQ_FIRST(&n->claimed);
	char		 text[ADDRESSEE_MAX];

	if (notice == NULL)
		return;
	if (!good && ++notice->tries < TRIES_MAX) {
		/* One that cannot be sent holds up no other. */
		TAILQ_REMOVE(&n->claimed, notice, entry);
		TAILQ_INSERT_TAIL(&n->claimed, notice, entry);
		return;
	}
	str_printable(text, sizeof(text), notice->login, notice->len);
	if (good)
		log_notice("the user was told by mail: sasl_username=%s", text);
	else
		log_warning("the user is not told by mail, given up: "
		    "sasl_username=%s", text);
	drop_notice(&n->claimed, notice);
}
