#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conf/mailbox.h"
#include "lib/alloc.h"

#define MAILBOX_LIST_MAX	1000

/*
 * The address in a mailbox, also in "Name <user@host>"; NULL and a fault if
 * there is none. Python's smtplib accepted both.
 */
static char *
find_address(const struct reading *r, const struct value *v, const char *s,
    size_t len)
{
	const char	*open;
	size_t		 i;

	while (len > 0 && s[0] == ' ') {
		s++;
		len--;
	}
	while (len > 0 && s[len - 1] == ' ')
		len--;
	if (len > 0 && s[len - 1] == '>' &&
	    (open = memchr(s, '<', len)) != NULL) {
		len -= (size_t)(open + 1 - s) + 1;
		s = open + 1;
	}
	for (i = 0; i < len; i++)
		if (strchr("<> ,", s[i]) != NULL)
			break;
	if (len == 0 || i < len) {
		reader_fault(r, v, "must be a mail address such as "
		    "\"postmaster@example.org\"");
		return NULL;
	}
	return alloc_copy(s, len);
}

int
mailbox_read(const struct reading *r, const struct value *v)
{
	char	*address;

	if (v->type != VALUE_NONE && v->type != VALUE_STR)
		return reader_mismatch(r, v, "a mail address or None");
	if (v->type == VALUE_NONE || v->len == 0) {
		reader_replace(r, NULL);
		return 0;
	}
	if (reader_line(r, v) == -1 ||
	    (address = find_address(r, v, v->bytes, v->len)) == NULL)
		return -1;
	reader_replace(r, address);
	return 0;
}

/*
 * One string may have several addresses, separated by commas; "Doe, John"
 * <john@host> is one.
 */
static int
add_mailboxes(struct settings_strings *found, const struct reading *r,
    const struct value *v)
{
	const char	*end, *p;
	char		*address;
	size_t		 len;
	bool		 quoted;
	int		 result;

	if (v->type != VALUE_STR)
		return reader_mismatch(r, v,
		    "a mail address, a list of them or None");
	if (reader_line(r, v) == -1)
		return -1;
	result = 0;
	for (p = v->bytes, end = p + v->len; p <= end; p += len + 1) {
		quoted = false;
		for (len = 0; p[len] != '\0' && (quoted || p[len] != ',');
		    len++)
			quoted ^= p[len] == '"';
		if ((address = find_address(r, v, p, len)) == NULL) {
			result = -1;
			continue;
		}
		reader_strings_add(found, address);
	}
	return result;
}

int
mailbox_read_list(const struct reading *r, const struct value *v)
{
	struct settings_strings	 found = { 0, NULL }, *out = r->out;
	size_t			 i;
	int			 result;

	if (v->count > MAILBOX_LIST_MAX)
		return reader_fault(r, v, "has more than %d addresses",
		    MAILBOX_LIST_MAX);
	result = 0;
	if (READER_IS_LIST(v)) {
		for (i = 0; i < v->count; i++)
			if (add_mailboxes(&found, r, v->items[i]) == -1)
				result = -1;
	} else if (v->type != VALUE_NONE &&
	    !(v->type == VALUE_STR && v->len == 0))
		result = add_mailboxes(&found, r, v);
	if (result == -1) {
		reader_clear_strings(&found);
		return -1;
	}
	reader_clear_strings(out);
	*out = found;
	return 0;
}
