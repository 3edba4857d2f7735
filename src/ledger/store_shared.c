#include <stdlib.h>
#include <string.h>

#include "ledger/store_shared.h"
#include "lib/alloc.h"

#define HOUR	3600
#define DAY	86400

/* --- parameters --- */

static void
put_number(struct store_call *c, int64_t number)
{
	c->param[c->nparam++].number = number;
}

static void
put_text(struct store_call *c, const char *text, size_t len)
{
	c->param[c->nparam].text = text != NULL ? text : "";
	c->param[c->nparam++].len = len;
}

/* A statement whose only parameter is a number. */
static enum store_result
run_with(struct store *s, enum store_frame frame, struct store_call *c,
    int64_t number)
{
	put_number(c, number);
	return store_execute(s, frame, c, 1);
}

/* Runs a list that was allocated, and frees it. */
static enum store_result
run_list(struct store *s, enum store_frame frame, struct store_call *list,
    size_t n)
{
	enum store_result	result = store_execute(s, frame, list, n);

	free(list);
	return result;
}

/* Where the rows of a result go. */
struct reader {
	union {
		void	(*hit)(void *, const char *, size_t, int64_t, int64_t);
		void	(*login)(void *, const char *, size_t);
		void	(*refusal)(void *, const struct store_refusal *);
		void	(*override)(void *, const struct override *);
		void	(*pair)(void *, const struct habit_entry *);
	}	 each;
	void	*arg;
};

void
store_line_row(const struct store_line *line, int column,
    struct store_row *row)
{
	row->date = store_line_number(line, column);
	row->amount = store_line_number(line, column + 1);
	row->instance = store_line_text(line, column + 2, &row->instancelen);
	/* The older program's word for a row without one. */
	if (row->instance == NULL || (row->instancelen == 5 &&
	    memcmp(row->instance, "empty", 5) == 0)) {
		row->instance = "";
		row->instancelen = 0;
	}
	row->tag = store_line_number(line, column + 3);
	row->state = "";
	row->statelen = 0;
}

/* --- numbers --- */

static void
take_number(const struct store_line *line, void *arg)
{
	int64_t	*out = arg;

	*out = store_line_number(line, 0);
}

enum store_result
store_number(struct store *s, const char *name, int64_t *out)
{
	struct store_call	c = { .statement = NUMBER,
				    .each = take_number, .arg = out };

	*out = 0;
	put_text(&c, name, strlen(name));
	return store_execute(s, STORE_READS, &c, 1);
}

enum store_result
store_set_number(struct store *s, const char *name, int64_t value)
{
	struct store_call	c = { .statement = SET_NUMBER };

	put_text(&c, name, strlen(name));
	return run_with(s, STORE_WRITES, &c, value);
}

enum store_result
store_first_number(struct store *s, const char *name, int64_t *value)
{
	struct store_call	c[2] = {
		{ .statement = FIRST_NUMBER },
		{ .statement = NUMBER, .each = take_number, .arg = value }
	};

	put_text(&c[0], name, strlen(name));
	put_number(&c[0], *value);
	put_text(&c[1], name, strlen(name));
	return store_execute(s, STORE_WRITES, c, 2);
}

/* --- hits --- */

static void
take_hit(const struct store_line *line, void *arg)
{
	const struct reader	*r = arg;
	const char		*id;
	size_t			 len;

	if ((id = store_line_text(line, 0, &len)) != NULL)
		r->each.hit(r->arg, id, len, store_line_number(line, 1),
		    store_line_number(line, 2));
}

enum store_result
store_hits(struct store *s, enum hit_kind kind, void (*each)(void *,
    const char *, size_t, int64_t, int64_t), void *arg)
{
	struct reader		r = { { .hit = each }, arg };
	const struct store_call	c = {
		.statement = (enum store_statement)(HITS + (int)kind),
		.each = take_hit, .arg = &r
	};

	return store_execute(s, STORE_READS, &c, 1);
}

enum store_result
store_hits_forget(struct store *s, enum hit_kind kind, const char *id,
    size_t idlen, int64_t seconds, int64_t hits)
{
	struct store_call	c[2] = {
		{ .statement = (enum store_statement)(HITS_LESS + (int)kind) },
		{ .statement = (enum store_statement)(HITS_GONE + (int)kind) }
	};
	size_t			i;

	put_number(&c[0], hits);
	for (i = 0; i < 2; i++) {
		put_text(&c[i], id, idlen);
		put_number(&c[i], seconds);
	}
	return store_execute(s, STORE_WRITES, c, 2);
}

/* --- report_user --- */

static void
take_claim(const struct store_line *line, void *arg)
{
	struct store_notice	*notice = arg;

	notice->claim = store_line_number(line, 0) == 1 ? STORE_NOTICE_OURS :
	    STORE_NOTICE_LEFT;
}

/*
 * The number is locked until the commit: daemons claim one after the other. A
 * login is claimed by the row that NOTICE_CLAIM makes or replaces, with a
 * number of this call.
 */
enum store_result
store_claim_notices(struct store *s, struct store_notice *list, size_t n,
    int64_t now)
{
	struct store_call	*calls, *c;
	int64_t			 claim;
	size_t			 i;

	arc4random_buf(&claim, sizeof(claim));
	c = calls = alloc_zero(2 + 2 * n, sizeof(*calls));
	c->statement = SET_NUMBER;
	put_text(c, "notices", strlen("notices"));
	put_number(c++, now);
	c->statement = NOTICE_CLEAN;
	put_number(c, now - DAY);
	put_number(c++, now + DAY);
	for (i = 0; i < n; i++) {
		list[i].claim = STORE_NOTICE_NOT;
		c->statement = NOTICE_CLAIM;
		put_text(c, list[i].login, list[i].len);
		put_number(c, now);
		put_number(c, STORE_NOTICES_MAX);
		put_number(c, now - HOUR);
		put_number(c++, claim);
		c->statement = NOTICE_OF;
		c->each = take_claim;
		c->arg = &list[i];
		put_text(c, list[i].login, list[i].len);
		put_number(c++, claim);
	}
	return run_list(s, STORE_WRITES, calls, (size_t)(c - calls));
}

static void
take_login(const struct store_line *line, void *arg)
{
	const struct reader		*r = arg;
	const char			*login;
	size_t				 len;

	if ((login = store_line_text(line, 0, &len)) != NULL)
		r->each.login(r->arg, login, len);
}

enum store_result
store_left_notices(struct store *s, int64_t now,
    void (*each)(void *, const char *, size_t), void *arg)
{
	struct reader		r = { { .login = each }, arg };
	struct store_call	c = { .statement = NOTICES_LEFT,
				    .each = take_login, .arg = &r };

	return run_with(s, STORE_READS, &c, now);
}

enum store_result
store_forget_left(struct store *s, int64_t now)
{
	struct store_call	c = { .statement = NOTICES_DONE };

	return run_with(s, STORE_WRITES, &c, now);
}

/* --- refusals --- */

enum store_result
store_add_refusals(struct store *s, const struct store_refusal *list, size_t n,
    int64_t *added)
{
	struct store_call	*c = alloc_zero(n, sizeof(*c));
	size_t			 i, j;

	*added = 0;
	for (i = 0; i < n; i++) {
		c[i].statement = REFUSAL_NEW;
		c[i].changes = added;
		for (j = 0; j < STORE_REFUSAL_NUMBERS; j++)
			put_number(&c[i], list[i].number[j]);
		for (j = 0; j < STORE_REFUSAL_TEXTS; j++)
			put_text(&c[i], list[i].text[j], list[i].len[j]);
	}
	return run_list(s, STORE_WRITES_LIGHTLY, c, n);
}

static void
take_refusal(const struct store_line *line, void *arg)
{
	const struct reader		*reader = arg;
	struct store_refusal		 r;
	int				 i;

	for (i = 0; i < STORE_REFUSAL_NUMBERS; i++)
		r.number[i] = store_line_number(line, i);
	for (i = 0; i < STORE_REFUSAL_TEXTS; i++) {
		r.text[i] = store_line_text(line, STORE_REFUSAL_NUMBERS + i,
		    &r.len[i]);
		if (r.text[i] == NULL)
			r.text[i] = "";
	}
	reader->each.refusal(reader->arg, &r);
}

enum store_result
store_refusals(struct store *s, const struct store_page *page,
    void (*each)(void *, const struct store_refusal *), void *arg)
{
	struct reader		r = { { .refusal = each }, arg };
	struct store_call	c = {
		.statement = page->id != NULL ? REFUSALS_OF : REFUSALS,
		.each = take_refusal, .arg = &r
	};

	put_number(&c, page->date);
	put_number(&c, page->date);
	put_number(&c, page->number);
	put_number(&c, page->since);
	if (page->id != NULL)
		put_text(&c, page->id, page->idlen);
	return run_with(s, STORE_READS, &c, (int64_t)page->max);
}

enum store_result
store_clean_refusals(struct store *s, const struct store_kept *kept,
    size_t max, int64_t *deleted)
{
	struct store_call	c = { .statement = TRIM_REFUSALS,
				    .changes = deleted };
	enum store_result	result;

	*deleted = 0;
	if (kept != NULL) {
		c.statement = REFUSALS_OLD;
		put_number(&c, kept->first);
		put_number(&c, kept->last);
	}
	result = run_with(s, STORE_WRITES_LIGHTLY, &c, (int64_t)max);
	if (result != STORE_OK || kept != NULL || *deleted > 0)
		return result;
	c.statement = TRIM_OLDEST;
	return store_execute(s, STORE_WRITES_LIGHTLY, &c, 1);
}

enum store_result
store_count_refusals(struct store *s, int64_t *count)
{
	const struct store_call	c = { .statement = REFUSALS_COUNT,
				    .each = take_number, .arg = count };

	*count = 0;
	return store_execute(s, STORE_READS, &c, 1);
}

/* --- overrides --- */

static void
take_override(const struct store_line *line, void *arg)
{
	const struct reader		*r = arg;
	struct override			 o;
	int64_t				 kind = store_line_number(line, 1);

	o.id = store_line_text(line, 0, &o.idlen);
	o.kind = kind >= 0 && kind < OVERRIDE__MAX ? (uint8_t)kind :
	    OVERRIDE__MAX;
	o.amount = store_line_number(line, 2);
	o.until = store_line_number(line, 3);
	o.since = store_line_number(line, 4);
	o.who = store_line_text(line, 5, &o.wholen);
	o.reason = store_line_text(line, 6, &o.reasonlen);
	if (o.id != NULL && o.who != NULL && o.reason != NULL)
		r->each.override(r->arg, &o);
}

enum store_result
store_overrides(struct store *s, bool batch, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	struct reader		r = { { .override = each }, arg };
	struct store_call	c = { .statement = OVERRIDES,
				    .each = take_override, .arg = &r };

	return run_with(s, batch ? STORE_BATCH_READS : STORE_READS, &c, now);
}

enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	const struct override	*o;
	struct store_call	*c;
	size_t			 i;

	if (n == 0)
		return STORE_OK;
	c = alloc_zero(n, sizeof(*c));
	for (i = 0; i < n; i++) {
		o = &list[i];
		c[i].statement = o->until > now ? OVERRIDE_NEW : OVERRIDE_GONE;
		put_text(&c[i], o->id, o->idlen);
		put_number(&c[i], o->kind);
		if (o->until <= now)
			continue;
		put_number(&c[i], o->amount);
		put_number(&c[i], o->until);
		put_number(&c[i], o->since);
		put_text(&c[i], o->who, o->wholen);
		put_text(&c[i], o->reason, o->reasonlen);
	}
	return run_list(s, STORE_BATCH_WRITES, c, n);
}

enum store_result
store_clean_overrides(struct store *s, int64_t before)
{
	struct store_call	c = { .statement = OVERRIDE_CLEAN };

	return run_with(s, STORE_WRITES, &c, before);
}

enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	struct store_call	c = { .statement = VALUES_GONE };

	put_text(&c, id, idlen);
	return store_execute(s, STORE_BATCH_WRITES, &c, 1);
}

/* --- pairs --- */

static void
take_pair(const struct store_line *line, void *arg)
{
	const struct reader		*r = arg;
	const struct habit_entry	 e = {
		.hash = (uint64_t)store_line_number(line, 0),
		.pair = { .first = store_line_number(line, 1),
		    .last = store_line_number(line, 2) }
	};

	r->each.pair(r->arg, &e);
}

enum store_result
store_pairs(struct store *s, int64_t who, enum store_pair_kind kind,
    void (*each)(void *, const struct habit_entry *), void *arg)
{
	struct reader		r = { { .pair = each }, arg };
	struct store_call	c = { .statement = PAIRS, .each = take_pair,
				    .arg = &r };

	put_number(&c, who);
	return run_with(s, STORE_READS, &c, kind);
}

static enum store_result
write_pairs(struct store *s, enum store_statement statement,
    const struct store_pair *list, size_t n)
{
	struct store_call	*c;
	size_t			 i;

	if (n == 0)
		return STORE_OK;
	c = alloc_zero(n, sizeof(*c));
	for (i = 0; i < n; i++) {
		c[i].statement = statement;
		put_number(&c[i], list[i].who);
		put_number(&c[i], list[i].kind);
		put_number(&c[i], list[i].what);
		if (statement == LEARN) {
			put_number(&c[i], list[i].known.first);
			put_number(&c[i], list[i].known.last);
		}
	}
	return run_list(s, STORE_WRITES, c, n);
}

enum store_result
store_set_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	return write_pairs(s, LEARN, list, n);
}

enum store_result
store_drop_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	return write_pairs(s, PAIR_GONE, list, n);
}

enum store_result
store_forget_pairs(struct store *s, int64_t who, int64_t since, int64_t *n)
{
	struct store_call	c = { .statement = PAIRS_FORGOTTEN,
				    .changes = n };

	*n = 0;
	put_number(&c, who);
	return run_with(s, STORE_WRITES, &c, since);
}

enum store_result
store_clean_pairs(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *who, int64_t *deleted)
{
	int64_t			last = INT64_MAX;
	struct store_call	end = { .statement = CLEAN_PAIRS_END,
				    .each = take_number, .arg = &last };
	struct store_call	c = { .statement = CLEAN_PAIRS,
				    .changes = deleted };
	enum store_result	result;

	*deleted = 0;
	put_number(&end, *who);
	result = run_with(s, STORE_READS, &end, (int64_t)max - 1);
	if (result != STORE_OK)
		return result;
	put_number(&c, *who);
	put_number(&c, last);
	put_number(&c, kept->first);
	result = run_with(s, STORE_WRITES_LIGHTLY, &c, kept->last);
	if (result == STORE_OK)
		*who = last;
	return result;
}
