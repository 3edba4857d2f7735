#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/decide.h"
#include "engine/identity.h"
#include "random.h"
#include "settings_text.h"

#define RANDOM	4711

/*
 * Decisions by hand from the manual pages. A case is a configuration, a
 * request, and what comes of it, in words:
 *
 * 	pass: why
 * 	mode/tag id n=amount windows flags | the next key
 *
 * The tag is 0, random, or a hash. Windows are mails/seconds, with ! where a
 * hit is reported; flags are sql, mail, shadow, warn, total and
 * different:value.
 */
struct decide_case {
	const char	*settings;
	const char	*request;
	const char	*want;
};

#define DATA	"protocol_state=DATA\nrecipient_count=3\ninstance=i.1\n"
#define RCPT	"protocol_state=RCPT\nrecipient_count=0\ninstance=i.1\n" \
		"recipient=Carol@Example.com\n"
#define END	"protocol_state=END-OF-MESSAGE\nrecipient_count=3\n" \
		"instance=i.1\nsize=2000\n"
#define ALICE	"sasl_username=alice\nsender=s@example.org\n" \
		"client_address=192.0.2.7\n"
#define WINDOWS	"10/60 150/86400"

static void
describe_key(struct str *out, const struct msg_charge_key *key)
{
	size_t	i;

	str_add(out, key->id, key->idlen);
	str_addf(out, " n=%" PRId64, key->amount);
	for (i = 0; i < key->limits.count; i++)
		str_addf(out, " %" PRId64 "/%" PRId64 "%s",
		    key->limits.list[i].mails, key->limits.list[i].seconds,
		    key->reported >> i & 1 ? "!" : "");
	if (key->sql)
		str_adds(out, " sql");
	if (key->max_per_mail > 0)
		str_addf(out, " mail:%" PRId64, key->max_per_mail);
	if (key->shadow)
		str_adds(out, " shadow");
	if (key->warn_at > 0)
		str_addf(out, " warn:%u", (unsigned int)key->warn_at);
	if (key->kind == CHARGE_TOTAL)
		str_adds(out, " total");
	if (key->kind == CHARGE_DISTINCT) {
		str_adds(out, " different:");
		str_add(out, key->value, key->valuelen);
	}
}

static void
describe(struct str *out, const struct decision *d)
{
	const struct msg_charge	*charge = &d->charge;
	size_t			 i;

	out->len = 0;
	if (d->reason != REASON_CHARGED) {
		str_addf(out, "pass: %s", decide_reason_text(d->reason));
		return;
	}
	str_addf(out, "%s/%s", charge->mode == CHARGE_ONCE ? "once" : "each",
	    charge->tag == 0 ? "0" : charge->tag == RANDOM ? "random" : "hash");
	for (i = 0; i < charge->nkeys; i++) {
		str_adds(out, i == 0 ? " " : " | ");
		describe_key(out, &charge->keys[i]);
	}
	if (d->bad_count)
		str_adds(out, " bad-count");
}

static void
decide(struct decision *d, const struct settings *s, struct request *req,
    const char *text)
{
	const char		*reason;
	enum decide_outcome	 outcome;

	assert_int_equal(request_parse(req, text, strlen(text), &reason), 0);
	outcome = decide_request(d, s, req, RANDOM);
	assert_int_equal(outcome, d->reason == REASON_CHARGED ? DECIDE_CHARGE :
	    DECIDE_PASS);
}

static void
check(const struct decide_case *cases, size_t n)
{
	struct decision	 d;
	struct settings	*s;
	struct request	 req;
	struct str	 got, text;
	size_t		 i;

	str_init(&got);
	decide_init(&d);
	for (i = 0; i < n; i++) {
		str_init(&text);
		str_addf(&text, "%s\n", cases[i].request);
		s = settings_of(cases[i].settings);
		decide(&d, s, &req, text.data);
		describe(&got, &d);
		if (strcmp(got.data, cases[i].want) != 0)
			fail_msg("case %zu: got \"%s\", not \"%s\", for %s\n%s",
			    i, got.data, cases[i].want, cases[i].settings,
			    cases[i].request);
		settings_free(s);
		str_clear(&text);
	}
	decide_clear(&d);
	str_clear(&got);
}

#define CHECK(cases)	check(cases, sizeof(cases) / sizeof((cases)[0]))

/* --- step 1 --- */

static void
identity(void **state)
{
#define ALL	"limit_by_sasl = limit_by_sender = limit_by_ip = True"
#define BY_IP	"limit_by_sasl = False\nlimit_by_ip = True\n"
#define NETS	"limited_networks = ['192.0.2.0/24', '2001:db8::/32']\n"
#define ALL_OF	"limit_by_sender = True\nlimit_by_ip = True\n" NETS
	static const struct decide_case	cases[] = {
		/* The first that is on and present. */
		{ "", ALICE DATA, "once/0 alice n=3 " WINDOWS },
		{ "", "sender=s@example.org\n" DATA,
		    "pass: no identity that is counted" },
		{ "", "sasl_username=\nsender=s@example.org\n" DATA,
		    "pass: no identity that is counted" },
		{ ALL_OF, ALICE DATA, "once/0 alice n=3 " WINDOWS },
		{ ALL_OF, "sender=s@example.org\nclient_address=192.0.2.7\n"
		    DATA, "once/0 s@example.org n=3 " WINDOWS },
		{ ALL_OF, "sender=\nclient_address=192.0.2.7\n" DATA,
		    "once/0 192.0.2.7 n=3 " WINDOWS },
		{ ALL_OF, "sender=\nclient_address=198.51.100.1\n" DATA,
		    "pass: no identity that is counted" },
		{ "limit_by_sasl = False\nlimit_by_sender = True", ALICE DATA,
		    "once/0 s@example.org n=3 " WINDOWS },
		{ "limit_by_sasl = False", ALICE DATA,
		    "pass: no identity that is counted" },
		/* limited_networks: empty is none. */
		{ BY_IP, ALICE DATA, "pass: no identity that is counted" },
		{ BY_IP NETS, ALICE DATA, "once/0 192.0.2.7 n=3 " WINDOWS },
		{ BY_IP NETS, "client_address=2001:DB8:0::1\n" DATA,
		    "once/0 2001:db8::1 n=3 " WINDOWS },
		{ BY_IP NETS, "client_address=::ffff:192.0.2.7\n" DATA,
		    "once/0 192.0.2.7 n=3 " WINDOWS },
		{ BY_IP NETS, "client_address=192.0.3.7\n" DATA,
		    "pass: no identity that is counted" },
		{ BY_IP "limited_networks = ['0.0.0.0/0']",
		    "client_address=2001:db8::1\n" DATA,
		    "pass: no identity that is counted" },
		{ BY_IP NETS, DATA, "pass: no identity that is counted" },
	};

	(void)state;
	CHECK(cases);
}

static void
unknown_client_address_drops_connection(void **state)
{
	static const struct decide_case	cases[] = {
		{ BY_IP "limited_networks = ['0.0.0.0/0', '::/0']",
		    "client_address=unknown\n" DATA,
		    "pass: no identity that is counted" },
		{ BY_IP "limited_networks = ['0.0.0.0/0', '::/0']",
		    "client_address=\n" DATA,
		    "pass: no identity that is counted" },
		{ BY_IP "limited_networks = ['0.0.0.0/0', '::/0']",
		    "client_address=fe80::1%eth0\n" DATA,
		    "pass: no identity that is counted" },
		{ ALL_OF, "sasl_username=alice\nclient_address=unknown\n" DATA,
		    "once/0 alice n=3 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

static void
case_variant_login(void **state)
{
	static const struct decide_case	cases[] = {
		{ "", "sasl_username=Bob@Example.ORG\n" DATA,
		    "once/0 bob@example.org n=3 " WINDOWS },
		{ "fold_case = False", "sasl_username=Bob@Example.ORG\n" DATA,
		    "once/0 Bob@Example.ORG n=3 " WINDOWS },
		/* ASCII alone: other bytes are left as they came. */
		{ "", "sasl_username=\xc3\x84RGER\n" DATA,
		    "once/0 \xc3\x84rger n=3 " WINDOWS },
		{ "limits_by_id = {'BOB': [[1, 2]]}",
		    "sasl_username=bOb\n" DATA, "once/0 bob n=3 1/2" },
		{ "fold_case = False\nlimits_by_id = {'BOB': [[1, 2]]}",
		    "sasl_username=bOb\n" DATA, "once/0 bOb n=3 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

static void
recipient_delimiter(void **state)
{
#define PLUS	"recipient_delimiter = '+'\n"
	static const struct decide_case	cases[] = {
		{ PLUS, "sasl_username=bob+x@example.org\n" DATA,
		    "once/0 bob@example.org n=3 " WINDOWS },
		{ PLUS, "sasl_username=bob+x+y@example.org\n" DATA,
		    "once/0 bob@example.org n=3 " WINDOWS },
		{ PLUS, "sasl_username=bob+x\n" DATA,
		    "once/0 bob n=3 " WINDOWS },
		{ PLUS, "sasl_username=bob@ex+ample.org\n" DATA,
		    "once/0 bob@ex+ample.org n=3 " WINDOWS },
		{ PLUS, "sasl_username=a@b+c@example.org\n" DATA,
		    "once/0 a@b@example.org n=3 " WINDOWS },
		{ PLUS, "sasl_username=+x@example.org\n" DATA,
		    "once/0 +x@example.org n=3 " WINDOWS },
		{ PLUS, "sasl_username=+\n" DATA, "once/0 + n=3 " WINDOWS },
		{ "", "sasl_username=bob+x@example.org\n" DATA,
		    "once/0 bob+x@example.org n=3 " WINDOWS },
		{ "recipient_delimiter = '+-'",
		    "sasl_username=bob-x+y@example.org\n" DATA,
		    "once/0 bob@example.org n=3 " WINDOWS },
		{ PLUS "limit_by_sasl = False\nlimit_by_sender = True",
		    "sender=s+x@example.org\n" DATA,
		    "once/0 s@example.org n=3 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

static void
prefixes(void **state)
{
#define EVERY	BY_IP "limited_networks = ['0.0.0.0/0', '::/0']\n"
	static const struct decide_case	cases[] = {
		{ EVERY "ipv4_prefix = 24", "client_address=192.0.2.7\n" DATA,
		    "once/0 192.0.2.0/24 n=3 " WINDOWS },
		{ EVERY "ipv4_prefix = 24", "client_address=2001:db8::7\n" DATA,
		    "once/0 2001:db8::7 n=3 " WINDOWS },
		{ EVERY "ipv6_prefix = 64",
		    "client_address=2001:db8:1:2:3:4:5:6\n" DATA,
		    "once/0 2001:db8:1:2::/64 n=3 " WINDOWS },
		/* limits_by_id knows the network that is counted. */
		{ EVERY "ipv6_prefix = 64\n"
		    "limits_by_id = {'2001:db8:1:2::/64': [[5, 5]]}",
		    "client_address=2001:db8:1:2:3:4:5:6\n" DATA,
		    "once/0 2001:db8:1:2::/64 n=3 5/5" },
		{ EVERY "limits_by_id = {'192.0.2.0/24': [[5, 5]],"
		    "'192.0.0.0/16': [[6, 6]]}", "client_address=192.0.2.7\n"
		    DATA, "once/0 192.0.2.7 n=3 5/5" },
		{ EVERY "limits_by_id = {'192.0.2.0/24': [[5, 5]],"
		    "'192.0.0.0/16': [[6, 6]]}", "client_address=192.0.3.7\n"
		    DATA, "once/0 192.0.3.7 n=3 6/6" },
	};

	(void)state;
	CHECK(cases);
}

/* --- step 2 --- */

static void
count_modes(void **state)
{
#define AUTO	"count_mode = 'auto'\n"
#define MODE(n)	"count_mode = " #n "\n"
	static const struct decide_case	cases[] = {
		{ AUTO, ALICE RCPT, "once/hash alice n=1 " WINDOWS },
		{ AUTO, ALICE DATA, "once/0 alice n=3 " WINDOWS },
		{ AUTO, ALICE END, "once/0 alice n=3 " WINDOWS },
		{ MODE(0), ALICE RCPT, "each/random alice n=1 " WINDOWS },
		{ MODE(0), ALICE DATA, "pass: not counted at this stage" },
		{ MODE(0), ALICE END, "pass: not counted at this stage" },
		{ MODE(1), ALICE RCPT, "pass: not counted at this stage" },
		{ MODE(1), ALICE DATA, "once/0 alice n=3 " WINDOWS },
		{ MODE(1), ALICE END, "pass: not counted at this stage" },
		{ MODE(2), ALICE RCPT, "pass: not counted at this stage" },
		{ MODE(2), ALICE DATA, "once/0 alice n=1 " WINDOWS },
		{ MODE(2), ALICE END, "pass: not counted at this stage" },
		/* At DATA at least one, at RCPT just one. */
		{ AUTO, ALICE "protocol_state=DATA\nrecipient_count=0\n"
		    "instance=i\n", "once/0 alice n=1 " WINDOWS },
		{ AUTO, ALICE "protocol_state=RCPT\nrecipient_count=7\n"
		    "instance=i\n", "once/hash alice n=1 " WINDOWS },
		/* Other stages. */
		{ AUTO, ALICE "protocol_state=VRFY\n",
		    "pass: not counted at this stage" },
		{ AUTO, ALICE "protocol_state=CONNECT\n",
		    "pass: not counted at this stage" },
		/* In any case of letters. */
		{ AUTO, ALICE "protocol_state=rcpt\ninstance=i\n",
		    "once/hash alice n=1 " WINDOWS },
		{ AUTO, ALICE "protocol_state=Data\nrecipient_count=3\n"
		    "instance=i\n", "once/0 alice n=3 " WINDOWS },
		{ AUTO, ALICE "protocol_state=end-of-message\ninstance=i\n"
		    "recipient_count=3\n", "once/0 alice n=3 " WINDOWS },
		{ AUTO, ALICE "protocol_state=DATAX\n",
		    "pass: not counted at this stage" },
		/* No stage, no key: success_action. */
		{ AUTO, ALICE, "pass: no protocol_state" },
		{ AUTO, ALICE "protocol_state=\n", "pass: no protocol_state" },
		{ AUTO, "", "pass: no identity that is counted" },
		/* Without an instance nothing is known to be the same. */
		{ AUTO, ALICE "protocol_state=DATA\nrecipient_count=2\n",
		    "once/random alice n=2 " WINDOWS },
		{ AUTO, ALICE "protocol_state=RCPT\ninstance=\n",
		    "once/random alice n=1 " WINDOWS },
		{ MODE(0), ALICE "protocol_state=RCPT\n",
		    "once/random alice n=1 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

static void
missing_recipient_count_drops_connection(void **state)
{
	static const struct decide_case	cases[] = {
		{ "", ALICE "protocol_state=DATA\ninstance=i\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count=\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count=many\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count=-5\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count= 5\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count=99999999999999999999\n",
		    "once/0 alice n=1 " WINDOWS " bad-count" },
		{ "", ALICE "protocol_state=DATA\ninstance=i\n"
		    "recipient_count=2147483647\n",
		    "once/0 alice n=2147483647 " WINDOWS },
		/* At RCPT it is not looked at. */
		{ "", ALICE "protocol_state=RCPT\ninstance=i\n"
		    "recipient_count=many\n",
		    "once/hash alice n=1 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

/* The tag of a recipient: the same again, another for another. */
static void
retransmit_counts_twice(void **state)
{
	static const struct {
		const char	*request;
		bool		 same;
	} cases[] = {
		{ ALICE RCPT "\n", true },
		{ ALICE "protocol_state=RCPT\ninstance=i.1\n"
		    "recipient=cAROL@example.com\n\n", true },
		{ ALICE "protocol_state=RCPT\ninstance=i.1\n"
		    "recipient=dave@example.com\n\n", false },
		{ ALICE "protocol_state=RCPT\ninstance=i.2\n"
		    "recipient=carol@example.com\n\n", false },
		{ ALICE "protocol_state=RCPT\ninstance=i.1\n"
		    "recipient=carol+x@example.com\n\n", false },
		{ ALICE "protocol_state=RCPT\ninstance=i.1\n\n", false },
	};
	struct settings	*s = settings_of(PLUS);
	struct decision	 d;
	struct request	 req;
	int64_t		 first;
	size_t		 i;

	(void)state;
	decide_init(&d);
	decide(&d, s, &req, ALICE RCPT "\n");
	first = d.charge.tag;
	assert_true(first > 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		decide(&d, s, &req, cases[i].request);
		assert_true(d.charge.tag > 0);
		assert_int_equal(d.charge.tag == first, cases[i].same);
	}
	decide_clear(&d);
	settings_free(s);
	/* It is stored: another program version must come to the same. */
	assert_int_equal(identity_tag("i.1", 3, "carol@example.com", 17),
	    first);
	assert_int_equal(first, INT64_C(0x152487d0d9e8f3a9));
}

static void
what_the_ledger_stores(void **state)
{
	struct settings	*s = settings_of("");
	struct decision	 d;
	struct request	 req;

	(void)state;
	decide_init(&d);
	decide(&d, s, &req, ALICE DATA "\n");
	assert_int_equal(d.charge.instancelen, 3);
	assert_memory_equal(d.charge.instance, "i.1", 3);
	assert_int_equal(d.charge.statelen, 4);
	assert_memory_equal(d.charge.state, "DATA", 4);
	decide(&d, s, &req, ALICE "protocol_state=DATA\n\n");
	assert_int_equal(d.charge.instancelen, 0);
	assert_non_null(d.charge.instance);
	decide_clear(&d);
	settings_free(s);
}

/* --- step 3 --- */

static void
limits(void **state)
{
#define BY_ID	"limits_by_id = {'alice': [[1, 60]]," \
		"'@example.org': [[2, 60]]," \
		"'free': [], 'dave@example.org': [[3, 60], [4, 120]]}\n"
#define SQL	"sql_limits_by_id = 'SELECT limits FROM t WHERE id = %s'\n"
	static const struct decide_case	cases[] = {
		{ BY_ID, ALICE DATA, "once/0 alice n=3 1/60" },
		{ BY_ID, "sasl_username=other\n" DATA,
		    "once/0 other n=3 " WINDOWS },
		{ BY_ID, "sasl_username=carol@example.org\n" DATA,
		    "once/0 carol@example.org n=3 2/60" },
		{ BY_ID, "sasl_username=dave@example.org\n" DATA,
		    "once/0 dave@example.org n=3 3/60 4/120" },
		/* Without limits it is counted all the same. */
		{ BY_ID, "sasl_username=free\n" DATA, "once/0 free n=3" },
		{ "limits = []", ALICE DATA, "once/0 alice n=3" },
		/* SQL may know limits where nobody else does. */
		{ SQL BY_ID, ALICE DATA, "once/0 alice n=3 1/60 sql" },
		{ SQL BY_ID, "sasl_username=free\n" DATA,
		    "once/0 free n=3 sql" },
		{ SQL "limits = []", ALICE DATA, "once/0 alice n=3 sql" },
		/* The identity comes first, whether it has limits or not. */
		{ BY_ID "limit_by_sender = True",
		    "sasl_username=free\nsender=alice\n" DATA,
		    "once/0 free n=3" },
		/* Which windows are reported. */
		{ "report = True\nreport_to = 'a@b'", ALICE DATA,
		    "once/0 alice n=3 10/60 150/86400!" },
		{ "report = True\nreport_to = 'a@b'\n"
		    "report_limits = [60, 86400]", ALICE DATA,
		    "once/0 alice n=3 10/60! 150/86400!" },
		{ "report = True\nreport_to = 'a@b'\nreport_limits = []",
		    ALICE DATA, "once/0 alice n=3 " WINDOWS },
		{ "report = False", ALICE DATA, "once/0 alice n=3 " WINDOWS },
	};

	(void)state;
	CHECK(cases);
}

/* --- rules --- */

static void
rules_identity(void **state)
{
#define RULES(r)	"rules = [" r "]\n"
#define NAMED(n, k)	"'name': '" n "', 'key': '" k "', " \
			"'limits': [[5, 60]]"
	static const struct decide_case	cases[] = {
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
	static const struct decide_case	cases[] = {
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
	static const struct decide_case	cases[] = {
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

static void
rules_count(void **state)
{
#define COUNT(k, c)	RULES("{" NAMED("x", k) ", 'count': '" c "'}")
	static const struct decide_case	cases[] = {
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

/* --- sizes --- */

static void
id_longer_than_40(void **state)
{
	static const int	 lens[] = { 41, 255, 256, 4000, CHARGE_ID_MAX };
	static char		 text[REQUEST_MAX];
	struct settings		*s = settings_of("");
	struct decision		 d;
	struct request		 req;
	char			 tail[2][17];
	int			 n, len, i;

	(void)state;
	decide_init(&d);
	for (i = 0; i < 5; i++) {
		len = lens[i];
		n = snprintf(text, sizeof(text), "sasl_username=%0*d\n" DATA
		    "\n", len, 7);
		assert_true(n > 0 && (size_t)n < sizeof(text));
		decide(&d, s, &req, text);
		assert_int_equal(d.charge.keys[0].idlen, len);
		assert_memory_equal(d.charge.keys[0].id, text + 14, len);
	}
	/* Longer ones are cut, but different ones stay different. */
	for (i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof(text), "sasl_username=%0*d\n" DATA
		    "\n", 60000, i);
		decide(&d, s, &req, text);
		assert_int_equal(d.charge.keys[0].idlen, CHARGE_ID_MAX);
		assert_int_equal(d.charge.keys[0].id[CHARGE_ID_MAX - 17], '#');
		memcpy(tail[i], d.charge.keys[0].id + CHARGE_ID_MAX - 17, 17);
	}
	assert_memory_not_equal(tail[0], tail[1], 17);
	/* As long an instance, and long values together in one request. */
	(void)snprintf(text, sizeof(text), "instance=%05000d\n"
	    "protocol_state=RCPT\nrecipient=%020000d\n"
	    "sasl_username=%020000d\n\n",
	    1, 2, 3);
	decide(&d, s, &req, text);
	assert_int_equal(d.charge.instancelen, CHARGE_INSTANCE_MAX);
	assert_int_equal(d.charge.keys[0].idlen, CHARGE_ID_MAX);
	decide_clear(&d);
	settings_free(s);
}

/* Every charge that can be made can be sent, and comes out as it went in. */
static void
charges_can_be_sent(void **state)
{
	static struct msg_charge	 out;
	static char			 text[REQUEST_MAX];
	struct random			 r = { 0x646563696465 };
	struct settings			*s = settings_of(
	    RULES("{" NAMED("a", "sender") ", 'count': 'distinct_recipients'},"
	    "{" NAMED("b", "helo_name") "}," "{" NAMED("c", "recipient")
	    ", 'count': 'messages'},"
	    "{" NAMED("e", "server") ", 'max_per_mail': 9},"
	    "{'name': 'd', 'key': ['sender', 'helo_name', 'recipient'],"
	    "'limits': [[1, 1]], 'count': 'addresses'}"));
	struct decision			 d;
	struct request			 req;
	struct str			 wire, before, after;
	struct decision			 copy;
	int				 round;

	(void)state;
	decide_init(&d);
	decide_init(&copy);
	str_init(&wire);
	str_init(&before);
	str_init(&after);
	for (round = 0; round < 200; round++) {
		(void)snprintf(text, sizeof(text), "protocol_state=RCPT\n"
		    "client_address=192.0.2.7\ninstance=%0*d\nsender=%0*d\n"
		    "helo_name=%0*d\nrecipient=%0*d,\n\n",
		    (int)random_below(&r, 2000), 1,
		    (int)random_below(&r, 20000), 2,
		    (int)random_below(&r, 20000), 3,
		    (int)random_below(&r, 20000), 4);
		decide(&d, s, &req, text);
		assert_int_equal(d.reason, REASON_CHARGED);
		d.charge.deadline = round;
		d.charge.date = 0;
		wire.len = 0;
		msg_charge_put(&wire, &d.charge);
		assert_int_equal(msg_charge_get(&out, wire.data, wire.len), 0);
		describe(&before, &d);
		copy.reason = REASON_CHARGED;
		memcpy(&copy.charge, &out, sizeof(out));
		describe(&after, &copy);
		assert_string_equal(before.data, after.data);
	}
	decide_clear(&d);
	str_clear(&wire);
	str_clear(&before);
	str_clear(&after);
	settings_free(s);
}

/* --- in words --- */

/* Recipients, bytes, distinct recipients: rules 0 to 2. */
#define EACH	RULES("{" NAMED("a", "server") "}," \
		    "{" NAMED("b", "server") ", 'count': 'bytes'}," \
		    "{" NAMED("c", "server") \
		    ", 'count': 'distinct_recipients'}")

static void
wrong_stage_silent(void **state)
{
	static const struct {
		const char	*settings;
		const char	*request;
		uint32_t	 rules;
	} cases[] = {
		{ AUTO, RCPT "\n", 1 },
		{ AUTO, "protocol_state=VRFY\n\n", 0 },
		{ MODE(0), DATA "\n", 0 },
		{ MODE(0), RCPT "\n", 1 },
		{ MODE(1), RCPT "\n", 0 },
		{ MODE(1), DATA "\n", 1 },
		{ MODE(1), END "\n", 0 },
		{ MODE(2), RCPT "\n", 0 },
		{ MODE(2), DATA "\n", 1 },
		{ COUNT("server", "distinct_recipients") MODE(1), RCPT "\n",
		    1 },
		{ COUNT("server", "bytes") MODE(0), END "\n", 1 },
		{ COUNT("recipient", "bytes"), DATA "\n", 0 },
		{ COUNT("recipient", "messages") MODE(1), RCPT "\n", 1 },
		{ COUNT("recipient", "messages") MODE(1), DATA "\n", 0 },
		{ COUNT("server", "messages") MODE(0), DATA "\n", 0 },
		{ EACH, RCPT "\n", 5 },
		{ EACH, DATA "\n", 3 },
		{ EACH, END "\n", 3 },
	};
	struct settings	*s;
	struct request	 req;
	const char	*reason;
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s = settings_of(cases[i].settings);
		assert_int_equal(request_parse(&req, cases[i].request,
		    strlen(cases[i].request), &reason), 0);
		assert_int_equal(decide_stage_rules(s, &req), cases[i].rules);
		settings_free(s);
	}
}

/* The socket and the action are those of the configuration. */
static void
hint(void **state)
{
#define DATA_IS		"smtpd_data_restrictions = check_policy_service "
#define RCPT_IS		"smtpd_recipient_restrictions = check_policy_service "
	static const struct {
		const char	*settings;
		const char	*line;
	} cases[] = {
		{ AUTO, DATA_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }" },
		{ MODE(0), RCPT_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }, ..." },
		{ MODE(1), DATA_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }" },
		{ MODE(2) "SOCKET = '/run/x/p'\ndb_error_action = 'memory'\n",
		    DATA_IS "{ unix:/run/x/p, default_action=DUNNO }" },
		{ "SOCKET = ['127.0.0.1', 10031]\n"
		    "db_error_action = 'defer_if_permit'\n", DATA_IS
		    "{ inet:127.0.0.1:10031, "
		    "default_action=defer_if_permit }" },
		{ "SOCKET = [['::1', 10031], '/run/x/p']\n"
		    "db_error_action = '451 4.3.5 later'\n", DATA_IS
		    "{ inet:[::1]:10031, "
		    "{ default_action=451 4.3.5 later } }" },
		{ COUNT("server", "distinct_recipients"), RCPT_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }, ..." },
		{ EACH, DATA_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }" },
		{ COUNT("recipient", "messages"), RCPT_IS
		    "{ unix:ratelimit/policy, default_action=DUNNO }, ..." },
	};
	struct settings	*s;
	struct str	 line;
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s = settings_of(cases[i].settings);
		str_init(&line);
		decide_stage_hint(&line, s, UINT32_MAX);
		assert_string_equal(line.data, cases[i].line);
		str_clear(&line);
		settings_free(s);
	}
	/* Of one rule. */
	s = settings_of(EACH);
	for (i = 0; i < 3; i++) {
		decide_stage_hint(&line, s, UINT32_C(1) << i);
		assert_int_equal(strstr(line.data, DATA_IS) != NULL, i < 2);
		assert_int_equal(strstr(line.data, RCPT_IS) != NULL, i == 2);
		str_clear(&line);
	}
	settings_free(s);
}

static void
key_names(void **state)
{
	struct settings		*s = settings_of("");
	struct msg_charge_key	 key = { .rule = 0 };
	struct str		 name;

	(void)state;
	str_init(&name);
	decide_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "sender");
	settings_free(s);
	s = settings_of(RULES("{" NAMED("a", "server") "},"
	    "{'name': 'b', 'key': ['sender', 'client_address'],"
	    "'limits': [[1, 1]]}"));
	name.len = 0;
	decide_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "server");
	name.len = 0;
	key.rule = 1;
	decide_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "sender,client_address");
	settings_free(s);
	str_clear(&name);
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(identity),
		TEST(unknown_client_address_drops_connection),
		TEST(case_variant_login),
		TEST(recipient_delimiter),
		TEST(prefixes),
		TEST(count_modes),
		TEST(missing_recipient_count_drops_connection),
		TEST(retransmit_counts_twice),
		TEST(what_the_ledger_stores),
		TEST(limits),
		TEST(rules_identity),
		TEST(rules_together),
		TEST(rules_scope),
		TEST(rules_count),
		TEST(id_longer_than_40),
		TEST(charges_can_be_sent),
		TEST(wrong_stage_silent),
		TEST(hint),
		TEST(key_names)
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
