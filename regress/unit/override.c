#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decision/override.h"
#include "random.h"

#define NOW	INT64_C(1700000000)
#define RANDOM	4711

static void
set_len(struct override_list *l, enum override_kind kind, const char *id,
    size_t len, int64_t until, bool there)
{
	struct override	o = {
		.kind = (uint8_t)kind,
		.amount = 5,
		.since = NOW,
		.until = until,
		.id = id,
		.idlen = len,
		.who = "uid=0",
		.wholen = 5,
		.reason = "why",
		.reasonlen = 3
	};

	assert_int_equal(override_list_set(l, &o), there);
}

static void
set(struct override_list *l, enum override_kind kind, const char *id,
    int64_t until, bool there)
{
	set_len(l, kind, id, strlen(id), until, there);
}

static void
block(struct override_list *l, const char *id)
{
	set(l, OVERRIDE_BLOCK, id, OVERRIDE_FOREVER, false);
}

/* The id of the block that holds for these, or "". */
static const char *
blocked_at(const struct override_list *l, const char *login,
    const char *sender, bool senders, const char *client, int64_t now)
{
	static char		 id[OVERRIDE_ID_MAX + 1];
	struct override_subject	 s = {
		.login = login,
		.loginlen = strlen(login),
		.sender = sender,
		.senderlen = strlen(sender),
		.senders = senders
	};
	const struct override	*o;

	if (*client != '\0')
		assert_int_equal(addr_parse(&s.client, client,
		    strlen(client)), 0);
	if ((o = override_block(l, &s, now)) == NULL)
		return "";
	memcpy(id, o->id, o->idlen);
	id[o->idlen] = '\0';
	return id;
}

static const char *
blocked(const struct override_list *l, const char *login, const char *sender,
    bool senders, const char *client)
{
	return blocked_at(l, login, sender, senders, client, NOW);
}

static void
overrides_are_set_and_removed(void **state)
{
	struct override_list	*l = override_list_new();
	const struct override	*o;
	uint64_t		 sum;

	(void)state;
	assert_int_equal(override_list_sum(l), 0);
	set(l, OVERRIDE_GRANT, "bob", NOW + 10, false);
	set(l, OVERRIDE_BLOCK, "bob", NOW + 20, false);
	assert_int_equal(override_list_count(l, OVERRIDE_GRANT), 1);
	assert_int_equal(override_list_count(l, OVERRIDE_BLOCK), 1);
	assert_non_null(o = override_find(l, OVERRIDE_GRANT, "bob", 3, NOW));
	assert_int_equal(o->until, NOW + 10);
	assert_int_equal(o->amount, 5);
	assert_int_equal(o->reasonlen, 3);
	assert_memory_equal(o->reason, "why", 3);
	assert_memory_equal(o->who, "uid=0", 5);
	assert_null(override_find(l, OVERRIDE_GRANT, "bo", 2, NOW));
	assert_null(override_find(l, OVERRIDE_GRANT, "Bob", 3, NOW));
	/* It holds before its end, and not at it. */
	assert_non_null(override_find(l, OVERRIDE_GRANT, "bob", 3, NOW + 9));
	assert_null(override_find(l, OVERRIDE_GRANT, "bob", 3, NOW + 10));
	sum = override_list_sum(l);
	set(l, OVERRIDE_GRANT, "bob", NOW + 30, true);
	assert_int_equal(override_list_count(l, OVERRIDE_GRANT), 1);
	assert_int_not_equal(override_list_sum(l), sum);
	assert_non_null(override_find(l, OVERRIDE_GRANT, "bob", 3, NOW + 29));
	set(l, OVERRIDE_GRANT, "bob", NOW + 10, true);
	assert_int_equal(override_list_sum(l), sum);
	set(l, OVERRIDE_GRANT, "bob", 0, true);
	set(l, OVERRIDE_GRANT, "bob", 0, false);
	set(l, OVERRIDE_BLOCK, "bob", 0, true);
	assert_int_equal(override_list_count(l, OVERRIDE_GRANT), 0);
	assert_int_equal(override_list_count(l, OVERRIDE_BLOCK), 0);
	assert_int_equal(override_list_sum(l), 0);
	override_list_free(l);
	override_list_free(NULL);
}

/* A kind that is none is not taken: it may come from a row of others. */
static void
unknown_kinds_are_ignored(void **state)
{
	struct override_list	*l = override_list_new();

	(void)state;
	set(l, OVERRIDE__MAX, "bob", NOW + 10, false);
	assert_int_equal(override_list_sum(l), 0);
	override_list_free(l);
}

static void
sums_know_no_order(void **state)
{
	struct override_list	*a = override_list_new();
	struct override_list	*b = override_list_new();
	char			 id[16];
	int			 i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(a, OVERRIDE_BLOCK, id, NOW + i + 1, false);
		snprintf(id, sizeof(id), "%d", 99 - i);
		set(b, OVERRIDE_BLOCK, id, NOW + 99 - i + 1, false);
	}
	assert_int_equal(override_list_sum(a), override_list_sum(b));
	set(b, OVERRIDE_BLOCK, "7", NOW + 9, true);
	assert_int_not_equal(override_list_sum(a), override_list_sum(b));
	override_list_free(a);
	override_list_free(b);
}

static void
blocks_match_their_subjects(void **state)
{
	struct override_list	*l = override_list_new();

	(void)state;
	assert_string_equal(blocked(l, "bob", "s", true, "192.0.2.1"), "");
	block(l, "login:bob@x.example");
	block(l, "domain:y.example");
	block(l, "sender:s@z.example");
	assert_string_equal(blocked(l, "bob@x.example", "", false, ""),
	    "login:bob@x.example");
	assert_string_equal(blocked(l, "eve@x.example", "", false, ""), "");
	assert_string_equal(blocked(l, "eve@y.example", "", false, ""),
	    "domain:y.example");
	/* Its domain begins at the last @. */
	assert_string_equal(blocked(l, "\"a@b\"@y.example", "", false, ""),
	    "domain:y.example");
	assert_string_equal(blocked(l, "a@y.example@b", "", false, ""), "");
	assert_string_equal(blocked(l, "y.example", "", false, ""), "");
	assert_string_equal(blocked(l, "bob@", "", false, ""), "");
	assert_string_equal(blocked(l, "", "s@z.example", false, ""),
	    "sender:s@z.example");
	/* A login's block is a sender's only where senders are counted. */
	assert_string_equal(blocked(l, "", "bob@x.example", false, ""), "");
	assert_string_equal(blocked(l, "", "bob@x.example", true, ""),
	    "login:bob@x.example");
	/* A domain is one of logins. */
	assert_string_equal(blocked(l, "", "eve@y.example", true, ""), "");
	assert_string_equal(blocked(l, "s@z.example", "", true, ""), "");
	override_list_free(l);
}

static void
networks_match_their_addresses(void **state)
{
	struct override_list	*l = override_list_new();

	(void)state;
	block(l, "network:203.0.113.0/24");
	block(l, "network:203.0.113.64/26");
	block(l, "network:203.0.113.65");
	block(l, "network:2001:db8::/32");
	block(l, "network:no network");
	assert_string_equal(blocked(l, "", "", false, "203.0.113.65"),
	    "network:203.0.113.65");
	assert_string_equal(blocked(l, "", "", false, "203.0.113.66"),
	    "network:203.0.113.64/26");
	assert_string_equal(blocked(l, "", "", false, "203.0.113.1"),
	    "network:203.0.113.0/24");
	assert_string_equal(blocked(l, "", "", false, "203.0.114.1"), "");
	assert_string_equal(blocked(l, "", "", false, "::ffff:203.0.113.1"),
	    "network:203.0.113.0/24");
	assert_string_equal(blocked(l, "", "", false, "2001:db8:ffff::1"),
	    "network:2001:db8::/32");
	assert_string_equal(blocked(l, "", "", false, "2001:db9::1"), "");
	set(l, OVERRIDE_BLOCK, "network:203.0.113.64/26", 0, true);
	assert_string_equal(blocked(l, "", "", false, "203.0.113.66"),
	    "network:203.0.113.0/24");
	/* The shorter network holds when the longer one is over. */
	set(l, OVERRIDE_BLOCK, "network:203.0.113.65", NOW + 5, true);
	assert_string_equal(blocked_at(l, "", "", false, "203.0.113.65",
	    NOW + 4), "network:203.0.113.65");
	assert_string_equal(blocked_at(l, "", "", false, "203.0.113.65",
	    NOW + 5), "network:203.0.113.0/24");
	block(l, "network:0.0.0.0/0");
	assert_string_equal(blocked(l, "", "", false, "198.51.100.1"),
	    "network:0.0.0.0/0");
	assert_string_equal(blocked(l, "", "", false, "2001:db9::1"), "");
	block(l, "network:::/0");
	assert_string_equal(blocked(l, "", "", false, "2001:db9::1"),
	    "network:::/0");
	override_list_free(l);
}

#define NETWORKS	40

/* Against a look at each of them: the longest that holds. */
static void
networks_match_as_a_model_does(void **state)
{
	struct override_list	*l = override_list_new();
	struct random		 r = { RANDOM };
	struct network		 net[NETWORKS], *best;
	struct addr		 client;
	char			 id[OVERRIDE_ID_MAX], text[ADDR_TEXT_MAX];
	int			 step;
	size_t			 i;

	(void)state;
	for (i = 0; i < NETWORKS; i++) {
		memset(&net[i], 0, sizeof(net[i]));
		net[i].addr.bits = i % 2 == 0 ? 32 : 128;
		net[i].addr.byte[0] = (uint8_t)random_below(&r, 4);
		net[i].addr.byte[1] = (uint8_t)random_next(&r);
		net[i].prefix = (unsigned int)random_below(&r, 17);
		addr_mask(&net[i].addr, net[i].prefix);
	}
	for (step = 0; step < 20000; step++) {
		i = random_below(&r, NETWORKS);
		snprintf(id, sizeof(id), "network:%s",
		    addr_network_format(&net[i], text, sizeof(text)));
		set_len(l, OVERRIDE_BLOCK, id, strlen(id), 0,
		    override_find(l, OVERRIDE_BLOCK, id, strlen(id),
		    NOW) != NULL);
		if (random_below(&r, 3) == 0)
			block(l, id);
		memset(&client, 0, sizeof(client));
		client.bits = step % 2 == 0 ? 32 : 128;
		client.byte[0] = (uint8_t)random_below(&r, 4);
		client.byte[1] = (uint8_t)random_next(&r);
		best = NULL;
		for (i = 0; i < NETWORKS; i++) {
			snprintf(id, sizeof(id), "network:%s",
			    addr_network_format(&net[i], text, sizeof(text)));
			if (override_find(l, OVERRIDE_BLOCK, id, strlen(id),
			    NOW) != NULL &&
			    addr_network_contains(&net[i], &client) &&
			    (best == NULL || net[i].prefix > best->prefix))
				best = &net[i];
		}
		snprintf(id, sizeof(id), "network:%s", best == NULL ? "" :
		    addr_network_format(best, text, sizeof(text)));
		assert_string_equal(blocked(l, "", "", false,
		    addr_format(&client, text, sizeof(text))),
		    best == NULL ? "" : id);
	}
	override_list_free(l);
}

/* What no database takes as it is has a hash in its place. */
static void
ids_are_found(void **state)
{
	char	a[OVERRIDE_ID_MAX], b[OVERRIDE_ID_MAX], big[2000];
	size_t	alen, blen;

	(void)state;
	memset(big, 'x', sizeof(big));
	alen = override_id(a, "login:", "bob", 3);
	assert_int_equal(alen, 9);
	assert_memory_equal(a, "login:bob", 9);
	/* The longest that is taken as it is, and the next. */
	alen = override_id(a, "login:", big, OVERRIDE_ID_MAX - 6);
	assert_int_equal(alen, OVERRIDE_ID_MAX);
	assert_memory_equal(a + 6, big, OVERRIDE_ID_MAX - 6);
	alen = override_id(a, "login:", big, OVERRIDE_ID_MAX - 5);
	assert_int_equal(alen, 6 + 33);
	assert_memory_equal(a, "login:#", 7);
	blen = override_id(b, "login:", big, sizeof(big));
	assert_int_equal(blen, 6 + 33);
	assert_memory_not_equal(a, b, 39);
	/* Not UTF-8, a blank at the end, a NUL, and what looks like a hash. */
	assert_int_equal(override_id(a, "login:", "b\xff", 2), 39);
	assert_int_equal(override_id(a, "login:", "bob ", 4), 39);
	assert_int_equal(override_id(a, "login:", "b\0b", 3), 39);
	assert_int_equal(override_id(a, "login:", "#b", 2), 39);
	assert_int_equal(override_id(a, "sender:", "b#", 2), 9);
	/* The same in every process. */
	assert_int_equal(override_id(a, "login:", "#b", 2), 39);
	assert_int_equal(override_id(b, "login:", "#b", 2), 39);
	assert_memory_equal(a, b, 39);
}

/* Whoever tells, a database or a ledger: no list grows beyond that. */
static void
keeps_no_more_than_most(void **state)
{
	struct override_list	*l = override_list_new();
	char			 id[32];
	int			 i;

	(void)state;
	for (i = 0; i < OVERRIDE_MOST + 100; i++) {
		(void)snprintf(id, sizeof(id), "login:%d", i);
		block(l, id);
	}
	assert_int_equal(override_list_count(l, OVERRIDE_BLOCK),
	    OVERRIDE_MOST);
	assert_null(override_find(l, OVERRIDE_BLOCK, id, strlen(id), NOW));
	/* Each kind for itself; and those that are there can be changed. */
	set(l, OVERRIDE_GRANT, "bob", NOW + 1, false);
	assert_int_equal(override_list_count(l, OVERRIDE_GRANT), 1);
	set(l, OVERRIDE_BLOCK, "login:7", NOW + 9, true);
	set(l, OVERRIDE_BLOCK, "login:7", 0, true);
	block(l, id);
	assert_non_null(override_find(l, OVERRIDE_BLOCK, id, strlen(id), NOW));
	override_list_free(l);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(keeps_no_more_than_most),
		cmocka_unit_test(overrides_are_set_and_removed),
		cmocka_unit_test(unknown_kinds_are_ignored),
		cmocka_unit_test(sums_know_no_order),
		cmocka_unit_test(blocks_match_their_subjects),
		cmocka_unit_test(networks_match_their_addresses),
		cmocka_unit_test(networks_match_as_a_model_does),
		cmocka_unit_test(ids_are_found)
	};

	return cmocka_run_group_tests_name("override", tests, NULL, NULL);
}
