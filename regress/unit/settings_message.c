#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../fuzz/channel.c"
#include "../fuzz/mutate.h"
#include "conf/settings_message.h"
#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "ipc/channel.h"
#include "ipc/wire.h"
#include "lib/alloc.h"

#define EVERYTHING \
	"debug = False\nlimits = [[7, 60]]\nfold_case = False\n" \
	"limits_by_id = {'Bob': [[1, 604800]], '10.0.0.0/8': []}\n" \
	"fail_action = 'reject no'\nSOCKET = ['127.0.0.1', 10031]\n" \
	"mysql_config = {'host': 'h', 'passwd': 'secret of mysql'}\n" \
	"smtp_credentials = ['u', 'secret of smtp']\nsmtp_tls = 'tls'\n" \
	"smtp_server = ['mail']\nreport_to = ['a@b', 'c@d']\n" \
	"sqlite_config = {'timeout': 1.5}\nlimited_netword = ['::/0']\n" \
	"limit_by_ip = True\nipv6_prefix = 64\nmemory_limit = 17\n"

static struct settings *
read_text(const char *text)
{
	struct settings	*s;
	struct faults	 faults;
	struct value	*dict;

	fault_init(&faults, NULL);
	dict = literal_file(text, strlen(text), &faults);
	s = settings_adopt(dict, &faults);
	assert_int_equal(faults.errors, 0);
	fault_clear(&faults);
	return s;
}

/*
 * What a child makes of what its parent sends: both ends in one process, as a
 * socket holds less than the largest settings. `seen` (or NULL) gets all
 * payloads.
 */
static int
settings_message_to(enum role role, const struct settings *s,
    struct settings **out, struct str *seen)
{
	struct channel	*child, *parent;
	struct settings_message	*c;
	struct message	 m;
	int		 fd[2], got, result;

	assert_int_equal(channel_pair(fd), 0);
	parent = channel_new(fd[0], ROLE_PARENT, role);
	child = channel_new(fd[1], role, ROLE_PARENT);
	c = settings_message_new();
	settings_message_send(parent, s, role, 42);
	*out = NULL;
	for (result = 0; result == 0;) {
		assert_int_not_equal(channel_flush(parent), -1);
		got = channel_read(child);
		assert_int_equal(got, 1);
		while (result == 0 && channel_next(child, &m) == 1) {
			if (seen != NULL)
				str_add(seen, m.payload, m.len);
			result = settings_message_receive(c, &m, out);
		}
	}
	settings_message_free(c);
	channel_free(child);
	channel_free(parent);
	return result;
}

static struct settings *
conveyed(enum role role, const struct settings *s)
{
	struct settings	*out;

	assert_int_equal(settings_message_to(role, s, &out, NULL), 1);
	assert_non_null(out);
	return out;
}

static bool
has(const struct str *s, const char *what)
{
	return s->data != NULL &&
	    memmem(s->data, s->len, what, strlen(what)) != NULL;
}

/* --- tests --- */

static void
the_engine_has_the_same_defaults(void **state)
{
	struct settings	*s, *got;

	(void)state;
	s = settings_new();
	got = conveyed(ROLE_ENGINE, s);
	assert_int_equal(got->limits.count, 2);
	assert_string_equal(got->fail_action, s->fail_action);
	assert_int_equal(got->count_mode, COUNT_AUTO);
	settings_free(got);
	settings_free(s);
}

static void
the_engine_gets_its_settings(void **state)
{
	struct settings	*s, *got;

	(void)state;
	s = read_text(EVERYTHING);
	got = conveyed(ROLE_ENGINE, s);
	assert_false(got->debug);
	assert_false(got->fold_case);
	assert_int_equal(got->limits.list[0].mails, 7);
	assert_non_null(settings_id_limits(got->limits_by_id, "Bob", 3));
	assert_null(settings_id_limits(got->limits_by_id, "bob", 3));
	assert_non_null(settings_id_limits(got->limits_by_id, "10.1.1.1", 8));
	assert_string_equal(got->fail_action, "reject no");
	assert_int_equal(got->limited_networks.count, 1);
	assert_int_equal(got->ipv6_prefix, 64);
	assert_int_equal(got->memory_limit, 17 * 1024 * 1024);
	assert_int_equal(settings_longest_window(got), 604800);
	/* Not the engine's business. */
	assert_null(got->smtp_user);
	assert_string_equal(value_get(got->mysql_config, "passwd")->bytes,
	    "*****");
	settings_free(got);
	settings_free(s);
}

static void
the_ledger_gets_its_settings(void **state)
{
	struct settings		*s, *got;
	const struct value	*v;

	(void)state;
	s = read_text(EVERYTHING);
	got = conveyed(ROLE_LEDGER, s);
	v = value_get(got->mysql_config, "passwd");
	assert_string_equal(v->bytes, "secret of mysql");
	v = value_get(got->sqlite_config, "timeout");
	assert_true(v->real > 1.4 && v->real < 1.6);
	v = value_get(got->sqlite_config, "database");
	assert_string_equal(v->bytes,
	    "/var/lib/policyd-rate-limit/db.sqlite3");
	assert_null(got->smtp_password);
	settings_free(got);
	settings_free(s);
}

static void
the_report_gets_its_settings(void **state)
{
	struct settings	*s, *got;

	(void)state;
	s = read_text(EVERYTHING);
	got = conveyed(ROLE_REPORT, s);
	assert_string_equal(got->smtp_password, "secret of smtp");
	assert_string_equal(got->smtp_host, "mail");
	assert_int_equal(got->smtp_port, 465);
	assert_int_equal(got->smtp_tls, SMTP_TLS_TLS);
	assert_int_equal(got->report_to.count, 2);
	assert_string_equal(value_get(got->mysql_config, "passwd")->bytes,
	    "*****");
	settings_free(got);
	settings_free(s);
}

/* Each password goes to the one process that uses it. */
static void
secrets_go_only_where_they_are_used(void **state)
{
	struct settings	*s, *got;
	struct str	 seen;
	enum role	 role;

	(void)state;
	s = read_text(EVERYTHING);
	for (role = ROLE_ENGINE; role <= ROLE_REPORT; role++) {
		str_init(&seen);
		assert_int_equal(settings_message_to(role, s, &got, &seen), 1);
		assert_int_equal(has(&seen, "secret of mysql"),
		    role == ROLE_LEDGER);
		assert_int_equal(has(&seen, "secret of smtp"),
		    role == ROLE_REPORT);
		assert_int_equal(has(&seen, "reject no"), role == ROLE_ENGINE);
		settings_free(got);
		str_clear(&seen);
	}
	settings_free(s);
}

/* The parent's own places win over those that the child was built with. */
static void
the_directories_of_the_parent_arrive(void **state)
{
	struct settings		*s, *got;
	const struct value	*v;

	(void)state;
	table_set_directories("/run/x", "/srv/y");
	s = settings_new();
	table_set_directories("/var/run/policyd-rate-limit",
	    "/var/lib/policyd-rate-limit");
	got = conveyed(ROLE_LEDGER, s);
	v = value_get(got->sqlite_config, "database");
	assert_string_equal(v->bytes, "/srv/y/db.sqlite3");
	settings_free(got);
	settings_free(s);
}

static void
rules_arrive_unchanged(void **state)
{
	struct settings	*s, *got;

	(void)state;
	s = read_text("rules = [{'name': 'a', 'key': ['sender', 'recipient'],"
	    " 'limits': [[1, 60]], 'unless': 'sasl_username'}]\n");
	got = conveyed(ROLE_ENGINE, s);
	assert_int_equal(got->nrules, 1);
	assert_int_equal(got->rules[0].nkey, 2);
	assert_int_equal(got->rules[0].unless, KEY_SASL_USERNAME);
	settings_free(got);
	settings_free(s);
}

/* Larger than a message may be: sent in pieces. */
static void
large_settings_arrive_unchanged(void **state)
{
	struct settings	*s, *got;
	struct str	 text;
	char		 id[32];
	int		 i;

	(void)state;
	str_init(&text);
	str_adds(&text, "limits_by_id = {\n");
	for (i = 0; i < 50000; i++)
		str_addf(&text, "'user%d@example.org': [[%d, 60]],\n", i, i);
	str_adds(&text, "}\n");
	s = read_text(text.data);
	str_clear(&text);
	assert_int_equal(settings_message_to(ROLE_ENGINE, s, &got, &text), 1);
	assert_true(text.len > CHANNEL_PAYLOAD_MAX);
	str_clear(&text);
	for (i = 0; i < 50000; i += 777) {
		snprintf(id, sizeof(id), "user%d@example.org", i);
		assert_int_equal(settings_id_limits(got->limits_by_id, id,
		    strlen(id))->list[0].mails, i);
	}
	settings_free(got);
	settings_free(s);
}

/* --- what must be refused --- */

static void
put_setting(struct str *s, const char *name, bool more, const void *bytes,
    size_t len)
{
	str_init(s);
	wire_put_text(s, name);
	wire_put_u8(s, more);
	wire_put_bytes(s, bytes, len);
}

/* Gives one message to `c`; -1, 0 or 1 as it says. */
static int
give(struct settings_message *c, enum message_type type,
    const struct str *payload)
{
	struct settings	*out;
	struct message	 m = { .type = type, .fd = -1 };
	int		 result;

	m.payload = (const uint8_t *)payload->data;
	m.len = payload->len;
	out = NULL;
	result = settings_message_receive(c, &m, &out);
	assert_int_equal(result == 1, out != NULL);
	settings_free(out);
	return result;
}

static int
give_setting(struct settings_message *c, const char *name, bool more,
    const struct value *v)
{
	struct str	bytes, payload;
	int		result;

	str_init(&bytes);
	value_put(&bytes, v);
	put_setting(&payload, name, more, bytes.data, bytes.len);
	result = give(c, MSG_SETTING, &payload);
	str_clear(&payload);
	str_clear(&bytes);
	return result;
}

static int
give_end(struct settings_message *c)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_number_put(&payload, 1);
	result = give(c, MSG_SETTINGS_END, &payload);
	str_clear(&payload);
	return result;
}

static void
malformed_settings_are_refused(void **state)
{
	struct settings_message	*c;
	struct value	*yes, *word;
	struct str	 payload;

	(void)state;
	yes = value_bool(true);
	word = value_str("x", 1);

	c = settings_message_new();
	assert_int_equal(give_setting(c, "debug", false, yes), 0);
	assert_int_equal(give_setting(c, "debug", false, yes), -1);
	settings_message_free(c);

	c = settings_message_new();
	assert_int_equal(give_setting(c, "nothing", false, yes), -1);
	settings_message_free(c);

	/* Another value before the first is whole; an end in the middle. */
	c = settings_message_new();
	assert_int_equal(give_setting(c, "debug", true, yes), 0);
	assert_int_equal(give_setting(c, "user", false, word), -1);
	settings_message_free(c);
	c = settings_message_new();
	assert_int_equal(give_setting(c, "debug", true, yes), 0);
	assert_int_equal(give_end(c), -1);
	settings_message_free(c);

	/* A tree that is none, or has something behind it. */
	c = settings_message_new();
	put_setting(&payload, "debug", false, "\xff\xff\xff", 3);
	assert_int_equal(give(c, MSG_SETTING, &payload), -1);
	str_clear(&payload);
	settings_message_free(c);
	c = settings_message_new();
	assert_int_equal(give_setting(c, "debug", true, yes), 0);
	assert_int_equal(give_setting(c, "debug", false, yes), -1);
	settings_message_free(c);

	/* No bytes, bytes left over, no payload at all. */
	c = settings_message_new();
	put_setting(&payload, "debug", false, "", 0);
	assert_int_equal(give(c, MSG_SETTING, &payload), -1);
	str_clear(&payload);
	put_setting(&payload, "debug", false, "x", 1);
	str_addc(&payload, 'x');
	assert_int_equal(give(c, MSG_SETTING, &payload), -1);
	str_clear(&payload);
	str_init(&payload);
	assert_int_equal(give(c, MSG_SETTING, &payload), -1);
	assert_int_equal(give(c, MSG_SETTINGS_END, &payload), -1);
	settings_message_free(c);

	/* What the readers refuse. */
	c = settings_message_new();
	assert_int_equal(give_setting(c, "debug", false, word), 0);
	assert_int_equal(give_end(c), -1);
	/* And afterwards all is forgotten. */
	assert_int_equal(give_end(c), 1);
	settings_message_free(c);
	settings_message_free(NULL);
	value_free(yes);
	value_free(word);
}

static void
others(void **state)
{
	struct settings_message	*c;
	struct str	 payload;

	(void)state;
	c = settings_message_new();
	str_init(&payload);
	assert_int_equal(give(c, MSG_START, &payload), 0);
	assert_int_equal(give_end(c), 1);
	assert_int_equal(give_end(c), 1);
	settings_message_free(c);
}

/* Settings and all else, as bytes on a channel. */
static void
damaged_settings_do_no_harm(void **state)
{
	struct mutate	m = { .random = { 0x6368616e6e656c } };

	(void)state;
	m.alphabet = "\001\002\003\004\177\377\200";
	mutate_add_directory(&m, "regress/fuzz/corpus/channel");
	mutate_run(&m, 5000);
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_engine_has_the_same_defaults),
		cmocka_unit_test(the_engine_gets_its_settings),
		cmocka_unit_test(the_ledger_gets_its_settings),
		cmocka_unit_test(the_report_gets_its_settings),
		cmocka_unit_test(secrets_go_only_where_they_are_used),
		cmocka_unit_test(the_directories_of_the_parent_arrive),
		cmocka_unit_test(rules_arrive_unchanged),
		cmocka_unit_test(large_settings_arrive_unchanged),
		cmocka_unit_test(malformed_settings_are_refused),
		cmocka_unit_test(others),
		cmocka_unit_test(damaged_settings_do_no_harm)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
