#include <inttypes.h>
#include <string.h>

#include "ctl/show.h"
#include "ctl/wrap.h"
#include "lib/width.h"

static bool
is_set(const struct answer_record *r, const char *name)
{
	return strcmp(answer_get(r, name), "1") == 0;
}

/* Adds " name VALUE" unless the value is empty. */
static void
add_field(struct str *out, const struct answer_record *r, const char *name,
    const char *before, const char *after)
{
	const char	*value = answer_get(r, name);

	if (*value != '\0')
		str_addf(out, "%s%s%s", before, value, after);
}

const char *
show_why_outcome(const struct answer_record *r)
{
	const char	*kind = answer_get(r, "kind");

	if (strcmp(kind, "block") == 0)
		return "blocked by ";
	if (is_set(r, "shadow"))
		return "would be refused: ";
	if (strcmp(kind, "over") == 0)
		return "over its limit, and taken: ";
	if (strcmp(kind, "max_per_mail") == 0)
		return "too much in one mail: ";
	return strcmp(kind, "lock") == 0 ? "locked: " : "refused: ";
}

static void
add_heading(struct str *out, const struct answer_record *r)
{
	int64_t	times = answer_number(r, "times");

	show_time(out, answer_number(r, "date"));
	str_addf(out, "  %s%s", show_why_outcome(r), answer_get(r, "id"));
	add_field(out, r, "rule", " (rule ", ")");
	if (times > 1)
		str_addf(out, ", and %" PRId64 " more", times - 1);
	str_addc(out, '\n');
}

static void
add_mail(struct str *out, const struct answer_record *r)
{
	int64_t	recipients = answer_number(r, "recipients");

	str_addf(out, "  from <%s>", answer_get(r, "sender"));
	add_field(out, r, "recipient", " to <", ">");
	if (recipients > 1)
		str_addf(out, " (recipients: %" PRId64 ")", recipients);
	add_field(out, r, "login", ", login ", "");
	str_addf(out, "\n  client %s", answer_get(r, "client"));
	add_field(out, r, "client_name", " (", ")");
	add_field(out, r, "state", ", ", "");
	add_field(out, r, "queue_id", ", queue id ", "");
	str_addc(out, '\n');
}

static void
add_windows(struct str *out, const struct answer *a,
    const struct answer_record *refusal)
{
	const struct answer_record	*r;
	int64_t				 number, seconds;
	char				 text[32];
	size_t				 i;

	number = answer_number(refusal, "number");
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "windows") != 0 ||
		    answer_number(r, "refusal") != number)
			continue;
		seconds = answer_number(r, "seconds");
		if (seconds == 0) {
			str_addf(out, "  %" PRId64 " in it, at most %" PRId64
			    " a mail\n", answer_number(refusal, "n"),
			    answer_number(r, "limit"));
			continue;
		}
		str_addf(out, "  %8" PRId64 " of %8" PRId64 " in %s",
		    answer_number(r, "used"), answer_number(r, "limit"),
		    show_period(seconds, text, sizeof(text)));
		if (is_set(r, "full"))
			str_addf(out, ": no room for %" PRId64,
			    answer_number(refusal, "n"));
		str_addc(out, '\n');
	}
}

static void
add_shared(struct str *out, const struct answer *a)
{
	const struct answer_record	*r;
	size_t				 i, n = 0;

	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "shared") != 0)
			continue;
		if (n++ == 0)
			str_addf(out, "\nwho was refused under %s:\n",
			    answer_get(r, "id"));
		str_addf(out, "  %8" PRId64 "  %s\n",
		    answer_number(r, "refused"), answer_get(r, "who"));
	}
}

/* A command is never broken, so that it can be pasted. */
static void
add_help(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*command, *does;
	size_t				 i, n = 0;

	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "help") != 0)
			continue;
		if (n++ == 0)
			str_adds(out, "\nwhat helps:\n");
		command = answer_get(r, "command");
		does = answer_get(r, "does");
		if (width_of(command) + width_of(does) + 6 <= width)
			str_addf(out, "  %s  # %s\n", command, does);
		else
			str_addf(out, "  # %s\n  %s\n", does, command);
	}
}

/* Appends the number of refusals, which is not known for everybody's. */
static void
add_end(struct str *out, const struct answer *a)
{
	const char	*refused = answer_whole(a, "refused");
	const char	*shown = answer_whole(a, "shown");
	const char	*days = answer_whole(a, "history");
	bool		 one = strcmp(days, "1") == 0;

	if (*refused != '\0')
		str_addf(out, "\n%s refused, %s would have been, in %s day%s; "
		    "the last %s %s shown\n", refused,
		    answer_whole(a, "would_refuse"), days, one ? "" : "s",
		    shown, strcmp(shown, "1") == 0 ? "is" : "are");
	else if (strcmp(shown, "0") == 0)
		str_addf(out, "no refusal in %s day%s\n", days,
		    one ? "" : "s");
}

void
show_why(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	size_t				 i;

	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "refusals") != 0)
			continue;
		add_heading(out, r);
		add_mail(out, r);
		add_windows(out, a, r);
	}
	add_end(out, a);
	add_shared(out, a);
	wrap_lines(out, width);
	add_help(out, a, width);
}
