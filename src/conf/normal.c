#include <string.h>

#include "conf/normal.h"

/* Strips what version 1.x strips from the lines of a request. */
size_t
normal_length(const char *bytes, size_t len)
{
	while (len > 0 && (bytes[len - 1] == ' ' ||
	    (bytes[len - 1] >= '\t' && bytes[len - 1] <= '\r')))
		len--;
	return len;
}

/* The local part may be quoted and contain '@', so the last '@' counts. */
const char *
normal_domain(const char *bytes, size_t len)
{
	for (; len > 0; len--)
		if (bytes[len - 1] == '@')
			return bytes + len - 1;
	return NULL;
}

void
normal_mailbox(struct str *out, const struct settings *s, const char *domain,
    const char *bytes, size_t len)
{
	const char	*at;
	size_t		 local, n, begin = out->len;

	len = normal_length(bytes, len);
	at = normal_domain(bytes, len);
	local = at != NULL ? (size_t)(at - bytes) : len;
	/*
	 * Postfix splits at the first delimiter in the local part, unless it is
	 * the first byte.
	 */
	for (n = 0; n < local; n++)
		if (bytes[n] != '\0' &&
		    strchr(s->recipient_delimiter, bytes[n]) != NULL)
			break;
	str_add(out, bytes, n > 0 ? n : local);
	str_add(out, bytes + local, len - local);
	if (at == NULL && domain[0] != '\0')
		str_addf(out, "@%s", domain);
	if (s->fold_case)
		str_fold(out->data + begin, out->len - begin);
}

void
normal_text(struct str *out, const struct settings *s,
    enum rule_attribute attr, const char *bytes, size_t len)
{
	size_t	begin = out->len;

	if (attr == KEY_SASL_USERNAME || attr == KEY_SENDER ||
	    attr == KEY_RECIPIENT) {
		normal_mailbox(out, s, "", bytes, len);
		return;
	}
	str_add(out, bytes, normal_length(bytes, len));
	if (s->fold_case)
		str_fold(out->data + begin, out->len - begin);
}
