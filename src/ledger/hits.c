#include <stdlib.h>
#include <string.h>

#include "conf/stored_id.h"
#include "ipc/message.h"
#include "ledger/hits.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "role/tally.h"

#define KNOWN_MAX	100000
#define LAST_REPORT	"last_report"
#define REFRESH_MS	1000
#define LEFT_MAX	1000	/* logins in a report that were not told */
#define EVIDENCE_IDS	50	/* of a report: where their mail came from */
#define EVIDENCE_ROWS	200	/* of an id, the newest */
#define EVIDENCE_SHOWN	3

struct known_key {
	enum hit_kind	 kind;
	const char	*id;
	size_t		 idlen;
	int64_t		 seconds;
};

struct known {
	struct map_node		 node;		/* first */
	struct known_key	 key;
	char			 id[];		/* the key's */
};

struct sent {
	enum hit_kind	 kind;
	char		*id;
	size_t		 idlen;
	int64_t		 seconds;
	int64_t		 hits;
};

struct hits {
	struct map	*known;		/* (kind, id, seconds) with hits */
	int64_t		 last;		/* time of the report before them */
	struct mono	 refresh;	/* not before */
	struct sent	*sent;
	size_t		 nsent;
	size_t		 size;
	/* while loading and sending */
	enum hit_kind	 kind;
	struct msg_hits_room	 room;		/* in the mail */
	size_t			 left;	/* notices that were left, */
	int64_t			 until;	/* up to this time_t */
	struct channel		*channel;
	const struct settings	*settings;
	struct lookup	*limits;
	struct str	 payload;
};

static int
same_hit(const struct map_node *node, const void *key, size_t len)
{
	const struct known_key	*a = &((const struct known *)node)->key;
	const struct known_key	*b = key;

	(void)len;
	return a->kind == b->kind && a->seconds == b->seconds &&
	    a->idlen == b->idlen && memcmp(a->id, b->id, b->idlen) == 0;
}

struct hits *
hits_new(void)
{
	struct hits	*h;

	h = alloc_zero(1, sizeof(*h));
	h->known = map_new(same_hit);
	str_init(&h->payload);
	return h;
}

static void
drop_known(struct map_node *node, void *arg)
{
	struct hits	*h = arg;

	map_remove(h->known, node);
	free(node);
}

static void
clear_sent(struct hits *h)
{
	size_t	i;

	for (i = 0; i < h->nsent; i++)
		free(h->sent[i].id);
	h->nsent = 0;
}

void
hits_free(struct hits *h)
{
	if (h == NULL)
		return;
	map_each(h->known, drop_known, h);
	map_free(h->known);
	clear_sent(h);
	free(h->sent);
	str_clear(&h->payload);
	free(h);
}

/* --- which ones are new --- */

bool
hits_first(struct hits *h, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	struct known_key	 key = { kind, id, idlen, seconds };
	struct known		*e;
	uint64_t		 hash;

	hash = map_hash(id, idlen) + (uint64_t)seconds + (uint64_t)kind;
	if (map_find(h->known, hash, &key, sizeof(key)) != NULL ||
	    map_count(h->known) >= KNOWN_MAX)
		return false;
	e = alloc_zero(1, sizeof(*e) + idlen);
	e->node.hash = hash;
	e->key = key;
	e->key.id = memcpy(e->id, id, idlen);
	map_insert(h->known, &e->node);
	return true;
}

static void
on_known(void *arg, const char *id, size_t idlen, int64_t seconds, int64_t hits)
{
	struct hits	*h = arg;

	(void)hits;
	(void)hits_first(h, h->kind, id, idlen, seconds);
}

void
hits_load(struct hits *h, struct store *store)
{
	(void)store_number(store, LAST_REPORT, &h->last);
	for (h->kind = 0; h->kind < HIT_KIND__MAX; h->kind++)
		(void)store_hits(store, h->kind, on_known, h);
}

void
hits_refresh(struct hits *h, struct store *store, struct mono now)
{
	int64_t	last;

	if (!clock_passed(h->refresh, now))
		return;
	h->refresh = clock_after(now, REFRESH_MS);
	if (store_number(store, LAST_REPORT, &last) != STORE_OK ||
	    last == h->last)
		return;
	h->last = last;
	map_each(h->known, drop_known, h);
}

/* --- the report --- */

static void
send_to_report(struct hits *h, enum message_type type, const struct msg_hit *m)
{
	h->payload.len = 0;
	msg_hit_put(&h->payload, m);
	channel_send(h->channel, type, 0, &h->payload, -1);
}

/*
 * The rule of a stored id, or NULL; without its name, *name, the id is the
 * value.
 */
static const struct settings_rule *
split_id(const struct hits *h, const char **id, size_t *idlen,
    const char **name, size_t *namelen)
{
	const struct settings_rule	*rule;
	size_t				 bare;

	if ((rule = stored_id_rule(h->settings, *id, *idlen)) != NULL) {
		bare = stored_id_bare(*id, *idlen);
		*id += bare;
		*idlen -= bare;
		*name = rule->name;
		*namelen = strlen(rule->name);
	}
	return rule;
}

static void
on_row(void *arg, const char *id, size_t idlen, int64_t seconds, int64_t count)
{
	struct hits			*h = arg;
	const struct settings_rule	*rule;
	const struct limits		*limits;
	struct msg_hit			 m = { .kind = (uint8_t)h->kind,
					    .id = id, .idlen = idlen,
					    .rule = "", .seconds = seconds,
					    .hits = count };
	size_t				 i;

	rule = split_id(h, &m.id, &m.idlen, &m.rule, &m.rulelen);
	/* The limit is that of the present settings; 0: unknown. */
	if (seconds == 0)
		m.mails = rule != NULL ? rule->max_per_mail : 0;
	else {
		limits = stored_id_limits(h->settings, lookup_limits(h->limits,
		    rule, id, idlen), rule, id, idlen);
		for (i = 0; i < limits->count && m.mails == 0; i++)
			if (limits->list[i].seconds == seconds)
				m.mails = limits->list[i].mails;
	}
	send_to_report(h, MSG_HIT, &m);
	if (!msg_hits_fit(&h->room, &m))
		return;
	h->sent = alloc_room(h->sent, h->nsent, &h->size, sizeof(h->sent[0]));
	h->sent[h->nsent++] = (struct sent){ h->kind, alloc_copy(id, idlen),
	    idlen, seconds, count };
}

/* Sends a login whose user was not told (report_user). */
static void
on_left(void *arg, const char *login, size_t len)
{
	struct hits		*h = arg;
	const struct msg_hit	 m = { .id = login, .idlen = len, .rule = "" };

	if (h->left++ < LEFT_MAX)
		send_to_report(h, MSG_NOTICE, &m);
}

static void
on_refusal(void *arg, const struct store_refusal *r)
{
	static const enum refusal_text	 texts[EVIDENCE__MAX] = {
		[EVIDENCE_CLIENT] = REFUSAL_CLIENT,
		[EVIDENCE_SENDER] = REFUSAL_SENDER
	};
	struct tally			**tally = arg;
	size_t				 i, column;

	for (i = 0; i < EVIDENCE__MAX; i++) {
		column = STORE_REFUSAL_TEXT + texts[i];
		if (r->len[column] > 0)
			tally_add(tally[i], r->text[column], r->len[column], 0,
			    false, r->number[STORE_REFUSAL_TIMES], false);
	}
}

/*
 * Sends the client addresses and senders with most refusals of an id since the
 * last report, from what is kept for policyctl.
 */
static enum store_result
send_evidence(struct hits *h, struct store *store, const struct sent *e,
    int64_t since)
{
	const struct store_page		 page = {
		.id = e->id, .idlen = e->idlen, .since = since,
		.date = INT64_MAX, .number = INT64_MAX, .max = EVIDENCE_ROWS
	};
	struct msg_evidence		 m = { .id = e->id, .idlen = e->idlen,
					    .rule = "" };
	struct msg_topped		*top = alloc_zero(1, sizeof(*top));
	struct tally			*tally[EVIDENCE__MAX];
	enum store_result		 result;
	size_t				 i;

	(void)split_id(h, &m.id, &m.idlen, &m.rule, &m.rulelen);
	for (i = 0; i < EVIDENCE__MAX; i++)
		tally[i] = tally_new();
	result = store_refusals(store, &page, on_refusal, tally);
	for (; m.kind < EVIDENCE__MAX; m.kind++) {
		tally_top(tally[m.kind], top, EVIDENCE_SHOWN, 0);
		for (i = 0; i < top->count; i++) {
			m.value = top->ids[i].id;
			m.valuelen = top->ids[i].idlen;
			m.times = top->ids[i].used;
			h->payload.len = 0;
			msg_evidence_put(&h->payload, &m);
			channel_send(h->channel, MSG_EVIDENCE, 0, &h->payload,
			    -1);
		}
		tally_free(tally[m.kind]);
	}
	free(top);
	return result;
}

enum store_result
hits_send(struct hits *h, struct store *store, struct channel *channel,
    const struct settings *settings, struct lookup *limits, int64_t now)
{
	const struct sent	*e;
	enum store_result	 result;
	int64_t			 last;
	size_t			 n = 0, i, j;

	clear_sent(h);
	memset(&h->room, 0, sizeof(h->room));
	h->channel = channel;
	h->settings = settings;
	h->limits = limits;
	if ((result = store_number(store, LAST_REPORT, &last)) != STORE_OK)
		return result;
	/* The weightiest kind first: the mail may not have room for all. */
	for (h->kind = 0; h->kind < HIT_KIND__MAX; h->kind++)
		if ((result = store_hits(store, h->kind, on_row, h)) !=
		    STORE_OK)
			return result;
	/* Evidence of each id with a hit, once. */
	for (i = 0; i < h->nsent && n < EVIDENCE_IDS; i++) {
		e = &h->sent[i];
		for (j = 0; j < i; j++)
			if (h->sent[j].kind != HIT_NEAR &&
			    h->sent[j].idlen == e->idlen &&
			    memcmp(h->sent[j].id, e->id, e->idlen) == 0)
				break;
		if (j < i || e->kind == HIT_NEAR)
			continue;
		n++;
		if ((result = send_evidence(h, store, e, last)) != STORE_OK)
			return result;
	}
	h->left = 0;
	h->until = now;
	if ((result = store_left_notices(store, now, on_left, h)) != STORE_OK)
		return result;
	h->payload.len = 0;
	msg_number_put(&h->payload, (uint64_t)last);
	channel_send(channel, MSG_HITS_END, 0, &h->payload, -1);
	return STORE_OK;
}

enum store_result
hits_forget(struct hits *h, struct store *store, int64_t now)
{
	enum store_result	result = STORE_OK;
	const struct sent	*e;

	/* Last one first, so that a failed call can be retried for the rest. */
	while (h->nsent > 0) {
		e = &h->sent[h->nsent - 1];
		result = store_hits_forget(store, e->kind, e->id, e->idlen,
		    e->seconds, e->hits);
		if (result != STORE_OK)
			return result;
		free(e->id);
		h->nsent--;
	}
	map_each(h->known, drop_known, h);
	if (h->left > 0 &&
	    (result = store_forget_left(store, h->until)) != STORE_OK)
		return result;
	h->left = 0;
	h->last = now;
	return store_set_number(store, LAST_REPORT, now);
}
