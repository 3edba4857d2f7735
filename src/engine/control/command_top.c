#include <string.h>

#include "conf/stored_id.h"
#include "engine/blocks.h"
#include "engine/control/command_top.h"
#include "engine/reply.h"
#include "engine/control/scan_queue.h"
#include "ipc/message_refusal.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "role/top.h"

#define TOP_USUAL	10
#define PATIENCE_MS	10000	/* without news, then: from memory */
#define TIMED_OUT		"the database did not answer in time"

/* --- the question --- */

/* False: the question has failed. */
static bool
top_word(struct control *c, struct msg_top *top,
    const struct control_word *word)
{
	static const char *const	 orders[TOP_ORDER__MAX] = {
		[TOP_BY_FILL] = "by=fill",
		[TOP_BY_USED] = "by=used",
		[TOP_BY_REFUSED] = "by=refused"
	};
	const struct settings		*s = c->engine->policy->settings;
	const char			*text = word->bytes;
	int64_t				 n;
	size_t				 i;

	if (strncmp(text, "by=", 3) == 0) {
		for (i = 0; i < TOP_ORDER__MAX; i++)
			if (strcmp(orders[i], text) == 0)
				break;
		top->by = (uint8_t)i;
		if (i < TOP_ORDER__MAX)
			return true;
		control_fail(c, "top: --by is fill, used or refused");
	} else if (strncmp(text, "group=", 6) == 0) {
		top->domain = strcmp(text, "group=domain") == 0;
		if (top->domain)
			return true;
		control_fail(c, "top: --group is domain");
	} else if (strncmp(text, "rule=", 5) == 0) {
		top->rule = text + 5;
		top->rulelen = word->len - 5;
		for (i = 0; i < s->nrules; i++)
			if (strcmp(s->rules[i].name, top->rule) == 0)
				return true;
		control_fail(c, "top: there is no rule %s", top->rule);
	} else if (strncmp(text, "window=", 7) == 0 &&
	    num_parse(text + 7, word->len - 7, 1, INT64_MAX, &n) == 0) {
		top->seconds = n;
		return true;
	} else if (num_parse(text, word->len, 1, TOP_MAX, &n) == 0) {
		top->n = (uint32_t)n;
		return true;
	} else
		control_fail(c, "top: a number from 1 to %d is expected",
		    TOP_MAX);
	return false;
}

/* --- the answer --- */

/* Which blocks and locks hold for what the id stands for. */
static void
top_add_blocked(struct control *c, const struct msg_top_id *id, bool domain,
    int64_t now)
{
	const struct override		*locks[OVERRIDE_LOCKS];
	const struct override_list	*list = blocks_list(c->engine->blocks);
	const struct settings		*s = c->engine->policy->settings;
	const struct settings_rule	*rule;
	struct override_subject		 subject;
	struct network			 net;
	enum rule_attribute		 kind;
	const char			*value = id->id;
	size_t				 len = id->idlen, bare, n;
	char				 named[OVERRIDE_ID_MAX];
	struct str			*out = &c->answer;
	bool				 any;

	/* Refusals by a block or a lock are those of its id. */
	if ((rule = stored_id_rule(s, value, len)) == NULL)
		kind = blocks_kind(&value, &len);
	else {
		kind = rule->nkey == 1 ? rule->key[0] : KEY__MAX;
		bare = stored_id_bare(value, len);
		value += bare;
		len -= bare;
	}
	if (domain && (kind == KEY_SASL_USERNAME || (kind == KEY__MAX &&
	    s->nrules == 0 && s->limit_by_sasl)))
		kind = KEY_SASL_DOMAIN;
	any = kind == KEY__MAX && s->nrules == 0;
	memset(&subject, 0, sizeof(subject));
	subject.login = subject.sender = value;
	subject.senders = true;
	if (kind == KEY_SASL_USERNAME || (any && s->limit_by_sasl))
		subject.loginlen = len;
	if (kind == KEY_SENDER || (any && s->limit_by_sender))
		subject.senderlen = len;
	if ((kind == KEY_CLIENT_ADDRESS || (any && s->limit_by_ip)) &&
	    addr_network_parse(&net, value, len) == 0)
		subject.client = net.addr;
	/* The id of a block or a lock of a domain or a network. */
	n = override_id(named, kind == KEY_SASL_DOMAIN ? "domain:" :
	    kind == KEY_CLIENT_ADDRESS ? "network:" : "", value, len);
	reply_bool(out, "blocked",
	    override_block(list, &subject, now) != NULL ||
	    override_find(list, OVERRIDE_BLOCK, named, n, now) != NULL);
	reply_bool(out, "locked",
	    override_locks(list, &subject, now, locks) > 0 ||
	    override_find(list, OVERRIDE_LOCK, named, n, now) != NULL);
}

static void
top_tell(struct control *c, const struct msg_topped *m)
{
	struct str		*out = &c->answer;
	const struct str	*why = &c->word;
	const struct msg_top_id	*id;
	int64_t			 now = clock_wall();
	size_t			 i;

	reply_begin(out, "");
	reply_number(out, "time", now);
	reply_number(out, "total", m->total);
	reply_text(out, "source", why->len > 0 ? "memory" : "database");
	if (why->len > 0)
		reply_bytes(out, "reason", why->data, why->len);
	reply_end(out);
	for (i = 0; i < m->count; i++) {
		id = &m->ids[i];
		reply_begin(out, "ids");
		reply_bytes(out, "id", id->id, id->idlen);
		reply_number(out, m->by == TOP_BY_REFUSED ? "refused" :
		    "used", id->used);
		reply_number(out, "seconds", id->limit.seconds);
		if (m->by != TOP_BY_REFUSED && !m->domain) {
			reply_number(out, "limit", id->limit.mails);
			reply_retry_after(out, id->retry_after, &id->limit);
		}
		reply_bool(out, "shadow", id->shadow);
		top_add_blocked(c, id, m->domain, now);
		reply_end(out);
	}
	control_end(c);
}

/* --- without the database --- */

static const struct window *
top_counts(void *arg, const char *id, size_t idlen)
{
	const struct control	*c = arg;

	return memory_counts(c->engine->memory, id, idlen);
}

static int64_t
top_granted(void *arg, const char *id, size_t idlen)
{
	const struct control	*c = arg;

	return override_granted(blocks_list(c->engine->blocks), id, idlen,
	    clock_wall());
}

/*
 * No ledger answers: takes what this process has counted for db_error_action
 * "memory". The question is in `charge`, and the reason in `word`.
 */
static void
top_alone(struct control *c)
{
	struct msg_topped		 answer;
	const struct top_source		 source = { top_counts, NULL,
					    top_granted, c };
	struct msg_top			 wanted;
	struct top			*top;

	if (!c->engine->policy->memory || c->engine->memory == NULL ||
	    msg_top_get(&wanted, c->charge.data, c->charge.len) == -1) {
		control_fail(c, "top: %s", c->word.data);
		return;
	}
	top = top_new(&answer, &wanted, &source, c->engine->policy->settings,
	    clock_wall());
	memory_each(c->engine->memory, top_on_id, top);
	top_end(top);
	top_tell(c, &answer);
	top_free(top);
}

/* The rows cannot be read: answers from the ledger's cache or from memory. */
static void
top_failed(struct control *c, const char *why)
{
	str_adds(&c->word, why[0] != '\0' ? why : "the database is away");
	if (!control_ask(c, MSG_TOP, &c->charge))
		top_alone(c);
}

/* --- the answers --- */

/*
 * Takes the answers of the ledger that decides, which is asked for refusals,
 * and for its cache if the rows cannot be read.
 */
int
command_top_on_answer(struct control *c, const struct message *m)
{
	struct msg_topped	topped;
	struct msg_searched	searched;

	if (m->type == MSG_SEARCHED) {
		if (msg_searched_get(&searched, m->payload, m->len) == -1)
			return -1;
		control_fail(c, "top: the refusals cannot be read: %s",
		    searched.reason);
		return 0;
	}
	if (m->type != MSG_TOPPED ||
	    msg_topped_get(&topped, m->payload, m->len) == -1)
		return -1;
	top_tell(c, &topped);
	return 0;
}

/* Takes the answers of the ledger that reads all rows. */
static int
top_read(struct control *c, const struct message *m)
{
	struct msg_searched	searched;

	if (m->type != MSG_SEARCHED)
		return command_top_on_answer(c, m);
	if (msg_searched_get(&searched, m->payload, m->len) == -1)
		return -1;
	top_failed(c, searched.reason);
	return 1;
}

void
command_top_on_timeout(struct control *c)
{
	scan_queue_leave(c->engine->scan_queue, c);
	if (c->word.len > 0)
		top_alone(c);
	else if (c->charge.len > 0)
		top_failed(c, TIMED_OUT);
	else
		control_fail(c, TIMED_OUT);
}

/* --- the command --- */

void
command_top_run(struct control *c, const struct control_word *word, size_t n)
{
	static const struct scan_question	question = {
		MSG_TOP, top_read, top_failed, PATIENCE_MS
	};
	struct msg_top	top = { .n = TOP_USUAL, .rule = "" };
	struct str	payload;
	size_t		i;

	for (i = 0; i < n; i++)
		if (!top_word(c, &top, &word[i]))
			return;
	if (top.by == TOP_BY_REFUSED && c->engine->policy->settings->history ==
	    0) {
		control_fail(c, "no refusals are kept: history is 0");
		return;
	}
	str_init(&payload);
	msg_top_put(&payload, &top);
	if (top.by != TOP_BY_REFUSED) {
		str_add(&c->charge, payload.data, payload.len);
		scan_queue_add(c->engine->scan_queue, c, &question,
		    &payload);
	} else if (!control_ask(c, MSG_TOP, &payload))
		away_fail(c, NULL);
	str_clear(&payload);
}
