#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/connection.h"
#include "conf/reader.h"
#include "conf/rules.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "ipc/message.h"
#include "lib/str.h"

/*
 * The settings table as a whole, and for the tests of the manual page and the
 * sample, which are no C: `settings_table.test dump` prints the name, type and
 * default of each setting, `dump rules` the name and type of each field of a
 * rule, `dump connections` each keyword of the connections' dictionaries and
 * whether it is used, with tabs between.
 */
static void
dump_settings(void)
{
	const struct reader_row	*row;
	struct settings		*s;
	struct str		 text;
	size_t			 i;

	s = settings_new();
	for (i = 0; i < table_count(); i++) {
		row = table_row(i);
		str_init(&text);
		value_repr(&text, settings_lookup(s, row->name));
		printf("%s\t%s\t%s\n", row->name, row->type, text.data);
		str_clear(&text);
	}
	settings_free(s);
}

static void
dump_rules(void)
{
	size_t	i;

	for (i = 0; rules_field(i) != NULL; i++)
		printf("%s\t%s\n", rules_field(i)->name,
		    rules_field(i)->type);
}

static void
dump_connections(void)
{
	static const char *const	names[] = {
		"sqlite_config", "mysql_config", "pgsql_config"
	};
	const char			*keyword;
	size_t				 i, j;
	bool				 used;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (j = 0;; j++) {
			keyword = connection_keyword(names[i], j, &used);
			if (keyword == NULL)
				break;
			printf("%s\t%s\t%s\n", names[i], keyword,
			    used ? "used" : "ignored");
		}
	}
}

/* --- tests --- */

static unsigned int
roles_of(const char *name)
{
	size_t	i;

	for (i = 0; i < table_count(); i++)
		if (strcmp(table_row(i)->name, name) == 0)
			return table_row(i)->roles;
	fail_msg("%s is no setting", name);
	return 0;
}

/* Every setting, by hand: nothing is forgotten. */
static void
every_setting_has_a_row(void **state)
{
	static const char *const	all[] = {
		"debug", "user", "group", "log", "pidfile", "backend",
		"sqlite_config", "mysql_config", "pgsql_config", "SOCKET",
		"socket_permission", "limits", "limits_by_id",
		"sql_limits_by_id", "limit_by_sasl", "limit_by_sender",
		"limit_by_ip", "limited_networks", "limited_netword",
		"success_action", "fail_action", "db_error_action", "report",
		"report_from", "report_to", "report_subject", "report_limits",
		"report_only_if_needed", "smtp_server", "smtp_starttls",
		"smtp_credentials", "delay_to_close", "count_mode",
		"config_file", "fold_case", "recipient_delimiter",
		"ipv4_prefix", "ipv6_prefix", "socket_user", "socket_group",
		"allowed_clients", "control_socket", "control_group",
		"operator_group", "db_timeout",
		"db_insecure_auth", "never_action", "block_action",
		"default_domain", "exempt", "smtp_tls", "smtp_tls_verify",
		"sandbox_required",
		"smtp_tls_cafile", "report_immediately", "report_user",
		"report_user_domains",
		"clean_interval", "history", "rules", "memory_limit"
	};
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		roles_of(all[i]);
	assert_int_equal(table_count(), i);
}

/* Whoever has no use for a secret does not get it. */
static void
each_setting_names_its_processes(void **state)
{
	static const char *const	mine[] = {
		"user", "group", "log", "pidfile", "config_file",
		"socket_permission", "control_socket", "control_group",
		NULL
	};
	size_t				 i;

	(void)state;
	assert_int_equal(roles_of("smtp_credentials"), 1U << ROLE_REPORT);
	assert_int_equal(roles_of("sqlite_config"), 1U << ROLE_LEDGER);
	assert_int_equal(roles_of("mysql_config"), 1U << ROLE_LEDGER);
	assert_int_equal(roles_of("pgsql_config"), 1U << ROLE_LEDGER);
	assert_int_equal(roles_of("fail_action"), 1U << ROLE_ENGINE);
	for (i = 0; mine[i] != NULL; i++)
		assert_int_equal(roles_of(mine[i]), 0);
	/* The engine names it in its hint for main.cf. */
	assert_int_equal(roles_of("SOCKET"), 1U << ROLE_ENGINE);
}

static void
keywords_of_connections_are_known(void **state)
{
	bool	used;

	(void)state;
	assert_string_equal(connection_keyword("sqlite_config", 0, &used),
	    "database");
	assert_true(used);
	assert_null(connection_keyword("sqlite_config", 1000, &used));
	assert_null(connection_keyword("SOCKET", 0, &used));
	assert_string_equal(rules_field(0)->name, "name");
	assert_null(rules_field(1000));
}

static void
edit_distances_are_right(void **state)
{
	static const struct {
		const char	*a, *b;
		unsigned int	 d;
	} cases[] = {
		{ "", "", 0 },
		{ "limits", "limits", 0 },
		{ "Limits", "limitS", 0 },
		{ "limits", "limit", 1 },
		{ "limits", "limist", 1 },
		{ "limited_netword", "limited_networks", 2 },
		{ "", "abc", 3 },
		{ "kitten", "sitting", 3 },
		{ "ca", "abc", 3 },
		{ "ab", "ba", 1 },
		{ "abcd", "badc", 2 }
	};
	struct reader_nearest	n;
	char			a[200], b[200];
	size_t			i;

	(void)state;
	/* What both begin with makes each of these distances a near one. */
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(a, sizeof(a), "both_begin_%s", cases[i].a);
		snprintf(b, sizeof(b), "both_begin_%s", cases[i].b);
		n = (struct reader_nearest){ .written = a };
		reader_nearest(&n, b);
		assert_ptr_equal(n.name, b);
		assert_int_equal(n.distance, cases[i].d);
		n = (struct reader_nearest){ .written = b };
		reader_nearest(&n, a);
		assert_ptr_equal(n.name, a);
		assert_int_equal(n.distance, cases[i].d);
	}
	memset(a, 'a', sizeof(a));
	memset(b, 'a', sizeof(b));
	a[199] = b[198] = '\0';
	n = (struct reader_nearest){ .written = a };
	reader_nearest(&n, b);
	assert_null(n.name);
	a[128] = b[127] = '\0';
	reader_nearest(&n, b);
	assert_int_equal(n.distance, 1);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(every_setting_has_a_row),
		cmocka_unit_test(each_setting_names_its_processes),
		cmocka_unit_test(keywords_of_connections_are_known),
		cmocka_unit_test(edit_distances_are_right)
	};

	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (argc == 2)
		dump_settings();
	else if (strcmp(argv[2], "rules") == 0)
		dump_rules();
	else
		dump_connections();
	return 0;
}
