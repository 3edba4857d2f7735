#include <errno.h>
#include <string.h>
#include <strings.h>

#include "conf/normal.h"
#include "decision/lock.h"
#include "engine/blocks.h"
#include "engine/reply.h"
#include "engine/identity.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define BLOCKS_WHAT_MAX	(CHARGE_ID_MAX / 2)	/* bytes */
#define FRESH_MS	1100	/* slightly more than the ledger's second */

struct blocks {
	struct override_list	*list;
	struct override_list	*coming;	/* NULL: changes, no new list */
	bool			 known;
	bool			 missed;	/* lack of a list is logged */
	struct mono		 fresh;		/* fresh until then */
	int64_t			 complete_at;	/* by the wall clock */
	/* The bytes of the last subject. */
	struct str		 login;
	struct str		 sender;
	struct str		 client;
};

struct blocks *
blocks_new(void)
{
	struct blocks	*b = alloc_zero(1, sizeof(*b));

	b->list = override_list_new();
	str_init(&b->login);
	str_init(&b->sender);
	str_init(&b->client);
	return b;
}

struct override_list *
blocks_list(const struct blocks *b)
{
	return b->list;
}

bool
blocks_fresh(const struct blocks *b, struct mono now, int64_t wall)
{
	return b->known && !clock_passed(b->fresh, now) &&
	    wall >= b->complete_at;
}

bool
blocks_known(const struct blocks *b)
{
	return b->known;
}

/* --- from the ledger --- */

void
blocks_no_list(struct blocks *b)
{
	if (!b->known && !b->missed)
		log_warning("the database has not told what is blocked: until "
		    "it does, no block holds");
	b->missed = !b->known;
}

int
blocks_message(struct blocks *b, const struct message *m, struct mono now)
{
	struct msg_override	part;
	struct override		o;
	size_t			n, grants;

	switch (m->type) {
	case MSG_OVERRIDES_BEGIN:
		override_list_free(b->coming);
		b->coming = override_list_new();
		return 0;
	case MSG_OVERRIDES_PART:
		if (msg_override_get(&part, m->payload, m->len) == -1 ||
		    part.nids != 1)
			return -1;
		o.kind = part.kind;
		o.amount = part.amount;
		o.since = part.since;
		o.until = part.until;
		o.id = part.id[0];
		o.idlen = part.idlen[0];
		o.who = part.who;
		o.wholen = part.wholen;
		o.reason = part.reason;
		o.reasonlen = part.reasonlen;
		(void)override_list_set(b->coming != NULL ? b->coming :
		    b->list, &o);
		return 0;
	default:
		break;
	}
	if (b->coming != NULL) {
		override_list_free(b->list);
		b->list = b->coming;
		b->coming = NULL;
	}
	n = override_list_count(b->list, OVERRIDE_BLOCK);
	grants = override_list_count(b->list, OVERRIDE_GRANT);
	if (b->missed)
		log_notice("the database has told what is blocked: %zu block%s"
		    ", %zu grant%s", n, n == 1 ? "" : "s", grants,
		    grants == 1 ? "" : "s");
	b->missed = false;
	b->known = true;
	b->fresh = clock_after(now, FRESH_MS);
	b->complete_at = clock_wall();
	return 0;
}

/* --- requests --- */

/* The bytes are valid until the next call. */
static void
request_subject(struct blocks *b, struct override_subject *subject,
    const struct settings *s, const struct request *req)
{
	size_t	i, j;

	b->login.len = b->sender.len = 0;
	(void)identity_add(&b->login, s, NULL, req, KEY_SASL_USERNAME);
	(void)identity_add(&b->sender, s, NULL, req, KEY_SENDER);
	memset(subject, 0, sizeof(*subject));
	subject->login = b->login.data;
	subject->loginlen = b->login.len;
	subject->sender = b->sender.data;
	subject->senderlen = b->sender.len;
	subject->senders = s->nrules == 0 && s->limit_by_sender;
	for (i = 0; i < s->nrules; i++)
		for (j = 0; j < s->rules[i].nkey; j++)
			if (s->rules[i].key[j] == KEY_SENDER)
				subject->senders = true;
	if (!identity_client(&subject->client, req))
		subject->client.bits = 0;
}

const struct override *
blocks_check(struct blocks *b, const struct settings *s,
    const struct request *req, int64_t now)
{
	struct override_subject	subject;

	if (override_list_count(b->list, OVERRIDE_BLOCK) == 0)
		return NULL;
	request_subject(b, &subject, s, req);
	return override_block(b->list, &subject, now);
}

static void
charge_subject(struct override_subject *subject,
    const struct msg_charge *charge)
{
	memset(subject, 0, sizeof(*subject));
	subject->login = charge->login;
	subject->loginlen = charge->loginlen;
	subject->sender = charge->sender;
	subject->senderlen = charge->senderlen;
	subject->senders = charge->senders;
	(void)addr_parse(&subject->client, charge->client, charge->clientlen);
}

const struct override *
blocks_check_charge(const struct blocks *b, const struct msg_charge *charge,
    int64_t now)
{
	struct override_subject	subject;

	charge_subject(&subject, charge);
	return override_block(b->list, &subject, now);
}

const struct override *
blocks_find_lock(const struct blocks *b, const struct msg_charge *charge,
    int64_t now, uint8_t *pass)
{
	struct lock_request	r;
	size_t			i;

	memset(&r, 0, sizeof(r));
	charge_subject(&r.subject, charge);
	r.exempt = charge->exempt;
	r.passes = charge->passes;
	r.passeslen = charge->passeslen;
	for (i = 0; i < charge->nkeys; i++)
		r.pass |= charge->keys[i].pass;
	return lock_closed(b->list, &r, now, pass);
}

const struct override *
blocks_find_any_lock(const struct blocks *b, const struct msg_charge *charge,
    int64_t now)
{
	const struct override	*locks[OVERRIDE_LOCKS];
	struct override_subject	 subject;

	charge_subject(&subject, charge);
	return override_locks(b->list, &subject, now, locks) > 0 ?
	    locks[0] : NULL;
}

struct blocks_count {
	int64_t	now;
	size_t	n;
};

static void
count_lock(void *arg, const struct override *o)
{
	struct blocks_count	*c = arg;

	c->n += o->kind == OVERRIDE_LOCK && o->until > c->now;
}

size_t
blocks_count_locks(const struct blocks *b, int64_t now)
{
	struct blocks_count	c = { now, 0 };

	override_list_each(b->list, count_lock, &c);
	return c.n;
}

bool
blocks_any_lock(const struct blocks *b)
{
	return override_list_count(b->list, OVERRIDE_LOCK) > 0;
}

void
blocks_subject(struct blocks *b, struct msg_charge *charge,
    const struct settings *s, const struct request *req)
{
	struct override_subject	subject;
	char			text[ADDR_TEXT_MAX];

	request_subject(b, &subject, s, req);
	/* Longer ids cannot be blocked. */
	if (subject.loginlen > CHARGE_ID_MAX)
		subject.loginlen = 0;
	if (subject.senderlen > CHARGE_ID_MAX)
		subject.senderlen = 0;
	b->client.len = 0;
	if (subject.client.bits > 0)
		str_adds(&b->client, addr_format(&subject.client, text,
		    sizeof(text)));
	charge->subject = true;
	charge->senders = subject.senders;
	charge->login = subject.loginlen > 0 ? subject.login : "";
	charge->loginlen = subject.loginlen;
	charge->sender = subject.senderlen > 0 ? subject.sender : "";
	charge->senderlen = subject.senderlen;
	charge->client = b->client.len > 0 ? b->client.data : "";
	charge->clientlen = b->client.len;
}

/* --- what an administrator writes --- */

static const struct {
	const char		*word;
	enum rule_attribute	 attr;
} blocks_words[] = {
	{ "login:",	KEY_SASL_USERNAME },
	{ OVERRIDE_UNFAMILIAR,	KEY_SASL_USERNAME },
	{ "sender:",	KEY_SENDER },
	{ "domain:",	KEY_SASL_DOMAIN },
	{ "network:",	KEY_CLIENT_ADDRESS },
};

#define BLOCKS_WORDS	(sizeof(blocks_words) / sizeof(blocks_words[0]))

/* "RULE:ID": moves on to the ID. NULL, or why it is invalid. */
static const char *
skip_rule_name(const struct settings *s, const char **word, const char **bytes,
    size_t *len)
{
	const struct settings_rule	*rule;
	size_t				 n, i;

	if (s->nrules == 0 || memchr(*bytes, ':', *len) == NULL)
		return NULL;
	for (i = 0; i < s->nrules; i++) {
		n = strlen(s->rules[i].name);
		if (*len > n && (*bytes)[n] == ':' &&
		    memcmp(*bytes, s->rules[i].name, n) == 0)
			break;
	}
	if (i == s->nrules)
		return "no rule has the name before the colon";
	*bytes += n + 1;
	*len -= n + 1;
	rule = &s->rules[i];
	for (i = 0; i < BLOCKS_WORDS && rule->nkey == 1; i++)
		if (blocks_words[i].attr == rule->key[0]) {
			*word = blocks_words[i].word;
			return NULL;
		}
	return "the rule's key is neither a login, a sender, a domain of "
	    "logins nor a client address";
}

/*
 * Skips one of the words at the start, and returns its index; BLOCKS_WORDS:
 * there is none.
 */
static size_t
skip_word(const char **bytes, size_t *len)
{
	size_t	i, n;

	for (i = 0; i < BLOCKS_WORDS; i++) {
		n = strlen(blocks_words[i].word);
		if (*len < n ||
		    strncasecmp(*bytes, blocks_words[i].word, n) != 0)
			continue;
		*bytes += n;
		*len -= n;
		break;
	}
	return i;
}

enum rule_attribute
blocks_kind(const char **bytes, size_t *len)
{
	size_t	i = skip_word(bytes, len);

	return i < BLOCKS_WORDS ? blocks_words[i].attr : KEY__MAX;
}

/* NULL, or why no request can match it. */
static const char *
why_impossible(const char *word, const char *bytes, size_t len)
{
	if (len == 0)
		return "nothing is named";
	if (len > BLOCKS_WHAT_MAX)
		return "it is too long";
	if (memchr(bytes, '\n', len) != NULL)
		return "no value of a request has an end of a line in it";
	if (word[0] == 'd' && memchr(bytes, '@', len) != NULL)
		return "a domain has no @ in it";
	if (word[0] == 's' && bytes[0] == '@')
		return "senders are blocked by their whole address";
	if (word[0] == 's' && len == 2 && memcmp(bytes, "<>", 2) == 0)
		return "the null sender is nobody";
	return NULL;
}

const char *
blocks_what(struct str *id, const struct settings *s, const char *bytes,
    size_t len)
{
	const char	*word = NULL, *why;
	struct network	 net;
	struct str	 value;
	char		 text[ADDR_TEXT_MAX], whole[OVERRIDE_ID_MAX];
	size_t		 i;

	len = normal_length(bytes, len);
	if (addr_network_parse(&net, bytes, len) == -1 && errno != EDOM) {
		if ((i = skip_word(&bytes, &len)) < BLOCKS_WORDS)
			word = blocks_words[i].word;
		else if ((why = skip_rule_name(s, &word, &bytes, &len)) != NULL)
			return why;
	}
	if (word == NULL || word[0] == 'n') {
		if (addr_network_parse(&net, bytes, len) == 0) {
			str_addf(id, "network:%s", addr_network_format(&net,
			    text, sizeof(text)));
			return NULL;
		}
		if (errno == EDOM)
			return "the network has host bits set";
		if (word != NULL)
			return "it is neither an address nor a network";
	}
	if (len > 0 && bytes[0] == '@' && (word == NULL || word[0] != 's')) {
		word = "domain:";
		bytes++;
		len--;
	}
	if (word == NULL)
		word = "login:";
	if ((why = why_impossible(word, bytes, len)) != NULL)
		return why;
	str_init(&value);
	if (word[0] == 'd')
		str_add(&value, bytes, len);
	else
		(void)identity_value(&value, s, word[0] == 's' ? KEY_SENDER :
		    KEY_SASL_USERNAME, bytes, len);
	if (s->fold_case)
		str_fold(value.data, value.len);
	str_add(id, whole, override_id(whole, word, value.data, value.len));
	str_clear(&value);
	return NULL;
}

const struct override *
blocks_of_id(const struct blocks *b, const struct settings *s,
    enum override_kind kind, const char *bytes, size_t len, int64_t now)
{
	const struct override	*locks[OVERRIDE_LOCKS], *found = NULL;
	struct override_subject	 subject;
	struct str		 login, id;

	memset(&subject, 0, sizeof(subject));
	str_init(&login);
	len = normal_length(bytes, len);
	if (addr_parse(&subject.client, bytes, len) == -1) {
		subject.client.bits = 0;
		(void)identity_value(&login, s, KEY_SASL_USERNAME, bytes, len);
	}
	subject.login = subject.sender = login.data;
	subject.loginlen = subject.senderlen = login.len;
	if (kind == OVERRIDE_BLOCK)
		found = override_block(b->list, &subject, now);
	else if (override_locks(b->list, &subject, now, locks) > 0)
		found = locks[0];
	str_clear(&login);
	if (found != NULL)
		return found;
	str_init(&id);
	if (blocks_what(&id, s, bytes, len) == NULL)
		found = override_find(b->list, kind, id.data, id.len, now);
	str_clear(&id);
	return found;
}

void
blocks_reply(struct str *out, const struct override *o)
{
	reply_begin(out, o->kind == OVERRIDE_GRANT ? "grants" :
	    o->kind == OVERRIDE_LOCK ? "locks" : "blocks");
	reply_bytes(out, "what", o->id, o->idlen);
	if (o->kind == OVERRIDE_GRANT)
		reply_number(out, "mails", o->amount);
	reply_number(out, "since", o->since);
	reply_until(out, o->until);
	reply_number(out, "left", o->until - clock_wall());
	reply_bytes(out, "who", o->who, o->wholen);
	reply_bytes(out, "reason", o->reason, o->reasonlen);
	reply_end(out);
}
