#include "apply_case.h"

/* Fields of rules, and exempt. */

static void
rules_identity(void **state)
{
	static const struct apply_case	cases[] = {
		{ RULES("{" NAMED("u", "sasl_username") "}"), ALICE DATA,
		    "once/0 u:alice n=3 5/60" },
		{ RULES("{" NAMED("u", "sasl_username") "}"), DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("d", "sasl_domain") "}"),
		    "sasl_username=Bob@Example.org\n" DATA,
		    "once/0 d:example.org n=3 5/60" },
		{ RULES("{" NAMED("d", "sasl_domain") "}"), ALICE DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("d", "sender_domain") "}"), ALICE DATA,
		    "once/0 d:example.org n=3 5/60" },
		{ RULES("{" NAMED("d", "sender_domain") "}"),
		    "sender=bob@\n" DATA, "pass: no identity that is counted" },
		{ RULES("{" NAMED("s", "sender") "}"), "sender=\n" DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("r", "recipient") "}"), ALICE RCPT,
		    "once/hash r:carol@example.com n=1 5/60" },
		{ RULES("{" NAMED("r", "recipient_domain") "}"), ALICE RCPT,
		    "once/hash r:example.com n=1 5/60" },
		/* At RCPT only, also where DATA names a recipient. */
		{ RULES("{" NAMED("r", "recipient") "}"),
		    "recipient=carol@example.com\n" DATA,
		    "pass: not counted at this stage" },
		{ RULES("{'name': 'r', 'key': ['sender', 'recipient_domain'],"
		    "'limits': [[5, 60]]}"), ALICE
		    "recipient=carol@example.com\n" DATA,
		    "pass: not counted at this stage" },
		{ RULES("{" NAMED("h", "helo_name") "}"),
		    "helo_name=Laptop\n" DATA, "once/0 h:laptop n=3 5/60" },
		{ RULES("{" NAMED("c", "client_address") "}")
		    "ipv4_prefix = 24", ALICE DATA,
		    "once/0 c:192.0.2.0/24 n=3 5/60" },
		{ RULES("{" NAMED("c", "client_address") "}"),
		    "client_address=unknown\n" DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("all", "server") "}"), DATA,
		    "once/0 all:server n=3 5/60" },
	};

	(void)state;
	CHECK(cases);
}

static void
rules_together(void **state)
{
#define PAIR	RULES("{'name': 'p', 'key': ['sender', 'helo_name']," \
		"'limits': [[5, 60]]}")
	static const struct apply_case	cases[] = {
		/* Each rule that applies, in order. */
		{ RULES("{" NAMED("u", "sasl_username") "},{"
		    NAMED("r", "recipient") "},{" NAMED("s", "server") "}"),
		    ALICE DATA,
		    "once/0 u:alice n=3 5/60 | s:server n=3 5/60" },
		/* Combinations; a comma of a value's own keeps them apart. */
		{ PAIR, "helo_name=h\n" ALICE DATA,
		    "once/0 p:s@example.org,h n=3 5/60" },
		{ PAIR, "helo_name=c\nsender=a,b\n" DATA,
		    "once/0 p:a\\,b,c n=3 5/60" },
		{ PAIR, "helo_name=b,c\nsender=a\\\n" DATA,
		    "once/0 p:a\\\\,b\\,c n=3 5/60" },
		{ PAIR, ALICE DATA,
		    "pass: no identity that is counted" },
	};

	(void)state;
	CHECK(cases);
}

static void
rules_scope(void **state)
{
	static const struct apply_case	cases[] = {
		/* Limits of a rule go by the value. */
		{ RULES("{" NAMED("u", "sasl_username") ","
		    "'limits_by_id': {'Alice': [[9, 9]], 'free': []}}"),
		    ALICE DATA, "once/0 u:alice n=3 9/9" },
		{ RULES("{" NAMED("u", "sasl_username") ","
		    "'limits_by_id': {'alice': [[9, 9]], 'free': []}}"),
		    "sasl_username=free\n" DATA, "once/0 u:free n=3" },
		{ RULES("{" NAMED("u", "sasl_username") ","
		    "'sql_limits_by_id': 'SELECT l FROM t WHERE i = ?',"
		    "'limits_by_id': {'free': []}}"),
		    "sasl_username=free\n" DATA, "once/0 u:free n=3 sql" },
		/* Whom it is for. */
		{ RULES("{" NAMED("c", "client_address") ","
		    "'networks': ['192.0.2.0/24']}"), ALICE DATA,
		    "once/0 c:192.0.2.7 n=3 5/60" },
		{ RULES("{" NAMED("c", "client_address") ","
		    "'networks': ['192.0.2.0/24']}"),
		    "client_address=192.0.3.7\n" DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("s", "server") ","
		    "'networks': ['192.0.2.0/24']}"),
		    "client_address=unknown\n" DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("c", "client_address") ","
		    "'unless': 'sasl_username'}"), ALICE DATA,
		    "pass: no identity that is counted" },
		{ RULES("{" NAMED("c", "client_address") ","
		    "'unless': 'sasl_username'}"),
		    "sasl_username=\nclient_address=192.0.2.7\n" DATA,
		    "once/0 c:192.0.2.7 n=3 5/60" },
		/* Networks of the rule's own length. */
		{ RULES("{" NAMED("n", "client_address") ", 'ipv4_prefix': 24},"
		    "{" NAMED("c", "client_address") "}")
		    "ipv4_prefix = 30", ALICE DATA,
		    "once/0 n:192.0.2.0/24 n=3 5/60 | "
		    "c:192.0.2.4/30 n=3 5/60" },
		{ RULES("{" NAMED("n", "sasl_username") ", 'ipv6_prefix': 48,"
		    "'count': 'addresses'}"), "sasl_username=alice\n"
		    "client_address=2001:db8:1:2::7\n" DATA,
		    "once/0 n:alice n=1 5/60 different:2001:db8:1::/48" },
		/* How it is meant. */
		{ RULES("{" NAMED("u", "sasl_username") ", 'shadow': True,"
		    "'warn_at': 80}"), ALICE DATA,
		    "once/0 u:alice n=3 5/60 shadow warn:80" },
		{ RULES("{" NAMED("u", "sasl_username") ", 'report': True},{"
		    NAMED("s", "server") ", 'report': False}")
		    "report = True\nreport_to = 'a@b'\nreport_limits = [60]",
		    ALICE DATA,
		    "once/0 u:alice n=3 5/60! | s:server n=3 5/60" },
	};

	(void)state;
	CHECK(cases);
}

/* The fields only and except. */
/* recipient_delimiter is for logins and mail addresses only. */
static void
rules_extensions(void **state)
{
#define CUT(key, id)	RULES("{'name': 'r', 'limits_by_id': {" id \
			": [[9, 9]]}, 'limits': [[5, 60]], 'key': " key "}") \
			"recipient_delimiter = '+'"
	static const struct apply_case	cases[] = {
		{ CUT("'sasl_username'", "'A+b'"), "sasl_username=a+c\n" DATA,
		    "once/0 r:a n=3 9/9" },
		{ CUT("'sender'", "'a+b@x '"), "sender=a+c@x\n" DATA,
		    "once/0 r:a@x n=3 9/9" },
		{ CUT("'helo_name'", "'A+b '"), "helo_name=a+B\n" DATA,
		    "once/0 r:a+b n=3 9/9" },
		{ CUT("'client_name'", "'a+b@x'"), "client_name=a+b@x\n" DATA,
		    "once/0 r:a+b@x n=3 9/9" },
		{ CUT("'sender_domain'", "'a+b'"), "sender=x@a+b\n" DATA,
		    "once/0 r:a+b n=3 9/9" },
		{ CUT("['helo_name', 'sender']", "'a+b,c\\\\,d+e@x'"),
		    "helo_name=a+b\nsender=c,d+f@x\n" DATA,
		    "once/0 r:a+b,c\\,d@x n=3 9/9" },
		{ CUT("['sender', 'helo_name']", "'a+b@x,a+b'"),
		    "helo_name=a+b\nsender=a@x\n" DATA,
		    "once/0 r:a@x,a+b n=3 9/9" }
	};

	(void)state;
	CHECK(cases);
}

static void
rules_for_whom(void **state)
{
#define U(more)		RULES("{" NAMED("u", "sasl_username") ", " more "}")
#define NOT_FOR		"pass: no identity that is counted"
#define FOR		"once/0 u:alice n=3 5/60"
	static const struct apply_case	cases[] = {
		{ U("'only': {'sasl_username': ['bob', 'Alice']}"), ALICE DATA,
		    FOR },
		{ U("'only': {'sasl_username': ['bob']}"), ALICE DATA,
		    NOT_FOR },
		{ U("'except': {'sasl_username': ['bob', 'Alice']}"), ALICE
		    DATA, NOT_FOR },
		{ U("'except': {'sasl_username': ['bob']}"), ALICE DATA, FOR },
		{ U("'only': {'sasl_username': '@Example.org'}"),
		    "sasl_username=bob@example.ORG\n" DATA,
		    "once/0 u:bob@example.org n=3 5/60" },
		{ U("'only': {'sasl_username': '@example.org'}"),
		    "sasl_username=bob@sub.example.org\n" DATA, NOT_FOR },
		/* As ids are counted: the same code makes both. */
		{ U("'only': {'sasl_username': ['bob']}")
		    "default_domain = 'example.org'",
		    "sasl_username=Bob\n" DATA,
		    "once/0 u:bob@example.org n=3 5/60" },
		{ U("'only': {'sasl_username': ['bob+y']}") PLUS,
		    "sasl_username=bob+x\n" DATA, "once/0 u:bob n=3 5/60" },
		{ U("'only': {'sasl_username': ['Alice']}")
		    "fold_case = False", ALICE DATA, NOT_FOR },
		/* Networks are looked for by the whole address. */
		{ U("'only': {'client_address': ['192.0.2.0/29']}")
		    "ipv4_prefix = 24", ALICE DATA, FOR },
		{ U("'only': {'client_address': ['192.0.2.8/29']}")
		    "ipv4_prefix = 24", ALICE DATA, NOT_FOR },
		{ U("'except': {'client_address': ['192.0.2.7', '::/0']}"),
		    ALICE DATA, NOT_FOR },
		{ U("'only': {'client_address': ['0.0.0.0/0', '::/0']}"),
		    "sasl_username=alice\nclient_address=unknown\n" DATA,
		    NOT_FOR },
		/* Each of `only`, none of `except`. */
		{ U("'only': {'sasl_username': ['alice'],"
		    "'sender_domain': ['@example.org']}"), ALICE DATA, FOR },
		{ U("'only': {'sasl_username': ['alice'],"
		    "'sender': ['other@example.org']}"), ALICE DATA, NOT_FOR },
		{ U("'except': {'sender': ['other@example.org'],"
		    "'sender_domain': ['example.org']}"), ALICE DATA, NOT_FOR },
		{ U("'only': {'sender': ['@example.org']},"
		    "'except': {'sender': ['t@example.org']}"), ALICE DATA,
		    FOR },
	};

	(void)state;
	CHECK(cases);
}

/* Attributes that may be missing, and those that one stage has. */
static void
rules_for_attributes(void **state)
{
	static const struct apply_case	cases[] = {
		/* What is not there matches nothing. */
		{ U("'only': {'sender': ['@example.org']}"),
		    "sasl_username=alice\nsender=\n" DATA, NOT_FOR },
		{ U("'except': {'sender': ['@example.org']}"),
		    "sasl_username=alice\nsender=\n" DATA, FOR },
		{ U("'only': {'policy_context': ['submission']}"),
		    ALICE "policy_context=Submission\n" DATA, FOR },
		{ U("'only': {'policy_context': ['submission']}"), ALICE DATA,
		    NOT_FOR },
		{ U("'only': {'server_port': [587, 465]}"),
		    ALICE "server_port=465\n" DATA, FOR },
		{ U("'except': {'server_port': 25}"),
		    ALICE "server_port=25\n" DATA, NOT_FOR },
		{ U("'except': {'client_name': ['unknown']}"),
		    ALICE "client_name=unknown\n" DATA, FOR },
		{ U("'only': {'client_name': ['mx.example.org']}"),
		    ALICE "client_name=MX.example.org\n" DATA, FOR },
		{ U("'only': {'ccert_fingerprint': ['AA:bb']}"),
		    ALICE "ccert_fingerprint=AA:BB\n" DATA, FOR },
		/* The recipient is known at RCPT, whatever count_mode says. */
		{ U("'except': {'recipient_domain': ['example.net']}"),
		    ALICE RCPT, "once/hash u:alice n=1 5/60" },
		{ U("'except': {'recipient_domain': ['example.com']}"),
		    ALICE RCPT, NOT_FOR },
		{ U("'except': {'recipient_domain': ['example.net']}"),
		    ALICE DATA, "pass: not counted at this stage" },
		{ U("'only': {'recipient': ['@example.com']}") MODE(1),
		    ALICE RCPT, "once/hash u:alice n=1 5/60" },
		/* Keys of these. */
		{ RULES("{" NAMED("p", "policy_context") "}"),
		    "policy_context=MX\n" DATA, "once/0 p:mx n=3 5/60" },
		{ RULES("{" NAMED("p", "server_port") "}"),
		    "server_port=25\n" DATA, "once/0 p:25 n=3 5/60" },
		{ RULES("{" NAMED("p", "client_name") "}"),
		    "client_name=unknown\n" DATA, NOT_FOR },
		{ RULES("{" NAMED("p", "client_name") "}"),
		    "client_name=unknown.example.org\n" DATA,
		    "once/0 p:unknown.example.org n=3 5/60" },
		{ RULES("{" NAMED("p", "ccert_fingerprint") "}"),
		    "ccert_fingerprint=AB:CD\n" DATA,
		    "once/0 p:ab:cd n=3 5/60" },
	};

	(void)state;
	CHECK(cases);
}

/* Recorded where it uses up nobody else's count, and under no limit. */
static void
exempt(void **state)
{
#define EXEMPT(list)	"exempt = [" list "]\n"
#define KEYS		RULES("{" NAMED("u", "sasl_username") "," \
			"'warn_at': 80, 'max_per_mail': 1}," \
			"{" NAMED("d", "sasl_domain") "}," \
			"{" NAMED("c", "client_address") "}," \
			"{'name': 'b', 'limits': [[5, 60]]," \
			"'key': ['sasl_username', 'client_address']}")
#define BOB		"sasl_username=bob@example.org\n" \
			"client_address=192.0.2.7\n"
#define NO_LIMIT	"pass: exempt: no limit applies"
	static const struct apply_case	cases[] = {
		{ EXEMPT("'Bob@example.org'") KEYS, BOB DATA,
		    "once/0 u:bob@example.org n=3" },
		{ EXEMPT("'@example.org'") KEYS, BOB DATA,
		    "once/0 u:bob@example.org n=3" },
		{ EXEMPT("'192.0.2.0/24'") KEYS, BOB DATA,
		    "once/0 c:192.0.2.7 n=3" },
		{ EXEMPT("'192.0.2.0/24', '@example.org'") KEYS, BOB DATA,
		    "once/0 u:bob@example.org n=3 | c:192.0.2.7 n=3 | "
		    "b:bob@example.org,192.0.2.7 n=3" },
		/* Others are in the network that is counted. */
		{ EXEMPT("'192.0.2.7'") KEYS "ipv4_prefix = 24", BOB DATA,
		    NO_LIMIT },
		{ EXEMPT("'192.0.2.0/25'") RULES("{"
		    NAMED("c", "client_address") "},{"
		    NAMED("n", "client_address") ", 'ipv4_prefix': 24}"),
		    BOB DATA, "once/0 c:192.0.2.7 n=3" },
		{ EXEMPT("'192.0.2.0/23'") KEYS "ipv4_prefix = 24", BOB DATA,
		    "once/0 c:192.0.2.0/24 n=3" },
		/* Anybody can claim a sender. */
		{ EXEMPT("'s@example.org', '@example.org'") KEYS, ALICE DATA,
		    "once/0 u:alice n=3 5/60 mail:1 warn:80 | "
		    "c:192.0.2.7 n=3 5/60 | b:alice,192.0.2.7 n=3 5/60" },
		/* A login that reads as an address is no client. */
		{ EXEMPT("'192.0.2.7'") RULES("{" NAMED("u", "sasl_username")
		    "}"), "sasl_username=192.0.2.7\n" DATA,
		    "once/0 u:192.0.2.7 n=3 5/60" },
		/* Without rules. */
		{ EXEMPT("'bob@example.org'"), BOB DATA,
		    "once/0 bob@example.org n=3" },
		{ EXEMPT("'192.0.2.7'") SQL, BOB DATA, NO_LIMIT },
		{ EXEMPT("'192.0.2.7'") "limit_by_sender = True",
		    "sender=s@example.org\nclient_address=192.0.2.7\n" DATA,
		    NO_LIMIT },
		{ EXEMPT("'bob'") "default_domain = 'example.org'",
		    "sasl_username=bob\n" DATA, "once/0 bob@example.org n=3" },
		{ EXEMPT(""), BOB DATA,
		    "once/0 bob@example.org n=3 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

static void
rules_habit(void **state)
{
	static const struct apply_case	cases[] = {
		{ COUNT("sasl_username", "new_recipients"), ALICE RCPT,
		    "once/hash x:alice n=1 5/60 to:carol@example.com"
		    " from:192.0.2.0/24 0/7776000" },
		{ COUNT("sasl_username", "new_recipients") PLUS "fold_case ="
		    " False\nipv4_prefix = 8", "sasl_username=alice\n"
		    "client_address=unknown\nprotocol_state=RCPT\n"
		    "recipient=Carol+x@Example.com\n",
		    "once/random x:alice n=1 5/60 to:Carol@Example.com"
		    " from: 0/7776000" },
		{ RULES("{" NAMED("x", "sasl_username") ",'unfamiliar': 60,"
		    "'learn': 86400,'count': 'new_recipients',"
		    "'ipv6_prefix': 32}"), "sasl_username=alice\n"
		    "client_address=2001:db8:1::2\n" RCPT,
		    "once/hash x:alice n=1 5/60 to:carol@example.com"
		    " from:2001:db8::/32 60/86400" },
		/* Postfix names the recipient at DATA if there is just one. */
		{ COUNT("sasl_username", "new_recipients"), ALICE DATA,
		    "once/0 x:alice n=3 5/60 to: from:192.0.2.0/24 0/7776000" },
		{ COUNT("sasl_username", "new_recipients") MODE(2), ALICE DATA,
		    "once/0 x:alice n=3 5/60 to: from:192.0.2.0/24 0/7776000" },
		{ COUNT("sasl_username", "new_recipients"),
		    ALICE "recipient=Carol@example.com\n" DATA,
		    "once/0 x:alice n=1 5/60 to:carol@example.com"
		    " from:192.0.2.0/24 0/7776000" },
		/* Nothing is learned of what is exempt. */
		{ COUNT("sasl_username", "new_recipients")
		    "exempt = ['alice']\n", ALICE RCPT,
		    "pass: exempt: no limit applies" },
	};

	(void)state;
	CHECK(cases);
}

static void
rules_count(void **state)
{
	static const struct apply_case	cases[] = {
		{ COUNT("server", "recipients"), ALICE DATA,
		    "once/0 x:server n=3 5/60" },
		{ COUNT("server", "recipients") MODE(2), ALICE DATA,
		    "once/0 x:server n=1 5/60" },
		{ COUNT("server", "messages"), ALICE DATA,
		    "once/0 x:server n=1 5/60" },
		{ COUNT("server", "messages"), ALICE RCPT,
		    "once/hash x:server n=1 5/60 total" },
		{ COUNT("server", "messages"), "protocol_state=RCPT\n",
		    "once/random x:server n=1 5/60" },
		{ COUNT("server", "messages") MODE(1), ALICE RCPT,
		    "pass: not counted at this stage" },
		{ COUNT("server", "bytes"), ALICE END,
		    "once/0 x:server n=2000 5/60" },
		{ COUNT("server", "bytes"), ALICE DATA "size=700\n",
		    "once/0 x:server n=700 5/60" },
		{ COUNT("server", "bytes"), ALICE DATA,
		    "once/0 x:server n=0 5/60" },
		{ COUNT("server", "bytes"), ALICE DATA "size=-1\n",
		    "once/0 x:server n=0 5/60" },
		{ COUNT("server", "bytes"), ALICE RCPT "size=700\n",
		    "pass: not counted at this stage" },
		{ COUNT("server", "bytes") MODE(0), ALICE END,
		    "once/0 x:server n=2000 5/60" },
		{ COUNT("sasl_username", "addresses"), ALICE DATA,
		    "once/0 x:alice n=1 5/60 different:192.0.2.7" },
		{ COUNT("sasl_username", "addresses") "ipv4_prefix = 24",
		    ALICE RCPT,
		    "once/hash x:alice n=1 5/60 different:192.0.2.0/24" },
		{ COUNT("sasl_username", "addresses"),
		    "sasl_username=alice\nclient_address=unknown\n" DATA,
		    "pass: no identity that is counted" },
		{ COUNT("sasl_username", "distinct_recipients"), ALICE RCPT,
		    "once/hash x:alice n=1 5/60 different:carol@example.com" },
		{ COUNT("sasl_username", "distinct_recipients") MODE(1),
		    ALICE RCPT,
		    "once/hash x:alice n=1 5/60 different:carol@example.com" },
		{ COUNT("sasl_username", "distinct_recipients"), ALICE DATA,
		    "pass: not counted at this stage" },
		{ COUNT("sasl_username", "senders"), ALICE DATA,
		    "once/0 x:alice n=1 5/60 different:s@example.org" },
		{ COUNT("sasl_username", "senders") PLUS,
		    "sasl_username=alice\nsender=S+x@Example.ORG\n" RCPT,
		    "once/hash x:alice n=1 5/60 different:s@example.org" },
		/* A bounce is nobody's. */
		{ COUNT("sasl_username", "senders"),
		    "sasl_username=alice\nsender=\n" DATA,
		    "pass: no identity that is counted" },
		{ RULES("{'name': 'm', 'key': 'sasl_username',"
		    "'max_per_mail': 50}"), ALICE DATA,
		    "once/0 m:alice n=3 mail:50" },
		{ RULES("{" NAMED("b", "server") ", 'count': 'bytes',"
		    "'max_per_mail': 1000}"), ALICE END,
		    "once/0 b:server n=2000 5/60 mail:1000" },
		/* One counts here, the other at another stage. */
		{ RULES("{" NAMED("b", "server") ", 'count': 'bytes'},{"
		    NAMED("r", "server") "}"), ALICE RCPT,
		    "once/hash r:server n=1 5/60" },
	};

	(void)state;
	CHECK(cases);
}

/*
 * A request that nothing counts is still checked for blocks and locks: its
 * charge has no key, and nothing of the request before.
 */
static void
rules_count_nothing(void **state)
{
	struct settings	*s = settings_of(MODE(0)
	    RULES("{" NAMED("u", "sasl_username") ", 'lock': {'for': 600,"
	    "'except_recipients': ['carol@example.com']}}"));
	struct applied	 d;
	struct request	 req;

	(void)state;
	apply_init(&d);
	apply(&d, s, &req, ALICE RCPT "\n");
	assert_int_equal(d.charge.nkeys, 2);
	assert_int_equal(d.charge.mode, CHARGE_EACH);
	apply(&d, s, &req, "protocol_state=RCPT\n"
	    "recipient=carol@example.com\n\n");
	assert_int_equal(d.charge.nkeys, 0);
	assert_int_equal(d.charge.mode, CHARGE_ONCE);
	assert_int_equal(d.charge.passeslen, 1);
	assert_memory_equal(d.charge.passes, "u", 1);
	apply_clear(&d);
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(rules_identity),
		TEST(rules_together),
		TEST(rules_scope),
		TEST(rules_extensions),
		TEST(rules_for_whom),
		TEST(rules_for_attributes),
		TEST(exempt),
		TEST(rules_habit),
		TEST(rules_count),
		TEST(rules_count_nothing)
	};

	return cmocka_run_group_tests_name("apply_rules", tests, NULL, NULL);
}
