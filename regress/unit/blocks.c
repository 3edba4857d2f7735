#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/blocks.h"
#include "settings_text.h"

#define NOW	INT64_C(1700000000)

static struct blocks	*blocks;
static struct mono	 now = { INT64_C(1000000000000) };

/* --- the ledger --- */

static int
tell(enum message_type type, const struct str *payload)
{
	struct message	m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	m.fd = -1;
	if (payload != NULL) {
		m.payload = (const uint8_t *)payload->data;
		m.len = payload->len;
	}
	return blocks_message(blocks, &m, now);
}

static void
part(const char *id, size_t len, int64_t until)
{
	static struct msg_override	o;
	struct str			payload;

	memset(&o, 0, sizeof(o));
	o.kind = OVERRIDE_BLOCK;
	o.since = NOW;
	o.until = until;
	o.who = o.reason = "";
	o.nids = 1;
	o.id[0] = id;
	o.idlen[0] = len;
	str_init(&payload);
	msg_override_put(&payload, &o);
	assert_int_equal(tell(MSG_OVERRIDES_PART, &payload), 0);
	str_clear(&payload);
}

/* The list anew, of what an administrator wrote. */
static void
list(const struct settings *s, const char *const *what, size_t n)
{
	struct str	id;
	size_t		i;

	assert_int_equal(tell(MSG_OVERRIDES_BEGIN, NULL), 0);
	for (i = 0; i < n; i++) {
		str_init(&id);
		assert_null(blocks_what(&id, s, what[i], strlen(what[i])));
		part(id.data, id.len, OVERRIDE_FOREVER);
		str_clear(&id);
	}
	assert_int_equal(tell(MSG_OVERRIDES_END, NULL), 0);
}

/* --- requests --- */

/* The id of the block that holds for the request's lines, or "". */
static const char *
blocked(const struct settings *s, const char *text, bool by_charge)
{
	static char			 id[OVERRIDE_ID_MAX + 1];
	static struct msg_charge	 charge;
	const struct override		*o;
	struct request			 req;
	const char			*reason;

	assert_true(request_parse(&req, text, strlen(text), &reason) > 0);
	if (by_charge) {
		blocks_subject(blocks, &charge, s, &req);
		assert_true(charge.subject);
		o = blocks_check_charge(blocks, &charge, NOW);
	} else
		o = blocks_check(blocks, s, &req, NOW);
	if (o == NULL)
		return "";
	memcpy(id, o->id, o->idlen);
	id[o->idlen] = '\0';
	return id;
}

static int
set_up(void **state)
{
	(void)state;
	blocks = blocks_new();
	return 0;
}

/* First of all tests: nothing was told yet. */
static void
nothing_is_blocked_without_a_list(void **state)
{
	struct settings	*s = settings_of("");

	(void)state;
	assert_false(blocks_known(blocks));
	assert_false(blocks_fresh(blocks, now, clock_wall()));
	assert_string_equal(blocked(s, "sasl_username=bob\n\n", false), "");
	/* A list that is not at its end is none. */
	assert_int_equal(tell(MSG_OVERRIDES_BEGIN, NULL), 0);
	part("login:bob", 9, OVERRIDE_FOREVER);
	assert_false(blocks_known(blocks));
	assert_string_equal(blocked(s, "sasl_username=bob\n\n", false), "");
	assert_int_equal(tell(MSG_OVERRIDES_END, NULL), 0);
	assert_true(blocks_known(blocks));
	assert_true(blocks_fresh(blocks, now, clock_wall()));
	assert_string_equal(blocked(s, "sasl_username=bob\n\n", false),
	    "login:bob");
	settings_free(s);
}

static void
a_new_list_replaces_the_old_one(void **state)
{
	static const char	*const two[] = { "bob", "eve" };
	struct settings		*s = settings_of("");

	(void)state;
	list(s, two, 2);
	assert_int_equal(override_list_count(blocks_list(blocks),
	    OVERRIDE_BLOCK), 2);
	/* Not by a clock that was set back. */
	assert_false(blocks_fresh(blocks, now, 1));
	/* Known for long, and not fresh for much longer than a second. */
	now.ns += INT64_C(1000000000);
	assert_true(blocks_fresh(blocks, now, clock_wall()));
	now.ns += INT64_C(1000000000);
	assert_false(blocks_fresh(blocks, now, clock_wall()));
	assert_true(blocks_known(blocks));
	/* A change, and an end that says that nothing else did change. */
	part("login:zoe", 9, OVERRIDE_FOREVER);
	part("login:bob", 9, 0);
	assert_int_equal(tell(MSG_OVERRIDES_END, NULL), 0);
	assert_true(blocks_fresh(blocks, now, clock_wall()));
	assert_string_equal(blocked(s, "sasl_username=bob\n\n", false), "");
	assert_string_equal(blocked(s, "sasl_username=eve\n\n", false),
	    "login:eve");
	assert_string_equal(blocked(s, "sasl_username=zoe\n\n", false),
	    "login:zoe");
	/* A new list takes the place of all. */
	list(s, two, 1);
	assert_string_equal(blocked(s, "sasl_username=zoe\n\n", false), "");
	/* One that ends is over. */
	part("login:zoe", 9, NOW);
	assert_string_equal(blocked(s, "sasl_username=zoe\n\n", false), "");
	settings_free(s);
}

static void
malformed_lists_are_refused(void **state)
{
	static struct msg_override	o;
	struct str			payload;

	(void)state;
	str_init(&payload);
	str_adds(&payload, "\1nonsense");
	assert_int_equal(tell(MSG_OVERRIDES_PART, &payload), -1);
	payload.len = 0;
	memset(&o, 0, sizeof(o));
	o.who = o.reason = "";
	msg_override_put(&payload, &o);
	assert_int_equal(tell(MSG_OVERRIDES_PART, &payload), -1);
	str_clear(&payload);
}

/* A request, by what it is blocked; also as the ledger checks it. */
static void
blocks_match_login_domain_and_address(void **state)
{
	static const char	*const what[] = {
		"bob+q", "@X.example", "sender:S@z.example", "192.0.2.0/24",
		"2001:db8::5", "c@y.example"
	};
	static const struct {
		const char	*request;
		const char	*want;
	} cases[] = {
		{ "sasl_username=Bob\n\n", "login:bob@example.org" },
		{ "sasl_username=bob@example.org\n\n",
		    "login:bob@example.org" },
		{ "sasl_username=bob+x@EXAMPLE.org \n\n",
		    "login:bob@example.org" },
		{ "sasl_username=bobby\n\n", "" },
		{ "sasl_username=a@x.EXAMPLE\n\n", "domain:x.example" },
		{ "sasl_username=a@sub.x.example\n\n", "" },
		{ "sender=s+t@Z.example\n\n", "sender:s@z.example" },
		{ "sender=a@x.example\n\n", "" },
		{ "sender=c@y.example\n\n", "" },
		{ "sender=\n\n", "" },
		{ "client_address=192.0.2.77\n\n", "network:192.0.2.0/24" },
		{ "client_address=::ffff:192.0.2.77\n\n",
		    "network:192.0.2.0/24" },
		{ "client_address=192.0.3.77\n\n", "" },
		{ "client_address=2001:DB8:0::5\n\n", "network:2001:db8::5" },
		{ "client_address=2001:db8::6\n\n", "" },
		{ "client_address=unknown\n\n", "" },
		{ "helo_name=bob\n\n", "" },
		{ "sasl_username=eve\nsender=s@z.example\n"
		    "client_address=192.0.2.1\n\n", "sender:s@z.example" },
	};
	struct settings		*s = settings_of("recipient_delimiter = '+'\n"
				    "default_domain = 'example.org'\n"
				    "ipv4_prefix = 16\nipv6_prefix = 64\n");
	size_t			 i;

	(void)state;
	list(s, what, sizeof(what) / sizeof(what[0]));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(blocked(s, cases[i].request, false),
		    cases[i].want);
		assert_string_equal(blocked(s, cases[i].request, true),
		    cases[i].want);
	}
	settings_free(s);
}

/* Where senders are counted a login's block is one of the sender. */
static void
a_block_of_a_login_matches_its_sender(void **state)
{
	static const char	*const what[] = { "bob@x.example" };
	static const char	*const texts[] = {
		"limit_by_sender = True\n",
		"rules = [{'name': 'a', 'key': 'helo_name', 'limits': []}, "
		    "{'name': 'b', 'key': ['sasl_username', 'sender'], "
		    "'limits': []}]\n",
	};
	struct settings		*s;
	size_t			 i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		s = settings_of(texts[i]);
		list(s, what, 1);
		assert_string_equal(blocked(s, "sender=Bob@x.example\n\n",
		    false), "login:bob@x.example");
		assert_string_equal(blocked(s, "sender=Bob@x.example\n\n",
		    true), "login:bob@x.example");
		settings_free(s);
	}
}

static void
letter_case_does_not_matter(void **state)
{
	static const char	*const what[] = { "Bob", "@X.example" };
	struct settings		*s = settings_of("fold_case = False\n");

	(void)state;
	list(s, what, 2);
	assert_string_equal(blocked(s, "sasl_username=Bob\n\n", false),
	    "login:Bob");
	assert_string_equal(blocked(s, "sasl_username=bob\n\n", false), "");
	assert_string_equal(blocked(s, "sasl_username=a@X.example\n\n",
	    false), "domain:X.example");
	assert_string_equal(blocked(s, "sasl_username=a@x.example\n\n",
	    false), "");
	settings_free(s);
}

/* Logins of any length are told apart, by the ledger too. */
static void
long_logins_match_by_their_hash(void **state)
{
	struct settings	*s = settings_of("");
	struct str	 id, request;
	char		 login[5001];
	size_t		 len;

	(void)state;
	memset(login, 'x', sizeof(login));
	for (len = 240; len < sizeof(login); len += len < 260 ? 1 : 1000) {
		str_init(&id);
		assert_null(blocks_what(&id, s, login, len));
		assert_true(id.len <= OVERRIDE_ID_MAX);
		assert_int_equal(tell(MSG_OVERRIDES_BEGIN, NULL), 0);
		part(id.data, id.len, OVERRIDE_FOREVER);
		assert_int_equal(tell(MSG_OVERRIDES_END, NULL), 0);
		str_init(&request);
		str_addf(&request, "sasl_username=%.*s\n\n", (int)len, login);
		assert_string_equal(blocked(s, request.data, false), id.data);
		assert_string_equal(blocked(s, request.data, true), id.data);
		request.len = 0;
		str_addf(&request, "sasl_username=%.*sy\n\n", (int)len, login);
		assert_string_equal(blocked(s, request.data, true), "");
		str_clear(&request);
		str_clear(&id);
	}
	settings_free(s);
}

static const char *
of_id(const struct settings *s, const char *what)
{
	static char		 id[OVERRIDE_ID_MAX + 1];
	const struct override	*o;

	o = blocks_of_id(blocks, s, OVERRIDE_BLOCK, what, strlen(what), NOW);
	if (o == NULL)
		return "";
	memcpy(id, o->id, o->idlen);
	id[o->idlen] = '\0';
	return id;
}

static void
blocks_of_ids_match(void **state)
{
	static const char	*const what[] = {
		"bob", "@x.example", "192.0.2.0/24", "sender:s@z.example"
	};
	struct settings		*s = settings_of("");

	(void)state;
	list(s, what, 4);
	assert_string_equal(of_id(s, "Bob "), "login:bob");
	assert_string_equal(of_id(s, "a@x.example"), "domain:x.example");
	assert_string_equal(of_id(s, "@X.example"), "domain:x.example");
	assert_string_equal(of_id(s, "192.0.2.9"), "network:192.0.2.0/24");
	assert_string_equal(of_id(s, "192.0.2.0/24"), "network:192.0.2.0/24");
	assert_string_equal(of_id(s, "s@z.example"), "sender:s@z.example");
	assert_string_equal(of_id(s, "192.0.2.0/25"), "");
	assert_string_equal(of_id(s, "192.0.3.9"), "");
	assert_string_equal(of_id(s, "eve"), "");
	assert_string_equal(of_id(s, ""), "");
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(nothing_is_blocked_without_a_list),
		cmocka_unit_test(a_new_list_replaces_the_old_one),
		cmocka_unit_test(malformed_lists_are_refused),
		cmocka_unit_test(blocks_match_login_domain_and_address),
		cmocka_unit_test(a_block_of_a_login_matches_its_sender),
		cmocka_unit_test(letter_case_does_not_matter),
		cmocka_unit_test(long_logins_match_by_their_hash),
		cmocka_unit_test(blocks_of_ids_match)
	};

	return cmocka_run_group_tests_name("blocks", tests, set_up, NULL);
}
