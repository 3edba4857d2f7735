#include <inttypes.h>
#include <string.h>

#include "ctl/show.h"
#include "ctl/wrap.h"
#include "lib/width.h"

static void
add_top_heading(struct str *out, const struct answer *a, size_t width)
{
	const char	*total = answer_whole(a, "total");

	show_time(out, answer_whole_number(a, "time"), SHOW_SECOND);
	str_addf(out, "  %zu of %s id%s\n", answer_count(a, "ids"), total,
	    strcmp(total, "1") == 0 ? "" : "s");
	if (strcmp(answer_whole(a, "source"), "memory") == 0)
		str_addf(out, "only what this daemon has in memory: %s\n",
		    answer_whole(a, "reason"));
	wrap_lines(out, width);
}

/*
 * Adds the id, of which as many whole characters as fit into `room` columns
 * with the remark after it. In a narrow window the id needs the room.
 */
static void
add_id(struct str *out, const struct answer_record *r, size_t width,
    size_t room)
{
	static const char	*const marks[][8] = {
		{ "", " (shadow)", " (locked)", " (locked, shadow)",
		" (blocked)", " (blocked, shadow)", " (blocked, locked)",
		" (blocked, locked, shadow)" },
		{ "", " (S)", " (L)", " (LS)", " (B)", " (BS)", " (BL)",
		" (BLS)" }
	};
	const char	*mark, *id = answer_get(r, "id");
	char		 piece[8];
	size_t		 n, columns;

	mark = marks[width < SHOW_NARROW][4 * answer_is(r, "blocked") +
	    2 * answer_is(r, "locked") + answer_is(r, "shadow")];
	room = room > strlen(mark) ? room - strlen(mark) : 1;
	for (; *id != '\0'; id += n) {
		n = width_bytes(id);
		memcpy(piece, id, n);
		piece[n] = '\0';
		if ((columns = width_of(piece)) > room)
			break;
		room -= columns;
		str_add(out, piece, n);
	}
	str_addf(out, "%s\n", mark);
}

/* Sums without a limit: of domains, or of refusals. */
static void
add_sums(struct str *out, const struct answer *a, const char *name,
    const char *heading, size_t width)
{
	const struct answer_record	*r;
	char				 text[32];
	size_t				 i = 0;

	str_addf(out, "%10s  %-8s  ID\n", heading, "PERIOD");
	while ((r = answer_next(a, "ids", &i)) != NULL) {
		str_addf(out, "%10" PRId64 "  %-8s  ", answer_number(r, name),
		    show_period(answer_number(r, "seconds"), text,
		    sizeof(text)));
		add_id(out, r, width, width > 31 ? width - 22 : 9);
	}
}

/* Whether the ids have a field of this name. */
static bool
top_has(const struct answer *a, const char *name)
{
	const struct answer_record	*r;
	size_t				 i = 0;

	r = answer_next(a, "ids", &i);
	return r != NULL && answer_get(r, name)[0] != '\0';
}

void
show_top(struct str *out, const struct answer *a, size_t width)
{
	const struct answer_record	*r;
	char				 text[32];
	size_t				 i = 0, bar, fill, room;
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
	while ((r = answer_next(a, "ids", &i)) != NULL) {
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
		add_id(out, r, width, room);
	}
}
