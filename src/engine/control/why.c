#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/control/explain.h"
#include "engine/control/explain_id.h"
#include "engine/reply.h"
#include "engine/control/why.h"
#include "ipc/message_refusal.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"

#define USUAL		10	/* refusals that are told */
#define MOST		1000
#define SHARED_USUAL	10	/* of those who share a count */
#define SHARED_LOOK	5000	/* refusals to look at for them */
#define SHARED_MOST	256	/* different ones */

struct sharer {
	uint64_t	times;
	char		name[REFUSAL_TEXT_MAX + 1];
};

/* The state of one question. */
struct why {
	bool			 all;		/* whoever was refused */
	bool			 sharing;	/* the second search */
	bool			 helped;	/* a refusal has its remedy */
	int64_t			 found;
	struct msg_searched	 total;
	/* The newest refusal of a count that others may share. */
	char			 id[256];
	size_t			 idlen;		/* 0: none */
	size_t			 nsharer;
	struct sharer		 sharer[SHARED_MOST];
};

/* The words of why. */
struct question {
	struct msg_search	search;		/* its texts point to `text` */
	struct control_word	any;
	char			text[REFUSAL_TEXT__MAX]
				    [4 * REFUSAL_TEXT_MAX + 8];
};

static void
init_search(struct msg_search *m)
{
	size_t	i;

	memset(m, 0, sizeof(*m));
	m->any = "";
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		m->text[i] = "";
}

static bool
send_search(struct control *c, const struct msg_search *m)
{
	struct str	payload;
	bool		good;

	str_init(&payload);
	msg_search_put(&payload, m);
	good = control_ask(c, MSG_SEARCH, &payload);
	str_clear(&payload);
	return good;
}

/* A record's printable text: the ledger's database may hold anything. */
static void
put_text(struct str *out, const char *name, const char *text, size_t len)
{
	char	clean[4 * REFUSAL_TEXT_MAX + 8];

	str_addf(out, "\t%s=%s", name, str_printable_again(clean,
	    sizeof(clean), text, len));
}

/* --- the question --- */

/* False: the question has failed. */
static bool
parse_word(struct control *c, struct question *q,
    const struct control_word *word)
{
	struct msg_search	*m = &q->search;
	const char		*text = word->bytes;
	size_t			 i, len;
	int64_t			 n;

	if (strncmp(text, "n=", 2) == 0) {
		if (num_parse(text + 2, word->len - 2, 1, MOST, &n) == -1) {
			control_fail(c, "why: a number from 1 to %d is "
			    "expected", MOST);
			return false;
		}
		m->n = (uint32_t)n;
		return true;
	}
	if (strncmp(text, "any=", 4) == 0) {
		q->any.bytes = text + 4;
		q->any.len = word->len - 4;
		return explain_id_fits(c, &q->any);
	}
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		len = strlen(msg_refusal_texts[i]);
		if (strncmp(text, msg_refusal_texts[i], len) != 0 ||
		    text[len++] != '=')
			continue;
		m->text[i] = str_printable(q->text[i], sizeof(q->text[i]),
		    text + len, word->len - len);
		/* Cut like the texts that are kept. */
		m->textlen[i] = strnlen(m->text[i], REFUSAL_TEXT_MAX);
		return true;
	}
	control_fail(c, "why: a queue id, a login, an address or a line of the "
	    "log is expected");
	return false;
}

static void
set_search_ids(struct msg_search *m, const struct msg_charge *charge)
{
	size_t	i;

	m->nids = charge->nkeys;
	for (i = 0; i < m->nids; i++) {
		m->id[i] = charge->keys[i].id;
		m->idlen[i] = charge->keys[i].idlen;
	}
}

void
why_run(struct control *c, const struct control_word *word, size_t n)
{
	const struct settings	*s = c->engine->policy->settings;
	struct question		 q;
	struct msg_search	*m = &q.search;
	struct msg_charge	 charge;
	struct str		 ids, clean;
	size_t			 i;

	init_search(m);
	m->n = USUAL;
	q.any.len = 0;
	for (i = 0; i < n; i++)
		if (!parse_word(c, &q, &word[i]))
			return;
	if (s->history == 0) {
		control_fail(c, "no refusals are kept: history is 0");
		return;
	}
	str_init(&ids);
	str_init(&clean);
	if (q.any.len > 0) {
		(void)explain_id(&charge, s, &q.any, &ids, false);
		set_search_ids(m, &charge);
		str_add_printable(&clean, q.any.bytes, q.any.len);
		m->any = clean.data;
		m->anylen = clean.len;
	}
	c->why = alloc_zero(1, sizeof(*c->why));
	c->why->all = m->anylen == 0;
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		c->why->all = c->why->all && m->textlen[i] == 0;
	if (!send_search(c, m))
		away_fail(c, NULL);
	str_clear(&ids);
	str_clear(&clean);
}

/* --- the answer --- */

static void
put_refusal(struct str *out, const struct msg_refusal *m, int64_t number)
{
	size_t	i;

	reply_begin(out, "refusals");
	reply_number(out, "number", number);
	reply_number(out, "date", m->date);
	reply_text(out, "kind", msg_refusal_kinds[m->kind]);
	reply_bool(out, "shadow", m->shadow);
	put_text(out, "rule", m->rule, m->rulelen);
	reply_bytes(out, "id", m->id, m->idlen);
	reply_number(out, "n", m->n);
	reply_number(out, "times", m->times);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		put_text(out, msg_refusal_texts[i], m->text[i], m->textlen[i]);
	reply_number(out, "recipients", m->recipients);
	reply_end(out);
	for (i = 0; i < m->nwindows; i++) {
		reply_begin(out, "windows");
		reply_number(out, "refusal", number);
		reply_number(out, "used", m->window[i].used);
		reply_number(out, "limit", m->window[i].limit.mails);
		reply_number(out, "seconds", m->window[i].limit.seconds);
		reply_bool(out, "full", i == m->full);
		reply_end(out);
	}
}

/* Appends the id as a word for a shell; false: it cannot be pasted. */
static bool
put_quoted(struct str *out, const char *id, size_t len)
{
	static const char	safe[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";
	bool			plain = true;
	size_t			i;

	if (len == 0 || id[0] == '-')
		return false;
	for (i = 0; i < len; i++) {
		if (id[i] < ' ' || id[i] > '~' || id[i] == '\\')
			return false;
		plain = plain && strchr(safe, id[i]) != NULL;
	}
	if (plain) {
		str_add(out, id, len);
		return true;
	}
	str_addc(out, '\'');
	for (i = 0; i < len; i++)
		if (id[i] == '\'')
			str_adds(out, "'\\''");
		else
			str_addc(out, id[i]);
	str_addc(out, '\'');
	return true;
}

static void
put_help(struct str *out, const char *command, const struct msg_refusal *m,
    const char *rest, const char *does)
{
	struct str	line;

	str_init(&line);
	str_addf(&line, "policyctl %s ", command);
	if (put_quoted(&line, m->id, m->idlen)) {
		str_adds(&line, rest);
		reply_begin(out, "help");
		reply_bytes(out, "command", line.data, line.len);
		reply_text(out, "does", does);
		reply_end(out);
	}
	str_clear(&line);
}

/* The commands that help against the newest refusal. */
static void
put_helps(struct str *out, const struct msg_refusal *m)
{
	const struct refusal_window	*w = &m->window[m->full];
	char				 rest[48];
	int64_t				 more;

	switch (m->kind) {
	case REFUSAL_BLOCK:
		put_help(out, "unblock", m, "", "ends the block");
		break;
	case REFUSAL_LOCK:
		put_help(out, "unblock", m, "", "ends the lock");
		break;
	case REFUSAL_LIMIT:
	case REFUSAL_OVER:
		if (m->nwindows == 0 || m->shadow)
			break;
		/* Room for this mail, at least a tenth of the limit. */
		more = num_sub_clamp(num_add_clamp(w->used, m->n),
		    w->limit.mails);
		if (more < w->limit.mails / 10)
			more = w->limit.mails / 10;
		(void)snprintf(rest, sizeof(rest), " %" PRId64 " 1h",
		    more > 0 ? more : 1);
		put_help(out, "grant", m, rest, "lets more pass for an hour");
		put_help(out, "reset", m, "", "takes back all that is counted");
		put_help(out, "show", m, "", "shows the windows of now");
		break;
	default:
		break;
	}
}

/* Notes a count whose id is not the login: several logins may share it. */
static void
note_shared(struct why *w, const struct msg_refusal *m)
{
	const char	*value = m->idlen > 0 ? memchr(m->id, ':', m->idlen) :
			    NULL;
	size_t		 len;

	if (w->idlen > 0 || m->kind == REFUSAL_BLOCK ||
	    m->kind == REFUSAL_MAX_PER_MAIL || m->idlen >= sizeof(w->id))
		return;
	value = value != NULL && m->rulelen > 0 ? value + 1 : m->id;
	len = m->idlen - (size_t)(value - m->id);
	if (len == m->textlen[REFUSAL_LOGIN] && strncasecmp(value,
	    m->text[REFUSAL_LOGIN], len) == 0)
		return;
	memcpy(w->id, m->id, m->idlen);
	w->idlen = m->idlen;
}

static void
count_share(struct why *w, const struct msg_refusal *m)
{
	enum refusal_text	 who = m->textlen[REFUSAL_LOGIN] > 0 ?
				    REFUSAL_LOGIN : REFUSAL_SENDER;
	size_t			 i;

	for (i = 0; i < w->nsharer; i++)
		if (strlen(w->sharer[i].name) == m->textlen[who] &&
		    strncasecmp(w->sharer[i].name, m->text[who],
		    m->textlen[who]) == 0)
			break;
	if (i == SHARED_MOST)
		return;
	if (i == w->nsharer) {
		w->nsharer++;
		(void)str_printable_again(w->sharer[i].name,
		    sizeof(w->sharer[i].name), m->text[who], m->textlen[who]);
	}
	w->sharer[i].times += (uint64_t)m->times;
}

static int
by_times(const void *a, const void *b)
{
	const struct sharer	*x = a, *y = b;

	if (x->times != y->times)
		return x->times < y->times ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void
end_search(struct control *c, struct why *w)
{
	struct str	*out = &c->answer;
	size_t		 i;

	qsort(w->sharer, w->nsharer, sizeof(w->sharer[0]), by_times);
	for (i = 0; i < w->nsharer && i < SHARED_USUAL; i++) {
		reply_begin(out, "shared");
		reply_bytes(out, "id", w->id, w->idlen);
		str_addf(out, "\twho=%s", w->sharer[i].name);
		reply_number(out, "refused", (int64_t)w->sharer[i].times);
		reply_end(out);
	}
	reply_begin(out, "");
	if (!w->all) {
		reply_number(out, "refused", w->total.refused);
		reply_number(out, "would_refuse", w->total.shadow);
	}
	reply_number(out, "shown", w->found);
	reply_number(out, "history", c->engine->policy->settings->history);
	reply_end(out);
	control_end(c);
}

/* The first search is over; looks for those who share the count. */
static void
on_searched(struct control *c, struct why *w, const struct msg_searched *m)
{
	struct msg_search	next;

	if (m->failed) {
		control_fail(c, "the refusals cannot be read: %s", m->reason);
		return;
	}
	if (w->sharing) {
		end_search(c, w);
		return;
	}
	w->total = *m;
	if (w->all) {
		end_search(c, w);
		return;
	}
	if (w->found == 0) {
		control_fail(c, "no refusal of it is kept (of the last "
		    "%" PRId64 " day%s)", c->engine->policy->settings->history,
		    c->engine->policy->settings->history == 1 ? "" : "s");
		return;
	}
	w->sharing = true;
	init_search(&next);
	next.n = SHARED_LOOK;
	next.only_ids = true;
	next.nids = 1;
	next.id[0] = w->id;
	next.idlen[0] = w->idlen;
	if (w->idlen == 0 || !send_search(c, &next))
		end_search(c, w);
}

int
why_on_answer(struct control *c, const struct message *m)
{
	struct why		*w = c->why;
	struct msg_refusal	 refusal;
	struct msg_searched	 searched;

	if (m->type == MSG_SEARCHED) {
		if (msg_searched_get(&searched, m->payload, m->len) == -1)
			return -1;
		on_searched(c, w, &searched);
		return 0;
	}
	if (m->type != MSG_FOUND ||
	    msg_refusal_get(&refusal, m->payload, m->len) == -1)
		return -1;
	if (w->sharing) {
		count_share(w, &refusal);
		return 0;
	}
	put_refusal(&c->answer, &refusal, ++w->found);
	if (!w->all && !w->helped && !refusal.shadow) {
		w->helped = true;
		put_helps(&c->answer, &refusal);
	}
	note_shared(w, &refusal);
	return 0;
}

/* --- show --- */

bool
why_show(struct control *c, const struct msg_charge *charge)
{
	struct msg_search	m;

	init_search(&m);
	m.n = 1;
	m.only_ids = true;
	set_search_ids(&m, charge);
	return send_search(c, &m);
}

int
why_show_on_answer(struct control *c, const struct message *m)
{
	struct str		*out = &c->answer;
	struct msg_refusal	 r;
	struct msg_searched	 s;

	if (m->type == MSG_FOUND) {
		if (msg_refusal_get(&r, m->payload, m->len) == -1)
			return -1;
		c->known = true;
		reply_begin(out, "");
		reply_number(out, "last_refused", r.date);
		put_text(out, "last_client", r.text[REFUSAL_CLIENT],
		    r.textlen[REFUSAL_CLIENT]);
		put_text(out, "last_sender", r.text[REFUSAL_SENDER],
		    r.textlen[REFUSAL_SENDER]);
		reply_end(out);
		return 0;
	}
	if (m->type != MSG_SEARCHED ||
	    msg_searched_get(&s, m->payload, m->len) == -1)
		return -1;
	reply_begin(out, "");
	reply_number(out, "refused", s.refused);
	reply_number(out, "would_refuse", s.shadow);
	reply_end(out);
	return 1;
}
