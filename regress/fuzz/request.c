#include <stdint.h>
#include <string.h>

#include "conf/syntax/literal.h"
#include "conf/settings.h"
#include "engine/action.h"
#include "engine/apply.h"
#include "engine/request.h"
#include "engine/stage.h"
#include "fuzz.h"

/*
 * The way of a stranger's bytes through the engine: the end of the request,
 * its attributes, the decision under several configurations, the charge as it
 * goes to the ledger, the answer to a refusal.
 */
static const char *const	request_configurations[] = {
	"",
	"limit_by_sender = limit_by_ip = True\nrecipient_delimiter = '+-'\n"
	"limited_networks = ['0.0.0.0/0', '::/0']\nipv4_prefix = 24\n"
	"ipv6_prefix = 64\ncount_mode = 0\nfold_case = False\n"
	"limits_by_id = {'a': [[1, 2]], '@b': [], '192.0.2.0/24': [[3, 4]]}\n"
	"fail_action = 'defer {id} {limit} {period} {used} {retry_after}'\n",
	"recipient_delimiter = '+'\nrules = ["
	"{'name': 'user', 'key': 'sasl_username', 'limits': [[10, 60]],"
	" 'action': 'reject {id}{id}{id}{id}{id}{id}'},"
	"{'name': 'domains', 'key': ['sasl_domain', 'sender_domain',"
	" 'recipient_domain'], 'limits': [[10, 60]], 'shadow': True},"
	"{'name': 'pair', 'key': ['helo_name', 'recipient', 'sender'],"
	" 'limits': [[10, 60]], 'count': 'messages'},"
	"{'name': 'net', 'key': 'client_address', 'limits': [[10, 60]],"
	" 'networks': ['192.0.2.0/24'], 'unless': 'sasl_username'},"
	"{'name': 'size', 'key': 'server', 'limits': [[10, 60]],"
	" 'count': 'bytes'},"
	"{'name': 'spread', 'key': 'sender', 'limits': [[10, 60]],"
	" 'count': 'distinct_recipients', 'warn_at': 80},"
	"{'name': 'hosts', 'key': 'server', 'limits': [[10, 60]],"
	" 'count': 'addresses'}]\n"
};

#define REQUEST_NCONF	\
	(sizeof(request_configurations) / sizeof(request_configurations[0]))

static struct settings	*request_settings[REQUEST_NCONF];

static void
request_read_settings(void)
{
	struct faults	 faults;
	struct value	*dict;
	const char	*text;
	size_t		 i;

	for (i = 0; i < REQUEST_NCONF; i++) {
		text = request_configurations[i];
		fault_init(&faults, NULL);
		dict = literal_file(text, strlen(text), &faults);
		request_settings[i] = settings_adopt(dict, &faults);
		fuzz_require(faults.errors == 0);
		fault_clear(&faults);
	}
}

/* In pieces as in one: the same end. */
static size_t
request_find_end(const char *bytes, size_t size)
{
	size_t	from = 0, whole, n, end = 0;

	whole = request_end(bytes, size, &from);
	fuzz_require(whole <= size);
	from = 0;
	for (n = 0; n < size && end == 0;) {
		n += 1 + n * 7 % 13;
		if (n > size)
			n = size;
		end = request_end(bytes, n, &from);
		fuzz_require(end != 0 || from <= n);
	}
	fuzz_require(end == whole);
	return whole;
}

/* Behind a value are blanks at most. */
static bool
request_line_ends(const char *at)
{
	return at[strspn(at, " \t\v\f\r")] == '\n';
}

static bool
same_bytes(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && memcmp(a, b, alen) == 0;
}

/* What the ledger reads is what was meant. */
static void
request_send(const struct msg_charge *charge)
{
	static struct msg_charge	 got;
	const struct msg_charge_key	*a, *b;
	struct str			 wire;
	size_t				 i;

	str_init(&wire);
	msg_charge_put(&wire, charge);
	fuzz_require(msg_charge_get(&got, wire.data, wire.len) == 0);
	fuzz_require(got.mode == charge->mode && got.tag == charge->tag &&
	    got.nkeys == charge->nkeys && got.nkeys > 0);
	fuzz_require(same_bytes(got.instance, got.instancelen,
	    charge->instance, charge->instancelen));
	for (i = 0; i < got.nkeys; i++) {
		a = &got.keys[i];
		b = &charge->keys[i];
		fuzz_require(a->idlen > 0 && a->amount >= 0 &&
		    a->amount == b->amount && a->kind == b->kind);
		fuzz_require(same_bytes(a->id, a->idlen, b->id, b->idlen));
		fuzz_require(same_bytes(a->value, a->valuelen, b->value,
		    b->valuelen));
	}
	str_clear(&wire);
}

/* One line, whatever the id. */
static void
request_refuse(const struct settings *s, const struct msg_charge *charge)
{
	struct msg_verdict	v = { .verdict = VERDICT_REFUSED };
	struct str		out;
	size_t			i;

	str_init(&out);
	for (v.key = 0; v.key < charge->nkeys; v.key++) {
		if (charge->keys[v.key].limits.count > 0)
			v.limit = charge->keys[v.key].limits.list[0];
		out.len = 0;
		action_add(&out, s, charge, &v);
		fuzz_require(out.len > 0 && out.len <= ACTION_MAX);
		for (i = 0; i < out.len; i++)
			fuzz_require((unsigned char)out.data[i] >= ' ' &&
			    out.data[i] != 0x7f);
	}
	str_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct applied	 d;
	const char		*bytes = (const char *)data, *reason = NULL;
	struct request		 req;
	struct settings		*s;
	size_t			 end, i;

	if (request_settings[0] == NULL) {
		request_read_settings();
		apply_init(&d);
	}
	if ((end = request_find_end(bytes, size)) == 0)
		return 0;
	if (request_parse(&req, bytes, end, &reason) == 0) {
		fuzz_require(reason != NULL);
		return 0;
	}
	for (i = 0; i < ATTR__MAX; i++)
		fuzz_require(req.attr[i].bytes == NULL ||
		    (req.attr[i].bytes > bytes &&
		    req.attr[i].bytes + req.attr[i].len < bytes + end &&
		    request_line_ends(req.attr[i].bytes + req.attr[i].len)));
	for (i = 0; i < REQUEST_NCONF; i++) {
		s = request_settings[i];
		apply_use(&d, s);
		apply_request(&d, &req, 1);
		if (d.reason != REASON_CHARGED)
			continue;
		fuzz_require(stage_rules(s, d.stage) != 0);
		d.charge.deadline = d.charge.date = 0;
		request_send(&d.charge);
		request_refuse(s, &d.charge);
	}
	return 0;
}
