#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/show.h"
#include "ctl/wrap.h"

/* The first of a rule's ids, which comes next, has most. */
static void
add_rule(struct str *out, const struct answer_record *r,
    const struct answer_record *most)
{
	int64_t	ids = answer_number(r, "refused_ids");
	int64_t	mails = answer_number(r, "refused");

	show_field(out, r, "rule", "", ": ");
	str_addf(out, "refuses %" PRId64 " of %" PRId64 " id%s", ids,
	    answer_number(r, "ids"), answer_number(r, "ids") == 1 ? "" : "s");
	if (ids > 0) {
		str_addf(out, ", %" PRId64 " mail%s, first ", mails,
		    mails == 1 ? "" : "s");
		show_time(out, answer_number(r, "first"), SHOW_SECOND);
		if (most != NULL)
			str_addf(out, ", most %s", answer_get(most, "id"));
	}
	str_addc(out, '\n');
}

static void
add_refused(struct str *out, const struct answer_record *r, bool narrow)
{
	const char	*id = answer_get(r, "id");
	char		 text[32];

	if (narrow)
		str_addf(out, "  %s\n    ", id);
	str_addf(out, narrow ? "%" PRId64 " of %" PRId64 " by %" PRId64
	    " in %s, " : "%10" PRId64 " of %8" PRId64 "  by %8" PRId64
	    " in %-8s  ", answer_number(r, "refused"),
	    answer_number(r, "total"), answer_number(r, "limit"),
	    show_period(answer_number(r, "seconds"), text, sizeof(text)));
	str_adds(out, "first ");
	show_time(out, answer_number(r, "first"), SHOW_SECOND);
	str_addf(out, "%s%s\n", narrow ? "" : "  ", narrow ? "" : id);
}

static void
add_window(struct str *out, const struct answer_record *r)
{
	int64_t	ids = answer_number(r, "ids"), over = answer_number(r, "over");
	int64_t	suggested = answer_number(r, "suggested");
	char	text[32];

	show_field(out, r, "rule", "", ": ");
	str_addf(out, "%" PRId64 " in %s: half of %" PRId64 " id%s had at most "
	    "%" PRId64 ", 99 %% at most %" PRId64 ", one had %" PRId64 "\n",
	    answer_number(r, "limit"), show_period(answer_number(r, "seconds"),
	    text, sizeof(text)), ids, ids == 1 ? "" : "s",
	    answer_number(r, "p50"), answer_number(r, "p99"),
	    answer_number(r, "max"));
	if (suggested == 0)
		str_adds(out, "    no limit would meet more than ");
	else
		str_addf(out, "    a limit of %" PRId64 " would meet ",
		    suggested);
	str_addf(out, "%" PRId64 " id%s\n", over, over == 1 ? "" : "s");
}

void
show_try(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r, *next;
	size_t				 i;

	str_addf(out, "rows: %" PRId64, answer_whole_number(a, "rows"));
	if (answer_whole_number(a, "ids") > 0) {
		str_adds(out, ", from ");
		show_time(out, answer_whole_number(a, "first"), SHOW_SECOND);
		str_adds(out, " to ");
		show_time(out, answer_whole_number(a, "last"), SHOW_SECOND);
	}
	str_addc(out, '\n');
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		next = i + 1 < a->nrecord && strcmp(r[1].kind, "refused") ==
		    0 ? &r[1] : NULL;
		if (strcmp(r->kind, "rules") == 0)
			add_rule(out, r, next);
		else if (strcmp(r->kind, "refused") == 0)
			add_refused(out, r, width < SHOW_NARROW);
		else if (strcmp(r->kind, "windows") == 0)
			add_window(out, r);
		else if (strcmp(r->kind, "skipped") == 0) {
			show_field(out, r, "rule", "", ": ");
			str_addf(out, "not tried: %s\n",
			    answer_get(r, "reason"));
		}
	}
	str_adds(out, "Mail that was refused left no rows: limits that are "
	    "looser cannot be judged.\n");
	wrap_lines(out, width);
}
