#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/check.h"
#include "conf/limits.h"
#include "conf/syntax/literal.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "lib/alloc.h"

/* What was read last, and what was found wrong with it. */
static struct settings	*s;
static struct faults	 faults;

static int
forget(void **state)
{
	(void)state;
	settings_free(s);
	s = NULL;
	fault_clear(&faults);
	return 0;
}

static void
read_text(const char *text)
{
	struct value	*dict;

	forget(NULL);
	fault_init(&faults, "test.conf");
	dict = literal_file(text, strlen(text), &faults);
	s = settings_adopt(dict, &faults);
	check_settings(s, &faults);
	fault_sort(&faults);
}

/* Whether a fault is there, as "line:column: text", or its beginning. */
static bool
has_fault(const char *expected)
{
	char	place[64], text[1200];
	size_t	i;

	for (i = 0; i < faults.count; i++) {
		snprintf(place, sizeof(place), "%u:%u: ", faults.list[i].line,
		    faults.list[i].column);
		snprintf(text, sizeof(text), "%s%s", place,
		    faults.list[i].text);
		if (strncmp(text, expected, strlen(expected)) == 0)
			return true;
	}
	return false;
}

static void
good(const char *text)
{
	char	what[1200];
	size_t	i;

	read_text(text);
	for (i = 0; i < faults.count; i++) {
		fault_print(&faults, i, what, sizeof(what));
		print_message("%s\n", what);
	}
	assert_int_equal(faults.count, 0);
}

static void
bad(const char *text, const char *expected)
{
	read_text(text);
	if (faults.errors == 0)
		fail_msg("accepted: %s", text);
	if (!has_fault(expected))
		fail_msg("%s: not \"%s\" but \"%u:%u: %s\"", text, expected,
		    faults.list[0].line, faults.list[0].column,
		    faults.list[0].text);
}

static void
warned(const char *text, const char *expected)
{
	read_text(text);
	if (faults.errors != 0)
		fail_msg("refused: %s: %s", text, faults.list[0].text);
	if (faults.warnings == 0)
		fail_msg("no warning: %s", text);
	if (!has_fault(expected))
		fail_msg("%s: not \"%s\" but \"%u:%u: %s\"", text, expected,
		    faults.list[0].line, faults.list[0].column,
		    faults.list[0].text);
}

static void
looks(const char *name, const char *expected)
{
	const struct value	*v;
	struct str		 text;

	if ((v = settings_lookup(s, name)) == NULL)
		fail_msg("%s is not found", name);
	str_init(&text);
	value_print(&text, v);
	assert_string_equal(text.data == NULL ? "" : text.data, expected);
	str_clear(&text);
}

static const struct limits *
limits_of(const char *id)
{
	return settings_id_limits(s->limits_by_id, id, strlen(id));
}

/* Mails of the id's only limit; -1: no entry, 0: an entry without limits. */
static int64_t
mails_of(const char *id)
{
	const struct limits	*limits;

	if ((limits = limits_of(id)) == NULL)
		return -1;
	return limits->count == 0 ? 0 : limits->list[0].mails;
}

/* --- defaults --- */

static void
defaults(void **state)
{
	(void)state;
	good("");
	assert_true(s->debug);
	assert_string_equal(s->user, "policyd-rate-limit");
	assert_int_equal(s->backend, BACKEND_SQLITE);
	assert_int_equal(s->nsockets, 1);
	assert_string_equal(s->sockets[0].path,
	    "/var/spool/postfix/ratelimit/policy");
	assert_int_equal(s->socket_permission, 0666);
	assert_int_equal(s->limits.count, 2);
	assert_int_equal(s->limits.list[1].mails, 150);
	assert_int_equal(s->limits.list[1].seconds, 86400);
	assert_true(s->limit_by_sasl);
	assert_false(s->limit_by_sender);
	assert_int_equal(s->count_mode, COUNT_AUTO);
	assert_int_equal(s->nreport_limits, 1);
	assert_int_equal(s->report_limits[0], 86400);
	assert_string_equal(s->smtp_host, "localhost");
	assert_int_equal(s->smtp_port, 25);
	assert_null(s->smtp_user);
	assert_null(s->report_from);
	assert_int_equal(s->report_to.count, 0);
	assert_int_equal(s->smtp_tls, SMTP_TLS_NONE);
	assert_int_equal(s->delay_to_close, 1200);
	assert_int_equal(s->db_timeout, 2000);
	assert_int_equal(s->memory_limit, INT64_C(256) * 1024 * 1024);
	assert_int_equal(s->nrules, 0);
	assert_true(s->fold_case);
	assert_string_equal(s->control_socket,
	    "/var/run/policyd-rate-limit/control");
	assert_int_equal(settings_longest_window(s), 86400);
	assert_string_equal(s->config_file, "test.conf");
	looks("config_file", "test.conf");
	looks("limits", "[[10, 60], [150, 86400]]");
	looks("smtp_server", "['localhost', 25]");
	looks("db_timeout", "2.0");
}

/* --- looking up --- */

static void
lookup(void **state)
{
	(void)state;
	good("limits = ([1, 2], (3, 4))\nbackend = 'sqlite'\n"
	    "debug = 1\nlimits_by_id = {'a.b@c.d': [[1, 2]], 7: []}\n"
	    "sqlite_config = {'timeout': 5}\n"
	    "mysql_config = {'ssl': {'ca': 'x.pem'}}\n");
	looks("limits", "([1, 2], (3, 4))");
	looks("backend", "sqlite");
	looks("debug", "1");
	looks("limits_by_id.a.b@c.d", "[[1, 2]]");
	looks("limits_by_id.7", "[]");
	looks("sqlite_config.timeout", "5");
	looks("sqlite_config.database",
	    "/var/lib/policyd-rate-limit/db.sqlite3");
	looks("mysql_config", "{'ssl': {'ca': 'x.pem'}}");
	looks("mysql_config.ssl.ca", "x.pem");
	looks("limited_netword", "[]");
	assert_null(settings_lookup(s, "mysql_config.user"));
	assert_null(settings_lookup(s, "mysql_config."));
	assert_null(settings_lookup(s, "limits.0"));
	assert_null(settings_lookup(s, "Debug"));
	assert_null(settings_lookup(s, ""));
	assert_null(settings_lookup(s, "."));
	assert_null(settings_lookup(s, "nothing.at.all"));
	assert_ptr_equal(settings_lookup(s, "sqlite_config"),
	    s->sqlite_config);
}

/* --- values --- */

static void
values(void **state)
{
	(void)state;
	good("debug = 0\nbackend = 2\ncount_mode = 'auto'\n"
	    "socket_permission = '0660'\ndb_timeout = 1\n"
	    "delay_to_close = 2000.0\nmemory_limit = 16\n");
	assert_false(s->debug);
	assert_int_equal(s->backend, BACKEND_PGSQL);
	assert_int_equal(s->socket_permission, 0660);
	assert_int_equal(s->db_timeout, 1000);
	assert_int_equal(s->delay_to_close, 2000);
	assert_int_equal(s->memory_limit, 16 * 1024 * 1024);

	bad("debug = 2", "1:9: debug must be True or False, not int");
	bad("debug = 'False'", "1:9: debug must be True or False, not str");
	bad("user = ''", "1:8: user must not be empty");
	bad("user = None", "1:8: user must be a string, not None");
	bad("user = 'a\\nb'", "1:8: user must be one line");
	bad("backend = 3", "1:11: backend must be 0 to 2 or one of");
	bad("backend = -1", "1:11: backend must be");
	bad("backend = True", "1:11: backend must be 0 to 2");
	bad("backend = 'Sqlit'", "1:11: backend must be 0 to 2 or one of "
	    "\"sqlite\", \"mysql\", \"pgsql\"; did you mean \"sqlite\"?");
	bad("count_mode = 3", "1:14: count_mode must be 0 to 2 or");
	bad("socket_permission = 660", "1:21: socket_permission is a decimal "
	    "number; did you mean 0o660?");
	bad("socket_permission = 0o1777", "1:21: socket_permission must be");
	bad("socket_permission = '660'", "1:21: socket_permission must be");
	bad("db_timeout = 0.001", "1:14: db_timeout must be from 0.01 to 60");
	bad("db_timeout = -1", "1:14: db_timeout must be from 0.01");
	bad("delay_to_close = 0", "1:18: delay_to_close must be from 1");
	bad("delay_to_close = 1.5", "1:18: delay_to_close must be a whole");
	bad("ipv4_prefix = 33", "1:15: ipv4_prefix must be from 1 to 32");
	bad("memory_limit = 15", "1:16: memory_limit must be from 16");
	bad("recipient_delimiter = '@'", "1:23: recipient_delimiter must be");
	bad("report_limits = [0]", "1:18: report_limits must hold");
	bad("report_limits = 86400", "1:17: report_limits must be a list");
	bad("success_action = None", "1:18: success_action must be a string");
	bad("smtp_tls = 'ssl'", "1:12: smtp_tls must be one of \"none\"");
	bad("smtp_tls = 1", "1:12: smtp_tls must be one of \"none\"");
}

static void
every_fault(void **state)
{
	(void)state;
	read_text("debug = 7\nlimits = [[10, 60], [1], [2, 0], ['x', 1]]\n"
	    "usr = 'x'\nlimits_by_id = {'a': [[1, 2, 3]], 'b': 5}\n");
	assert_true(has_fault("1:9: debug"));
	assert_true(has_fault("2:21: limits must be a list of [mails"));
	assert_true(has_fault("2:30: limits has seconds"));
	assert_true(has_fault("2:35: limits must hold whole numbers, not str"));
	assert_true(has_fault("3:1: unknown setting \"usr\"; did you mean "
	    "\"user\"?"));
	assert_true(has_fault("4:23: limits_by_id[\"a\"] must be a list of"));
	assert_true(has_fault("4:40: limits_by_id[\"b\"] must be a list of"));
	assert_int_equal(faults.errors, 6);
	assert_int_equal(faults.unknown, 1);
}

static void
unknown_names(void **state)
{
	(void)state;
	warned("limit_by_sals = True", "1:1: unknown setting "
	    "\"limit_by_sals\"; did you mean \"limit_by_sasl\"?");
	assert_int_equal(faults.unknown, 1);
	warned("socket = 'x/y'", "1:1: unknown setting \"socket\"; did you "
	    "mean \"SOCKET\"?");
	read_text("completely_different = 1");
	assert_string_equal(faults.list[0].text,
	    "unknown setting \"completely_different\"");
	warned("config_file = 'x'", "1:1: config_file is set by the program");
	assert_int_equal(faults.unknown, 0);
	looks("config_file", "test.conf");
}

/* --- limits --- */

static void
limits(void **state)
{
	(void)state;
	good("limits = []");
	assert_int_equal(s->limits.count, 0);
	good("limits = ((0, 1), [5.0, 24 * 3600],)");
	assert_int_equal(s->limits.list[0].mails, 0);
	assert_int_equal(s->limits.list[1].mails, 5);
	assert_int_equal(s->limits.list[1].seconds, 86400);
	good("limits = [[1,1],[1,2],[1,3],[1,4],[1,5],[1,6],[1,7],[1,8],"
	    "[1,9],[1,10],[1,11],[1,12],[1,13],[1,14],[1,15],[1,16]]");
	assert_int_equal(s->limits.count, LIMITS_MAX);
	bad("limits = [[1,1],[1,2],[1,3],[1,4],[1,5],[1,6],[1,7],[1,8],"
	    "[1,9],[1,10],[1,11],[1,12],[1,13],[1,14],[1,15],[1,16],[1,17]]",
	    "1:10: limits has more than 16 windows");
	bad("limits = [10, 60]", "1:11: limits must be a list of [mails, "
	    "seconds], such as");
	bad("limits = None", "1:10: limits must be a list");
	bad("limits = [[-1, 60]]", "1:12: limits has mails");
	bad("limits = [[1, 1.5]]", "1:15: limits must hold whole numbers");
	bad("limits = [[True, 60]]", "1:12: limits must hold whole numbers");
	bad("limits = [[1, 9999999999999]]", "1:15: limits has seconds");
}

static void
limits_by_literal(void **state)
{
	struct limits	 found;
	struct faults	 none;
	struct value	*v;
	char		 reason[200];

	(void)state;
	fault_init(&none, NULL);
	v = literal_value("[[10, 60], (1, 2)]", 18, &none);
	assert_int_equal(limits_parse(&found, v, reason, sizeof(reason)), 0);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.list[1].seconds, 2);
	window_limits_clear(&found);
	value_free(v);
	v = literal_value("[[10, 0]]", 9, &none);
	assert_int_equal(limits_parse(&found, v, reason, sizeof(reason)),
	    -1);
	assert_non_null(strstr(reason, "seconds"));
	value_free(v);
	fault_clear(&none);
}

static void
by_id(void **state)
{
	(void)state;
	read_text("ipv6_prefix = 64\nlimit_by_ip = True\n"
	    "limited_networks = ['0.0.0.0/0']\n"
	    "limits_by_id = {\n"
	    "'Bob': [[1, 60]], '@Example.org': [[2, 60]],\n"
	    "'alice@example.org': [], 42: [[3, 60]],\n"
	    "'10.0.0.0/8': [[4, 60]], '10.1.0.0/16': [[5, 60]],\n"
	    "'10.1.2.3': [[6, 60]], '2001:DB8::/32': [[7, 60]],\n"
	    "'2001:db8:1::/64': [[8, 60]], '0.0.0.0/0': [[9, 604800]]}\n");
	assert_int_equal(faults.count, 0);
	assert_int_equal(mails_of("bob"), 1);
	assert_int_equal(mails_of("Bob"), -1);
	assert_int_equal(mails_of("bob@example.org"), 2);
	assert_int_equal(mails_of("a@b@example.org"), 2);
	assert_int_equal(mails_of("alice@example.org"), 0);
	assert_int_equal(mails_of("bob@sub.example.org"), -1);
	assert_int_equal(mails_of("example.org"), -1);
	assert_int_equal(mails_of("42"), 3);
	assert_int_equal(mails_of("10.200.0.1"), 4);
	assert_int_equal(mails_of("10.1.200.1"), 5);
	assert_int_equal(mails_of("10.1.2.3"), 6);
	assert_int_equal(mails_of("::ffff:10.1.2.3"), 6);
	assert_int_equal(mails_of("10.1.2.0/24"), 5);
	assert_int_equal(mails_of("10.0.0.0/8"), 4);
	assert_int_equal(mails_of("192.0.2.1"), 9);
	assert_int_equal(mails_of("2001:db8:1::/64"), 8);
	assert_int_equal(mails_of("2001:db8:2::/64"), 7);
	assert_int_equal(mails_of("2001:db8:1::5"), 8);
	assert_int_equal(mails_of("2001:db9::1"), -1);
	assert_int_equal(mails_of(""), -1);
	assert_int_equal(mails_of("@"), -1);
	assert_int_equal(mails_of("unknown"), -1);
	assert_int_equal(settings_longest_window(s), 604800);
	assert_null(settings_id_limits(NULL, "bob", 3));
	/* Not the bytes up to a NUL, nor behind the end. */
	assert_null(settings_id_limits(s->limits_by_id, "bob\0x", 5));
	assert_non_null(settings_id_limits(s->limits_by_id, "bobx", 3));
}

/* Case is folded whatever comes first in the file. */
static void
by_id_folding(void **state)
{
	(void)state;
	good("limits_by_id = {'Bob': [[1, 60]], '@X.org': []}\n"
	    "fold_case = False\n");
	assert_int_equal(mails_of("Bob"), 1);
	assert_int_equal(mails_of("bob"), -1);
	assert_int_equal(mails_of("a@X.org"), 0);
	assert_int_equal(mails_of("a@x.org"), -1);
	warned("limits_by_id = {'Bob': [[1, 60]], 'bob': [[2, 60]]}",
	    "1:35: limits_by_id names the same id twice (fold_case is on)");
	assert_int_equal(mails_of("bob"), 2);
	warned("limits_by_id = {'10.0.0.0/8': [], '10.0.0.0/8 ': [],\n"
	    "'2001:db8::/32': [[1, 1]], '2001:DB8:0::/32': [[2, 2]]}",
	    "2:28: limits_by_id names the same id twice");
	assert_int_equal(mails_of("2001:db8::"), 2);
	warned("ipv4_prefix = 24\nlimits_by_id = {'10.1.1.1': []}",
	    "2:17: limits_by_id has \"10.1.1.1\", but clients are counted by "
	    "networks of /24");
}

static void
by_id_faults(void **state)
{
	(void)state;
	bad("limits_by_id = []", "1:16: limits_by_id must be a dictionary");
	bad("limits_by_id = {None: []}", "1:17: limits_by_id must have strings "
	    "as ids, not None");
	bad("limits_by_id = {True: []}", "1:17: limits_by_id must have strings "
	    "as ids, not bool");
	bad("limits_by_id = {'': []}", "1:17: limits_by_id has an empty id");
	bad("limits_by_id = {'10.0.0.1/8': []}", "1:17: limits_by_id has the "
	    "network \"10.0.0.1/8\", which has host bits set");
	good("limits_by_id = None");
	assert_int_equal(mails_of("x"), -1);
}

/* A hundred thousand ids are looked up as fast as ten. */
static void
by_id_many(void **state)
{
	struct value	*dict, *ids, *limit, *one;
	char		 id[32];
	int		 i;

	(void)state;
	forget(NULL);
	fault_init(&faults, NULL);
	ids = value_new(VALUE_DICT);
	for (i = 0; i < 100000; i++) {
		snprintf(id, sizeof(id), "User%d@example.org", i);
		limit = value_new(VALUE_LIST);
		value_append(limit, value_int(i));
		value_append(limit, value_int(60));
		one = value_new(VALUE_LIST);
		value_append(one, limit);
		value_append(ids, value_str(id, strlen(id)));
		value_append(ids, one);
	}
	dict = value_new(VALUE_DICT);
	value_set(dict, value_str("limits_by_id", 12), ids);
	s = settings_adopt(dict, &faults);
	assert_int_equal(faults.count, 0);
	for (i = 0; i < 100000; i++) {
		snprintf(id, sizeof(id), "user%d@example.org", i);
		if (i == 0)
			assert_int_equal(limits_of(id)->list[0].mails, 0);
		else
			assert_int_equal(mails_of(id), i);
	}
	assert_int_equal(mails_of("user100000@example.org"), -1);
}

/* --- sockets --- */

static void
sockets(void **state)
{
	(void)state;
	good("SOCKET = ['127.0.0.1', 10031]");
	assert_int_equal(s->nsockets, 1);
	assert_null(s->sockets[0].path);
	assert_string_equal(s->sockets[0].host, "127.0.0.1");
	assert_int_equal(s->sockets[0].port, 10031);
	good("SOCKET = ('::1', 1)");
	assert_int_equal(s->nsockets, 1);
	good("SOCKET = ['/a', '/b']");
	assert_int_equal(s->nsockets, 2);
	assert_string_equal(s->sockets[1].path, "/b");
	good("SOCKET = ['/a', ('127.0.0.1', 65535), ['::1', 2]]");
	assert_int_equal(s->nsockets, 3);
	assert_int_equal(s->sockets[1].port, 65535);
	good("SOCKET = [['127.0.0.1', 10031]]");
	assert_int_equal(s->nsockets, 1);

	bad("SOCKET = ['127.0.0.1', 0]", "1:24: SOCKET must have a port");
	assert_int_equal(faults.sockets, 0);
	bad("SOCKET = ['/a', ['127.0.0.1', 65536]]", "1:31: SOCKET must have");
	bad("SOCKET = ['/a', '/b', '/a']", "1:10: SOCKET names \"/a\" twice");
	bad("SOCKET = [['::1', 2], ['::1', 2]]", "1:10: SOCKET names");
}

/* Exit status 4: neither a path nor a pair of an address and a port. */
static void
socket_form(void **state)
{
	static const char *const	wrong[] = {
		"SOCKET = ''", "SOCKET = 5", "SOCKET = None", "SOCKET = []",
		"SOCKET = ['localhost', 10031]", "SOCKET = {}",
		"SOCKET = ['127.0.0.1']", "SOCKET = ['127.0.0.1', '10031']",
		"SOCKET = ['/a', 5, 6]", "SOCKET = [['localhost', 1], '/a']",
		"SOCKET = ['/a', '']", "SOCKET = [5, '127.0.0.1']", NULL
	};
	size_t				 i;

	(void)state;
	for (i = 0; wrong[i] != NULL; i++) {
		read_text(wrong[i]);
		if (faults.errors != 1 || faults.sockets != 1)
			fail_msg("%s: %zu errors", wrong[i], faults.errors);
	}
	read_text("SOCKET = ['foo.bar', 1]");
	assert_int_equal(faults.errors, 0);
	/* No start is refused for it here, but -n tells. */
	check_addresses(s, &faults);
	assert_int_equal(faults.errors, 1);
	good("");
}

/* --- networks --- */

static void
networks(void **state)
{
	(void)state;
	good("limit_by_ip = True\nlimited_networks = ['10.0.0.0/8', "
	    "'192.0.2.1', '2001:db8::/32', '172.16.0.0/255.240.0.0']");
	assert_int_equal(s->limited_networks.count, 4);
	assert_int_equal(s->limited_networks.list[1].prefix, 32);
	assert_int_equal(s->limited_networks.list[3].prefix, 12);
	good("limit_by_ip = True\nlimited_netword = ['10.0.0.0/8']");
	assert_int_equal(s->limited_networks.count, 1);
	looks("limited_networks", "['10.0.0.0/8']");
	warned("limit_by_ip = 1\nlimited_networks = []\n"
	    "limited_netword = ['::/0']", "3:1: limited_networks was set");
	assert_int_equal(s->limited_networks.count, 1);

	bad("limited_networks = ['10.0.0.1/8']", "1:21: limited_networks has "
	    "\"10.0.0.1/8\", which has host bits set: did you mean "
	    "\"10.0.0.0/8\"?");
	bad("limited_networks = ['10.0.0.0/255.0.255.0', 'x', 5]",
	    "1:21: limited_networks has \"10.0.0.0/255.0.255.0\", which is no");
	assert_int_equal(faults.errors, 3);
	bad("limited_networks = ['2001:d00::/255.255.255.0']",
	    "1:21: limited_networks has \"2001:d00::/255.255.255.0\", which is "
	    "not a network");
	bad("limited_networks = '10.0.0.0/8'", "1:20: limited_networks must be "
	    "a list of networks, not str");
}

/* --- mail --- */

static void
mail(void **state)
{
	(void)state;
	good("report_to = 'root'");
	assert_int_equal(s->report_to.count, 1);
	good("report_to = ['a@b', 'Foo Bar <c@d.org>']\n"
	    "report_from = 'Rate limit <r@e.org>'");
	assert_int_equal(s->report_to.count, 2);
	assert_string_equal(s->report_to.list[1], "c@d.org");
	assert_string_equal(s->report_from, "r@e.org");
	good("report_to = '\"Doe, John\" <j@d>, c@d'");
	assert_int_equal(s->report_to.count, 2);
	assert_string_equal(s->report_to.list[0], "j@d");
	bad("report_to = 'a@b,'", "1:13: report_to must be a mail address");
	good("report_to = 'a@b, c@d'");
	assert_int_equal(s->report_to.count, 2);
	assert_string_equal(s->report_to.list[1], "c@d");
	bad("report_to = ['a@b', 'a b', 'c@d\\r\\nRCPT TO:<x>', 5]",
	    "1:21: report_to must be a mail address");
	assert_int_equal(faults.errors, 3);
	bad("report_from = '<>'", "1:15: report_from must be a mail address");

	good("smtp_server = 'mail.example.org'");
	assert_string_equal(s->smtp_host, "mail.example.org");
	assert_int_equal(s->smtp_port, 25);
	good("smtp_server = ('mail', 587)");
	assert_int_equal(s->smtp_port, 587);
	good("smtp_server = ['mail:2525']");
	assert_string_equal(s->smtp_host, "mail");
	assert_int_equal(s->smtp_port, 2525);
	good("smtp_server = ['2001:db8::1']");
	assert_string_equal(s->smtp_host, "2001:db8::1");
	good("smtp_server = '[2001:db8::1]:465'");
	assert_string_equal(s->smtp_host, "2001:db8::1");
	assert_int_equal(s->smtp_port, 465);
	good("smtp_server = ['mail']\nsmtp_tls = 'tls'");
	assert_int_equal(s->smtp_port, 465);
	bad("smtp_server = []", "1:15: smtp_server must be [host, port]");
	bad("smtp_server = ['']", "1:16: smtp_server must name a host");
	bad("smtp_server = ['a', 0]", "1:21: smtp_server must have a port");
	bad("smtp_server = 'a:b'", "1:15: smtp_server must name a host");
}

static void
encryption(void **state)
{
	(void)state;
	good("smtp_starttls = True");
	assert_int_equal(s->smtp_tls, SMTP_TLS_STARTTLS);
	good("smtp_starttls = True\nsmtp_tls = None");
	assert_int_equal(s->smtp_tls, SMTP_TLS_STARTTLS);
	good("smtp_tls = 'tls'\nsmtp_starttls = False");
	assert_int_equal(s->smtp_tls, SMTP_TLS_TLS);
	good("smtp_credentials = ('u', 'p')");
	assert_string_equal(s->smtp_user, "u");
	assert_string_equal(s->smtp_password, "p");
	bad("smtp_credentials = ['u', 5]", "1:26: smtp_credentials must hold");
	bad("smtp_credentials = ['u']", "1:20: smtp_credentials must be");
	warned("report = True\nsmtp_server = ['mail', 25]\n"
	    "smtp_credentials = ['u', 'p']", "3:20: smtp_credentials are never "
	    "sent to \"mail\" without TLS");
}

/* --- connections --- */

static void
connections(void **state)
{
	(void)state;
	good("sqlite_config = {'database': '/x', 'timeout': 2.5,\n"
	    "'synchronous': 'full'}\n"
	    "mysql_config = {'host': 'h', 'port': '3306', 'password': 'p',\n"
	    "'ssl': {'ca': '/x'}, 'ssl_mode': 'VERIFY_CA', 'db': None}\n"
	    "pgsql_config = {'service': 's', 'port': 5432, 'dbname': 'x'}\n");
	warned("sqlite_config = {'database': 'x', 'factory': None}",
	    "1:35: sqlite_config has \"factory\", which has no meaning here");
	assert_int_equal(faults.unknown, 0);
	warned("mysql_config = {'hots': 'x'}", "1:17: mysql_config has "
	    "\"hots\", which MySQLdb.connect does not know; did you mean "
	    "\"host\"?");
	assert_int_equal(faults.unknown, 1);
	/* A name that is not seen would be a certificate that is not. */
	warned("mysql_config = {'ssl': {'cert': None, 'caPath': '/x'}}",
	    "1:39: mysql_config has \"caPath\", which MySQLdb.connect's ssl "
	    "does not know; did you mean \"capath\"?");
	assert_int_equal(faults.unknown, 1);
	bad("mysql_config = {'ssl': {'ca': True}}", "1:31: mysql_config must "
	    "have a string as \"ca\"");
	bad("mysql_config = {'ssl': True}", "1:24: mysql_config must have a "
	    "dictionary as \"ssl\"");
	bad("sqlite_config = {'database': ''}", "1:30: sqlite_config must have "
	    "the path of a file as \"database\"");
	bad("sqlite_config = {'synchronous': 'off'}", "1:33: sqlite_config "
	    "must have \"normal\" or \"full\" as \"synchronous\"");
	bad("mysql_config = {'port': 'x'}", "1:25: mysql_config must have");
	bad("mysql_config = {'passwd': 5}", "1:27: mysql_config must have a "
	    "string as \"passwd\"");
	bad("pgsql_config = {'host': []}", "1:25: pgsql_config must have");
	bad("pgsql_config = None", "1:16: pgsql_config must be a dictionary");
	/* A database that was not written is the default one. */
	good("sqlite_config = {'timeout': 1, 'database': None}");
	looks("sqlite_config.database",
	    "/var/lib/policyd-rate-limit/db.sqlite3");
}

/* --- rules --- */

static void
rules(void **state)
{
	const struct settings_rule	*r;

	(void)state;
	good("report = True\nreport_to = 'root'\nrules = [\n"
	    "{'name': 'user', 'key': 'sasl_username', 'limits': [[5, 60]],\n"
	    " 'limits_by_id': {'Bob': []}, 'warn_at': 80, 'report': False},\n"
	    "{'name': 'host', 'key': ['client_address', 'helo_name'],\n"
	    " 'limits': [[9, 999999]], 'unless': 'sasl_username',\n"
	    " 'networks': ['10.0.0.0/8'], 'count': 'messages',\n"
	    " 'action': 'reject {id} has {used}', 'shadow': True}]\n");
	assert_int_equal(s->nrules, 2);
	r = &s->rules[0];
	assert_string_equal(r->name, "user");
	assert_int_equal(r->nkey, 1);
	assert_int_equal(r->key[0], KEY_SASL_USERNAME);
	assert_int_equal(r->limits.list[0].mails, 5);
	assert_non_null(settings_id_limits(r->limits_by_id, "bob", 3));
	assert_null(r->sql_limits_by_id);
	assert_null(r->action);
	assert_int_equal(r->unless, -1);
	assert_int_equal(r->warn_at, 80);
	assert_int_equal(r->count, RULE_RECIPIENTS);
	assert_false(r->report);
	assert_false(r->shadow);
	r = &s->rules[1];
	assert_int_equal(r->nkey, 2);
	assert_int_equal(r->key[1], KEY_HELO_NAME);
	assert_int_equal(r->unless, KEY_SASL_USERNAME);
	assert_int_equal(r->networks.count, 1);
	assert_int_equal(r->count, RULE_MESSAGES);
	assert_true(r->shadow);
	assert_true(r->report);
	assert_string_equal(r->action, "reject {id} has {used}");
	assert_int_equal(settings_longest_window(s), 999999);
	good("rules = None\nlimits = [[1, 1]]");
	assert_int_equal(s->nrules, 0);
}

static void
rules_faults(void **state)
{
	(void)state;
	bad("rules = []", "1:9: rules holds no rule");
	bad("rules = {}", "1:9: rules must be a list of dictionaries");
	bad("rules = [5]", "1:10: rules[0] must be a dictionary, not int");
	bad("rules = [{}]", "1:10: rules[0] has no name");
	assert_true(has_fault("1:10: rules[0] has no key"));
	assert_true(has_fault("1:10: rules[0] has none of limits"));
	bad("rules = [{'name': 'a:b', 'key': 'server', 'limits': []}]",
	    "1:19: rules[0].name must be made of");
	bad("rules = [{'name': '', 'key': 'server', 'limits': []}]",
	    "1:19: rules[0].name must be made of");
	bad("rules = [{'name': 'a', 'key': [], 'limits': []}]",
	    "1:31: rules[0].key must name one to 4 attributes");
	bad("rules = [{'name': 'a', 'key': ['sender', 'server'], 'limits': "
	    "[]}]", "1:42: rules[0].key has \"server\" beside others");
	bad("rules = [{'name': 'a', 'key': 'sasl_user', 'limits': []}]",
	    "1:31: rules[0].key must be one of");
	bad("rules = [{'name': 'a', 'key': 'server', 'limits': [], "
	    "'warn_at': 101}]", "1:66: rules[0].warn_at must be from 0 to 100");
	bad("rules = [{'name': 'a', 'key': 'server', 'limits': [], "
	    "'unless': 'server'}]", "1:65: rules[0].unless is \"server\"");
	bad("rules = [{'name': 'a', 'key': 'server', 'limits': [], "
	    "'action': 'bogus'}]", "1:65: rules[0].action begins with "
	    "\"bogus\"");
	bad("rules = [{'name': 'a', 'key': 'server', 'limits': []},\n"
	    "{'name': 'a', 'key': 'sender', 'limits': []}]",
	    "2:10: rules[1] has the name of another rule");
	bad("rules = [{'name': 'a', 'key': 'server', 'limits': []}]\n"
	    "limits = [[1, 1]]\nlimit_by_ip = False\n"
	    "limited_netword = []\nlimits_by_id = {}\nlimit_by_sasl = True\n"
	    "sql_limits_by_id = ''\nlimit_by_sender = False\n",
	    "2:10: limits must not be set when rules is");
	assert_int_equal(faults.errors, 7);
	warned("rules = [{'name': 'a', 'keys': 1, 'key': 'server', "
	    "'limits': []}]", "1:24: rules[0] has an unknown field \"keys\"; "
	    "did you mean \"key\"?");
	assert_int_equal(faults.unknown, 1);
}

/* --- actions --- */

static void
actions(void **state)
{
	static const char *const	right[] = {
		"reject", "REJECT try {retry_after}", "defer_if_permit x: y",
		"450 4.7.1 slow down", "554",
		"redirect a@b.org", "filter smtp:[x]:25", "hold", "discard",
		"reject_unauth_destination", "check_sender_access hash:/x",
		"warn {x", "defer {}", NULL
	};
	char				 text[200];
	size_t				 i;

	(void)state;
	for (i = 0; right[i] != NULL; i++) {
		snprintf(text, sizeof(text), "fail_action = '%s'", right[i]);
		good(text);
	}
	bad("fail_action = 'bogus'", "1:15: fail_action begins with \"bogus\", "
	    "which is not an action of access(5)");
	bad("fail_action = 'defer_if_permt x'", "1:15: fail_action begins with "
	    "\"defer_if_permt\", which is not an action of access(5); did you "
	    "mean \"DEFER_IF_PERMIT\"?");
	bad("fail_action = 'reject: x'", "1:15: fail_action begins with "
	    "\"reject:\"");
	bad("fail_action = ' reject'", "1:15: fail_action must not begin with");
	bad("fail_action = ''", "1:15: fail_action must not be empty");
	assert_int_equal(faults.errors, 1);
	bad("fail_action = '250 ok'", "1:15: fail_action begins with");
	warned("count_mode = 'auto'\nfail_action = 'PREPEND X-Rate: {used}'",
	    "2:15: fail_action can be the answer at END-OF-MESSAGE");
	good("count_mode = 1\nfail_action = 'PREPEND X-Rate: {used}'");
	warned("count_mode = 1\nrules = [{'name': 'b', 'count': 'bytes', "
	    "'key': 'sender', 'limits': [[1, 1]], 'action': 'prepend X: y'}]",
	    "2:");
	good("success_action = '1'");
	good("success_action = '4500'");
	warned("fail_action = '17000'", "1:15: fail_action refuses nothing");
	bad("fail_action = '1 x'", "1:15: fail_action begins with");
	bad("fail_action = '45 x'", "1:15: fail_action begins with");
	bad("fail_action = '4500 x'", "1:15: fail_action begins with");
	bad("fail_action = 'reject\\nx'", "1:15: fail_action must be one line");
	assert_int_equal(faults.errors, 1);
	bad("fail_action = 'redirect'", "1:15: fail_action: REDIRECT must be");
	bad("fail_action = 'filter smtp'", "1:15: fail_action: FILTER must be");
	bad("fail_action = 'prepend x'", "1:15: fail_action: PREPEND must be");
	bad("fail_action = '{id} x'", "1:15: fail_action begins with");
	bad("success_action = 'memory'", "1:18: success_action begins with");
	good("db_error_action = 'memory'");
	warned("fail_action = 'reject {ID} {limits}'", "1:15: fail_action: "
	    "{limits} is not a placeholder and stays as it is; did you mean "
	    "\"limit\"?");
	warned("fail_action = 'reject {something}'", "1:15: fail_action: "
	    "{something} is not a placeholder");
	warned("db_error_action = 'defer {id}'", "1:19: db_error_action: {id} "
	    "is replaced in answers to a limit only");
	bad("fail_action = 'reject gr\xc3\xbc\xc3\x9f'", "1:15: fail_action "
	    "must be ASCII, which byte 10 is not");
	bad("success_action = 'prepend X-Y: \xc3\xbc'", "1:18: success_action "
	    "must be ASCII");
	bad("db_error_action = 'defer \xc3\xbc'", "1:19: db_error_action must "
	    "be ASCII");
	good("never_action = '550 {rule} {id}'");
	good("never_action = None");
	bad("never_action = 'hold'", "1:16: never_action must refuse");
	bad("never_action = 'reject \xc3\xbc'", "1:16: never_action must be "
	    "ASCII");
	warned("fail_action = 'dunno'", "1:15: fail_action refuses nothing");
	assert_int_equal(faults.unknown, 0);
}

static void
block_action(void **state)
{
	(void)state;
	good("block_action = '550 {id} {retry_after}'");
	warned("block_action = '550 {limit}'", "1:16: block_action: {limit} is "
	    "empty here");
	warned("block_action = '550 {rule}'", "1:16: block_action: {rule} is "
	    "empty here");
	bad("block_action = 'dunno'", "1:16: block_action must refuse");
}

static void
queries(void **state)
{
	static const char *const	right[] = {
		"SELECT l FROM t WHERE id = %s", "SELECT l FROM t WHERE i=?",
		"SELECT l FROM t WHERE id = $1 OR x = $1",
		"SELECT '?' || l FROM t WHERE id = ? -- %s\\n",
		"SELECT l FROM t WHERE d ? 'x' AND id = %s",
		"SELECT l FROM t WHERE a LIKE 'x%%' AND id = %s", NULL
	};
	char				 text[200];
	size_t				 i;

	(void)state;
	for (i = 0; right[i] != NULL; i++) {
		snprintf(text, sizeof(text), "sql_limits_by_id = \"%s\"",
		    right[i]);
		good(text);
	}
	bad("sql_limits_by_id = 'SELECT 1'", "1:20: sql_limits_by_id has no "
	    "placeholder");
	bad("sql_limits_by_id = \"SELECT '%s'\"", "1:20: sql_limits_by_id has "
	    "no placeholder");
	bad("sql_limits_by_id = 'SELECT %s, %s'", "1:20: sql_limits_by_id has "
	    "more than one");
	bad("sql_limits_by_id = 'SELECT ?, ?'", "1:20: sql_limits_by_id has "
	    "more than one");
	bad("sql_limits_by_id = 'SELECT $1, %s'", "1:20: sql_limits_by_id has "
	    "more than one");
}

/* --- advice --- */

static void
advice(void **state)
{
	(void)state;
	warned("count_mode = 0", "1:14: count_mode 0 is deprecated");
	warned("SOCKET = ['0.0.0.0', 10031]", "1:10: SOCKET listens on the "
	    "network for everybody");
	good("SOCKET = ['0.0.0.0', 10031]\nallowed_clients = ['10.0.0.0/8']");
	warned("allowed_clients = ['10.0.0.0/8']", "1:19: allowed_clients has "
	    "no effect");
	warned("limit_by_sasl = False", "1:17: nothing is limited");
	warned("limit_by_ip = True", "1:15: limit_by_ip has no effect");
	warned("limited_networks = ['::/0']", "1:20: limited_networks has no");
	warned("delay_to_close = 300", "1:18: delay_to_close of 300");
	warned("report_immediately = True", "1:22: report_immediately has no");
	warned("report = True", "1:10: report is on, but report_to names "
	    "nobody: hits are kept, and no mail is sent");
	warned("report_to = 'a@b'\nreport = True\nreport_limits = [60, 1]",
	    "3:17: report_limits: no limit has a window of 1 second");
	warned("report_to = 'a@b'\nreport = True\nlimits = [[5, 60]]",
	    "2:10: nothing is reported: no limit has a window of those in "
	    "report_limits");
	good("report_to = 'a@b'\nreport = True\nlimits = [[5, 60]]\n"
	    "report_limits = [60]");
	good("report_to = 'a@b'\nreport = True\nlimits = [[5, 60]]\n"
	    "limits_by_id = {'bob': [[9, 86400]]}");
	warned("report_to = 'a@b'\nsmtp_tls_cafile = '/x'\nreport = True",
	    "2:19: smtp_tls_cafile has no effect");
	assert_int_equal(faults.unknown, 0);
}

/* --- the table --- */

static void
directories(void **state)
{
	(void)state;
	table_set_directories("/run/x", "/srv/y");
	good("sqlite_config = {'timeout': 5}");
	assert_string_equal(s->pidfile, "/run/x/policyd-rate-limit.pid");
	assert_string_equal(s->control_socket, "/run/x/control");
	looks("sqlite_config.database", "/srv/y/db.sqlite3");
	table_set_directories("/var/run/policyd-rate-limit",
	    "/var/lib/policyd-rate-limit");
	good("");
	assert_string_equal(s->pidfile,
	    "/var/run/policyd-rate-limit/policyd-rate-limit.pid");
}

static void
table(void **state)
{
	const struct reader_row	*row;
	struct value		*preset;
	struct str		 text;
	size_t			 i, j, secrets;

	(void)state;
	good("");
	secrets = 0;
	for (i = 0; i < table_count(); i++) {
		row = table_row(i);
		assert_true(strlen(row->name) > 0);
		assert_true(strlen(row->type) > 0);
		for (j = 0; j < i; j++)
			assert_string_not_equal(row->name,
			    table_row(j)->name);
		secrets += (row->flags & TABLE_SECRET) != 0;
		if (row->alias != NULL || strcmp(row->name, "config_file") == 0)
			continue;
		preset = table_default(row);
		str_init(&text);
		str_add(&text, "", 0);
		value_print(&text, preset);
		looks(row->name, text.data);
		str_clear(&text);
		value_free(preset);
	}
	assert_int_equal(secrets, 3);
	assert_string_equal(table_row(0)->name, "debug");
}

#define TEST(f)	cmocka_unit_test_teardown(f, forget)

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		TEST(defaults),
		TEST(lookup),
		TEST(values),
		TEST(every_fault),
		TEST(unknown_names),
		TEST(limits),
		TEST(limits_by_literal),
		TEST(by_id),
		TEST(by_id_folding),
		TEST(by_id_faults),
		TEST(by_id_many),
		TEST(sockets),
		TEST(socket_form),
		TEST(networks),
		TEST(mail),
		TEST(encryption),
		TEST(connections),
		TEST(rules),
		TEST(rules_faults),
		TEST(actions),
		TEST(block_action),
		TEST(queries),
		TEST(advice),
		TEST(directories),
		TEST(table)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
