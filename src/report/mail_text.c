#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/width.h"
#include "report/mail.h"

#define ID_COLUMNS	40	/* a longer id gets its own line */
#define ID_TEXT_MAX	400	/* bytes of an id that are shown */
#define LOGIN_TEXT_MAX	300	/* bytes of a login that are shown */
#define GAP		2	/* blanks between columns */

/* --- order --- */

static int
by_name(const void *x, const void *y)
{
	const struct mail_row	*a = x, *b = y;
	size_t			 len = a->idlen < b->idlen ? a->idlen :
				    b->idlen;
	int			 order;

	if ((order = strcmp(a->rule, b->rule)) != 0 ||
	    (order = memcmp(a->id, b->id, len)) != 0)
		return order;
	if (a->idlen != b->idlen)
		return a->idlen < b->idlen ? -1 : 1;
	return (a->seconds > b->seconds) - (a->seconds < b->seconds);
}

static int
by_hits(const void *a, const void *b)
{
	const struct mail_row	*x = a, *y = b;
	size_t			 i;

	for (i = 0; i < HIT_KIND__MAX; i++)
		if (x->hits[i] != y->hits[i])
			return x->hits[i] > y->hits[i] ? -1 : 1;
	return by_name(x, y);
}

/* the kind that by_kind sorts by: qsort(3) has no argument for it */
static enum hit_kind	sorted_kind;

/* Orders by hits of one kind, most first; for one table. */
static int
by_kind(const void *a, const void *b)
{
	const struct mail_row	*x = *(const struct mail_row *const *)a;
	const struct mail_row	*y = *(const struct mail_row *const *)b;
	int64_t			 m = x->hits[sorted_kind];
	int64_t			 n = y->hits[sorted_kind];

	if (m != n)
		return m > n ? -1 : 1;
	return by_name(x, y);
}

void
mail_text_sort(struct mail_hits *hits)
{
	struct mail_row	*rows = hits->rows, *row;
	size_t		 i, kind, n = 0;

	if (hits->nrows == 0)
		return;
	qsort(rows, hits->nrows, sizeof(*rows), by_name);
	for (i = 1; i < hits->nrows; i++) {
		row = &rows[n];
		if (by_name(row, &rows[i]) != 0) {
			rows[++n] = rows[i];
			continue;
		}
		for (kind = 0; kind < HIT_KIND__MAX; kind++)
			row->hits[kind] = num_add_clamp(row->hits[kind],
			    rows[i].hits[kind]);
		if (row->mails == 0)
			row->mails = rows[i].mails;
		free(rows[i].id);
		free(rows[i].rule);
	}
	hits->nrows = n + 1;
	qsort(rows, hits->nrows, sizeof(*rows), by_hits);
}

/* --- words --- */

static const struct {
	int64_t		 seconds;
	const char	*name;
} units[] = {
	{ 604800, "week" }, { 86400, "day" }, { 3600, "hour" },
	{ 60, "minute" }, { 1, "second" }
};

#define NUNITS	(sizeof(units) / sizeof(units[0]))

static void
add_limit(struct str *s, const struct mail_row *row)
{
	size_t	i;

	if (row->mails > 0)
		str_addf(s, "%" PRId64 " per ", row->mails);
	else
		str_adds(s, "? per ");
	/* max_per_mail has no window. */
	if (row->seconds == 0) {
		str_adds(s, "mail");
		return;
	}
	/* "day", "2 hours", "90 seconds": the largest unit that divides it. */
	for (i = 0; i + 1 < NUNITS; i++)
		if (row->seconds % units[i].seconds == 0)
			break;
	if (row->seconds == units[i].seconds)
		str_adds(s, units[i].name);
	else
		str_addf(s, "%" PRId64 " %ss", row->seconds / units[i].seconds,
		    units[i].name);
}

static void
add_since(struct str *s, const struct mail *mail)
{
	struct tm	tm;
	time_t		last = (time_t)mail->hits->last;
	int64_t		n, left = mail->now - mail->hits->last;
	char		text[64];
	size_t		i, said = 0;

	if (mail->hits->last <= 0 || mail->hits->last > mail->now ||
	    gmtime_r(&last, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm) == 0) {
		str_adds(s, "so far");
		return;
	}
	str_addf(s, "since %s (", text);
	/* "3 days 2 hours": the two largest units. */
	for (i = 0; i < NUNITS && said < 2; i++) {
		n = left / units[i].seconds;
		left -= n * units[i].seconds;
		if (n == 0 && (said > 0 || i + 1 < NUNITS)) {
			said += said > 0;
			continue;
		}
		str_addf(s, "%s%" PRId64 " %s%s", said > 0 ? " " : "", n,
		    units[i].name, n == 1 ? "" : "s");
		said++;
	}
	str_adds(s, ")");
}

/* --- the table --- */

/* "rule:id" or "id", printable. */
static void
name_row(const struct mail_row *row, char *text, size_t size)
{
	size_t	len;

	*text = '\0';
	if (*row->rule != '\0') {
		str_printable(text, size / 2, row->rule, strlen(row->rule));
		strlcat(text, ":", size);
	}
	len = strlen(text);
	str_printable(text + len, size - len, row->id, row->idlen);
}

static void
add_times(struct str *s, char c, size_t n)
{
	while (n-- > 0)
		str_addc(s, c);
}

/* The rows with hits of one kind, most first. */
struct table {
	enum hit_kind		  kind;
	const struct mail_row	**rows;
	size_t			  nrows;
	size_t			  nshown;
	int64_t			  sum;		/* of all hits */
	size_t			  id;		/* widths of columns */
	size_t			  limit;
	size_t			  hits;
};

/* What a hit is called; the plural is the head of the column. */
static const char *const	words[HIT_KIND__MAX] = {
	[HIT_FULL] = "hit", [HIT_NEAR] = "warning",
	[HIT_SHADOW] = "refusal", [HIT_LOCK] = "lock"
};

static void
widen(size_t *column, size_t width, size_t most)
{
	if (width > *column && width <= most)
		*column = width;
}

static void
pick(struct table *t, const struct mail *mail, enum hit_kind kind)
{
	struct str	limit;
	char		id[ID_TEXT_MAX], hits[24];
	size_t		i;

	memset(t, 0, sizeof(*t));
	t->kind = kind;
	t->rows = alloc_zero(mail->hits->nrows + 1, sizeof(*t->rows));
	for (i = 0; i < mail->hits->nrows; i++) {
		if (mail->hits->rows[i].hits[kind] == 0)
			continue;
		t->rows[t->nrows++] = &mail->hits->rows[i];
		t->sum = num_add_clamp(t->sum, mail->hits->rows[i].hits[kind]);
	}
	sorted_kind = kind;
	qsort(t->rows, t->nrows, sizeof(*t->rows), by_kind);
	t->nshown = t->nrows < MAIL_TABLE_MAX ? t->nrows : MAIL_TABLE_MAX;
	t->id = strlen("id");
	t->limit = strlen("limit");
	t->hits = strlen(words[t->kind]) + 1;
	str_init(&limit);
	for (i = 0; i < t->nshown; i++) {
		name_row(t->rows[i], id, sizeof(id));
		widen(&t->id, width_of(id), ID_COLUMNS);
		limit.len = 0;
		add_limit(&limit, t->rows[i]);
		widen(&t->limit, limit.len, SIZE_MAX);
		snprintf(hits, sizeof(hits), "%" PRId64,
		    t->rows[i]->hits[t->kind]);
		widen(&t->hits, strlen(hits), SIZE_MAX);
	}
	str_clear(&limit);
}

static void
add_cells(struct str *s, const struct table *t, const char *id,
    const char *limit, const char *hits)
{
	size_t	width = width_of(id);

	str_adds(s, id);
	if (width > t->id) {
		str_addc(s, '\n');
		width = 0;
	}
	add_times(s, ' ', t->id - width + GAP);
	str_adds(s, limit);
	add_times(s, ' ', t->limit - strlen(limit) + GAP);
	add_times(s, ' ', t->hits - strlen(hits));
	str_adds(s, hits);
	str_addc(s, '\n');
}

static void
add_table(struct str *s, const struct table *t)
{
	struct str	limit;
	char		id[ID_TEXT_MAX], hits[24];
	size_t		i;

	str_addc(s, '\n');
	snprintf(hits, sizeof(hits), "%ss", words[t->kind]);
	add_cells(s, t, "id", "limit", hits);
	add_times(s, '-', t->id);
	add_times(s, ' ', GAP);
	add_times(s, '-', t->limit);
	add_times(s, ' ', GAP);
	add_times(s, '-', t->hits);
	str_addc(s, '\n');
	str_init(&limit);
	for (i = 0; i < t->nshown; i++) {
		name_row(t->rows[i], id, sizeof(id));
		limit.len = 0;
		add_limit(&limit, t->rows[i]);
		snprintf(hits, sizeof(hits), "%" PRId64,
		    t->rows[i]->hits[t->kind]);
		add_cells(s, t, id, limit.data, hits);
	}
	str_clear(&limit);
	if (t->nrows > t->nshown)
		str_addf(s, "\n%zu more %s in the attached table.\n",
		    t->nrows - t->nshown, t->nrows - t->nshown == 1 ? "is" :
		    "are");
}

/* "7 hits on 2 limits" */
static void
add_sum(struct str *s, const struct table *t)
{
	str_addf(s, "%" PRId64 " %s%s on %zu limit%s", t->sum, words[t->kind],
	    t->sum == 1 ? "" : "s", t->nrows, t->nrows == 1 ? "" : "s");
}

/* A part of its own, if there are hits of this kind. */
static void
add_part(struct str *s, const struct mail *mail, enum hit_kind kind,
    const char *heading)
{
	struct table	t;

	pick(&t, mail, kind);
	if (t.nrows > 0) {
		str_addf(s, "\n%s: ", heading);
		add_sum(s, &t);
		str_adds(s, ".\n");
		add_table(s, &t);
	}
	free(t.rows);
}

/* Client addresses and senders with most refusals, for each id. */
static void
add_evidence(struct str *s, const struct mail *mail)
{
	static const char *const	 heads[EVIDENCE__MAX] = {
		[EVIDENCE_CLIENT] = "clients", [EVIDENCE_SENDER] = "senders"
	};
	const struct mail_evidence	*e, *last = NULL;
	char				 text[ID_TEXT_MAX];
	size_t				 i;

	if (mail->hits->nevidence == 0)
		return;
	str_adds(s, "\nWhere the refused mail came from:\n");
	for (i = 0; i < mail->hits->nevidence; i++, last = e) {
		e = &mail->hits->evidence[i];
		if (last == NULL || strcmp(e->of.rule, last->of.rule) != 0 ||
		    e->of.idlen != last->of.idlen ||
		    memcmp(e->of.id, last->of.id, e->of.idlen) != 0) {
			name_row(&e->of, text, sizeof(text));
			str_addf(s, "%s\n%s", i > 0 ? "\n" : "", text);
			last = NULL;
		}
		/* It was made printable when it was kept. */
		str_printable_again(text, sizeof(text), e->value, e->len);
		if (last == NULL || last->kind != e->kind)
			str_addf(s, "\n  %s  ", heads[e->kind]);
		else
			str_adds(s, ", ");
		str_addf(s, "%s (%" PRId64 ")", text, e->times);
	}
	str_addc(s, '\n');
}

void
mail_text_add(struct str *s, const struct mail *mail)
{
	struct table	full;
	char		login[ID_TEXT_MAX];
	size_t		i;

	pick(&full, mail, HIT_FULL);
	str_addf(s, "%s: ", mail->host);
	if (full.nrows == 0)
		str_adds(s, "no limit was hit");
	else
		add_sum(s, &full);
	str_addc(s, ' ');
	add_since(s, mail);
	str_adds(s, ".\n");
	if (full.nrows > 0)
		add_table(s, &full);
	add_part(s, mail, HIT_LOCK, "Locked");
	add_part(s, mail, HIT_NEAR, "Came near a limit");
	add_part(s, mail, HIT_SHADOW, "Rules in shadow would have refused");
	add_evidence(s, mail);
	/* The logins of report_user that were too many to be told of it. */
	if (mail->hits->nuntold > 0)
		str_adds(s, "\nNot told by mail, since many others were at the "
		    "same time:\n\n");
	for (i = 0; i < mail->hits->nuntold; i++)
		str_addf(s, "%s\n", str_printable(login, sizeof(login),
		    mail->hits->untold[i].id, mail->hits->untold[i].idlen));
	if (mail->hits->later > 0)
		str_addf(s, "\n%zu more %s left for the next report.\n",
		    mail->hits->later, mail->hits->later == 1 ? "is" : "are");
	free(full.rows);
}

/* --- the mail of report_user --- */

static const struct {
	const char	*subject;
	const char	*what;		/* behind "The account X " */
	const char	*then;
} notices[HIT_KIND__MAX] = {
	[HIT_FULL] = { "Limit on outgoing mail reached",
	    "has reached its limit on outgoing mail",
	    "Mail beyond it is refused for now." },
	[HIT_NEAR] = { "Limit on outgoing mail nearly reached",
	    "comes near its limit on outgoing mail",
	    "Mail beyond it will be refused for some time." },
	[HIT_SHADOW] = { "", "", "" },
	[HIT_LOCK] = { "Account locked for outgoing mail",
	    "is locked for outgoing mail",
	    "Ask the administrator of the mail server to open it again." }
};

const char *
mail_notice_subject(enum hit_kind kind)
{
	return notices[kind].subject;
}

void
mail_notice_add(struct str *s, const char *host, enum hit_kind kind,
    const struct mail_row *row)
{
	char	login[LOGIN_TEXT_MAX];

	str_printable(login, sizeof(login), row->id, row->idlen);
	str_addf(s, "The account %s of the mail server %s %s", login, host,
	    notices[kind].what);
	if (kind != HIT_LOCK && row->mails > 0) {
		str_adds(s, ": ");
		add_limit(s, row);
	}
	str_addf(s, ".\n%s\n\n"
	    "If you did not send that much, somebody else may know the "
	    "password of the\naccount: change it, and tell the administrator "
	    "of the mail server.\n\n"
	    "This message was written by a program. There is at most one a "
	    "day.\n", notices[kind].then);
}

/* --- for programs --- */

static void
add_csv_text(struct str *s, const char *bytes, size_t len)
{
	char	*text, *p;
	size_t	 size = len * 4 + 8;

	text = alloc_zero(size, 1);
	str_printable(text, size, bytes, len);
	str_addc(s, '"');
	/* A spreadsheet would take these for a formula. */
	if (*text != '\0' && strchr("=+-@", *text) != NULL)
		str_addc(s, '\'');
	for (p = text; *p != '\0'; p++) {
		if (*p == '"')
			str_addc(s, '"');
		str_addc(s, *p);
	}
	str_addc(s, '"');
	free(text);
}

void
mail_text_add_csv(struct str *s, const struct mail *mail)
{
	const struct mail_row	*row;
	enum hit_kind		 kind;
	size_t			 i;

	str_adds(s, "rule,id,mails,seconds,hits,warnings,shadow,locks\n");
	for (i = 0; i < mail->hits->nrows; i++) {
		row = &mail->hits->rows[i];
		add_csv_text(s, row->rule, strlen(row->rule));
		str_addc(s, ',');
		add_csv_text(s, row->id, row->idlen);
		if (row->mails > 0)
			str_addf(s, ",%" PRId64, row->mails);
		else
			str_addc(s, ',');
		str_addf(s, ",%" PRId64, row->seconds);
		for (kind = 0; kind < HIT_KIND__MAX; kind++)
			str_addf(s, ",%" PRId64, row->hits[kind]);
		str_addc(s, '\n');
	}
}
