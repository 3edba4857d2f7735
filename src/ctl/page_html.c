#include <sys/types.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/page_html.h"
#include "ctl/page_style.h"
#include "ctl/show.h"

#define RELOAD_SECONDS	60

/*
 * Appends text from outside: markup is escaped, and bytes that are not UTF-8 or
 * that a reader would not see become \xNN. With `wrap`, a line may end behind
 * each "@".
 */
static void
add_text(struct str *out, const char *text, bool wrap)
{
	static const struct {
		char		 c;
		const char	*entity;
	} markup[] = {
		{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
		{ '"', "&quot;" }, { '\'', "&#39;" }
	};
	uint32_t	code;
	size_t		n, i, len = strlen(text);
	bool		printable;

	for (; len > 0; text += n, len -= n) {
		n = str_code(text, len, &code, &printable);
		for (i = 0; i < sizeof(markup) / sizeof(markup[0]); i++)
			if (*text == markup[i].c)
				break;
		if (i < sizeof(markup) / sizeof(markup[0]))
			str_adds(out, markup[i].entity);
		else if (printable)
			str_add(out, text, n);
		else
			for (i = 0; i < n; i++)
				str_addf(out, "\\x%02x",
				    (unsigned int)(unsigned char)text[i]);
		if (wrap && *text == '@')
			str_adds(out, "<wbr>");
	}
}

static void
add_plain(struct str *out, const char *text)
{
	add_text(out, text, false);
}

/* A name that somebody else chose, in which the direction may change. */
static void
add_name(struct str *out, const char *text)
{
	str_adds(out, "<bdi>");
	add_text(out, text, true);
	str_adds(out, "</bdi>");
}

/* Adds the value of a field between two pieces of HTML unless it is empty. */
static void
add_field(struct str *out, const struct answer_record *r, const char *name,
    const char *before, const char *after)
{
	const char	*value = answer_get(r, name);

	if (*value == '\0')
		return;
	str_adds(out, before);
	add_name(out, value);
	str_adds(out, after);
}

/* Adds the time of a record: local, and exact for programs. */
static void
add_time(struct str *out, int64_t when)
{
	time_t		 t = (time_t)when;
	struct tm	 tm;
	char		 text[32];

	if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text),
	    "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return;
	str_addf(out, "<time datetime=\"%s\">", text);
	show_time(out, when, SHOW_MINUTE);
	str_adds(out, "</time>");
}

/* --- sections --- */

/*
 * Begins a section. If there is no answer, or `n` is 0, the section says so and
 * is ended: returns false.
 */
static bool
begin(struct str *out, const struct page_part *part, const char *class,
    const char *title, const char *more, size_t n, const char *nothing)
{
	str_addf(out, "<section id=\"%s\" class=\"%s\">\n<h2>%s", class,
	    class, title);
	if (part->fault.len == 0 && *more != '\0') {
		str_adds(out, " <small>");
		add_plain(out, more);
		str_adds(out, "</small>");
	}
	str_adds(out, "</h2>\n");
	if (part->fault.len > 0) {
		str_adds(out, "<p class=\"fault\">");
		add_plain(out, part->fault.data);
		str_adds(out, "</p>\n</section>\n");
	} else if (n == 0)
		str_addf(out, "<p class=\"none\">%s</p>\n</section>\n",
		    nothing);
	return part->fault.len == 0 && n > 0;
}

/*
 * Adds the cell of an id: what holds for it, and a bar, which is SVG, since the
 * policy forbids style attributes.
 */
static void
add_id(struct str *out, const struct answer_record *r, int percent,
    const char *class)
{
	static const char *const	tags[] = {
		"blocked", "locked", "shadow"
	};
	size_t				i;

	str_adds(out, "<tr><td class=\"id\"><div>");
	add_name(out, answer_get(r, "id"));
	for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (answer_is(r, tags[i]))
			str_addf(out, " <span class=\"tag %s\">%s</span>",
			    tags[i], tags[i]);
	str_addf(out, "</div><svg class=\"bar %s\" aria-hidden=\"true\"><rect "
	    "width=\"%d%%\" height=\"100%%\"/></svg></td>", class,
	    percent > 100 ? 100 : percent);
}

/* "20 of 317 ids", and why these are not all. */
static const char *
of_total(const struct answer *a, char *dst, size_t size)
{
	const char	*reason = answer_whole(a, "reason");

	(void)snprintf(dst, size, "%zu of %s ids%s%s", answer_count(a, "ids"),
	    answer_whole(a, "total"), *reason != '\0' ? "; " : "", reason);
	return dst;
}

static void
add_fill(struct str *out, const struct page_part *part)
{
	const struct answer		*a = &part->answer;
	const struct answer_record	*r;
	char				 text[512];
	size_t				 i = 0;
	int				 percent;

	if (!begin(out, part, "fill", "Nearest to their limits", of_total(a,
	    text, sizeof(text)), answer_count(a, "ids"), "No id has a count."))
		return;
	str_adds(out, "<table>\n<thead><tr><th>Id</th><th class=\"n\">Used"
	    "</th><th class=\"n\">Fill</th></tr></thead>\n<tbody>\n");
	while ((r = answer_next(a, "ids", &i)) != NULL) {
		percent = show_percent(answer_number(r, "used"),
		    answer_number(r, "limit"));
		add_id(out, r, percent, percent < SHOW_NEAR ? "room" :
		    percent < 100 || answer_is(r, "shadow") ? "near" : "full");
		str_addf(out, "<td class=\"n\">%" PRId64 " of %" PRId64
		    " <small>in %s</small></td>"
		    "<td class=\"n\">%d&nbsp;%%</td></tr>\n",
		    answer_number(r, "used"), answer_number(r, "limit"),
		    show_period(answer_number(r, "seconds"), text,
		    sizeof(text)), percent);
	}
	str_adds(out, "</tbody>\n</table>\n</section>\n");
}

static void
add_refused(struct str *out, const struct page_part *part)
{
	const struct answer		*a = &part->answer;
	const struct answer_record	*r;
	char				 text[512];
	int64_t				 most = 0;
	size_t				 i = 0;

	if (!begin(out, part, "refused", "Refused most in 24&nbsp;h", of_total(
	    a, text, sizeof(text)), answer_count(a, "ids"),
	    "Nothing was refused in 24&nbsp;h."))
		return;
	str_adds(out, "<table>\n<thead><tr><th>Id</th><th class=\"n\">Refused"
	    "</th></tr></thead>\n<tbody>\n");
	while ((r = answer_next(a, "ids", &i)) != NULL) {
		if (most == 0)
			most = answer_number(r, "refused");
		add_id(out, r, show_percent(answer_number(r, "refused"), most),
		    answer_is(r, "shadow") ? "near" : "full");
		str_addf(out, "<td class=\"n\">%" PRId64 "</td></tr>\n",
		    answer_number(r, "refused"));
	}
	str_adds(out, "</tbody>\n</table>\n</section>\n");
}

/* --- blocks, locks and grants --- */

static void
add_override(struct str *out, const struct answer_record *r, const char *class,
    const char *word)
{
	struct str	who;
	char		text[32];
	int64_t		mails = answer_number(r, "mails");

	str_addf(out, "<li><p><span class=\"tag %s\">%s</span> ", class, word);
	add_name(out, answer_get(r, "what"));
	if (mails > 0)
		str_addf(out, " %" PRId64 " mail%s more", mails,
		    mails == 1 ? "" : "s");
	str_adds(out, "</p><p>");
	if (answer_is(r, "forever"))
		str_adds(out, "forever");
	else {
		str_adds(out, "until ");
		add_time(out, answer_number(r, "until"));
		str_addf(out, " (%s)", show_left(answer_number(r, "left"), text,
		    sizeof(text)));
	}
	str_init(&who);
	show_who(&who, answer_get(r, "who"));
	if (who.len > 0) {
		str_adds(out, strcmp(r->kind, "locks") == 0 ? ", by rule " :
		    ", by ");
		add_name(out, who.data);
	}
	str_clear(&who);
	str_adds(out, "</p>");
	add_field(out, r, "reason", "<p class=\"reason\">", "</p>");
	str_adds(out, "</li>\n");
}

static void
add_overrides(struct str *out, const struct page_part *part)
{
	static const struct {
		const char	*kind, *class, *word;
	} kinds[] = {
		{ "locks", "locked", "locked" },
		{ "blocks", "blocked", "blocked" },
		{ "grants", "granted", "granted" }
	};
	const struct answer		*a = &part->answer;
	const struct answer_record	*r;
	const char			*reason = answer_whole(a, "reason");
	char				 more[512];
	size_t				 i, k, n = 0;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		n += answer_count(a, kinds[k].kind);
	(void)snprintf(more, sizeof(more), "%zu of %s, the newest first%s%s", n,
	    answer_whole(a, "total"), *reason != '\0' ?
	    "; as the daemon has read it last: " : "", reason);
	if (!begin(out, part, "overrides", "Locks, blocks and grants", more, n,
	    "Nothing is blocked or locked, nothing is granted."))
		return;
	str_adds(out, "<ul>\n");
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (i = 0; (r = answer_next(a, kinds[k].kind, &i)) != NULL;)
			add_override(out, r, kinds[k].class, kinds[k].word);
	str_adds(out, "</ul>\n</section>\n");
}

/* --- the last refusals --- */

/* Adds the window that had no room. */
static void
add_window(struct str *out, const struct answer *a, int64_t number)
{
	const struct answer_record	*r;
	char				 text[32];
	size_t				 i = 0;

	while ((r = answer_next(a, "windows", &i)) != NULL) {
		if (answer_number(r, "refusal") != number ||
		    !answer_is(r, "full"))
			continue;
		str_addf(out, " <span class=\"window\">%" PRId64 " of %" PRId64,
		    answer_number(r, "used"), answer_number(r, "limit"));
		if (answer_number(r, "seconds") > 0)
			str_addf(out, " in %s", show_period(answer_number(r,
			    "seconds"), text, sizeof(text)));
		str_adds(out, "</span>");
		return;
	}
}

static void
add_refusals(struct str *out, const struct page_part *part)
{
	const struct answer		*a = &part->answer;
	const struct answer_record	*r;
	int64_t				 n;
	size_t				 i = 0;

	if (!begin(out, part, "refusals", "Last refusals", "",
	    answer_count(a, "refusals"), "No refusal is kept."))
		return;
	str_adds(out, "<ol>\n");
	while ((r = answer_next(a, "refusals", &i)) != NULL) {
		str_adds(out, "<li><p class=\"when\">");
		add_time(out, answer_number(r, "date"));
		str_addf(out, "</p><div><p><span class=\"%s\">%s</span>",
		    answer_is(r, "shadow") || strcmp(answer_get(r, "kind"),
		    "over") == 0 ? "taken" : "denied", show_why_outcome(r));
		add_name(out, answer_get(r, "id"));
		add_field(out, r, "rule", " <small>rule ", "</small>");
		add_window(out, a, answer_number(r, "number"));
		if ((n = answer_number(r, "times")) > 1)
			str_addf(out, " <small>and %" PRId64 " more</small>",
			    n - 1);
		str_adds(out, "</p><p>from &lt;");
		add_name(out, answer_get(r, "sender"));
		str_adds(out, "&gt;");
		add_field(out, r, "recipient", " to &lt;", "&gt;");
		if ((n = answer_number(r, "recipients")) > 1)
			str_addf(out, ", recipients: %" PRId64, n);
		str_adds(out, "</p><p>client ");
		add_name(out, answer_get(r, "client"));
		add_field(out, r, "client_name", " (", ")");
		add_field(out, r, "login", ", login ", "");
		add_field(out, r, "queue_id", ", queue id ", "");
		str_adds(out, "</p></div></li>\n");
	}
	str_adds(out, "</ol>\n</section>\n");
}

/* --- the state --- */

static void
add_figure(struct str *out, const char *name, const char *value)
{
	str_addf(out, "<div><dt>%s</dt><dd>", name);
	add_plain(out, *value != '\0' ? value : "unknown");
	str_adds(out, "</dd></div>\n");
}

static void
add_state(struct str *out, const struct page_part *part)
{
	static const char *const	 names[] = {
		"requests", "accepted", "refused", "blocked", "shadowed",
		"unavailable"
	};
	const struct answer		*a = &part->answer;
	const struct answer_record	*r;
	const char			*backend = answer_whole(a, "backend");
	char				 text[64], more[96];
	size_t				 i, k;

	(void)snprintf(more, sizeof(more), "up %s", show_uptime(
	    answer_whole_number(a, "uptime"), text, sizeof(text)));
	if (!begin(out, part, "status", "State", more, 1, ""))
		return;
	str_adds(out, "<dl>\n");
	str_adds(out, "<div class=\"database\"><dt>database</dt><dd>");
	add_plain(out, answer_whole(a, "database"));
	if (*backend != '\0') {
		str_adds(out, " <small>");
		add_plain(out, backend);
		str_adds(out, "</small>");
	}
	str_adds(out, "</dd></div>\n");
	add_figure(out, "clients", answer_whole(a, "clients"));
	add_figure(out, "waiting", answer_whole(a, "waiting"));
	add_figure(out, "to record", answer_whole(a, "to_record"));
	for (k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		for (i = 0; (r = answer_next(a, "counters", &i)) != NULL;)
			if (strcmp(answer_get(r, "name"), names[k]) == 0)
				add_figure(out, names[k],
				    answer_get(r, "value"));
	str_adds(out, "</dl>\n</section>\n");
}

/* --- the document --- */

static void
add_header(struct str *out, const struct page *page)
{
	static const char	*const classes[] = {
		[HEALTH_WELL] = "well",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_DOWN] = "down",
		[HEALTH_UNKNOWN] = "down",
	};
	struct tm		 tm;
	char			 text[64];

	str_addf(out, "<header class=\"%s\">\n<h1>Mail limits of ",
	    classes[page->health]);
	add_name(out, page->host);
	str_adds(out, "</h1>\n<p class=\"health\"><strong>");
	add_plain(out, health_word(page->health));
	str_adds(out, "</strong>");
	if (page->reason.len > 0) {
		str_adds(out, " <span>");
		add_plain(out, page->reason.data);
		str_adds(out, "</span>");
	}
	str_adds(out, "</p>\n<p class=\"made\">made ");
	add_time(out, (int64_t)page->made);
	if (localtime_r(&page->made, &tm) != NULL && strftime(text,
	    sizeof(text), ":%S %Z", &tm) > 0)
		add_plain(out, text);
	str_adds(out, "; it is old if this was minutes ago</p>\n");
	if (page->part[PAGE_STATUS].answer.nrecord > 0)
		str_adds(out, "<nav><a href=\"#fill\">limits</a> "
		    "<a href=\"#refused\">refused</a> "
		    "<a href=\"#overrides\">blocks</a> "
		    "<a href=\"#refusals\">last refusals</a></nav>\n");
	str_adds(out, "</header>\n");
}

void
page_html(struct str *out, const struct page *page)
{
	str_addf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\""
	    "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; "
	    "form-action 'none'\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, "
	    "initial-scale=1\">\n"
	    "<meta name=\"color-scheme\" content=\"light dark\">\n"
	    "<meta name=\"robots\" content=\"noindex, nofollow\">\n"
	    "<meta name=\"referrer\" content=\"no-referrer\">\n"
	    "<meta http-equiv=\"refresh\" content=\"%d\">\n<title>",
	    page_style_hash, RELOAD_SECONDS);
	add_plain(out, health_word(page->health));
	str_adds(out, ": mail limits of ");
	add_plain(out, page->host);
	str_addf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n",
	    page_style);
	add_header(out, page);
	str_adds(out, "<main>\n");
	if (page->part[PAGE_STATUS].answer.nrecord > 0) {
		add_state(out, &page->part[PAGE_STATUS]);
		add_fill(out, &page->part[PAGE_FILL]);
		add_refused(out, &page->part[PAGE_REFUSED]);
		add_overrides(out, &page->part[PAGE_OVERRIDES]);
		add_refusals(out, &page->part[PAGE_REFUSALS]);
	} else
		str_addf(out, "<p class=\"fault\">Nothing can be shown: the "
		    "daemon gave policyctl no answer.%s</p>\n",
		    page->health == HEALTH_DOWN ? " While it does not serve, "
		    "Postfix goes by its own default_action." : "");
	str_adds(out, "</main>\n<footer>\n<p>");
	add_plain(out, "policyctl " VERSION);
	str_adds(out, ". This page names people who send and receive mail: "
	    "show it only to those who need it.</p>\n</footer>\n</body>\n"
	    "</html>\n");
}
