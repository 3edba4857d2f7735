#include <stdio.h>
#include <string.h>

#include "report/smtp_machine.h"

void
smtp_drop_output(struct smtp *s)
{
	if (s->out.len > 0)
		explicit_bzero(s->out.data, s->out.len);
	s->out.len = s->gone = 0;
}

bool
smtp_pending(const struct smtp *s)
{
	return s->gone < s->out.len;
}

void
smtp_add_reason(struct smtp *s, const char *what, const char *detail)
{
	static const char	more[] = "; ...";
	char			a[SMTP_ADDRESS_MAX / 2], b[180];
	char			text[sizeof(a) + sizeof(b) + 8];
	size_t			len = strlen(s->reason);
	size_t			left = sizeof(s->reason) - len;

	str_printable(a, sizeof(a), what, strlen(what));
	str_printable(b, sizeof(b), detail, strlen(detail));
	snprintf(text, sizeof(text), "%s%s%s%s", len > 0 ? "; " : "", a,
	    *b != '\0' ? ": " : "", b);
	/*
	 * A text that does not fit is left out and not cut; "; ..." always
	 * fits.
	 */
	if (strlen(text) + sizeof(more) <= left)
		memcpy(s->reason + len, text, strlen(text) + 1);
	else if (left >= sizeof(more) && (len < strlen(more) ||
	    strcmp(s->reason + len - strlen(more), more) != 0))
		memcpy(s->reason + len, more, sizeof(more));
}

void
smtp_quit(struct smtp *s)
{
	str_adds(&s->out, "QUIT\r\n");
	s->step = STEP_QUIT;
}

void
smtp_fail(struct smtp *s, const char *what, const char *detail)
{
	smtp_add_reason(s, what, detail);
	smtp_quit(s);
}

void
smtp_refused(struct smtp *s, const char *what)
{
	smtp_fail(s, what, s->text.data);
}

void
smtp_give_up(struct smtp *s, const char *what)
{
	if (*what != '\0')
		smtp_add_reason(s, what, "");
	smtp_drop_output(s);
	s->step = STEP_OVER;
}
