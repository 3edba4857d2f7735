#include <string.h>

#include "conf/access.h"
#include "engine/apply.h"
#include "engine/apply_lock.h"
#include "engine/identity.h"
#include "engine/stage.h"
#include "lib/num.h"

#define RECIPIENTS_MAX	INT32_MAX	/* more in one mail is invalid */

/* The input and output of a decision. */
struct task {
	const struct settings	*s;
	const struct request	*req;
	unsigned int		 exempt;	/* identity_exempt */
	struct applied		*a;
};

void
apply_init(struct applied *a)
{
	memset(a, 0, sizeof(*a));
	str_init(&a->ids);
}

void
apply_clear(struct applied *a)
{
	str_clear(&a->ids);
}

void
apply_use(struct applied *a, const struct settings *s)
{
	a->settings = s;
	a->soft = access_takes(s->fail_action);
}

/* --- step 1: the identity --- */

/* A rule's id is its name and the values of all attributes of its key. */
static bool
add_rule_id(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	struct str	*ids = &t->a->ids;
	size_t		 at = ids->len, i, part;

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
	identity_bound(ids, at, CHARGE_ID_MAX);
	key->idlen = ids->len - at;
	return true;
}

/* The fields `only`, `except`, `networks` and `unless` of a rule. */
static bool
rule_applies(const struct task *t, const struct settings_rule *rule)
{
	struct str	*ids = &t->a->ids;
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
 * Whether the mail of an exempt client may be recorded under this key: only if
 * no other client's mail counts under the same id.
 */
static bool
may_record(const struct task *t, const struct settings_rule *rule,
    const enum rule_attribute *key, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if ((t->exempt >> key[i] & 1) == 0 ||
		    (key[i] == KEY_CLIENT_ADDRESS && !identity_counts_exempt(
		    &t->a->ids, t->s, rule, t->req)))
			return false;
	return true;
}

/* --- step 2: the count --- */

static int64_t
count_recipients(struct task *t)
{
	const struct request_value	*v;
	int64_t				 n;

	v = &t->req->attr[ATTR_RECIPIENT_COUNT];
	if (num_parse(v->bytes, v->len, 0, RECIPIENTS_MAX, &n) == -1) {
		t->a->bad_count = true;
		return 1;
	}
	return n > 0 ? n : 1;
}

/*
 * The recipient and the network of the client; the ledger knows whether they
 * are new to the key. A request about several recipients names none.
 */
static void
add_habit(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	struct str	*ids = &t->a->ids;
	size_t		 n = t->a->charge.nkeys;

	key->kind = CHARGE_HABIT;
	key->unfamiliar = rule->unfamiliar;
	key->learn = rule->learn;
	t->a->network_at[n] = ids->len;
	if (identity_add(ids, t->s, rule, t->req, KEY_CLIENT_ADDRESS))
		key->networklen = ids->len - t->a->network_at[n];
	t->a->value_at[n] = ids->len;
	key->amount = 1;
	if (identity_add(ids, t->s, rule, t->req, KEY_RECIPIENT)) {
		identity_bound(ids, t->a->value_at[n], CHARGE_ID_MAX);
		key->valuelen = ids->len - t->a->value_at[n];
	} else if (t->a->stage != STAGE_RCPT)
		key->amount = count_recipients(t);
}

/* The amount, by count_mode and the field `count` of a rule. */
static enum apply_reason
set_amount(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	static const enum rule_attribute	 attr[] = {
		[RULE_ADDRESSES] = KEY_CLIENT_ADDRESS,
		[RULE_SENDERS] = KEY_SENDER,
		[RULE_DISTINCT_RECIPIENTS] = KEY_RECIPIENT
	};
	const struct request_value	*size;
	struct str		*ids = &t->a->ids;
	size_t			 at = ids->len;

	if (t->a->stage == STAGE_NONE)
		return REASON_NO_STATE;
	if (!stage_counts(t->s, rule, t->a->stage))
		return REASON_STAGE_IGNORED;
	key->kind = CHARGE_SUM;
	switch (rule == NULL ? RULE_RECIPIENTS : rule->count) {
	case RULE_BYTES:
		size = &t->req->attr[ATTR_SIZE];
		/*
		 * An invalid size counts as 0; the actual size comes after the
		 * mail.
		 */
		if (num_parse(size->bytes, size->len, 0, CHARGE_AMOUNT_MAX,
		    &key->amount) == -1)
			key->amount = 0;
		break;
	case RULE_ADDRESSES:
	case RULE_SENDERS:
	case RULE_DISTINCT_RECIPIENTS:
		/* 1, and the value. */
		if (!identity_add(ids, t->s, rule, t->req, attr[rule->count]))
			return REASON_NO_IDENTITY;
		identity_bound(ids, at, CHARGE_ID_MAX);
		t->a->value_at[t->a->charge.nkeys] = at;
		key->kind = CHARGE_DISTINCT;
		key->valuelen = ids->len - at;
		key->amount = 1;
		break;
	case RULE_NEW_RECIPIENTS:
		add_habit(t, rule, key);
		break;
	case RULE_EXTERNAL:
		key->kind = CHARGE_EXTERNAL;
		key->amount = 1;
		break;
	case RULE_MESSAGES:
		/*
		 * Each recipient has its own tag, but the message counts once.
		 */
		if (t->a->stage == STAGE_RCPT && t->a->charge.instancelen > 0)
			key->kind = CHARGE_TOTAL;
		key->amount = 1;
		break;
	default:
		if (t->a->stage == STAGE_RCPT ||
		    t->s->count_mode == COUNT_MESSAGES)
			key->amount = 1;
		else
			key->amount = count_recipients(t);
	}
	return REASON_CHARGED;
}

/*
 * The tag, which tells this charge from others of its instance: struct
 * msg_charge.
 */
static void
set_mode_and_tag(struct task *t, int64_t random)
{
	const struct request		*req = t->req;
	const struct request_value	*instance = &req->attr[ATTR_INSTANCE];
	const struct request_value	*recipient = &req->attr[ATTR_RECIPIENT];
	struct msg_charge		*charge = &t->a->charge;
	struct str			*ids = &t->a->ids;
	size_t				 at;

	charge->mode = CHARGE_ONCE;
	charge->tag = random;
	if (instance->len == 0)
		return;
	if (t->a->stage == STAGE_RCPT && t->s->count_mode == COUNT_RCPT)
		charge->mode = CHARGE_EACH;
	else if (t->a->stage == STAGE_RCPT) {
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

static void
set_limits(const struct settings *s, const struct limits *limits,
    struct msg_charge_key *key)
{
	key->limits = *limits;
	if (key->report)
		key->reported = settings_reported(s, limits);
}

/* --- all steps --- */

static enum apply_reason
fill_plain_key(struct task *t, struct msg_charge_key *key)
{
	const struct settings	*s = t->s;
	struct applied		*a = t->a;
	const struct limits	*limits = NULL;
	size_t			 at = a->ids.len;
	enum apply_reason	 reason;

	/* The first identity that is switched on and that the request has. */
	a->identity = KEY_SASL_USERNAME;
	if (s->limit_by_sasl &&
	    identity_add(&a->ids, s, NULL, t->req, KEY_SASL_USERNAME))
		goto found;
	a->identity = KEY_SENDER;
	if (s->limit_by_sender &&
	    identity_add(&a->ids, s, NULL, t->req, KEY_SENDER))
		goto found;
	a->identity = KEY_CLIENT_ADDRESS;
	if (s->limit_by_ip && s->limited_networks.count > 0 &&
	    identity_from(&s->limited_networks, t->req) &&
	    identity_add(&a->ids, s, NULL, t->req, KEY_CLIENT_ADDRESS))
		goto found;
	return REASON_NO_IDENTITY;
 found:
	identity_bound(&a->ids, at, CHARGE_ID_MAX);
	key->idlen = a->ids.len - at;
	if ((reason = set_amount(t, NULL, key)) != REASON_CHARGED)
		return reason;
	if (t->exempt != 0)
		return may_record(t, NULL, &a->identity, 1) ?
		    REASON_CHARGED : REASON_EXEMPT;
	key->sql = s->sql_limits_by_id[0] != '\0';
	key->report = s->report;
	key->soft = a->soft;
	if (s->limits_by_id != NULL)
		limits = settings_id_limits(s->limits_by_id, a->ids.data + at,
		    key->idlen);
	set_limits(s, limits != NULL ? limits : &s->limits, key);
	return REASON_CHARGED;
}

static enum apply_reason
fill_rule_key(struct task *t, const struct settings_rule *rule,
    struct msg_charge_key *key)
{
	struct applied		*a = t->a;
	enum apply_reason	 reason;
	size_t			 at = a->ids.len, name = strlen(rule->name) + 1;

	if (!rule_applies(t, rule) ||
	    !add_rule_id(t, rule, key))
		return REASON_NO_IDENTITY;
	if ((reason = set_amount(t, rule, key)) != REASON_CHARGED)
		return reason;
	key->rule = (uint16_t)(rule - t->s->rules);
	/*
	 * An id that SQL gives may be the id of others too. Nothing is learned
	 * of an exempt mail.
	 */
	if (t->exempt != 0)
		return rule->id_sql == NULL &&
		    rule->count != RULE_NEW_RECIPIENTS &&
		    may_record(t, rule, rule->key, rule->nkey) ?
		    REASON_CHARGED : REASON_EXEMPT;
	key->map = rule->id_sql != NULL;
	key->sql = rule->sql_limits_by_id != NULL &&
	    rule->sql_limits_by_id[0] != '\0';
	key->max_per_mail = rule->max_per_mail;
	key->shadow = rule->shadow;
	key->warn_at = (uint8_t)rule->warn_at;
	key->report = t->s->report && rule->report;
	a->lock_at[a->charge.nkeys] = a->ids.len;
	apply_lock_of(&a->ids, t->s, rule, t->req, &key->lock);
	key->soft = rule->action == NULL ? a->soft :
	    access_takes(rule->action);
	/* limits_by_id has values without the rule's name. */
	set_limits(t->s, settings_rule_limits(t->s, key->rule,
	    a->ids.data + at + name, key->idlen - name), key);
	return REASON_CHARGED;
}

/* Sets the pointers into `ids`, which does not grow any more. */
static void
set_pointers(struct applied *a, bool instance)
{
	struct msg_charge_key	*key;
	size_t			 i;

	for (i = 0; i < a->charge.nkeys; i++) {
		key = &a->charge.keys[i];
		key->id = a->ids.data + a->id_at[i];
		key->value = key->kind == CHARGE_DISTINCT ||
		    key->kind == CHARGE_HABIT ? a->ids.data + a->value_at[i] :
		    "";
		key->network = key->kind == CHARGE_HABIT ?
		    a->ids.data + a->network_at[i] : "";
		if (key->lock.seconds > 0)
			key->lock.id = a->ids.data + a->lock_at[i];
	}
	if (a->charge.passeslen > 0)
		a->charge.passes = a->ids.data + a->passes_at;
	/* A long one, which was shortened. */
	if (instance)
		a->charge.instance = a->ids.data;
}

void
apply_request(struct applied *a, const struct request *req, int64_t random)
{
	const struct settings		*s = a->settings;
	const struct request_value	*instance = &req->attr[ATTR_INSTANCE];
	const struct request_value	*state;
	struct task			 t = { s, req, 0, a };
	struct msg_charge_key		*key;
	enum apply_reason		 reason;
	size_t				 i;

	a->reason = REASON_NO_IDENTITY;
	a->bad_count = false;
	a->stage = stage_of(req);
	a->ids.len = 0;
	a->charge.nkeys = 0;
	state = &req->attr[ATTR_PROTOCOL_STATE];
	a->charge.state = state->len > 0 ? state->bytes : "";
	a->charge.statelen = state->len < CHARGE_STATE_MAX ? state->len :
	    CHARGE_STATE_MAX;
	a->charge.instance = instance->len > 0 ? instance->bytes : "";
	a->charge.instancelen = instance->len;
	if (instance->len > CHARGE_INSTANCE_MAX) {
		str_add(&a->ids, instance->bytes, instance->len);
		identity_bound(&a->ids, 0, CHARGE_INSTANCE_MAX);
		a->charge.instancelen = a->ids.len;
	}
	t.exempt = identity_exempt(&a->ids, s, req);
	a->exempt = t.exempt != 0;
	a->charge.exempt = a->exempt;
	for (i = 0; i < s->nrules || (i == 0 && s->nrules == 0); i++) {
		key = &a->charge.keys[a->charge.nkeys];
		memset(key, 0, sizeof(*key));
		a->id_at[a->charge.nkeys] = a->ids.len;
		reason = s->nrules == 0 ? fill_plain_key(&t, key) :
		    fill_rule_key(&t, &s->rules[i], key);
		if (reason == REASON_CHARGED)
			a->charge.nkeys++;
		else
			a->ids.len = a->id_at[a->charge.nkeys];
		if (reason > a->reason)
			a->reason = reason;
	}
	apply_lock_passes(a, s, req);
	set_mode_and_tag(&t, random);
	set_pointers(a, instance->len > CHARGE_INSTANCE_MAX);
}

/* --- in words --- */

const char *
apply_reason_text(enum apply_reason reason)
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
apply_key_name(struct str *out, const struct settings *s,
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
