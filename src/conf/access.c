#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "conf/access.h"

static bool
begins_with(const char *action, const char *word)
{
	size_t	len = strlen(word);

	return strncasecmp(action, word, len) == 0 &&
	    (action[len] == '\0' || action[len] == ' ');
}

bool
access_refuses(const char *action)
{
	if (action[0] == '4' || action[0] == '5')
		return isdigit((unsigned char)action[1]) &&
		    isdigit((unsigned char)action[2]) &&
		    (action[3] == '\0' || action[3] == ' ');
	return begins_with(action, "REJECT") || begins_with(action, "DEFER") ||
	    begins_with(action, "DEFER_IF_PERMIT");
}

size_t
access_text(const char *action)
{
	static const char *const	texts[] = {
		"DEFER_IF_REJECT", "DISCARD", "HOLD", "INFO", "WARN"
	};
	size_t				word = strcspn(action, " "), i;

	if (access_refuses(action))
		return word;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (begins_with(action, texts[i]))
			return word;
	/* Postfix parses the header's name; its value is free text. */
	return begins_with(action, "PREPEND") ? strcspn(action, ":") :
	    strlen(action);
}

bool
access_defers(const char *action)
{
	return access_refuses(action) && action[0] != '5' &&
	    !begins_with(action, "REJECT");
}

bool
access_takes(const char *action)
{
	return !access_refuses(action) && !begins_with(action, "DISCARD");
}

bool
access_is_number(const char *action)
{
	size_t	len = strspn(action, "0123456789");

	return len > 0 && action[len] == '\0' && !access_refuses(action);
}

bool
access_permits(const char *action)
{
	return access_is_number(action) ||
	    begins_with(action, "DUNNO") || begins_with(action, "OK") ||
	    begins_with(action, "PERMIT");
}

bool
access_closes(const char *action)
{
	return !access_takes(action) || begins_with(action, "HOLD");
}

const char *
access_of(const struct settings *s, unsigned int rule)
{
	if (rule < s->nrules && s->rules[rule].action != NULL)
		return s->rules[rule].action;
	return s->fail_action;
}

const char *
access_per_mail(const struct settings *s, unsigned int rule)
{
	if (s->never_action != NULL)
		return s->never_action;
	return rule < s->nrules && s->rules[rule].count == RULE_BYTES ?
	    "reject 5.3.4 Message too big" : "reject 5.5.3 Too many recipients";
}
