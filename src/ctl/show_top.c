#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/show.h"
#include "ctl/wrap.h"
#include "lib/num.h"
#include "lib/width.h"

/* Adds as many whole characters of the text as fit into the columns. */
static void
add_cut(struct str *out, const char *text, size_t width)
{
	char	piece[8];
	size_t	n, columns;

	for (; *text != '\0'; text += n) {
		n = width_bytes(text);
		memcpy(piece, text, n);
		piece[n] = '\0';
		if ((columns = width_of(piece)) > width)
			return;
		width -= columns;
		str_add(out, piece, n);
	}
}

/* The remark after an id; in a narrow window the id needs the room. */
static const char *
top_mark(const struct answer_record *r, size_t width)
{
	static const char	*const marks[][8] = {
		{ "", " (shadow)", " (locked)", " (locked, shadow)",
		" (blocked)", " (blocked, shadow)", " (blocked, locked)",
		" (blocked, locked, shadow)" },
		{ "", " (S)", " (L)", " (LS)", " (B)", " (BS)", " (BL)",
		" (BLS)" }
	};
	bool	blocked = strcmp(answer_get(r, "blocked"), "1") == 0;
	bool	locked = strcmp(answer_get(r, "locked"), "1") == 0;
	bool	shadow = strcmp(answer_get(r, "shadow"), "1") == 0;

	return marks[width < SHOW_NARROW][4 * blocked + 2 * locked + shadow];
}

static void
add_top_heading(struct str *out, const struct answer *a, size_t width)
{
	const char	*word = answer_whole(a, "time");
	int64_t		 when = 0;
	time_t		 t;
	struct tm	 tm;
	char		 text[40];
	size_t		 i, n = 0;

	for (i = 0; i < a->nrecord; i++)
		n += strcmp(a->record[i].kind, "ids") == 0;
	(void)num_parse(word, strlen(word), 0, INT64_MAX, &when);
	t = (time_t)when;
	if (localtime_r(&t, &tm) != NULL && strftime(text, sizeof(text),
	    "%Y-%m-%d %H:%M:%S", &tm) > 0)
		str_adds(out, text);
	str_addf(out, "  %zu of %s id%s\n", n, answer_whole(a, "total"),
	    strcmp(answer_whole(a, "total"), "1") == 0 ? "" : "s");
	if (strcmp(answer_whole(a, "source"), "memory") == 0) {
		str_adds(out, "only what this daemon has in memory: ");
		str_addf(out, "%s\n", answer_whole(a, "reason"));
	}
	wrap_lines(out, width);
}

/* Sums without a limit: of domains, or of refusals. */
static void
add_sums(struct str *out, const struct answer *a, const char *name,
    const char *heading, size_t width)
{
	const struct answer_record	*r;
	const char			*mark;
	char				 text[32];
	size_t				 i, room = width > 31 ? width - 22 : 9;

	str_addf(out, "%10s  %-8s  ID\n", heading, "PERIOD");
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "ids") != 0)
			continue;
		str_addf(out, "%10" PRId64 "  %-8s  ", answer_number(r, name),
		    show_period(answer_number(r, "seconds"), text,
		    sizeof(text)));
		mark = top_mark(r, width);
		add_cut(out, answer_get(r, "id"), room > strlen(mark) ?
		    room - strlen(mark) : 1);
		str_addf(out, "%s\n", mark);
	}
}

/* Whether the ids have a field of this name. */
static bool
top_has(const struct answer *a, const char *name)
{
	size_t	i;

	for (i = 0; i < a->nrecord; i++)
		if (strcmp(a->record[i].kind, "ids") == 0)
			return answer_get(&a->record[i], name)[0] != '\0';
	return false;
}

void
show_top(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	const char			*mark;
	char				 text[32];
	size_t				 i, bar, fill, room;
	bool				 narrow = width < SHOW_NARROW;

	/* The numbers take 39 columns; the bar gets a third of the rest. */
	bar = width > 69 ? (width - 39) / 3 : 0;
	if (bar > SHOW_BAR_MOST)
		bar = SHOW_BAR_MOST;
	fill = bar > 0 ? bar + 8 : 5;
	room = narrow ? width - fill - 12 : width - fill - 35;
	add_top_heading(out, a, width);
	if (top_has(a, "refused")) {
		add_sums(out, a, "refused", "REFUSED", width);
		return;
	}
	if (top_has(a, "used") && !top_has(a, "limit")) {
		add_sums(out, a, "used", "USED", width);
		return;
	}
	str_addf(out, "%*s", narrow ? 8 : 10, "USED");
	if (!narrow)
		str_addf(out, " %10s  %-8s", "LIMIT", "PERIOD");
	str_addf(out, "  %-*s  ID\n", (int)fill, "FILL");
	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		if (strcmp(r->kind, "ids") != 0)
			continue;
		str_addf(out, "%*" PRId64, narrow ? 8 : 10,
		    answer_number(r, "used"));
		if (!narrow)
			str_addf(out, " %10" PRId64 "  %-8s",
			    answer_number(r, "limit"),
			    show_period(answer_number(r, "seconds"), text,
			    sizeof(text)));
		str_adds(out, "  ");
		show_bar(out, answer_number(r, "used"),
		    answer_number(r, "limit"), bar);
		str_adds(out, "  ");
		mark = top_mark(r, width);
		add_cut(out, answer_get(r, "id"), room > strlen(mark) ?
		    room - strlen(mark) : 1);
		str_addf(out, "%s\n", mark);
	}
}
