#include <sys/time.h>

#include <event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/decide.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/maillog_event.h"
#include "engine/stage.h"
#include "engine/stats.h"
#include "lib/log.h"
#include "lib/str.h"

#define ID_SHOWN	256		/* bytes of an id in a line */
#define BYTES_SHOWN	120		/* of anything else */
#define STAGE_SECONDS	5		/* after the first such request */
#define STAGE_QUIET_MS	(3600 * 1000)
#define STAGE_REQUESTS	100	/* in so many each stage would occur */

static struct {
	bool		summing;	/* there are sums to log */
	struct event	sums;
	/* The hint: not before `quiet`, or while `waiting` for its time. */
	struct mono	quiet;
	struct str	line;		/* for main.cf */
	bool		waiting;
	struct event	hint;
	/*
	 * The same for each rule: bit i of `counted` means that rule i counted
	 * one of the last `requests`.
	 */
	struct mono	rules_quiet;
	unsigned int	requests;
	uint32_t	counted;
} tell;

/* --- as many lines as a log can bear --- */

static void
maillog_sum(void)
{
	static const struct timeval	second = { 1, 0 };

	if (!tell.summing)
		evtimer_add(&tell.sums, &second);
	tell.summing = true;
}

static void
maillog_on_sums(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell.summing = false;
	if (budget_sum_up(loop_now()))
		maillog_sum();
}

static bool
maillog_may(const char *kind, const void *id, size_t idlen)
{
	if (budget_line(kind, id, idlen, loop_now()))
		return true;
	maillog_sum();
	return false;
}

/* --- decisions --- */

static void
maillog_cut(char *dst, size_t size, const struct request *req,
    enum request_attribute attr)
{
	str_printable(dst, size, req->attr[attr].len > 0 ?
	    req->attr[attr].bytes : "", req->attr[attr].len);
}

static void
maillog_keep(struct maillog_value *value, const struct request_value *v)
{
	value->len = v->len < sizeof(value->bytes) ? v->len :
	    sizeof(value->bytes);
	if (value->len > 0)
		memcpy(value->bytes, v->bytes, value->len);
}

void
maillog_about(struct maillog_about *about, const struct request *req,
    enum rule_attribute identity)
{
	about->identity = identity;
	about->exempt = false;
	maillog_keep(&about->login, &req->attr[ATTR_SASL_USERNAME]);
	maillog_keep(&about->sender, &req->attr[ATTR_SENDER]);
	maillog_keep(&about->recipient, &req->attr[ATTR_RECIPIENT]);
	maillog_keep(&about->nrecipients, &req->attr[ATTR_RECIPIENT_COUNT]);
	maillog_keep(&about->client, &req->attr[ATTR_CLIENT_ADDRESS]);
	maillog_keep(&about->client_name, &req->attr[ATTR_CLIENT_NAME]);
	maillog_keep(&about->state, &req->attr[ATTR_PROTOCOL_STATE]);
	maillog_keep(&about->queue_id, &req->attr[ATTR_QUEUE_ID]);
	maillog_keep(&about->instance, &req->attr[ATTR_INSTANCE]);
}

/* Appends a value: printable, and unable to imitate the field after it. */
static void
maillog_value(struct str *line, const char *bytes, size_t len, size_t most,
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
maillog_add(struct str *line, const char *name, const struct maillog_value *v)
{
	str_addf(line, " %s=", name);
	maillog_value(line, v->bytes, v->len, BYTES_SHOWN, ' ');
}

static void
maillog_address(struct str *line, const char *name,
    const struct maillog_value *v)
{
	str_addf(line, " %s=<", name);
	maillog_value(line, v->bytes, v->len, BYTES_SHOWN, '>');
	str_addc(line, '>');
}

/* " id=<...> key=... rule=..." */
static void
maillog_whose(struct str *line, const struct settings *s,
    const struct msg_charge_key *key, const struct maillog_about *about)
{
	str_adds(line, " id=<");
	maillog_value(line, key->id, key->idlen, ID_SHOWN, '>');
	str_adds(line, "> key=");
	decide_key_name(line, s, key, about->identity);
	if (key->rule < s->nrules)
		str_addf(line, " rule=%s", s->rules[key->rule].name);
}

/* " sasl_username=... from=<...> to=<...> nrcpt=... client=..." */
static void
maillog_mail(struct str *line, const struct maillog_about *about)
{
	maillog_add(line, "sasl_username", &about->login);
	maillog_address(line, "from", &about->sender);
	/* At DATA Postfix names one recipient only. */
	if (about->recipient.len > 0)
		maillog_address(line, "to", &about->recipient);
	if (about->nrecipients.len > 0)
		maillog_add(line, "nrcpt", &about->nrecipients);
	maillog_add(line, "client", &about->client);
}

/* " state=... queue_id=..."; the instance until there is a queue id. */
static void
maillog_which(struct str *line, const struct msg_charge *charge,
    const struct maillog_about *about)
{
	str_adds(line, " state=");
	maillog_value(line, charge->state, charge->statelen, BYTES_SHOWN, ' ');
	if (about->queue_id.len > 0) {
		maillog_add(line, "queue_id", &about->queue_id);
		return;
	}
	str_adds(line, " instance=");
	maillog_value(line, charge->instance, charge->instancelen, BYTES_SHOWN,
	    ' ');
}

static void
maillog_window(struct str *line, const struct limit *limit, int64_t used)
{
	if (limit->seconds > 0)
		str_addf(line, " limit=%" PRId64 "/%" PRId64, limit->mails,
		    limit->seconds);
	else
		str_addf(line, " max_per_mail=%" PRId64, limit->mails);
	str_addf(line, " used=%" PRId64, used);
}

/* Logs what happened (`word`) at the limit that the verdict names. */
static void
maillog_limit(const char *word, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about,
    const struct msg_verdict *v, const char *how)
{
	const struct msg_charge_key	*key = &charge->keys[v->key];
	struct maillog_event		 event = { .event = "hit",
	    .limit = v->limit, .used = v->used,
	    .accepted = v->verdict == VERDICT_ACCEPTED };
	struct str			 line;

	if (v->key >= charge->nkeys || !maillog_may(word, key->id, key->idlen))
		return;
	event.key = key;
	maillog_event_key(&event, s, charge, about);
	str_init(&line);
	maillog_whose(&line, s, key, about);
	str_addf(&line, " n=%" PRId64, key->amount);
	maillog_window(&line, &v->limit, v->used);
	if (!v->per_mail)
		str_addf(&line, " retry_after=%" PRId64, v->retry_after);
	str_adds(&line, v->never ? " never=1" : "");
	maillog_mail(&line, about);
	maillog_which(&line, charge, about);
	if (how != NULL)
		str_addf(&line, " (%s)", how);
	log_notice("%s:%s", word, line.data);
	str_clear(&line);
}

/*
 * Logs a line for each key whose bit is set: those of a rule in shadow, or
 * those that reached warn_at.
 */
static void
maillog_keys(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    uint32_t bits, bool shadow)
{
	const char			*word = shadow ? "would refuse" :
					    "near its limit";
	const struct msg_charge_key	*key;
	struct maillog_event		 event = {
	    .event = shadow ? "hit" : "warning", .shadow = shadow,
	    .accepted = v->verdict == VERDICT_ACCEPTED };
	struct str			 line;
	size_t				 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if ((bits & UINT32_C(1) << i) == 0 ||
		    !maillog_may(word, key->id, key->idlen))
			continue;
		event.key = key;
		event.limit = v->full[i].limit;
		event.used = v->full[i].used;
		maillog_event_key(&event, s, charge, about);
		str_init(&line);
		maillog_whose(&line, s, key, about);
		str_addf(&line, " n=%" PRId64, key->amount);
		maillog_window(&line, &v->full[i].limit, v->full[i].used);
		maillog_mail(&line, about);
		maillog_which(&line, charge, about);
		log_notice("%s:%s", word, line.data);
		str_clear(&line);
	}
}

/* Logs a line for each key whose bit is set: what its hit locks, or would. */
static void
maillog_locks(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    uint32_t bits, const char *word)
{
	const struct msg_charge_key	*key;
	struct str			 line;
	size_t				 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if ((bits & UINT32_C(1) << i) == 0 ||
		    !maillog_may(word, key->lock.id, key->lock.idlen))
			continue;
		str_init(&line);
		str_adds(&line, " what=<");
		maillog_value(&line, key->lock.id, key->lock.idlen, ID_SHOWN,
		    '>');
		str_addc(&line, '>');
		if (bits == v->locked) {
			str_addf(&line, " until=%" PRId64, v->locked_until[i]);
			maillog_event_lock(key, v->locked_until[i], about);
		}
		maillog_whose(&line, s, key, about);
		maillog_mail(&line, about);
		maillog_which(&line, charge, about);
		log_notice("%s:%s", word, line.data);
		str_clear(&line);
	}
}

static void
maillog_debug(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    const char *how)
{
	struct str	line;
	size_t		i;

	for (i = 0; i < charge->nkeys; i++) {
		str_init(&line);
		maillog_whose(&line, s, &charge->keys[i], about);
		str_addf(&line, " n=%" PRId64, charge->keys[i].amount);
		if (i < v->ncharged)
			str_addf(&line, " charged=%" PRId64, v->charged[i]);
		maillog_mail(&line, about);
		maillog_which(&line, charge, about);
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
maillog_verdict(const struct settings *s, const struct msg_charge *charge,
    const struct maillog_about *about, const struct msg_verdict *v,
    const char *how)
{
	if (v->verdict == VERDICT_REFUSED)
		maillog_limit("refused", s, charge, about, v, how);
	else if (log_debugging())
		maillog_debug(s, charge, about, v, how);
	if (v->over != 0)
		maillog_limit("accepted over its limit", s, charge, about, v,
		    how);
	if (v->shadowed != 0)
		maillog_keys(s, charge, about, v, v->shadowed, true);
	if (v->locked != 0)
		maillog_locks(s, charge, about, v, v->locked, "locked");
	if (v->would_lock != 0)
		maillog_locks(s, charge, about, v, v->would_lock, "would lock");
	if (v->unlocked != 0)
		maillog_locks(s, charge, about, v, v->unlocked,
		    "not locked, the rule has set 100 locks in ten minutes");
	/* The key's fullest window is logged. */
	if ((v->warned & ~v->shadowed) != 0)
		maillog_keys(s, charge, about, v, v->warned & ~v->shadowed,
		    false);
}

void
maillog_blocked(const struct maillog_about *about, const struct override *block)
{
	struct str	line;

	/* A block that has just ended has no name. */
	if (block != NULL ? !maillog_may("blocked", block->id, block->idlen) :
	    !maillog_may("blocked", about->login.bytes, about->login.len))
		return;
	maillog_event_block(block, about);
	str_init(&line);
	if (block != NULL) {
		str_adds(&line, " by=<");
		maillog_value(&line, block->id, block->idlen, ID_SHOWN, '>');
		if (block->until == OVERRIDE_FOREVER)
			str_adds(&line, "> until=forever");
		else
			str_addf(&line, "> until=%" PRId64, block->until);
		if (block->kind == OVERRIDE_LOCK) {
			str_adds(&line, " rule=");
			maillog_value(&line, block->who, block->wholen,
			    ID_SHOWN, ' ');
		}
	}
	maillog_mail(&line, about);
	maillog_add(&line, "queue_id", &about->queue_id);
	log_notice("blocked:%s", line.data);
	str_clear(&line);
}


void
maillog_passed(const struct request *req, const char *why)
{
	char	client[64], state[64];

	if (!log_debugging())
		return;
	maillog_cut(client, sizeof(client), req, ATTR_CLIENT_ADDRESS);
	maillog_cut(state, sizeof(state), req, ATTR_PROTOCOL_STATE);
	log_debug("passed: client=%s state=%s (%s)", client, state, why);
}

void
maillog_passed_charge(const struct msg_charge *charge,
    const struct maillog_about *about, const char *why)
{
	char	client[64], state[64];

	if (log_debugging())
		log_debug("passed: client=%s state=%s (%s)",
		    str_printable(client, sizeof(client), about->client.bytes,
		    about->client.len), str_printable(state, sizeof(state),
		    charge->state, charge->statelen), why);
}

/* --- what is wrong with requests --- */

void
maillog_malformed(const char *client, const char *reason, const char *bytes,
    size_t len)
{
	static struct log_limit	limit;
	char			text[BYTES_SHOWN];
	unsigned int		suppressed;

	if (!log_allowed(&limit, 1, &suppressed))
		return;
	log_warning("malformed request: %s, from client=%s, begins \"%s\" "
	    "(%u more before)", reason, client,
	    str_printable(text, sizeof(text), bytes, len), suppressed);
}

void
maillog_bad_count(const struct request *req)
{
	static struct log_limit	limit;
	char			count[32], client[64], instance[64];
	unsigned int		suppressed;

	if (!log_allowed(&limit, 10, &suppressed))
		return;
	maillog_cut(count, sizeof(count), req, ATTR_RECIPIENT_COUNT);
	maillog_cut(client, sizeof(client), req, ATTR_CLIENT_ADDRESS);
	maillog_cut(instance, sizeof(instance), req, ATTR_INSTANCE);
	log_warning("recipient_count=%s is not a number, counted as 1: "
	    "client=%s instance=%s (%u more before)", count, client, instance,
	    suppressed);
}

/* --- the hint --- */

static void
maillog_on_hint(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!tell.waiting)
		return;
	tell.waiting = false;
	tell.quiet = clock_after(loop_now(), STAGE_QUIET_MS);
	log_warning("nothing is limited: all requests come at stages that "
	    "count_mode ignores; main.cf needs: %s", tell.line.data);
}

/*
 * Hints for each rule that counts at none of the stages at which Postfix asks.
 */
static void
maillog_idle_rules(const struct settings *s)
{
	struct str	line;
	size_t		i;

	for (i = 0; i < s->nrules; i++) {
		if ((tell.counted & UINT32_C(1) << i) != 0)
			continue;
		str_init(&line);
		stage_hint(&line, s, UINT32_C(1) << i);
		log_warning("rule %s limits nothing: all requests come at "
		    "stages that it ignores; main.cf needs: %s",
		    s->rules[i].name, line.data);
		str_clear(&line);
	}
}

static void
maillog_stage_rules(const struct settings *s, uint32_t rules)
{
	if (!clock_passed(tell.rules_quiet, loop_now()))
		return;
	tell.counted |= rules;
	if (++tell.requests < STAGE_REQUESTS)
		return;
	/* If no rule counts, the other hint says so. */
	if (tell.counted != 0)
		maillog_idle_rules(s);
	maillog_stages_afresh();
	tell.rules_quiet = clock_after(loop_now(), STAGE_QUIET_MS);
}

void
maillog_stage(const struct settings *s, uint32_t rules)
{
	static const struct timeval	later = { STAGE_SECONDS, 0 };

	maillog_stage_rules(s, rules);
	if (rules != 0) {
		/* One request that counts is enough for an hour. */
		tell.waiting = false;
		tell.quiet = clock_after(loop_now(), STAGE_QUIET_MS);
		return;
	}
	if (tell.waiting || !clock_passed(tell.quiet, loop_now()))
		return;
	str_clear(&tell.line);
	stage_hint(&tell.line, s, UINT32_MAX);
	tell.waiting = true;
	evtimer_add(&tell.hint, &later);
}

void
maillog_stages_afresh(void)
{
	tell.rules_quiet = loop_now();
	tell.requests = 0;
	tell.counted = 0;
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

void
maillog_init(void)
{
	str_init(&tell.line);
	evtimer_set(&tell.sums, maillog_on_sums, NULL);
	evtimer_set(&tell.hint, maillog_on_hint, NULL);
}
