#include <string.h>

#include "conf/access.h"
#include "engine/decide.h"
#include "engine/decide_lock.h"
#include "engine/identity.h"
#include "engine/stage.h"
#include "lib/num.h"

#define RECIPIENTS_MAX	INT32_MAX	/* more in one mail is invalid */

/* The input and output of a decision. */
struct task {
	const struct settings	*s;
	const struct request	*req;
	enum stage		 stage;
	unsigned int		 exempt;	/* identity_exempt */
	bool			 soft;		/* fail_action takes mail */
	struct decided		*d;
};

void
decide_init(struct decided *d)
{
	memset(d, 0, sizeof(*d));
	str_init(&d->ids);
}

void
decide_clear(struct decided *d)
{
	str_clear(&d->ids);
}

/* --- step 1: the identity --- */

/* The next key, cleared. */
static struct msg_charge_key *
decide_key(struct task *t)
{
	size_t			 n = t->d->charge.nkeys;
	struct msg_charge_key	*key = &t->d->charge.keys[n];

	memset(key, 0, sizeof(*key));
	t->d->id_at[n] = t->d->ids.len;
	return key;
}

static void
decide_id_end(struct task *t, struct msg_charge_key *key)
{
	size_t	at = t->d->id_at[t->d->charge.nkeys];

	identity_bound(&t->d->ids, at, CHARGE_ID_MAX);
	key->idlen = t->d->ids.len - at;
}

/* The first identity that is switched on and present in the request. */
static bool
decide_identity(struct task *t, struct msg_charge_key *key)
{
	const struct settings	*s = t->s;
	struct decided		*d = t->d;

	d->identity = KEY_SASL_USERNAME;
	if (s->limit_by_sasl &&
	    identity_add(&d->ids, s, NULL, t->req, KEY_SASL_USERNAME))
		goto found;
	d->identity = KEY_SENDER;
	if (s->limit_by_sender &&
	    identity_add(&d->ids, s, NULL, t->req, KEY_SENDER))
		goto found;
	d->identity = KEY_CLIENT_ADDRESS;
	if (s->limit_by_ip && s->limited_networks.count > 0 &&
	    identity_from(&s->limited_networks, t->req) &&
	    identity_add(&d->ids, s, NULL, t->req, KEY_CLIENT_ADDRESS))
		goto found;
	return false;
 found:
	decide_id_end(t, key);
	return true;
}

/* A rule's id is its name and the values of all attributes of its key. */
static bool
decide_rule_identity(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	struct str	*ids = &t->d->ids;
	size_t		 i, part;

	str_adds(ids, rule->name);
	str_addc(ids, ':');
	for (i = 0; i < rule->nkey; i++) {
		if (i > 0)
			str_addc(ids, ',');
		part = ids->len;
		if (!identity_add(ids, t->s, rule, t->req, rule->key[i]))
			return false;
		if (rule->nkey > 1)
			identity_escape(ids, part);
	}
	decide_id_end(t, key);
	return true;
}

/* The fields `only`, `except`, `networks` and `unless` of a rule. */
static bool
decide_rule_applies(const struct task *t, const struct settings_rule *rule)
{
	struct str	*ids = &t->d->ids;
	size_t		 at = ids->len;
	bool		 set;

	if (!identity_from(&rule->networks, t->req) ||
	    !identity_matches(ids, t->s, &rule->only, t->req, true) ||
	    identity_matches(ids, t->s, &rule->except, t->req, false))
		return false;
	if (rule->unless == -1)
		return true;
	set = identity_add(ids, t->s, NULL, t->req,
	    (enum rule_attribute)rule->unless);
	ids->len = at;
	return !set;
}

/*
 * Whether the mail of an exempt client may be recorded under this key: it uses
 * up nobody else's count.
 */
static bool
decide_is_own(const struct task *t, const struct settings_rule *rule,
    const enum rule_attribute *key, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if ((t->exempt >> key[i] & 1) == 0 ||
		    (key[i] == KEY_CLIENT_ADDRESS && !identity_counts_exempt(
		    &t->d->ids, t->s, rule, t->req)))
			return false;
	return true;
}

/* --- step 2: the count --- */

static int64_t
decide_recipients(struct task *t)
{
	const struct request_value	*v;
	int64_t				 n;

	v = &t->req->attr[ATTR_RECIPIENT_COUNT];
	if (num_parse(v->bytes, v->len, 0, RECIPIENTS_MAX, &n) == -1) {
		t->d->bad_count = true;
		return 1;
	}
	return n > 0 ? n : 1;
}

/* An invalid size counts as 0; the actual size comes after the mail. */
static int64_t
decide_bytes(const struct task *t)
{
	const struct request_value	*v = &t->req->attr[ATTR_SIZE];
	int64_t				 n;

	return num_parse(v->bytes, v->len, 0, CHARGE_AMOUNT_MAX,
	    &n) == 0 ? n : 0;
}

/* For rules that count different values of an attribute: 1, and the value. */
static bool
decide_distinct(struct task *t, const struct settings_rule *rule,
    enum rule_attribute attr, struct msg_charge_key *key)
{
	struct str	*ids = &t->d->ids;
	size_t		 at = ids->len;

	if (!identity_add(ids, t->s, rule, t->req, attr))
		return false;
	identity_bound(ids, at, CHARGE_ID_MAX);
	t->d->value_at[t->d->charge.nkeys] = at;
	key->kind = CHARGE_DISTINCT;
	key->valuelen = ids->len - at;
	key->amount = 1;
	return true;
}

/*
 * The recipient and the network of the client; the ledger knows whether they
 * are new to the key. A request about several recipients names none.
 */
static void
decide_habit(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	struct str	*ids = &t->d->ids;
	size_t		 n = t->d->charge.nkeys;

	key->kind = CHARGE_HABIT;
	key->unfamiliar = rule->unfamiliar;
	key->learn = rule->learn;
	t->d->network_at[n] = ids->len;
	if (identity_add(ids, t->s, rule, t->req, KEY_CLIENT_ADDRESS))
		key->networklen = ids->len - t->d->network_at[n];
	t->d->value_at[n] = ids->len;
	key->amount = 1;
	if (identity_add(ids, t->s, rule, t->req, KEY_RECIPIENT)) {
		identity_bound(ids, t->d->value_at[n], CHARGE_ID_MAX);
		key->valuelen = ids->len - t->d->value_at[n];
	} else if (t->stage != STAGE_RCPT)
		key->amount = decide_recipients(t);
}

/* The amount, by count_mode and the field `count` of a rule. */
static enum decide_reason
decide_count(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	if (t->stage == STAGE_NONE)
		return REASON_NO_STATE;
	if (!stage_counts(t->s, rule, t->stage))
		return REASON_STAGE_IGNORED;
	key->kind = CHARGE_SUM;
	switch (rule == NULL ? RULE_RECIPIENTS : rule->count) {
	case RULE_BYTES:
		key->amount = decide_bytes(t);
		break;
	case RULE_ADDRESSES:
		if (!decide_distinct(t, rule, KEY_CLIENT_ADDRESS, key))
			return REASON_NO_IDENTITY;
		break;
	case RULE_SENDERS:
		if (!decide_distinct(t, rule, KEY_SENDER, key))
			return REASON_NO_IDENTITY;
		break;
	case RULE_DISTINCT_RECIPIENTS:
		if (!decide_distinct(t, rule, KEY_RECIPIENT, key))
			return REASON_NO_IDENTITY;
		break;
	case RULE_NEW_RECIPIENTS:
		decide_habit(t, rule, key);
		break;
	case RULE_EXTERNAL:
		key->kind = CHARGE_EXTERNAL;
		key->amount = 1;
		break;
	case RULE_MESSAGES:
		/*
		 * Each recipient has its own tag, but the message counts once.
		 */
		if (t->stage == STAGE_RCPT && t->d->charge.instancelen > 0)
			key->kind = CHARGE_TOTAL;
		key->amount = 1;
		break;
	default:
		if (t->stage == STAGE_RCPT ||
		    t->s->count_mode == COUNT_MESSAGES)
			key->amount = 1;
		else
			key->amount = decide_recipients(t);
	}
	return REASON_CHARGED;
}

/*
 * The tag, which tells this charge from others of its instance: struct
 * msg_charge.
 */
static void
decide_mode(struct task *t, int64_t random)
{
	const struct request		*req = t->req;
	const struct request_value	*instance = &req->attr[ATTR_INSTANCE];
	const struct request_value	*recipient = &req->attr[ATTR_RECIPIENT];
	struct msg_charge		*charge = &t->d->charge;
	struct str			*ids = &t->d->ids;
	size_t				 at;

	charge->mode = CHARGE_ONCE;
	charge->tag = random;
	if (instance->len == 0)
		return;
	if (t->stage == STAGE_RCPT && t->s->count_mode == COUNT_RCPT)
		charge->mode = CHARGE_EACH;
	else if (t->stage == STAGE_RCPT) {
		/*
		 * With its extension: two extensions of a mailbox are two
		 * recipients.
		 */
		at = ids->len;
		str_add(ids, recipient->bytes, recipient->len);
		if (t->s->fold_case)
			str_fold(ids->data + at, recipient->len);
		charge->tag = identity_tag(instance->bytes, instance->len,
		    ids->data + at, recipient->len);
		ids->len = at;
	} else
		charge->tag = 0;
}

/* --- step 3: the limits; 4 and 5, check and record, are the ledger's --- */

/* The limits that hold for an id. An id without limits is counted too. */
static void
decide_limits(const struct settings *s, const struct ids *by_id,
    const struct limits *otherwise, const char *id, size_t idlen,
    struct msg_charge_key *key)
{
	const struct limits	*limits;

	limits = by_id == NULL ? NULL : settings_id_limits(by_id, id, idlen);
	if (limits == NULL)
		limits = otherwise;
	key->limits = *limits;
	if (key->report)
		key->reported = settings_reported(s, limits);
}

/* --- all steps --- */

static enum decide_reason
decide_plain(struct task *t)
{
	const struct settings	*s = t->s;
	struct decided		*d = t->d;
	struct msg_charge_key	*key = decide_key(t);
	enum decide_reason	 reason;

	if (!decide_identity(t, key))
		return REASON_NO_IDENTITY;
	if ((reason = decide_count(t, NULL, key)) != REASON_CHARGED)
		return reason;
	if (t->exempt != 0)
		return decide_is_own(t, NULL, &d->identity, 1) ?
		    REASON_CHARGED : REASON_EXEMPT;
	key->sql = s->sql_limits_by_id[0] != '\0';
	key->report = s->report;
	key->soft = t->soft;
	decide_limits(s, s->limits_by_id, &s->limits,
	    d->ids.data + d->id_at[0], key->idlen, key);
	return REASON_CHARGED;
}

static enum decide_reason
decide_rule(struct task *t, const struct settings_rule *rule)
{
	struct decided		*d = t->d;
	struct msg_charge_key	*key = decide_key(t);
	enum decide_reason	 reason;
	size_t			 name = strlen(rule->name) + 1;

	if (!decide_rule_applies(t, rule) ||
	    !decide_rule_identity(t, rule, key))
		return REASON_NO_IDENTITY;
	if ((reason = decide_count(t, rule, key)) != REASON_CHARGED)
		return reason;
	key->rule = (uint16_t)(rule - t->s->rules);
	/*
	 * An id that SQL gives may be the id of others too. Nothing is learned
	 * of an exempt mail.
	 */
	if (t->exempt != 0)
		return rule->id_sql == NULL &&
		    rule->count != RULE_NEW_RECIPIENTS &&
		    decide_is_own(t, rule, rule->key, rule->nkey) ?
		    REASON_CHARGED : REASON_EXEMPT;
	key->map = rule->id_sql != NULL;
	key->sql = rule->sql_limits_by_id != NULL &&
	    rule->sql_limits_by_id[0] != '\0';
	key->max_per_mail = rule->max_per_mail;
	key->shadow = rule->shadow;
	key->warn_at = (uint8_t)rule->warn_at;
	key->report = t->s->report && rule->report;
	d->lock_at[d->charge.nkeys] = d->ids.len;
	decide_lock_of(&d->ids, t->s, rule, t->req, &key->lock);
	key->soft = rule->action == NULL ? t->soft :
	    access_takes(rule->action);
	/* limits_by_id has values without the rule's name. */
	decide_limits(t->s, rule->limits_by_id, &rule->limits,
	    d->ids.data + d->id_at[d->charge.nkeys] + name, key->idlen - name,
	    key);
	return REASON_CHARGED;
}

/* Sets the pointers into `ids`, which does not grow any more. */
static void
decide_point(struct decided *d)
{
	struct msg_charge_key	*key;
	size_t			 i;

	for (i = 0; i < d->charge.nkeys; i++) {
		key = &d->charge.keys[i];
		key->id = d->ids.data + d->id_at[i];
		key->value = key->kind == CHARGE_DISTINCT ||
		    key->kind == CHARGE_HABIT ? d->ids.data + d->value_at[i] :
		    "";
		key->network = key->kind == CHARGE_HABIT ?
		    d->ids.data + d->network_at[i] : "";
		if (key->lock.seconds > 0)
			key->lock.id = d->ids.data + d->lock_at[i];
	}
	if (d->charge.passeslen > 0)
		d->charge.passes = d->ids.data + d->passes_at;
}

/* Sets instance and state, which the ledger stores. */
static void
decide_origin(struct task *t)
{
	const struct request		*req = t->req;
	const struct request_value	*instance = &req->attr[ATTR_INSTANCE];
	const struct request_value	*state;
	struct msg_charge		*charge = &t->d->charge;

	state = &req->attr[ATTR_PROTOCOL_STATE];
	charge->instance = instance->len > 0 ? instance->bytes : "";
	charge->instancelen = instance->len;
	charge->state = state->len > 0 ? state->bytes : "";
	charge->statelen = state->len;
	if (instance->len <= CHARGE_INSTANCE_MAX)
		return;
	str_add(&t->d->ids, instance->bytes, instance->len);
	identity_bound(&t->d->ids, 0, CHARGE_INSTANCE_MAX);
	charge->instancelen = t->d->ids.len;
}

enum decide_outcome
decide_request(struct decided *d, const struct settings *s,
    const struct request *req, int64_t random)
{
	struct task		t = { s, req, stage_of(req), 0,
				    access_takes(s->fail_action), d };
	enum decide_reason	reason;
	size_t			i;

	d->reason = REASON_NO_IDENTITY;
	d->bad_count = false;
	d->ids.len = 0;
	d->charge.nkeys = 0;
	decide_origin(&t);
	t.exempt = identity_exempt(&d->ids, s, req);
	d->exempt = t.exempt != 0;
	if (s->nrules == 0) {
		d->reason = decide_plain(&t);
		d->charge.nkeys = d->reason == REASON_CHARGED;
	}
	for (i = 0; i < s->nrules; i++) {
		reason = decide_rule(&t, &s->rules[i]);
		if (reason == REASON_CHARGED)
			d->charge.nkeys++;
		else
			d->ids.len = d->id_at[d->charge.nkeys];
		if (reason > d->reason)
			d->reason = reason;
	}
	d->charge.exempt = d->exempt;
	decide_lock_passes(d, s, req, t.stage == STAGE_RCPT ||
	    t.stage == STAGE_DATA || t.stage == STAGE_END);
	if (d->charge.nkeys == 0)
		return DECIDE_PASS;
	decide_mode(&t, random);
	decide_point(d);
	if (d->charge.instancelen != req->attr[ATTR_INSTANCE].len)
		d->charge.instance = d->ids.data;
	return d->reason == REASON_CHARGED ? DECIDE_CHARGE : DECIDE_PASS;
}

/* --- in words --- */

const char *
decide_reason_text(enum decide_reason reason)
{
	static const char	*const texts[REASON__MAX] = {
		[REASON_NO_IDENTITY] = "no identity that is counted",
		[REASON_NO_STATE] = "no protocol_state",
		[REASON_STAGE_IGNORED] = "not counted at this stage",
		[REASON_EXEMPT] = "exempt: no limit applies",
		[REASON_CHARGED] = "charged",
	};

	return texts[reason];
}

void
decide_key_name(struct str *out, const struct settings *s,
    const struct msg_charge_key *key, enum rule_attribute identity)
{
	const struct settings_rule	*rule;
	size_t				 i;

	if (key->rule >= s->nrules) {
		str_adds(out, identity_name(identity));
		return;
	}
	rule = &s->rules[key->rule];
	for (i = 0; i < rule->nkey; i++) {
		if (i > 0)
			str_addc(out, ',');
		str_adds(out, identity_name(rule->key[i]));
	}
}
