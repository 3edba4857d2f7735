#include <string.h>

#include "ctl/rejected.h"

static void
add_word(struct str *words, const char *name, const char *value, size_t len)
{
	str_adds(words, name);
	str_add(words, value, len);
	str_addc(words, '\0');
}

/* "mark VALUE end": adds the value, if it is there and not empty. */
static void
add_between(struct str *words, const char *name, const char *line,
    const char *mark)
{
	const char	*at = strstr(line, mark), *end;

	if (at == NULL)
		return;
	at += strlen(mark);
	if ((end = strchr(at, '>')) != NULL && end > at)
		add_word(words, name, at, (size_t)(end - at));
}

bool
rejected_parse(struct str *words, const char *line)
{
	const char	*from, *open, *close, *rest;

	if (strstr(line, "reject: ") == NULL ||
	    (from = strstr(line, " from ")) == NULL ||
	    (open = strchr(from, '[')) == NULL ||
	    (close = strchr(open, ']')) == NULL || close == open + 1)
		return false;
	add_word(words, "client=", open + 1, (size_t)(close - open - 1));
	/* The answer itself may hold anything that a client wrote. */
	rest = close;
	for (from = rest; (from = strstr(from, "; from=<")) != NULL;
	    from += strlen("; from=<"))
		rest = from;
	add_between(words, "sender=", rest, "from=<");
	add_between(words, "recipient=", rest, " to=<");
	return true;
}
