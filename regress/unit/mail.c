#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../unit/random.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "lib/width.h"
#include "report/mail.h"

#define NOW	1714557600	/* Wed, 01 May 2024 10:00:00 UTC */

static const char *const	to[] = { "admin@example.org" };

static struct mail
new_mail(struct mail_row *rows, size_t nrows)
{
	static struct mail_hits	hits;
	struct mail		m = {
		.from = "policyd@example.org", .to = to, .nto = 1,
		.subject = "report", .host = "mx.example.org", .now = NOW,
		.token = 0x123456789abcdef0, .hits = &hits
	};

	memset(&hits, 0, sizeof(hits));
	hits.rows = rows;
	hits.nrows = nrows;
	return m;
}

static struct mail_row
row(const char *rule, const char *id, int64_t mails, int64_t seconds,
    int64_t hits)
{
	struct mail_row	r = {
		.id = alloc_string(id), .idlen = strlen(id),
		.rule = alloc_string(rule), .mails = mails,
		.seconds = seconds, .hits = { hits }
	};

	return r;
}

static struct mail_row
warned(const char *rule, const char *id, int64_t mails, int64_t seconds,
    int64_t warnings)
{
	struct mail_row	r = row(rule, id, mails, seconds, 0);

	r.hits[HIT_NEAR] = warnings;
	return r;
}

static void
free_rows(const struct mail *m)
{
	size_t	i;

	for (i = 0; i < m->hits->nrows; i++) {
		free(m->hits->rows[i].id);
		free(m->hits->rows[i].rule);
	}
}

static void
ok_text(struct mail *m, const char *expected)
{
	struct str	s;

	str_init(&s);
	mail_text_sort(m->hits);
	mail_text_add(&s, m);
	assert_string_equal(s.data, expected);
	str_clear(&s);
}

/* What a reader decodes: quoted-printable and line ends. */
static void
decode(struct str *s, const char *p, const char *end)
{
	unsigned int	code;

	for (; p < end; p++) {
		if (*p == '\r')
			continue;
		if (*p != '=') {
			str_addc(s, *p);
			continue;
		}
		if (p[1] != '\r') {
			assert_int_equal(sscanf(p + 1, "%2X", &code), 1);
			str_addc(s, (int)code);
		}
		p += 2;
	}
}

/* What holds for every mail. */
static void
ok_mail(const struct str *s)
{
	const char	*p = s->data, *lf;
	size_t		 i;

	for (i = 0; i < s->len; i++) {
		assert_true((unsigned char)s->data[i] < 0x7f);
		assert_true(s->data[i] >= ' ' || s->data[i] == '\r' ||
		    s->data[i] == '\n');
		if (s->data[i] == '\r')
			assert_int_equal(s->data[i + 1], '\n');
	}
	for (; p < s->data + s->len; p = lf + 1) {
		lf = strchr(p, '\n');
		assert_non_null(lf);
		assert_int_equal(lf[-1], '\r');
		assert_true(lf - p <= 300);
	}
}

static void
mails_are_as_the_golden_files(void **state)
{
	static const char	expected[] =
	    "Date: Wed, 01 May 2024 10:00:00 +0000\r\n"
	    "Message-ID: <1714557600.123456789abcdef0@mx.example.org>\r\n"
	    "From: policyd@example.org\r\n"
	    "To: admin@example.org\r\n"
	    "Subject: report\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed;\r\n"
	    " boundary=\"=_report-123456789abcdef0\"\r\n"
	    "\r\n"
	    "--=_report-123456789abcdef0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Disposition: inline\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n"
	    "mx.example.org: 7 hits on 1 limit since 2024-04-30 07:58 UTC "
	    "(1 day 2 hours=\r\n).\r\n"
	    "\r\n"
	    "id   limit        hits\r\n"
	    "---  -----------  ----\r\n"
	    "bob  150 per day     7\r\n"
	    "\r\n"
	    "--=_report-123456789abcdef0\r\n"
	    "Content-Type: text/csv; charset=utf-8; header=present\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"policyd-rate-limit.csv\"\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n"
	    "rule,id,mails,seconds,hits,warnings,shadow,locks\r\n"
	    "\"\",\"bob\",150,86400,7,0,0,0\r\n"
	    "\r\n"
	    "--=_report-123456789abcdef0--\r\n";
	struct mail_row		rows[1];
	struct mail		m = new_mail(rows, 1);
	struct str		s;

	(void)state;
	rows[0] = row("", "bob", 150, 86400, 7);
	m.hits->last = NOW - 93720;
	str_init(&s);
	mail_compose(&s, &m);
	assert_string_equal(s.data, expected);
	ok_mail(&s);
	str_clear(&s);
	free_rows(&m);
}

/* Most hits first, each (id, window) once, columns under each other. */
static void
hits_stand_in_a_table(void **state)
{
	struct mail_row	rows[8];
	struct mail	m = new_mail(rows, 8);

	(void)state;
	rows[0] = row("", "bob", 150, 86400, 2);
	rows[1] = row("", "\346\227\245\346\234\254", 10, 60, 40);
	rows[2] = row("", "bob", 0, 86400, 3);
	rows[3] = row("", "bob", 10, 60, 5);
	rows[4] = row("net", "192.0.2.0/24", 1000, 1209600, 1234567);
	rows[5] = row("", "e\314\201mile", 0, 90, 1);
	rows[6] = row("", "a\nb\\", 5, 0, 1);
	rows[7] = row("", "somebody.with.a.long.name@a.long.domain.example.org",
	    7, 1, 1);
	ok_text(&m,
	    "mx.example.org: 1234620 hits on 7 limits so far.\n"
	    "\n"
	    "id                limit                hits\n"
	    "----------------  ----------------  -------\n"
	    "net:192.0.2.0/24  1000 per 2 weeks  1234567\n"
	    "\346\227\245\346\234\254              10 per minute          40\n"
	    "bob               10 per minute           5\n"
	    "bob               150 per day             5\n"
	    "a\\x0ab\\\\          5 per mail              1\n"
	    "e\314\201mile             ? per 90 seconds        1\n"
	    "somebody.with.a.long.name@a.long.domain.example.org\n"
	    "                  7 per second            1\n");
	assert_int_equal(m.hits->nrows, 7);
	free_rows(&m);
}

/* Who came near a limit stands behind those who hit one, and by themselves. */
static void
warnings_have_a_part_of_their_own(void **state)
{
	struct mail_row	rows[6];
	struct mail	m = new_mail(rows, 6);
	struct str	s;

	(void)state;
	rows[0] = warned("user", "eve", 500, 86400, 1);
	rows[1] = warned("user", "\346\227\245\346\234\254", 20, 60,
	    12345678901);
	rows[2] = row("user", "bob", 500, 86400, 2);
	rows[3] = warned("user", "bob", 500, 86400, 4);
	rows[4] = row("host", "192.0.2.7", 60, 60, 9);
	rows[5] = warned("user", "bob", 0, 86400, 3);
	m.hits->later = 2;
	ok_text(&m,
	    "mx.example.org: 11 hits on 2 limits so far.\n"
	    "\n"
	    "id              limit          hits\n"
	    "--------------  -------------  ----\n"
	    "host:192.0.2.7  60 per minute     9\n"
	    "user:bob        500 per day       2\n"
	    "\n"
	    "Came near a limit: 12345678909 warnings on 3 limits.\n"
	    "\n"
	    "id         limit             warnings\n"
	    "---------  -------------  -----------\n"
	    "user:\346\227\245\346\234\254  20 per minute  12345678901\n"
	    "user:bob   500 per day              7\n"
	    "user:eve   500 per day              1\n"
	    "\n"
	    "2 more are left for the next report.\n");
	assert_int_equal(m.hits->nrows, 4);
	/* In one line what is about one id and window. */
	str_init(&s);
	mail_text_add_csv(&s, &m);
	assert_string_equal(s.data,
	    "rule,id,mails,seconds,hits,warnings,shadow,locks\n"
	    "\"host\",\"192.0.2.7\",60,60,9,0,0,0\n"
	    "\"user\",\"bob\",500,86400,2,7,0,0\n"
	    "\"user\",\"\346\227\245\346\234\254\",20,60,0,12345678901,0,0\n"
	    "\"user\",\"eve\",500,86400,0,1,0,0\n");
	str_clear(&s);
	free_rows(&m);
}

static void
a_mail_may_have_warnings_alone(void **state)
{
	struct mail_row	rows[1];
	struct mail	m = new_mail(rows, 1);

	(void)state;
	rows[0] = warned("", "bob", 150, 86400, 1);
	ok_text(&m,
	    "mx.example.org: no limit was hit so far.\n"
	    "\n"
	    "Came near a limit: 1 warning on 1 limit.\n"
	    "\n"
	    "id   limit        warnings\n"
	    "---  -----------  --------\n"
	    "bob  150 per day         1\n");
	free_rows(&m);
}

/* Locks before warnings, and what was only in shadow at the end. */
static void
a_mail_has_its_mime_parts(void **state)
{
	struct mail_row	rows[3];
	struct mail	m = new_mail(rows, 3);
	struct str	s;

	(void)state;
	rows[0] = row("trap", "bob", 5, 3600, 0);
	rows[0].hits[HIT_LOCK] = 1;
	rows[1] = row("user", "eve", 500, 86400, 0);
	rows[1].hits[HIT_SHADOW] = 20;
	rows[2] = row("user", "joe", 500, 86400, 0);
	rows[2].hits[HIT_SHADOW] = 30;
	ok_text(&m,
	    "mx.example.org: no limit was hit so far.\n"
	    "\n"
	    "Locked: 1 lock on 1 limit.\n"
	    "\n"
	    "id        limit       locks\n"
	    "--------  ----------  -----\n"
	    "trap:bob  5 per hour      1\n"
	    "\n"
	    "Rules in shadow would have refused: 50 refusals on 2 limits.\n"
	    "\n"
	    "id        limit        refusals\n"
	    "--------  -----------  --------\n"
	    "user:joe  500 per day        30\n"
	    "user:eve  500 per day        20\n");
	str_init(&s);
	mail_text_add_csv(&s, &m);
	assert_string_equal(s.data,
	    "rule,id,mails,seconds,hits,warnings,shadow,locks\n"
	    "\"user\",\"joe\",500,86400,0,0,30,0\n"
	    "\"user\",\"eve\",500,86400,0,0,20,0\n"
	    "\"trap\",\"bob\",5,3600,0,0,0,1\n");
	str_clear(&s);
	free_rows(&m);
}

static void
a_mail_without_hits_says_so(void **state)
{
	static const struct {
		int64_t		 last;
		const char	*text;
	} cases[] = {
		{ 0, "so far" },
		{ NOW + 1, "so far" },
		{ -5, "so far" },
		{ NOW, "since 2024-05-01 10:00 UTC (0 seconds)" },
		{ NOW - 1, "since 2024-05-01 09:59 UTC (1 second)" },
		{ NOW - 3600, "since 2024-05-01 09:00 UTC (1 hour)" },
		{ NOW - 3601, "since 2024-05-01 08:59 UTC (1 hour)" },
		{ NOW - 86400 * 8 - 3 * 3600,
		    "since 2024-04-23 07:00 UTC (1 week 1 day)" }
	};
	struct mail	m = new_mail(NULL, 0);
	char		text[200];
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m.hits->last = cases[i].last;
		snprintf(text, sizeof(text), "mx.example.org: no limit was hit "
		    "%s.\n", cases[i].text);
		ok_text(&m, text);
	}
}

static void
many_rows_are_listed(void **state)
{
	struct mail_row	*rows = alloc_zero(1500, sizeof(*rows));
	struct mail	 m = new_mail(rows, 1500);
	struct str	 s;
	char		 id[20];
	size_t		 i, lines = 0;

	(void)state;
	for (i = 0; i < 1500; i++) {
		snprintf(id, sizeof(id), "user%zu", i);
		rows[i] = row("", id, 1, 60, (int64_t)(i % 7 + 1));
	}
	m.hits->later = 1;
	str_init(&s);
	mail_text_sort(m.hits);
	mail_text_add(&s, &m);
	for (i = 0; i < s.len; i++)
		lines += s.data[i] == '\n';
	assert_int_equal(lines, 2 + 2 + MAIL_TABLE_MAX + 2 + 2);
	assert_non_null(strstr(s.data, "\n500 more are in the attached"));
	assert_non_null(strstr(s.data, "\n1 more is left for the next"));
	s.len = 0;
	m.hits->nrows = MAIL_TABLE_MAX + 1;
	mail_text_add(&s, &m);
	assert_non_null(strstr(s.data, "\n1 more is in the attached"));
	m.hits->nrows = 1500;
	s.len = 0;
	mail_text_add_csv(&s, &m);
	for (lines = i = 0; i < s.len; i++)
		lines += s.data[i] == '\n';
	assert_int_equal(lines, 1501);
	/* Each table has its own bound. */
	for (i = 0; i < 1500; i++)
		m.hits->rows[i].hits[HIT_NEAR] = 1;
	s.len = 0;
	mail_text_add(&s, &m);
	for (lines = i = 0; i < s.len; i++)
		lines += s.data[i] == '\n';
	assert_int_equal(lines, 2 * (2 + 2 + MAIL_TABLE_MAX + 2) + 1 + 2);
	str_clear(&s);
	free_rows(&m);
	free(rows);
}

static void
headers_are_well_formed(void **state)
{
	static const char *const	odd[] = {
		"a@b", "j\303\274rgen@example.org",
		"x\r\nBcc: evil@example.net",
		"a,b@c", "root", "a@[192.0.2.1]", "b@[IPv6:2001:db8::1]",
		"c@[d", "e]"
	};
	static const struct {
		const char	*subject;
		const char	*header;
	} cases[] = {
		{ "plain text: [1]", "Subject: plain text: [1]\r\n" },
		{ "", "Subject: \r\n" },
		{ "a\r\nBcc: x@y", "Subject: =?utf-8?q?a=5Cx0d=5Cx0aBcc=3A_x=40"
		    "y?=\r\n" },
		{ "\303\274ber", "Subject: =?utf-8?q?=C3=BCber?=\r\n" },
		{ "=?utf-8?q?a?=",
		    "Subject: =?utf-8?q?=3D=3Futf=2D8=3Fq=3Fa=3F=3D?=\r\n" },
		/* Characters stay whole where a line ends. */
		{ "123456789012345678901234567890123456789012345\303\274",
		    "Subject: =?utf-8?q?1234567890123456789012345678901234567"
		    "89012345?=\r\n =?utf-8?q?=C3=BC?=\r\n" }
	};
	struct mail	m = new_mail(NULL, 0);
	struct str	s;
	size_t		i;

	(void)state;
	str_init(&s);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m.subject = cases[i].subject;
		s.len = 0;
		mail_compose(&s, &m);
		ok_mail(&s);
		assert_non_null(strstr(s.data, cases[i].header));
	}
	m.to = odd;
	m.nto = sizeof(odd) / sizeof(odd[0]);
	s.len = 0;
	mail_compose(&s, &m);
	ok_mail(&s);
	assert_non_null(strstr(s.data, "\r\nTo: a@b,\r\n"
	    " =?utf-8?q?j=C3=BCrgen=40example=2Eorg?= :;,\r\n"
	    " =?utf-8?q?x=5Cx0d=5Cx0aBcc=3A_evil=40example=2Enet?= :;,\r\n"
	    " =?utf-8?q?a=2Cb=40c?= :;,\r\n root,\r\n"
	    " a@[192.0.2.1],\r\n b@[IPv6:2001:db8::1],\r\n"
	    " =?utf-8?q?c=40=5Bd?= :;,\r\n =?utf-8?q?e=5D?= :;\r\n"));
	assert_null(strstr(s.data, "\nBcc"));
	str_clear(&s);
}

static void
the_csv_has_every_row(void **state)
{
	struct mail_row	rows[4];
	struct mail	m = new_mail(rows, 4);
	struct str	s;

	(void)state;
	rows[0] = row("r\"", "a\"b,c", 1, 60, 4);
	rows[1] = row("", "=1+2", 0, 60, 3);
	rows[2] = row("", "x\n\"y", 3, 3600, 2);
	rows[3] = row("", "", 3, 3600, 1);
	str_init(&s);
	mail_text_sort(m.hits);
	mail_text_add_csv(&s, &m);
	assert_string_equal(s.data,
	    "rule,id,mails,seconds,hits,warnings,shadow,locks\n"
	    "\"r\"\"\",\"a\"\"b,c\",1,60,4,0,0,0\n"
	    "\"\",\"'=1+2\",,60,3,0,0,0\n"
	    "\"\",\"x\\x0a\"\"y\",3,3600,2,0,0,0\n"
	    "\"\",\"\",3,3600,1,0,0,0\n");
	str_clear(&s);
	free_rows(&m);
}

/* Ids of any bytes: the mail stays a mail, and says the same when decoded. */
static void
any_bytes_of_an_id_are_safe(void **state)
{
	struct random	 r = { 0x6d61696c };
	struct mail_row	*rows = alloc_zero(50, sizeof(*rows));
	struct mail	 m;
	struct str	 s, text, plain;
	const char	*begin;
	char		 id[300];
	size_t		 i, j, n;

	(void)state;
	for (i = 0; i < 50; i++) {
		m = new_mail(rows, 20);
		for (j = 0; j < 20; j++) {
			rows[j] = row("", "", 1, 60, 1);
			free(rows[j].id);
			rows[j].idlen = random_below(&r, sizeof(id));
			for (n = 0; n < rows[j].idlen; n++)
				id[n] = (char)random_next(&r);
			rows[j].id = alloc_copy(id, rows[j].idlen);
		}
		str_init(&s);
		str_init(&text);
		str_init(&plain);
		mail_compose(&s, &m);
		ok_mail(&s);
		mail_text_add(&plain, &m);
		begin = strstr(strstr(s.data, "text/plain"), "\r\n\r\n") + 4;
		decode(&text, begin, strstr(begin, "\r\n--=_report"));
		assert_string_equal(text.data, plain.data);
		str_clear(&s);
		str_clear(&text);
		str_clear(&plain);
		free_rows(&m);
	}
	free(rows);
}

static void
quoted_printable_is_correct(void **state)
{
	struct mail_row	rows[3];
	struct mail	m = new_mail(rows, 3);
	struct str	s;

	(void)state;
	rows[0] = row("", "From me", 1, 60, 3);
	rows[1] = row("", ".", 1, 60, 2);
	rows[2] = row("", "a=b", 1, 60, 1);
	str_init(&s);
	mail_compose(&s, &m);
	ok_mail(&s);
	assert_non_null(strstr(s.data,
	    "\r\n=46rom me  1 per minute     3\r\n"));
	assert_non_null(strstr(s.data, "\r\n.        1 per minute     2\r\n"));
	assert_non_null(strstr(s.data,
	    "\r\na=3Db      1 per minute     1\r\n"));
	str_clear(&s);
	free_rows(&m);
}

static void
widths_of_characters_are_known(void **state)
{
	static const struct {
		const char	*text;
		size_t		 width;
	} cases[] = {
		{ "", 0 }, { "abc", 3 }, { "\303\251", 1 }, { "e\314\201", 1 },
		{ "\346\227\245", 2 }, { "\355\225\234", 2 },
		{ "\357\274\241", 2 }, { "\357\275\261", 1 },
		{ "\360\237\230\200", 2 }, { "\360\240\200\200", 2 },
		{ "\320\226", 1 }, { "\340\246\225\340\247\201", 1 },
		{ "\341\204\222\341\205\241\341\206\253", 2 },
		{ "\363\240\207\257", 0 }
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(width_of(cases[i].text), cases[i].width);
	assert_int_equal(width_bytes("\346\227\245x"), 3);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(mails_are_as_the_golden_files),
		cmocka_unit_test(hits_stand_in_a_table),
		cmocka_unit_test(warnings_have_a_part_of_their_own),
		cmocka_unit_test(a_mail_may_have_warnings_alone),
		cmocka_unit_test(a_mail_has_its_mime_parts),
		cmocka_unit_test(a_mail_without_hits_says_so),
		cmocka_unit_test(many_rows_are_listed),
		cmocka_unit_test(headers_are_well_formed),
		cmocka_unit_test(the_csv_has_every_row),
		cmocka_unit_test(any_bytes_of_an_id_are_safe),
		cmocka_unit_test(quoted_printable_is_correct),
		cmocka_unit_test(widths_of_characters_are_known)
	};

	return cmocka_run_group_tests_name("mail", tests, NULL, NULL);
}
