#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

/* What the manual says of a decision, asked of a ledger with its database. */

static void
room_for_n_takes_n(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
	assert_int_equal(rig_sum(r, "bob"), 10);
	assert_int_equal(rig_room(r, "eve", 3, 60), 3);
	/* A window ends with the second before now - seconds. */
	r->now += 60;
	assert_int_equal(rig_room(r, "bob", 10, 60), 0);
	r->now += 1;
	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
}

static void
one_batch_decides_in_order(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 i;

	for (i = 0; i < 25; i++) {
		rig_charge(&c, "bob", 2, 11, 60);
		assert_int_equal(rig_add(r, &c), i);
	}
	rig_run(r);
	for (i = 0; i < 25; i++)
		assert_int_equal(rig_answer(r, i)->verdict,
		    i < 5 ? VERDICT_ACCEPTED : VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, 5)->used, 10);
	assert_int_equal(rig_answer(r, 5)->limit.mails, 11);
	assert_int_equal(rig_answer(r, 5)->limit.seconds, 60);
	assert_int_equal(rig_answer(r, 5)->retry_after, 61);
	assert_int_equal(rig_sum(r, "bob"), 10);
}

static void
restart_keeps_counts(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_one(r, "bob", 9, 10, 60), VERDICT_ACCEPTED);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 2, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
}

/* --- several keys, several windows --- */

static void
all_keys_or_none(void **state)
{
	const struct limit	 ten = { 10, 60 }, one = { 1, 3600 };
	struct rig		*r = *state;
	struct rig_charge	 c;
	const struct msg_verdict *v;
	uint64_t		 n;

	rig_charge(&c, "user:bob", 4, 10, 60);
	(void)rig_key(&c, "server:", 1, &one, 1);
	(void)rig_key(&c, "ip:192.0.2.1", 4, &ten, 1);
	n = rig_add(r, &c);
	rig_run(r);
	v = rig_answer(r, n);
	assert_int_equal(v->verdict, VERDICT_ACCEPTED);
	assert_int_equal(v->ncharged, 3);
	assert_int_equal(v->charged[0], 4);
	assert_int_equal(v->charged[1], 1);
	n = rig_add(r, &c);
	rig_run(r);
	v = rig_answer(r, n);
	assert_int_equal(v->verdict, VERDICT_REFUSED);
	assert_int_equal(v->key, 1);
	assert_int_equal(v->limit.seconds, 3600);
	assert_int_equal(v->ncharged, 0);
	assert_int_equal(rig_sum(r, "user:bob"), 4);
	assert_int_equal(rig_sum(r, "ip:192.0.2.1"), 4);
	assert_int_equal(rig_sum(r, "server:"), 1);
}

static void
first_window_in_order_is_told(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 n;

	rig_charge(&c, "bob", 5, 4, 86400);
	rig_window(&c, 3, 60);
	n = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, n)->limit.seconds, 86400);
	assert_int_equal(rig_answer(r, n)->retry_after, 86400);
	assert_true(rig_answer(r, n)->never);
}

/* The wait is for every window of every key that refuses. */
static void
retry_after_looks_at_all_keys(void **state)
{
	static const struct limit	 short_one = { 1, 5 };
	static const struct limit	 hour = { 1, 3600 };
	struct rig			*r = *state;
	struct rig_charge		 c;
	uint64_t			 n;
	int				 i;

	for (i = 0; i < 2; i++) {
		memset(&c, 0, sizeof(c));
		c.m.instance = "";
		c.m.state = "DATA";
		c.m.statelen = 4;
		(void)rig_key(&c, "a:bob", 1, &short_one, 1);
		(void)rig_key(&c, "b:bob", 1, &hour, 1);
		/* Neither a shadow nor a soft one is waited for. */
		rig_key(&c, "c:bob", 1, &hour, 1)->shadow = true;
		rig_key(&c, "d:bob", 1, &hour, 1)->soft = true;
		n = rig_add(r, &c);
		rig_run(r);
	}
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, n)->key, 0);
	assert_int_equal(rig_answer(r, n)->limit.seconds, 5);
	assert_int_equal(rig_answer(r, n)->retry_after, 3601);
	assert_int_equal(rig_answer(r, n)->full[0].retry_after, 6);
	r->now += 3600;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	r->now++;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
}

static const struct msg_verdict *
soft_and_hard(struct rig *r, const char *instance, int64_t tag, int64_t amount)
{
	static const struct limit	soft = { 3, 3600 }, hard = { 6, 3600 };
	struct rig_charge		c;
	uint64_t			n;

	memset(&c, 0, sizeof(c));
	c.m.state = "DATA";
	c.m.statelen = 4;
	rig_instance(&c, instance, tag);
	rig_key(&c, "soft:bob", amount, &soft, 1)->soft = true;
	(void)rig_key(&c, "hard:bob", amount, &hard, 1);
	n = rig_add(r, &c);
	rig_run(r);
	return rig_answer(r, n);
}

/* What Postfix takes is charged, over the limit too, and hard limits hold. */
static void
soft_action_is_charged(void **state)
{
	struct rig			*r = *state;
	const struct msg_verdict	*v;
	char				 instance[16];
	int				 i;

	for (i = 1; i <= 6; i++) {
		(void)snprintf(instance, sizeof(instance), "i%d", i);
		v = soft_and_hard(r, instance, 0, 1);
		assert_int_equal(v->verdict, VERDICT_ACCEPTED);
		assert_int_equal(v->over, i > 3 ? 1 : 0);
		if (i <= 3)
			continue;
		assert_int_equal(v->key, 0);
		assert_int_equal(v->limit.mails, 3);
		assert_int_equal(v->used, i - 1);
		assert_int_equal(v->retry_after, 3601);
	}
	assert_int_equal(rig_sum(r, "soft:bob"), 6);
	assert_int_equal(rig_sum(r, "hard:bob"), 6);
	/* Sent again it is answered as before, also by the next process. */
	rig_reopen(r);
	v = soft_and_hard(r, "i6", 0, 1);
	assert_int_equal(v->verdict, VERDICT_ACCEPTED);
	assert_int_equal(v->over, 1);
	/* A later refusal wins, and nothing is charged. */
	v = soft_and_hard(r, "i7", 0, 1);
	assert_int_equal(v->verdict, VERDICT_REFUSED);
	assert_int_equal(v->key, 1);
	assert_int_equal(v->over, 0);
	assert_false(v->never);
	assert_int_equal(rig_sum(r, "soft:bob"), 6);
	r->now += 3601;
	v = soft_and_hard(r, "i8", 0, 1);
	assert_int_equal(v->verdict, VERDICT_ACCEPTED);
	assert_int_equal(v->over, 0);
}

/* While too many values are known, each of them is answered softly, again. */
static void
soft_action_of_values(void **state)
{
	static const char *const	 value[] = { "a", "b", "c", "c", "a" };
	const int			 over[] = { 0, 0, 1, 1, 1 };
	struct rig			*r = *state;
	struct rig_charge		 c;
	uint64_t			 n;
	size_t				 i;

	for (i = 0; i < 5; i++) {
		rig_charge(&c, "places:bob", 1, 2, 60);
		c.m.keys[0].kind = CHARGE_DISTINCT;
		c.m.keys[0].value = value[i];
		c.m.keys[0].valuelen = 1;
		c.m.keys[0].soft = true;
		c.m.keys[0].report = true;
		c.m.keys[0].reported = 1;
		n = rig_add(r, &c);
		rig_run(r);
		assert_int_equal(rig_answer(r, n)->verdict, VERDICT_ACCEPTED);
		assert_int_equal(rig_answer(r, n)->over, over[i]);
		if (over[i] != 0)
			assert_int_equal(rig_answer(r, n)->retry_after, 61);
	}
	assert_int_equal(r->hits, 1);
	r->now += 61;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_answer(r, r->next - 1)->over, 0);
}

static const struct msg_verdict *
mail_of(struct rig *r, const char *instance, int64_t tag, int64_t amount,
    uint8_t mode)
{
	static const struct limit	many = { 1000, 3600 };
	struct rig_charge		c;
	struct msg_charge_key		*k;
	uint64_t			 n;

	memset(&c, 0, sizeof(c));
	c.m.mode = mode;
	c.m.state = "RCPT";
	c.m.statelen = 4;
	rig_instance(&c, instance, tag);
	k = rig_key(&c, "mail:bob", amount, &many, 1);
	k->max_per_mail = 3;
	k->soft = k->report = true;
	n = rig_add(r, &c);
	rig_run(r);
	return rig_answer(r, n);
}

/* Recipients beyond max_per_mail are refused, the mail's others are not. */
static void
max_per_mail(void **state)
{
	struct rig			*r = *state;
	const struct msg_verdict	*v;
	int64_t				 tag;

	for (tag = 1; tag <= 3; tag++)
		assert_int_equal(mail_of(r, "a", tag, 1, CHARGE_ONCE)->verdict,
		    VERDICT_ACCEPTED);
	/* The next process knows what the instance was charged. */
	rig_reopen(r);
	for (tag = 4; tag <= 5; tag++) {
		v = mail_of(r, "a", tag, 1, CHARGE_ONCE);
		assert_int_equal(v->verdict, VERDICT_REFUSED);
		assert_true(v->never && v->per_mail);
		assert_int_equal(v->limit.mails, 3);
		assert_int_equal(v->limit.seconds, 0);
		assert_int_equal(v->used, 3);
		assert_int_equal(v->retry_after, 0);
	}
	assert_int_equal(rig_sum(r, "mail:bob"), 3);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report WHERE id ="
	    " 'mail:bob' AND delta = 0"), 2);
	/* Sent again; DATA with the accepted ones, and with more. */
	assert_int_equal(mail_of(r, "a", 2, 1, CHARGE_ONCE)->verdict,
	    VERDICT_ACCEPTED);
	assert_int_equal(mail_of(r, "a", 0, 3, CHARGE_ONCE)->verdict,
	    VERDICT_ACCEPTED);
	assert_int_equal(mail_of(r, "a", 0, 4, CHARGE_ONCE)->verdict,
	    VERDICT_REFUSED);
	/* The next mail is not concerned. */
	assert_int_equal(mail_of(r, "b", 0, 3, CHARGE_ONCE)->verdict,
	    VERDICT_ACCEPTED);
	assert_int_equal(mail_of(r, "", 7, 4, CHARGE_ONCE)->verdict,
	    VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "mail:bob"), 6);
	/* With count_mode 0 nothing is taken back: those go out. */
	for (tag = 11; tag <= 13; tag++)
		assert_int_equal(mail_of(r, "c", tag, 1, CHARGE_EACH)->verdict,
		    VERDICT_ACCEPTED);
	for (tag = 14; tag <= 15; tag++)
		assert_int_equal(mail_of(r, "c", tag, 1, CHARGE_EACH)->verdict,
		    VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "mail:bob"), 9);
}

/* A mail that alone exceeds a limit, counting what it was charged before. */
static void
mail_that_never_fits(void **state)
{
	struct rig			*r = *state;
	const struct msg_verdict	*v;

	assert_true(soft_and_hard(r, "a", 0, 7)->never);
	assert_false(soft_and_hard(r, "b", 1, 4)->never);
	v = soft_and_hard(r, "c", 0, 4);
	assert_int_equal(v->verdict, VERDICT_REFUSED);
	assert_false(v->never);
	assert_int_equal(v->retry_after, 3601);
	v = soft_and_hard(r, "b", 2, 3);
	assert_int_equal(v->verdict, VERDICT_REFUSED);
	assert_true(v->never);
	v = soft_and_hard(r, "", 0, 7);
	assert_true(v->never);
	/* Where it never fits, the length of the window is told. */
	assert_int_equal(v->retry_after, 3600);
}

static void
nearest_window_is_told(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 n;

	rig_charge(&c, "bob", 5, 100, 60);
	rig_window(&c, 10, 3600);
	n = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_ACCEPTED);
	assert_int_equal(rig_answer(r, n)->limit.seconds, 3600);
	assert_int_equal(rig_answer(r, n)->used, 5);
}

static void
shadow_never_refuses(void **state)
{
	const struct limit	 none = { 0, 60 };
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 n;

	rig_charge(&c, "user:bob", 1, 10, 60);
	rig_key(&c, "try:bob", 1, &none, 1)->shadow = true;
	n = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_ACCEPTED);
	assert_int_equal(rig_answer(r, n)->shadowed, 2);
	assert_int_equal(rig_sum(r, "try:bob"), 1);
}

static void
warning_at_the_step_over(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 i;

	rig_charge(&c, "bob", 1, 10, 60);
	c.m.keys[0].warn_at = 80;
	for (i = 0; i < 11; i++)
		(void)rig_add(r, &c);
	rig_run(r);
	for (i = 0; i < 11; i++)
		assert_int_equal(rig_answer(r, i)->warned, i == 7);
}

static void
no_limits_no_refusal(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 1000, 1, 60);
	c.m.keys[0].limits.count = 0;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
}

/* --- an instance is charged once --- */

static int64_t
charged(struct rig *r, const struct rig_charge *c)
{
	uint64_t	n;

	n = rig_add(r, c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_ACCEPTED);
	return rig_answer(r, n)->charged[0];
}

static void
retransmit_counts_twice(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 3, 10, 60);
	rig_instance(&c, "4e1.5f00.1.0", 0);
	assert_int_equal(charged(r, &c), 3);
	assert_int_equal(charged(r, &c), 0);
	/* DATA again in one transaction: only what is new. */
	c.m.keys[0].amount = 7;
	assert_int_equal(charged(r, &c), 4);
	/* Also to the ledger that comes after this one. */
	rig_reopen(r);
	assert_int_equal(charged(r, &c), 0);
	c.m.keys[0].amount = 8;
	assert_int_equal(charged(r, &c), 1);
	assert_int_equal(rig_sum(r, "bob"), 8);
	/* What costs nothing passes, also where there is no room any more. */
	c.m.keys[0].limits.list[0].mails = 2;
	assert_int_equal(charged(r, &c), 0);
	/* Another user, another transaction. */
	rig_charge(&c, "eve", 3, 10, 60);
	rig_instance(&c, "4e1.5f00.1.0", 0);
	assert_int_equal(charged(r, &c), 3);
	rig_instance(&c, "4e1.5f00.1.1", 0);
	assert_int_equal(charged(r, &c), 3);
}

static void
restart(struct rig *r)
{
	rig_reopen(r);
}

static void
changed_by_others(struct rig *r)
{
	(void)rig_sql(r, "UPDATE mail_count SET protocol_state = 'x'"
	    " WHERE id = 'nobody'");
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, recipient_count,"
	    " instance, protocol_state) VALUES ('nobody', 1, 1, 'x', 'x')");
	(void)rig_sql(r, "DELETE FROM mail_count WHERE id = 'nobody'");
}

static void
clock_ahead_for_a_while(struct rig *r)
{
	r->now += 2 * 86400;
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	r->now -= 2 * 86400;
}

/* RCPT for each of eight, and later, after something, DATA with eight. */
static void
eight_then_data(struct rig *r, void (*something)(struct rig *), int64_t later)
{
	static int		 mails;
	char			 id[16];
	struct rig_charge	 c;
	int64_t			 i;

	(void)snprintf(id, sizeof(id), "bob%d", mails++);
	rig_charge(&c, id, 1, 8, 60);
	for (i = 1; i <= 8; i++) {
		rig_instance(&c, "mail", i);
		assert_int_equal(charged(r, &c), 1);
	}
	r->now += later;
	/* Others of the same user, so that this is not the newest row. */
	rig_charge(&c, id, 1, 9, 60);
	rig_instance(&c, "other", 99);
	(void)rig_ask(r, &c);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE instance = 'other'");
	something(r);
	rig_charge(&c, id, 8, 8, 60);
	rig_instance(&c, "mail", 0);
	assert_int_equal(charged(r, &c), 0);
	assert_int_equal(rig_sum(r, id), 8);
}

static void
older_instance_is_charged_once(void **state)
{
	static void (*const	 something[])(struct rig *) = {
		restart, changed_by_others, clock_ahead_for_a_while
	};
	const int64_t		 later[] = { 61, 3000, -4000, -90000 };
	struct rig		*r = *state;
	size_t			 i, j;

	for (i = 0; i < sizeof(something) / sizeof(something[0]); i++)
		for (j = 0; j < sizeof(later) / sizeof(later[0]); j++)
			eight_then_data(r, something[i], later[j]);
}

static void
clock_goes_back_under_newer_rows(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	assert_int_equal(rig_one(r, "bob", 1, 99, 60), VERDICT_ACCEPTED);
	r->now -= 7200;
	rig_charge(&c, "bob", 8, 99, 60);
	rig_instance(&c, "mail", 0);
	assert_int_equal(charged(r, &c), 8);
	rig_reopen(r);
	assert_int_equal(charged(r, &c), 0);
	assert_int_equal(rig_sum(r, "bob"), 9);
}

static void
two_in_one_batch(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 3, 10, 60);
	rig_instance(&c, "i", 0);
	(void)rig_add(r, &c);
	(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, 0)->charged[0], 3);
	assert_int_equal(rig_answer(r, 1)->charged[0], 0);
}

static void
recipients_then_data(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 1, 10, 60);
	rig_instance(&c, "i", 101);
	assert_int_equal(charged(r, &c), 1);
	assert_int_equal(charged(r, &c), 0);
	rig_instance(&c, "i", 102);
	assert_int_equal(charged(r, &c), 1);
	rig_reopen(r);
	assert_int_equal(charged(r, &c), 0);
	rig_instance(&c, "i", 0);
	c.m.keys[0].amount = 2;
	assert_int_equal(charged(r, &c), 0);
	c.m.keys[0].amount = 5;
	assert_int_equal(charged(r, &c), 3);
	assert_int_equal(rig_sum(r, "bob"), 5);
}

static void
tag_without_instance(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 2, 10, 60);
	rig_instance(&c, "", 4711);
	assert_int_equal(charged(r, &c), 2);
	assert_int_equal(charged(r, &c), 0);
	rig_reopen(r);
	assert_int_equal(charged(r, &c), 0);
	rig_instance(&c, "", 4712);
	assert_int_equal(charged(r, &c), 2);
}

static void
total_of_the_instance(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "bob", 1, 10, 60);
	c.m.keys[0].kind = CHARGE_TOTAL;
	rig_instance(&c, "i", 1);
	assert_int_equal(charged(r, &c), 1);
	rig_instance(&c, "i", 2);
	assert_int_equal(charged(r, &c), 0);
	rig_instance(&c, "j", 3);
	assert_int_equal(charged(r, &c), 1);
	/* So with count_mode 0, and it is known when it is sent again. */
	c.m.mode = CHARGE_EACH;
	rig_instance(&c, "k", 4);
	assert_int_equal(charged(r, &c), 1);
	rig_instance(&c, "k", 5);
	assert_int_equal(charged(r, &c), 0);
	rig_reopen(r);
	assert_int_equal(charged(r, &c), 0);
}

/* --- count_mode 0 --- */

static void
refusal_takes_back(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;

	assert_int_equal(rig_one(r, "bob", 2, 5, 60), VERDICT_ACCEPTED);
	rig_charge(&c, "bob", 1, 5, 60);
	c.m.mode = CHARGE_EACH;
	for (i = 0; i < 3; i++) {
		rig_instance(&c, "i", 100 + i);
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
		r->now++;
	}
	assert_int_equal(rig_sum(r, "bob"), 5);
	rig_instance(&c, "i", 200);
	(void)rig_add(r, &c);
	/* In the same batch the room is there again. */
	rig_instance(&c, "j", 201);
	(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, r->next - 2)->verdict, VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, r->next - 1)->verdict, VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "bob"), 3);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 5, 60), 2);
	/* Sent again to the next ledger, it is known. */
	assert_int_equal(charged(r, &c), 0);
}

/* --- what was answered without the database --- */

/*
 * A taken-over engine may not reach beyond what is limited now: not into the
 * future, where a row would refuse for ever, nor where no window looks.
 */
static void
replay_dates_are_bounded(void **state)
{
	static const struct {
		int64_t	said;		/* from now */
		int64_t	recorded;
	} dates[] = {
		{ INT64_MAX - RIG_NOW, 0 }, { 251702300799, 0 }, { 1, 0 },
		{ -90000, -90000 }, { -100001, -100000 },
		{ 1 - RIG_NOW, -100000 }
	};
	struct rig		*r = *state;
	struct rig_charge	 c;
	char			 id[16];
	size_t			 i;

	for (i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		(void)snprintf(id, sizeof(id), "id%zu", i);
		rig_charge(&c, id, 4, 3, 100000);
		rig_instance(&c, "i", 0);
		c.m.mode = CHARGE_REPLAY;
		c.m.date = r->now + dates[i].said;
		assert_int_equal(charged(r, &c), 4);
		assert_int_equal(rig_sql(r, "SELECT date FROM mail_count"
		    " WHERE id = '%s'", id), r->now + dates[i].recorded);
	}
}

static void
replay_refuses_nothing(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	assert_int_equal(rig_room(r, "bob", 3, 60), 3);
	rig_charge(&c, "bob", 4, 3, 60);
	rig_instance(&c, "i", 0);
	c.m.mode = CHARGE_REPLAY;
	c.m.date = r->now - 30;
	assert_int_equal(charged(r, &c), 4);
	assert_int_equal(charged(r, &c), 0);
	assert_int_equal(rig_sum(r, "bob"), 7);
	assert_int_equal(rig_sql(r,
			     "SELECT sum(recipient_count) FROM mail_count"
			     " WHERE date = %lld",
			     (long long)r->now - 30),
	    4);
	assert_int_equal(rig_one(r, "bob", 1, 7, 60), VERDICT_REFUSED);
	r->now += 31;
	assert_int_equal(rig_one(r, "bob", 1, 4, 60), VERDICT_ACCEPTED);
}

static void
taken_back_once(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c, back;

	assert_int_equal(rig_one(r, "bob", 2, 5, 60), VERDICT_ACCEPTED);
	rig_charge(&c, "bob", 3, 5, 60);
	rig_instance(&c, "i", 0);
	assert_int_equal(charged(r, &c), 3);
	assert_int_equal(rig_one(r, "bob", 1, 5, 60), VERDICT_REFUSED);
	back = c;
	back.m.mode = CHARGE_BACK;
	back.m.date = r->now;
	rig_instance(&back, "i", 77);
	assert_int_equal(charged(r, &back), 3);
	assert_int_equal(charged(r, &back), 0);
	rig_reopen(r);
	assert_int_equal(charged(r, &back), 0);
	assert_int_equal(rig_sum(r, "bob"), 2);
	assert_int_equal(rig_room(r, "bob", 5, 60), 3);
	/* Asked again, it is charged again. */
	c.m.keys[0].limits.list[0].mails = 8;
	assert_int_equal(charged(r, &c), 3);
}

static void
deadline_that_passed(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 n;

	rig_charge(&c, "bob", 1, 10, 60);
	r->timeout = -1;
	n = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(rig_sum(r, "bob"), 0);
}

/* --- different values --- */

static int
see(struct rig *r, const char *value, int64_t mails, int64_t seconds)
{
	struct rig_charge	c;

	rig_charge(&c, "places:bob", 1, mails, seconds);
	c.m.keys[0].kind = CHARGE_DISTINCT;
	c.m.keys[0].value = value;
	c.m.keys[0].valuelen = strlen(value);
	return rig_ask(r, &c);
}

static void
distinct_values(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(see(r, "192.0.2.1", 2, 60), VERDICT_ACCEPTED);
	assert_int_equal(see(r, "192.0.2.2", 2, 60), VERDICT_ACCEPTED);
	assert_int_equal(see(r, "192.0.2.1", 2, 60), VERDICT_ACCEPTED);
	assert_int_equal(see(r, "192.0.2.3", 2, 60), VERDICT_REFUSED);
	r->now += 40;
	/* Seen again: it counts from now on. */
	assert_int_equal(see(r, "192.0.2.1", 2, 60), VERDICT_ACCEPTED);
	r->now += 21;
	assert_int_equal(see(r, "192.0.2.3", 2, 60), VERDICT_ACCEPTED);
	assert_int_equal(see(r, "192.0.2.2", 2, 60), VERDICT_REFUSED);
	rig_reopen(r);
	assert_int_equal(see(r, "192.0.2.2", 2, 60), VERDICT_REFUSED);
	assert_int_equal(see(r, "192.0.2.1", 2, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_sql(r,
			     "SELECT sum(recipient_count) FROM mail_count"
			     " WHERE id = 'places:bob' AND date >= %lld",
			     (long long)r->now - 60),
	    2);
}

static void
distinct_values_in_two_windows(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	rig_charge(&c, "places:bob", 1, 1, 60);
	rig_window(&c, 3, 3600);
	c.m.keys[0].kind = CHARGE_DISTINCT;
	c.m.keys[0].value = "a";
	c.m.keys[0].valuelen = 1;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	c.m.keys[0].value = "b";
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	r->now += 100;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	r->now += 100;
	/* New to the short window, not to the long one. */
	c.m.keys[0].value = "a";
	c.m.keys[0].limits.list[1].mails = 2;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	c.m.keys[0].value = "c";
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
}

static void
one_batch_of_values(void **state)
{
	static const char *const	value[] = { "a", "b", "a", "c", "b" };
	const int			wanted[] = { 0, 0, 0, 1, 0 };
	struct rig			*r = *state;
	struct rig_charge		c;
	uint64_t			i;

	for (i = 0; i < 5; i++) {
		rig_charge(&c, "places:bob", 1, 2, 60);
		c.m.keys[0].kind = CHARGE_DISTINCT;
		c.m.keys[0].value = value[i];
		c.m.keys[0].valuelen = 1;
		(void)rig_add(r, &c);
	}
	rig_run(r);
	for (i = 0; i < 5; i++)
		assert_int_equal(rig_answer(r, i)->verdict, wanted[i]);
}

/* --- the clock --- */

static void
clock_steps_back(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_room(r, "bob", 5, 60), 5);
	/* What seems to be recorded later than now counts. */
	r->now -= 7200;
	assert_int_equal(rig_room(r, "bob", 5, 60), 0);
	assert_int_equal(rig_room(r, "bob", 8, 60), 3);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 8, 60), 0);
	/* And goes its way when the time has come. */
	r->now += 7200 + 61;
	assert_int_equal(rig_room(r, "bob", 5, 60), 5);
}

static void
clean_by_a_clock_off_by(struct rig *r, int64_t off)
{
	struct store_kept	kept;
	int64_t			position = 0, deleted;

	r->now += off;
	/* So that the newest row stays. */
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	kept.first = r->now - 7200;
	kept.last = r->now + WINDOW_SKEW;
	r->now -= off;
	do
		assert_int_equal(store_clean(r->store, &kept, 100, &position,
		    &deleted), STORE_OK);
	while (position != -1);
}

/* What another daemon deletes by a wrong clock is in no cache afterwards. */
static void
others_clean_by_a_wrong_clock(void **state)
{
	const int64_t	 off[] = { 30 * 86400, -30 * 86400 };
	struct rig	*r = *state, *other = rig_beside(r);
	size_t		 i;

	rig_open(other);
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		assert_int_equal(rig_room(r, "bob", 5, 60), 5);
		clean_by_a_clock_off_by(other, off[i]);
		assert_int_equal(rig_sum(r, "bob"), 0);
	}
	assert_int_equal(rig_room(r, "bob", 5, 60), 5);
	rig_free(other);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(room_for_n_takes_n),
		TEST(one_batch_decides_in_order),
		TEST(restart_keeps_counts),
		TEST(all_keys_or_none),
		TEST(first_window_in_order_is_told),
		TEST(retry_after_looks_at_all_keys),
		TEST(soft_action_is_charged),
		TEST(soft_action_of_values),
		TEST(max_per_mail),
		TEST(mail_that_never_fits),
		TEST(nearest_window_is_told),
		TEST(shadow_never_refuses),
		TEST(warning_at_the_step_over),
		TEST(no_limits_no_refusal),
		TEST(retransmit_counts_twice),
		TEST(older_instance_is_charged_once),
		TEST(clock_goes_back_under_newer_rows),
		TEST(two_in_one_batch),
		TEST(recipients_then_data),
		TEST(tag_without_instance),
		TEST(total_of_the_instance),
		TEST(refusal_takes_back),
		TEST(replay_refuses_nothing),
		TEST(replay_dates_are_bounded),
		TEST(taken_back_once),
		TEST(deadline_that_passed),
		TEST(distinct_values),
		TEST(distinct_values_in_two_windows),
		TEST(one_batch_of_values),
		TEST(clock_steps_back),
		TEST(others_clean_by_a_wrong_clock)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("charges", tests, NULL, NULL);
	rig_end();
	return failed;
}
