#include <sys/time.h>

#include <event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/apply.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/reply.h"
#include "engine/stage.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define ID_SHOWN	256		/* bytes of an id in a line */
#define BYTES_SHOWN	120		/* of anything else */
#define STAGE_SECONDS	5		/* after the first such request */
#define STAGE_QUIET_MS	(3600 * 1000)
#define STAGE_REQUESTS	100	/* in so many each stage would occur */

struct maillog {
	struct budget		*budget;
	struct followers	*followers;
	struct event		 sums;	/* pending: there are sums to log */
	struct log_limit	 malformed;
	struct log_limit	 bad_count;
	/* The hint: not before `quiet`, or while `waiting` for its time. */
	struct mono		 quiet;
	struct str		 line;		/* for main.cf */
	bool			 waiting;
	struct event		 hint;
	/*
	 * The same for each rule: bit i of `counted` means that rule i counted
	 * one of the last `requests`.
	 */
	struct mono		 rules_quiet;
	unsigned int		 requests;
	uint32_t		 counted;
};

/*
 * What happens to a key at a window, for the log and for the followers of
 * events.h. The group of control_socket may follow, and may not know who writes
 * to whom: no event names a recipient.
 */
struct hit {
	const char			*word;	/* in the log */
	const char			*event;
	const struct msg_charge_key	*key;
	struct limit			 limit;	/* no seconds: max_per_mail */
	int64_t				 used;
	bool				 shadow;
	bool				 accepted;	/* Postfix takes it */
};

/* --- as many lines as a log can bear --- */

static void
schedule_sums(struct maillog *m)
{
	static const struct timeval	second = { 1, 0 };

	if (!evtimer_pending(&m->sums, NULL))
		evtimer_add(&m->sums, &second);
}

static void
on_sums(int fd, short what, void *arg)
{
	struct maillog	*m = arg;

	(void)fd;
	(void)what;
	if (budget_sum_up(m->budget, loop_now()))
		schedule_sums(m);
}

static bool
may_log(struct maillog *m, const char *kind, const void *id, size_t idlen)
{
	if (budget_line(m->budget, kind, id, idlen, loop_now()))
		return true;
	schedule_sums(m);
	return false;
}

/* --- decisions --- */

static void
copy_printable(char *dst, size_t size, const struct request *req,
    enum request_attribute attr)
{
	str_printable(dst, size, req->attr[attr].len > 0 ?
	    req->attr[attr].bytes : "", req->attr[attr].len);
}

void
maillog_about(struct maillog_about *about, const struct request *req,
    enum rule_attribute identity)
{
	const struct {
		struct maillog_value	*to;
		enum request_attribute	 from;
	}				 values[] = {
		{ &about->login,	ATTR_SASL_USERNAME },
		{ &about->sender,	ATTR_SENDER },
		{ &about->recipient,	ATTR_RECIPIENT },
		{ &about->nrecipients,	ATTR_RECIPIENT_COUNT },
		{ &about->client,	ATTR_CLIENT_ADDRESS },
		{ &about->client_name,	ATTR_CLIENT_NAME },
		{ &about->state,	ATTR_PROTOCOL_STATE },
		{ &about->queue_id,	ATTR_QUEUE_ID },
		{ &about->instance,	ATTR_INSTANCE },
	};
	const struct request_value	*v;
	struct maillog_value		*to;
	size_t				 i;

	about->identity = identity;
	about->exempt = false;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		v = &req->attr[values[i].from];
		to = values[i].to;
		to->len = v->len < sizeof(to->bytes) ? v->len :
		    sizeof(to->bytes);
		if (to->len > 0)
			memcpy(to->bytes, v->bytes, to->len);
	}
}

/* Appends a value: printable, and unable to imitate the field after it. */
static void
add_value(struct str *line, const char *bytes, size_t len, size_t most,
    char behind)
{
	char		 text[ID_SHOWN];
	const char	*p;

	str_printable(text, most, bytes, len);
	for (p = text; *p != '\0'; p++)
		if (*p == behind)
			str_addf(line, "\\x%02x", (unsigned char)*p);
		else
			str_addc(line, *p);
}

static void
add_field(struct str *line, const char *name, const struct maillog_value *v)
{
	str_addf(line, " %s=", name);
	add_value(line, v->bytes, v->len, BYTES_SHOWN, ' ');
}

static void
add_address(struct str *line, const char *name, const struct maillog_value *v)
{
	str_addf(line, " %s=<", name);
	add_value(line, v->bytes, v->len, BYTES_SHOWN, '>');
	str_addc(line, '>');
}

/* " id=<...> key=... rule=..." */
static void
add_id(struct str *line, const struct settings *s,
    const struct msg_charge_key *key, const struct maillog_about *about)
{
	str_adds(line, " id=<");
	add_value(line, key->id, key->idlen, ID_SHOWN, '>');
	str_adds(line, "> key=");
	apply_key_name(line, s, key, about->identity);
	if (key->rule < s->nrules)
		str_addf(line, " rule=%s", s->rules[key->rule].name);
}

/* " sasl_username=... from=<...> to=<...> nrcpt=... client=..." */
static void
add_mail(struct str *line, const struct maillog_about *about)
{
	add_field(line, "sasl_username", &about->login);
	add_address(line, "from", &about->sender);
	/* At DATA Postfix names one recipient only. */
	if (about->recipient.len > 0)
		add_address(line, "to", &about->recipient);
	if (about->nrecipients.len > 0)
		add_field(line, "nrcpt", &about->nrecipients);
	add_field(line, "client", &about->client);
}

/* " state=... queue_id=..."; the instance until there is a queue id. */
static void
add_state(struct str *line, const struct msg_charge *charge,
    const struct maillog_about *about)
{
	str_adds(line, " state=");
	add_value(line, charge->state, charge->statelen, BYTES_SHOWN, ' ');
	if (about->queue_id.len > 0) {
		add_field(line, "queue_id", &about->queue_id);
		return;
	}
	str_adds(line, " instance=");
	add_value(line, charge->instance, charge->instancelen, BYTES_SHOWN,
	    ' ');
}

/* What an event says of a mail. */
static void
event_about(struct str *fields, const struct maillog_about *about)
{
	reply_bytes(fields, "sasl_username", about->login.bytes,
	    about->login.len);
	reply_bytes(fields, "from", about->sender.bytes, about->sender.len);
	reply_bytes(fields, "client", about->client.bytes, about->client.len);
	reply_bytes(fields, "queue_id", about->queue_id.bytes,
	    about->queue_id.len);
}

static void
event_hit(struct maillog *m, const struct hit *h, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about)
{
	struct str	fields, name;

	str_init(&fields);
	str_init(&name);
	apply_key_name(&name, s, h->key, about->identity);
	reply_bytes(&fields, "id", h->key->id, h->key->idlen);
	reply_bytes(&fields, "key", name.data, name.len);
	reply_text(&fields, "rule", h->key->rule < s->nrules ?
	    s->rules[h->key->rule].name : "");
	reply_number(&fields, "n", h->key->amount);
	reply_number(&fields, "limit", h->limit.mails);
	reply_number(&fields, "seconds", h->limit.seconds);
	reply_number(&fields, "used", h->used);
	reply_bool(&fields, "shadow", h->shadow);
	reply_bool(&fields, "accepted", h->accepted);
	event_about(&fields, about);
	reply_bytes(&fields, "state", charge->state, charge->statelen);
	reply_bytes(&fields, "instance", charge->instance,
	    charge->instancelen);
	events_add(m->followers, h->event, &fields);
	str_clear(&name);
	str_clear(&fields);
}

/* `more` is a text before the mail, `how` one behind it or NULL. */
static void
log_hit(struct maillog *m, const struct hit *h, const char *more,
    const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const char *how)
{
	struct str	line;

	if (!may_log(m, h->word, h->key->id, h->key->idlen))
		return;
	if (events_wanted(m->followers))
		event_hit(m, h, s, charge, about);
	str_init(&line);
	add_id(&line, s, h->key, about);
	str_addf(&line, " n=%" PRId64, h->key->amount);
	if (h->limit.seconds > 0)
		str_addf(&line, " limit=%" PRId64 "/%" PRId64, h->limit.mails,
		    h->limit.seconds);
	else
		str_addf(&line, " max_per_mail=%" PRId64, h->limit.mails);
	str_addf(&line, " used=%" PRId64 "%s", h->used, more);
	add_mail(&line, about);
	add_state(&line, charge, about);
	if (how != NULL)
		str_addf(&line, " (%s)", how);
	log_notice("%s:%s", h->word, line.data);
	str_clear(&line);
}

/* The window that the verdict names. */
static void
log_limit(struct maillog *m, const char *word, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, const char *how)
{
	struct hit	hit = { .word = word, .event = "hit",
	    .key = &charge->keys[v->key], .limit = v->limit, .used = v->used,
	    .accepted = v->verdict == VERDICT_ACCEPTED };
	char		more[64] = "";

	if (v->key >= charge->nkeys)
		return;
	if (!v->per_mail)
		snprintf(more, sizeof(more), " retry_after=%" PRId64 "%s",
		    v->retry_after, v->never ? " never=1" : "");
	else if (v->never)
		strlcpy(more, " never=1", sizeof(more));
	log_hit(m, &hit, more, s, charge, about, how);
}

/*
 * Logs a line for each key whose bit is set: those of a rule in shadow, or
 * those that reached warn_at.
 */
static void
log_keys(struct maillog *m, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, uint32_t bits, bool shadow)
{
	struct hit	hit = {
	    .word = shadow ? "would refuse" : "near its limit",
	    .event = shadow ? "hit" : "warning", .shadow = shadow,
	    .accepted = v->verdict == VERDICT_ACCEPTED };
	size_t		i;

	for (i = 0; i < charge->nkeys; i++) {
		if ((bits & UINT32_C(1) << i) == 0)
			continue;
		hit.key = &charge->keys[i];
		hit.limit = v->full[i].limit;
		hit.used = v->full[i].used;
		log_hit(m, &hit, "", s, charge, about, NULL);
	}
}

/* Logs a line for each key whose bit is set: what its hit locks, or would. */
static void
log_locks(struct maillog *m, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, uint32_t bits, const char *word)
{
	const struct msg_charge_key	*key;
	struct str			 line, fields;
	size_t				 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if ((bits & UINT32_C(1) << i) == 0 ||
		    !may_log(m, word, key->lock.id, key->lock.idlen))
			continue;
		str_init(&line);
		str_adds(&line, " what=<");
		add_value(&line, key->lock.id, key->lock.idlen, ID_SHOWN, '>');
		str_addc(&line, '>');
		if (bits == v->locked) {
			str_addf(&line, " until=%" PRId64, v->locked_until[i]);
			str_init(&fields);
			reply_bytes(&fields, "id", key->lock.id,
			    key->lock.idlen);
			reply_bytes(&fields, "rule", key->lock.rule,
			    key->lock.rulelen);
			reply_until(&fields, v->locked_until[i]);
			event_about(&fields, about);
			events_add(m->followers, "locked", &fields);
			str_clear(&fields);
		}
		add_id(&line, s, key, about);
		add_mail(&line, about);
		add_state(&line, charge, about);
		log_notice("%s:%s", word, line.data);
		str_clear(&line);
	}
}

static void
log_details(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    const char *how)
{
	struct str	line;
	size_t		i;

	for (i = 0; i < charge->nkeys; i++) {
		str_init(&line);
		add_id(&line, s, &charge->keys[i], about);
		str_addf(&line, " n=%" PRId64, charge->keys[i].amount);
		if (i < v->ncharged)
			str_addf(&line, " charged=%" PRId64, v->charged[i]);
		add_mail(&line, about);
		add_state(&line, charge, about);
		if (about->exempt)
			str_adds(&line, " exempt=1");
		if (how != NULL)
			str_addf(&line, " (%s)", how);
		log_debug("%s:%s", v->verdict == VERDICT_ACCEPTED ?
		    "accepted" : "unanswered", line.data);
		str_clear(&line);
	}
}

void
maillog_verdict(struct maillog *m, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, const char *how)
{
	if (v->verdict == VERDICT_REFUSED)
		log_limit(m, "refused", s, charge, about, v, how);
	else if (log_debugging())
		log_details(s, charge, about, v, how);
	if (v->over != 0)
		log_limit(m, "accepted over its limit", s, charge, about, v,
		    how);
	if (v->shadowed != 0)
		log_keys(m, s, charge, about, v, v->shadowed, true);
	if (v->locked != 0)
		log_locks(m, s, charge, about, v, v->locked, "locked");
	if (v->would_lock != 0)
		log_locks(m, s, charge, about, v, v->would_lock, "would lock");
	if (v->unlocked != 0)
		log_locks(m, s, charge, about, v, v->unlocked,
		    "not locked, the rule has set 100 locks in ten minutes");
	/* The key's fullest window is logged. */
	if ((v->warned & ~v->shadowed) != 0)
		log_keys(m, s, charge, about, v, v->warned & ~v->shadowed,
		    false);
}

void
maillog_blocked(struct maillog *m, const struct maillog_about *about,
    const struct override *block)
{
	struct str	line, fields;

	/* A block that has just ended has no name. */
	if (block != NULL ? !may_log(m, "blocked", block->id, block->idlen) :
	    !may_log(m, "blocked", about->login.bytes, about->login.len))
		return;
	str_init(&line);
	str_init(&fields);
	if (block != NULL) {
		reply_bytes(&fields, "id", block->id, block->idlen);
		reply_until(&fields, block->until);
		str_adds(&line, " by=<");
		add_value(&line, block->id, block->idlen, ID_SHOWN, '>');
		if (block->until == OVERRIDE_FOREVER)
			str_adds(&line, "> until=forever");
		else
			str_addf(&line, "> until=%" PRId64, block->until);
		if (block->kind == OVERRIDE_LOCK) {
			str_adds(&line, " rule=");
			add_value(&line, block->who, block->wholen,
			    ID_SHOWN, ' ');
		}
	}
	event_about(&fields, about);
	events_add(m->followers, "blocked", &fields);
	str_clear(&fields);
	add_mail(&line, about);
	add_field(&line, "queue_id", &about->queue_id);
	log_notice("blocked:%s", line.data);
	str_clear(&line);
}

void
maillog_passed(const struct maillog_about *about, const char *why)
{
	char	client[64], state[64];

	log_debug("passed: client=%s state=%s (%s)",
	    str_printable(client, sizeof(client), about->client.bytes,
	    about->client.len), str_printable(state, sizeof(state),
	    about->state.bytes, about->state.len), why);
}

/* --- what is wrong with requests --- */

void
maillog_malformed(struct maillog *m, const char *client, const char *reason,
    const char *bytes, size_t len)
{
	char		text[BYTES_SHOWN];
	unsigned int	suppressed;

	if (!log_allowed(&m->malformed, 1, &suppressed))
		return;
	log_warning("malformed request: %s, from client=%s, begins \"%s\" "
	    "(%u more before)", reason, client,
	    str_printable(text, sizeof(text), bytes, len), suppressed);
}

void
maillog_bad_count(struct maillog *m, const struct request *req)
{
	char		count[32], client[64], instance[64];
	unsigned int	suppressed;

	if (!log_allowed(&m->bad_count, 10, &suppressed))
		return;
	copy_printable(count, sizeof(count), req, ATTR_RECIPIENT_COUNT);
	copy_printable(client, sizeof(client), req, ATTR_CLIENT_ADDRESS);
	copy_printable(instance, sizeof(instance), req, ATTR_INSTANCE);
	log_warning("recipient_count=%s is not a number, counted as 1: "
	    "client=%s instance=%s (%u more before)", count, client, instance,
	    suppressed);
}

/* --- the hint --- */

static void
on_hint(int fd, short what, void *arg)
{
	struct maillog	*m = arg;

	(void)fd;
	(void)what;
	if (!m->waiting)
		return;
	m->waiting = false;
	m->quiet = clock_after(loop_now(), STAGE_QUIET_MS);
	log_warning("nothing is limited: all requests come at stages that "
	    "count_mode ignores; main.cf needs: %s", m->line.data);
}

/*
 * Hints for each rule that counts at none of the stages at which Postfix asks.
 */
static void
log_stage_hints(struct maillog *m, const struct settings *s, uint32_t rules)
{
	struct str	line;
	size_t		i;

	m->counted |= rules;
	if (++m->requests < STAGE_REQUESTS)
		return;
	/* If no rule counts, the other hint says so. */
	for (i = 0; i < s->nrules && m->counted != 0; i++) {
		if ((m->counted & UINT32_C(1) << i) != 0)
			continue;
		str_init(&line);
		stage_hint(&line, s, UINT32_C(1) << i);
		log_warning("rule %s limits nothing: all requests come at "
		    "stages that it ignores; main.cf needs: %s",
		    s->rules[i].name, line.data);
		str_clear(&line);
	}
	maillog_stages_afresh(m);
	m->rules_quiet = clock_after(loop_now(), STAGE_QUIET_MS);
}

void
maillog_stage(struct maillog *m, const struct settings *s, uint32_t rules)
{
	static const struct timeval	later = { STAGE_SECONDS, 0 };
	struct mono			now = loop_now();

	if (clock_passed(m->rules_quiet, now))
		log_stage_hints(m, s, rules);
	if (rules != 0) {
		/* One request that counts is enough for an hour. */
		m->waiting = false;
		m->quiet = clock_after(now, STAGE_QUIET_MS);
		return;
	}
	if (m->waiting || !clock_passed(m->quiet, now))
		return;
	str_clear(&m->line);
	stage_hint(&m->line, s, UINT32_MAX);
	m->waiting = true;
	evtimer_add(&m->hint, &later);
}

void
maillog_stages_afresh(struct maillog *m)
{
	m->rules_quiet = loop_now();
	m->requests = 0;
	m->counted = 0;
}

void
maillog_silence(const struct settings *s)
{
	struct str	line;

	str_init(&line);
	stage_hint(&line, s, UINT32_MAX);
	log_warning("nothing is limited: no request came since the start; "
	    "main.cf needs: %s", line.data);
	str_clear(&line);
}

struct maillog *
maillog_new(struct followers *followers)
{
	struct maillog	*m = alloc_zero(1, sizeof(*m));

	m->budget = budget_new(followers);
	m->followers = followers;
	str_init(&m->line);
	evtimer_set(&m->sums, on_sums, m);
	evtimer_set(&m->hint, on_hint, m);
	return m;
}
