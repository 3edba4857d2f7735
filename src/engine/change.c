#include <stdlib.h>
#include <string.h>

#include "engine/change.h"
#include "engine/explain.h"
#include "engine/reply.h"
#include "engine/turn.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"

#define AMOUNT_MAX	INT64_C(1000000000000)
#define SECONDS_MAX	(10 * INT64_C(366) * 86400)
#define AWAY		"the database is away"

static struct {
	struct msg_charge	charge;
	struct msg_weighed	weighed;
	struct msg_override	override;
} change;

/* False: the question failed. */
static bool
change_number(struct control *c, const struct control_word *word, int64_t max,
    int64_t *out)
{
	if (num_parse(word->bytes, word->len, 1, max, out) == 0)
		return true;
	control_fail(c, "%.64s: a number from 1 to %lld is expected",
	    word->bytes, (long long)max);
	return false;
}

static bool
change_id_fits(struct control *c, const struct control_word *word)
{
	if (word->len <= EXPLAIN_ID_MAX)
		return true;
	control_fail(c, "the id is too long");
	return false;
}

/* --- reset --- */

void
change_reset(struct control *c, const struct control_word *word, size_t n)
{
	struct control_question	*q = control_question(c);
	struct str		 id, ids;

	(void)n;
	if (!change_id_fits(c, &word[0]))
		return;
	str_init(&id);
	str_init(&ids);
	q->held = held_take(control_held());
	explain_id(&change.charge, q->held->settings, &word[0], &id, &ids);
	change.charge.deadline = clock_after(turn_now(),
	    q->held->settings->db_timeout).ns;
	q->charge.len = 0;
	msg_charge_put(&q->charge, &change.charge);
	if (!control_ask(c, MSG_RESET, &q->charge))
		control_fail(c, AWAY);
	str_clear(&id);
	str_clear(&ids);
}

int
change_reset_told(struct control *c, const struct message *m)
{
	const struct str	*sent = &control_question(c)->charge;
	struct msg_weighed	*told = &change.weighed;
	struct str		*out = control_answer(c);
	size_t			 i;

	if (msg_charge_get(&change.charge, sent->data, sent->len) == -1)
		log_fatal("a charge of our own is broken");
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(told, m->payload, m->len) == -1 ||
	    told->nkeys > change.charge.nkeys)
		return -1;
	if (told->verdict.verdict != VERDICT_ACCEPTED) {
		control_fail(c, "the database could not do it");
		return 0;
	}
	for (i = 0; i < told->nkeys; i++) {
		reply_begin(out, "resets");
		reply_bytes(out, "id", change.charge.keys[i].id,
		    change.charge.keys[i].idlen);
		reply_number(out, "n", told->keys[i].amount);
		reply_end(out);
	}
	control_end(c);
	return 0;
}

/* --- what holds until a time --- */

static void
change_override(struct control *c, const struct control_word *word,
    enum override_kind kind, int64_t amount, int64_t seconds)
{
	struct msg_override	*m = &change.override;
	struct str		 id, ids, payload;
	size_t			 i;

	if (!change_id_fits(c, word))
		return;
	str_init(&id);
	str_init(&ids);
	str_init(&payload);
	explain_id(&change.charge, control_held()->settings, word, &id, &ids);
	m->kind = (uint8_t)kind;
	m->amount = amount;
	m->until = seconds > 0 ? clock_wall() + seconds : 0;
	m->nids = change.charge.nkeys;
	for (i = 0; i < m->nids; i++) {
		m->id[i] = change.charge.keys[i].id;
		m->idlen[i] = change.charge.keys[i].idlen;
	}
	msg_override_put(&payload, m);
	if (!control_ask(c, MSG_OVERRIDE, &payload))
		control_fail(c, AWAY);
	str_clear(&payload);
	str_clear(&ids);
	str_clear(&id);
}

void
change_grant(struct control *c, const struct control_word *word, size_t n)
{
	int64_t	amount, seconds;

	(void)n;
	if (change_number(c, &word[1], AMOUNT_MAX, &amount) &&
	    change_number(c, &word[2], SECONDS_MAX, &seconds))
		change_override(c, word, OVERRIDE_GRANT, amount, seconds);
}

void
change_block(struct control *c, const struct control_word *word, size_t n)
{
	int64_t	seconds;

	(void)n;
	if (change_number(c, &word[1], SECONDS_MAX, &seconds))
		change_override(c, word, OVERRIDE_BLOCK, 0, seconds);
}

void
change_unblock(struct control *c, const struct control_word *word, size_t n)
{
	(void)n;
	change_override(c, word, OVERRIDE_BLOCK, 0, 0);
}

int
change_told(struct control *c, const struct message *m)
{
	struct str	*out = control_answer(c);
	uint64_t	 good;

	if (m->type != MSG_OVERRIDDEN ||
	    msg_number_get(&good, m->payload, m->len) == -1)
		return -1;
	if (good != 1) {
		control_fail(c, "the database could not do it; the log has "
		    "the reason");
		return 0;
	}
	reply_begin(out, "");
	reply_text(out, "text", "done");
	reply_end(out);
	control_end(c);
	return 0;
}
