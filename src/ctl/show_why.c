#include <inttypes.h>
#include <string.h>

#include "ctl/show.h"
#include "ctl/wrap.h"
#include "lib/width.h"

const char *
show_why_outcome(const struct answer_record *r)
{
	const char	*kind = answer_get(r, "kind");

	if (strcmp(kind, "block") == 0)
		return "blocked by ";
	if (answer_is(r, "shadow"))
		return "would be refused: ";
	if (strcmp(kind, "over") == 0)
		return "over its limit, and taken: ";
	if (strcmp(kind, "max_per_mail") == 0)
		return "too much in one mail: ";
	return strcmp(kind, "lock") == 0 ? "locked: " : "refused: ";
}

static void
add_mail(struct str *out, const struct answer_record *r)
{
	int64_t	times = answer_number(r, "times");
	int64_t	recipients = answer_number(r, "recipients");

	show_time(out, answer_number(r, "date"), SHOW_MINUTE);
	str_addf(out, "  %s%s", show_why_outcome(r), answer_get(r, "id"));
	show_field(out, r, "rule", " (rule ", ")");
	if (times > 1)
		str_addf(out, ", and %" PRId64 " more", times - 1);
	str_addf(out, "\n  from <%s>", answer_get(r, "sender"));
	show_field(out, r, "recipient", " to <", ">");
	if (recipients > 1)
		str_addf(out, " (recipients: %" PRId64 ")", recipients);
	show_field(out, r, "login", ", login ", "");
	str_addf(out, "\n  client %s", answer_get(r, "client"));
	show_field(out, r, "client_name", " (", ")");
	show_field(out, r, "state", ", ", "");
	show_field(out, r, "queue_id", ", queue id ", "");
	str_addc(out, '\n');
}

static void
add_windows(struct str *out, const struct answer *a,
    const struct answer_record *refusal)
{
	const struct answer_record	*r;
	int64_t				 n = answer_number(refusal, "n");
	int64_t				 seconds;
	char				 text[32];
	size_t				 i = 0;

	while ((r = answer_next(a, "windows", &i)) != NULL) {
		if (answer_number(r, "refusal") != answer_number(refusal,
		    "number"))
			continue;
		seconds = answer_number(r, "seconds");
		if (seconds == 0) {
			str_addf(out, "  %" PRId64 " in it, at most %" PRId64
			    " a mail\n", n, answer_number(r, "limit"));
			continue;
		}
		str_addf(out, "  %8" PRId64 " of %8" PRId64 " in %s",
		    answer_number(r, "used"), answer_number(r, "limit"),
		    show_period(seconds, text, sizeof(text)));
		if (answer_is(r, "full"))
			str_addf(out, ": no room for %" PRId64, n);
		str_addc(out, '\n');
	}
}

void
show_why(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*refused = answer_whole(a, "refused");
	const char			*shown = answer_whole(a, "shown");
	const char			*days = answer_whole(a, "history");
	const char			*s = strcmp(days, "1") == 0 ? "" : "s";
	const char			*command, *does;
	size_t				 i, n = 0;

	for (i = 0; (r = answer_next(a, "refusals", &i)) != NULL;) {
		add_mail(out, r);
		add_windows(out, a, r);
	}
	/* The number of everybody's refusals is not known. */
	if (*refused != '\0')
		str_addf(out, "\n%s refused, %s would have been, in %s day%s; "
		    "the last %s %s shown\n", refused,
		    answer_whole(a, "would_refuse"), days, s, shown,
		    strcmp(shown, "1") == 0 ? "is" : "are");
	else if (strcmp(shown, "0") == 0)
		str_addf(out, "no refusal in %s day%s\n", days, s);
	for (i = 0; (r = answer_next(a, "shared", &i)) != NULL; n++) {
		if (n == 0)
			str_addf(out, "\nwho was refused under %s:\n",
			    answer_get(r, "id"));
		str_addf(out, "  %8" PRId64 "  %s\n",
		    answer_number(r, "refused"), answer_get(r, "who"));
	}
	wrap_lines(out, width);
	/* A command is never broken, so that it can be pasted. */
	for (i = n = 0; (r = answer_next(a, "help", &i)) != NULL; n++) {
		if (n == 0)
			str_adds(out, "\nwhat helps:\n");
		command = answer_get(r, "command");
		does = answer_get(r, "does");
		if (width_of(command) + width_of(does) + 6 <= width)
			str_addf(out, "  %s  # %s\n", command, does);
		else
			str_addf(out, "  # %s\n  %s\n", does, command);
	}
}
