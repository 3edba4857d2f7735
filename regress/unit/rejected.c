#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ctl/rejected.h"

/* Words are separated by '|'; NULL: it is no such line. */
static const struct rejected_case {
	const char	*line;
	const char	*words;
} cases[] = {
	{ "NOQUEUE: reject: RCPT from h.example[192.0.2.1]: 450 4.7.1 "
	    "<b@example.net>: Recipient address rejected: full; "
	    "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<h>",
	    "client=192.0.2.1|sender=a@example.org|recipient=b@example.net|" },
	{ "568BAA: reject: DATA from unknown[2001:db8::1]:5544: 450 4.7.1 "
	    "<DATA>: Data command rejected: full; from=<a@x> proto=ESMTP",
	    "client=2001:db8::1|sender=a@x|" },
	{ "NOQUEUE: reject: RCPT from h[192.0.2.1]: 550 <x>: no; from=<> "
	    "to=<b@x> proto=SMTP", "client=192.0.2.1|recipient=b@x|" },
	/* What a client chose comes before what Postfix adds. */
	{ "NOQUEUE: reject: RCPT from h[192.0.2.1]: 550 <; from=<e@x> "
	    "to=<f@x>: no; from=<a@x> to=<b@x> proto=SMTP",
	    "client=192.0.2.1|sender=a@x|recipient=b@x|" },
	{ "connect from h[192.0.2.1]", NULL },
	{ "reject: RCPT from h", NULL },
	{ "reject: RCPT from h[]: 550", NULL },
	{ "reject: RCPT from h[192.0.2.1: 550", NULL },
	{ "bob@example.org", NULL },
	{ "", NULL },
};

static void
log_lines_of_postfix_are_parsed(void **state)
{
	struct str	words;
	size_t		i, j;
	bool		parsed;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		str_init(&words);
		parsed = rejected_parse(&words, cases[i].line);
		assert_int_equal(parsed, cases[i].words != NULL);
		for (j = 0; parsed && j < words.len; j++)
			if (words.data[j] == '\0')
				words.data[j] = '|';
		if (parsed)
			assert_string_equal(words.data, cases[i].words);
		else
			assert_int_equal(words.len, 0);
		str_clear(&words);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(log_lines_of_postfix_are_parsed)
	};

	return cmocka_run_group_tests_name("rejected", tests, NULL, NULL);
}
