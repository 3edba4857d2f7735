#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/show.h"
#include "ctl/wrap.h"

static void
add_when(struct str *out, int64_t when)
{
	time_t		 t = (time_t)when;
	struct tm	 tm;
	char		 text[40];

	if (localtime_r(&t, &tm) != NULL && strftime(text, sizeof(text),
	    "%Y-%m-%d %H:%M:%S", &tm) > 0)
		str_adds(out, text);
}

static int64_t
whole(const struct answer *a, const char *name)
{
	size_t	i;

	for (i = 0; i < a->nrecord; i++)
		if (a->record[i].kind[0] == '\0' &&
		    answer_get(&a->record[i], name)[0] != '\0')
			return answer_number(&a->record[i], name);
	return 0;
}

static void
add_rule_name(struct str *out, const struct answer_record *r)
{
	if (answer_get(r, "rule")[0] != '\0')
		str_addf(out, "%s: ", answer_get(r, "rule"));
}

/* The first of a rule's ids, which comes next, has most. */
static void
add_rule(struct str *out, const struct answer_record *r,
    const struct answer_record *most)
{
	int64_t	ids = answer_number(r, "refused_ids");
	int64_t	mails = answer_number(r, "refused");

	add_rule_name(out, r);
	str_addf(out, "refuses %" PRId64 " of %" PRId64 " id%s", ids,
	    answer_number(r, "ids"), answer_number(r, "ids") == 1 ? "" : "s");
	if (ids > 0) {
		str_addf(out, ", %" PRId64 " mail%s, first ", mails,
		    mails == 1 ? "" : "s");
		add_when(out, answer_number(r, "first"));
		if (most != NULL)
			str_addf(out, ", most %s", answer_get(most, "id"));
	}
	str_addc(out, '\n');
}

static void
add_refused(struct str *out, const struct answer_record *r, size_t width)
{
	char	text[32];

	if (width < SHOW_NARROW) {
		str_addf(out, "  %s\n    %" PRId64 " of %" PRId64 " by %" PRId64
		    " in %s, first ", answer_get(r, "id"),
		    answer_number(r, "refused"), answer_number(r, "total"),
		    answer_number(r, "limit"), show_period(answer_number(r,
		    "seconds"), text, sizeof(text)));
		add_when(out, answer_number(r, "first"));
		str_addc(out, '\n');
		return;
	}
	str_addf(out, "%10" PRId64 " of %8" PRId64,
	    answer_number(r, "refused"), answer_number(r, "total"));
	str_addf(out, "  by %8" PRId64 " in %-8s", answer_number(r, "limit"),
	    show_period(answer_number(r, "seconds"), text, sizeof(text)));
	str_addf(out, "  %s ", "first");
	add_when(out, answer_number(r, "first"));
	str_addf(out, "  %s\n", answer_get(r, "id"));
}

static void
add_window(struct str *out, const struct answer_record *r)
{
	int64_t	over = answer_number(r, "over");
	char	text[32];

	add_rule_name(out, r);
	str_addf(out, "%" PRId64 " in %s: half of %" PRId64 " id%s had at most "
	    "%" PRId64 ", 99 %% at most %" PRId64 ", one had %" PRId64 "\n",
	    answer_number(r, "limit"), show_period(answer_number(r, "seconds"),
	    text, sizeof(text)), answer_number(r, "ids"),
	    answer_number(r, "ids") == 1 ? "" : "s", answer_number(r, "p50"),
	    answer_number(r, "p99"), answer_number(r, "max"));
	if (answer_number(r, "suggested") == 0) {
		str_addf(out, "    no limit would meet more than %" PRId64
		    " id%s\n", over, over == 1 ? "" : "s");
		return;
	}
	str_addf(out, "    a limit of %" PRId64 " would meet %" PRId64
	    " id%s\n", answer_number(r, "suggested"), over,
	    over == 1 ? "" : "s");
}

void
show_try(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r, *next;
	size_t				 i;

	str_addf(out, "rows: %" PRId64, whole(a, "rows"));
	if (whole(a, "ids") > 0) {
		str_adds(out, ", from ");
		add_when(out, whole(a, "first"));
		str_adds(out, " to ");
		add_when(out, whole(a, "last"));
	}
	str_addc(out, '\n');
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		next = i + 1 < a->nrecord && strcmp(r[1].kind, "refused") ==
		    0 ? &r[1] : NULL;
		if (strcmp(r->kind, "rules") == 0)
			add_rule(out, r, next);
		else if (strcmp(r->kind, "refused") == 0)
			add_refused(out, r, width);
		else if (strcmp(r->kind, "windows") == 0)
			add_window(out, r);
		else if (strcmp(r->kind, "skipped") == 0) {
			add_rule_name(out, r);
			str_addf(out, "not tried: %s\n",
			    answer_get(r, "reason"));
		}
	}
	str_adds(out, "Mail that was refused left no rows: limits that are "
	    "looser cannot be judged.\n");
	wrap_lines(out, width);
}
