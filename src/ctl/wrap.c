#include <stdbool.h>
#include <string.h>

#include "ctl/wrap.h"
#include "lib/width.h"

#define DEEPER	4	/* columns */

/* The columns of what begins here: a character, or a colour, which has none. */
static size_t
piece_width(const char *s, size_t *bytes)
{
	char	one[8];
	size_t	n;

	if (s[0] == '\033' && s[1] == '[') {
		for (n = 2; s[n] != '\0' && (s[n] < '@' || s[n] > '~'); n++)
			continue;
		*bytes = s[n] != '\0' ? n + 1 : n;
		return 0;
	}
	*bytes = width_bytes(s);
	memcpy(one, s, *bytes);
	one[*bytes] = '\0';
	return width_of(one);
}

/*
 * The length of the words at the start of the line that fit into `room`
 * columns: at least one word.
 */
static size_t
fitting_length(const char *line, size_t len, size_t room)
{
	size_t	i, bytes, columns = 0, gap = 0;
	bool	word = false;

	for (i = 0; i < len; i += bytes) {
		if (word && line[i] == ' ')
			gap = i;
		word = line[i] != ' ';
		columns += piece_width(line + i, &bytes);
		if (columns > room && gap > 0)
			return gap;
	}
	return len;
}

static void
put_wrapped(struct str *out, const char *line, size_t len, size_t width)
{
	size_t	indent = strspn(line, " ");
	size_t	n = fitting_length(line, len, width);

	/* Numbers are flush right: ignore the blanks before them. */
	indent = indent > DEEPER ? 2 * DEEPER : indent + DEEPER;
	if (indent > width / 2)
		indent = width / 2;
	str_add(out, line, n);
	for (;;) {
		line += n;
		len -= n;
		n = strspn(line, " ");
		if (n >= len)
			break;
		line += n;
		len -= n;
		n = fitting_length(line, len, width - indent);
		str_addf(out, "\n%*s%.*s", (int)indent, "", (int)n, line);
	}
	str_addc(out, '\n');
}

void
wrap_lines(struct str *text, size_t width)
{
	struct str	 out;
	const char	*line, *end;

	str_init(&out);
	for (line = text->len > 0 ? text->data : "";
	    (end = strchr(line, '\n')) != NULL; line = end + 1)
		put_wrapped(&out, line, (size_t)(end - line), width);
	str_clear(text);
	*text = out;
}
