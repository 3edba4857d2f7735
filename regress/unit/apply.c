#include "engine/identity.h"
#include "engine/stage.h"
#include "apply_case.h"
#include "random.h"

/* --- step 1 --- */

static void
identity(void **state)
{
#define ALL	"limit_by_sasl = limit_by_sender = limit_by_ip = True"
#define BY_IP	"limit_by_sasl = False\nlimit_by_ip = True\n"
#define NETS	"limited_networks = ['192.0.2.0/24', '2001:db8::/32']\n"
#define ALL_OF	"limit_by_sender = True\nlimit_by_ip = True\n" NETS
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	static const struct apply_case	cases[] = {
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
	struct applied	 d;
	struct request	 req;
	int64_t		 first;
	size_t		 i;

	(void)state;
	apply_init(&d);
	apply(&d, s, &req, ALICE RCPT "\n");
	first = d.charge.tag;
	assert_true(first > 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		apply(&d, s, &req, cases[i].request);
		assert_true(d.charge.tag > 0);
		assert_int_equal(d.charge.tag == first, cases[i].same);
	}
	apply_clear(&d);
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
	struct applied	 d;
	struct request	 req;

	(void)state;
	apply_init(&d);
	apply(&d, s, &req, ALICE DATA "\n");
	assert_int_equal(d.charge.instancelen, 3);
	assert_memory_equal(d.charge.instance, "i.1", 3);
	assert_int_equal(d.charge.statelen, 4);
	assert_memory_equal(d.charge.state, "DATA", 4);
	apply(&d, s, &req, ALICE "protocol_state=DATA\n\n");
	assert_int_equal(d.charge.instancelen, 0);
	assert_non_null(d.charge.instance);
	apply_clear(&d);
	settings_free(s);
}

/* --- step 3 --- */

static void
limits(void **state)
{
#define BY_ID	"limits_by_id = {'alice': [[1, 60]]," \
		"'@example.org': [[2, 60]]," \
		"'free': [], 'dave@example.org': [[3, 60], [4, 120]]}\n"
	static const struct apply_case	cases[] = {
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

/* --- sizes --- */

static void
id_longer_than_40(void **state)
{
	static const int	 lens[] = { 41, 255, 256, 4000, CHARGE_ID_MAX };
	static char		 text[REQUEST_MAX];
	struct settings		*s = settings_of("");
	struct applied		 d;
	struct request		 req;
	char			 tail[2][17];
	int			 n, len, i;

	(void)state;
	apply_init(&d);
	for (i = 0; i < 5; i++) {
		len = lens[i];
		n = snprintf(text, sizeof(text), "sasl_username=%0*d\n" DATA
		    "\n", len, 7);
		assert_true(n > 0 && (size_t)n < sizeof(text));
		apply(&d, s, &req, text);
		assert_int_equal(d.charge.keys[0].idlen, len);
		assert_memory_equal(d.charge.keys[0].id, text + 14, len);
	}
	/* Longer ones are cut, but different ones stay different. */
	for (i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof(text), "sasl_username=%0*d\n" DATA
		    "\n", 60000, i);
		apply(&d, s, &req, text);
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
	apply(&d, s, &req, text);
	assert_int_equal(d.charge.instancelen, CHARGE_INSTANCE_MAX);
	assert_int_equal(d.charge.keys[0].idlen, CHARGE_ID_MAX);
	/* A charge with the subject alone carries any state. */
	(void)snprintf(text, sizeof(text), "protocol_state=%0100d\n"
	    "sasl_username=bob\n\n", 1);
	apply(&d, s, &req, text);
	assert_int_equal(d.charge.statelen, CHARGE_STATE_MAX);
	apply_clear(&d);
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
	struct applied			 d;
	struct request			 req;
	struct str			 wire, before, after;
	struct applied			 copy;
	int				 round;

	(void)state;
	apply_init(&d);
	apply_init(&copy);
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
		apply(&d, s, &req, text);
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
	apply_clear(&d);
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
		assert_true(request_parse(&req, cases[i].request,
		    strlen(cases[i].request), &reason) > 0);
		assert_int_equal(stage_rules(s, stage_of(&req)),
		    cases[i].rules);
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
		stage_hint(&line, s, UINT32_MAX);
		assert_string_equal(line.data, cases[i].line);
		str_clear(&line);
		settings_free(s);
	}
	/* Of one rule. */
	s = settings_of(EACH);
	for (i = 0; i < 3; i++) {
		stage_hint(&line, s, UINT32_C(1) << i);
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
	apply_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "sender");
	settings_free(s);
	s = settings_of(RULES("{" NAMED("a", "server") "},"
	    "{'name': 'b', 'key': ['sender', 'client_address'],"
	    "'limits': [[1, 1]]}"));
	name.len = 0;
	apply_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "server");
	name.len = 0;
	key.rule = 1;
	apply_key_name(&name, s, &key, KEY_SENDER);
	assert_string_equal(name.data, "sender,client_address");
	settings_free(s);
	str_clear(&name);
}

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
		TEST(id_longer_than_40),
		TEST(charges_can_be_sent),
		TEST(wrong_stage_silent),
		TEST(hint),
		TEST(key_names)
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
