#ifndef APPLY_CASE_H
#define APPLY_CASE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/apply.h"
#include "settings_text.h"

#define RANDOM	4711

/*
 * Decisions by hand from the manual pages. A case is a configuration, a
 * request, and what comes of it, in words:
 *
 *	pass: why
 *	mode/tag id n=amount windows flags | the next key
 *
 * The tag is 0, random, or a hash. Windows are mails/seconds, with ! where a
 * hit is reported; flags are sql, mail, shadow, warn, total, different:value,
 * and to:recipient from:network unfamiliar/learn.
 */
struct apply_case {
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

#define AUTO	"count_mode = 'auto'\n"
#define MODE(n)	"count_mode = " #n "\n"
#define PLUS	"recipient_delimiter = '+'\n"
#define SQL	"sql_limits_by_id = 'SELECT limits FROM t WHERE id = %s'\n"
#define RULES(r)	"rules = [" r "]\n"
#define NAMED(n, k)	"'name': '" n "', 'key': '" k "', " \
			"'limits': [[5, 60]]"
#define COUNT(k, c)	RULES("{" NAMED("x", k) ", 'count': '" c "'}")

static inline void
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
	if (key->kind == CHARGE_HABIT) {
		str_adds(out, " to:");
		str_add(out, key->value, key->valuelen);
		str_adds(out, " from:");
		str_add(out, key->network, key->networklen);
		str_addf(out, " %" PRId64 "/%" PRId64, key->unfamiliar,
		    key->learn);
	}
	if (key->kind == CHARGE_DISTINCT) {
		str_adds(out, " different:");
		str_add(out, key->value, key->valuelen);
	}
}

static inline void
describe(struct str *out, const struct applied *d)
{
	const struct msg_charge	*charge = &d->charge;
	size_t			 i;

	out->len = 0;
	if (d->reason != REASON_CHARGED) {
		str_addf(out, "pass: %s", apply_reason_text(d->reason));
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

static inline void
apply(struct applied *d, const struct settings *s, struct request *req,
    const char *text)
{
	const char		*reason;

	assert_true(request_parse(req, text, strlen(text), &reason) > 0);
	apply_use(d, s);
	apply_request(d, req, RANDOM);
}

static inline void
check(const struct apply_case *cases, size_t n)
{
	struct applied	 d;
	struct settings	*s;
	struct request	 req;
	struct str	 got, text;
	size_t		 i;

	str_init(&got);
	apply_init(&d);
	for (i = 0; i < n; i++) {
		str_init(&text);
		str_addf(&text, "%s\n", cases[i].request);
		s = settings_of(cases[i].settings);
		apply(&d, s, &req, text.data);
		describe(&got, &d);
		if (strcmp(got.data, cases[i].want) != 0)
			fail_msg("case %zu: got \"%s\", not \"%s\", for %s\n%s",
			    i, got.data, cases[i].want, cases[i].settings,
			    cases[i].request);
		settings_free(s);
		str_clear(&text);
	}
	apply_clear(&d);
	str_clear(&got);
}

#define CHECK(cases)	check(cases, sizeof(cases) / sizeof((cases)[0]))

#define TEST(name)	cmocka_unit_test(name)

#endif
