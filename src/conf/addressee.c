#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/addressee.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define LOCAL_MAX	64	/* RFC 5321 4.5.3.1.1 */
#define DOMAINS_MAX	10000

#define LETTERS		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
			"0123456789"

/* "%", "!" and "/" have a meaning of their own in some mail servers. */
static const char	local_chars[] = LETTERS "._+-=~'";
static const char	domain_chars[] = LETTERS ".-";

/* Whether it consists of these characters, with single dots inside of it. */
static bool
is_dotted(const char *text, size_t len, const char *chars)
{
	size_t	i;

	if (len == 0 || text[0] == '.' || text[len - 1] == '.')
		return false;
	for (i = 0; i < len; i++)
		if (text[i] == '\0' || strchr(chars, text[i]) == NULL ||
		    (text[i] == '.' && text[i + 1] == '.'))
			return false;
	return true;
}

static bool
is_domain(const char *text, size_t len)
{
	return is_dotted(text, len, domain_chars) && text[0] != '-';
}

/* Whether mail may go there: one @, plain characters, a domain of the list. */
static bool
is_allowed(const struct settings_strings *domains, const char *text)
{
	const char	*at = strchr(text, '@');
	size_t		 i;

	/* To some programs a dash at the start is an option. */
	if (at == NULL || at - text > LOCAL_MAX || text[0] == '-' ||
	    !is_dotted(text, (size_t)(at - text), local_chars) ||
	    !is_domain(at + 1, strlen(at + 1)))
		return false;
	for (i = 0; i < domains->count; i++)
		if (strcasecmp(domains->list[i], at + 1) == 0)
			return true;
	return false;
}

/* Fills in the template; -1: it needs a domain that the login does not have. */
static int
fill_template(struct str *out, const char *template, const char *login,
    size_t len)
{
	const char	*at = NULL, *p;
	size_t		 i;

	for (i = 0; i < len; i++)
		if (login[i] == '@')
			at = login + i;
	for (p = template; *p != '\0'; p++) {
		if (strncmp(p, "{id}", 4) == 0) {
			str_add(out, login, len);
			p += 3;
		} else if (strncmp(p, "{domain}", 8) == 0) {
			if (at == NULL)
				return -1;
			str_add(out, at + 1, (size_t)(login + len - at) - 1);
			p += 7;
		} else
			str_addc(out, *p);
	}
	return 0;
}

int
addressee_of(const struct settings *s, const char *login, size_t len,
    char out[ADDRESSEE_MAX])
{
	struct str	text;
	int		result = -1;

	if (s->report_user == NULL || len == 0 || len >= ADDRESSEE_MAX ||
	    memchr(login, '\0', len) != NULL)
		return -1;
	str_init(&text);
	if (fill_template(&text, s->report_user, login, len) == 0 &&
	    text.len > 0 && text.len < ADDRESSEE_MAX &&
	    is_allowed(&s->report_user_domains, text.data)) {
		memcpy(out, text.data, text.len + 1);
		result = 0;
	}
	str_clear(&text);
	return result;
}

/* --- the settings --- */

/* Whether it gives an address for a plain login of any domain. */
static bool
is_usable_template(const char *template)
{
	static const char	*const logins[] = {
		"bob@a.example", "bob"
	};
	struct settings_strings	 domains = { 0, NULL };
	struct str		 text;
	char			*domain;
	const char		*at;
	bool			 good = false;
	size_t			 i;

	str_init(&text);
	for (i = 0; i < 2 && !good; i++) {
		text.len = 0;
		if (fill_template(&text, template, logins[i],
		    strlen(logins[i])) == -1 || text.len == 0 ||
		    (at = strchr(text.data, '@')) == NULL)
			continue;
		domain = alloc_string(at + 1);
		domains.count = 1;
		domains.list = &domain;
		good = is_allowed(&domains, text.data);
		free(domain);
	}
	str_clear(&text);
	return good;
}

int
addressee_read(const struct reading *r, const struct value *v)
{
	if (v->type == VALUE_NONE || (v->type == VALUE_STR && v->len == 0)) {
		reader_replace(r, NULL);
		return 0;
	}
	if (reader_line(r, v) == -1)
		return -1;
	if (!is_usable_template(v->bytes) || v->len >= ADDRESSEE_MAX ||
	    (strstr(v->bytes, "{id}") == NULL &&
	    strstr(v->bytes, "{domain}") == NULL))
		return reader_fault(r, v, "must be a mail address made of "
		    "{id} or {domain}, such as \"{id}\" or "
		    "\"postmaster@{domain}\"");
	reader_replace(r, alloc_copy(v->bytes, v->len));
	return 0;
}

int
addressee_read_domains(const struct reading *r, const struct value *v)
{
	struct settings_strings	 found = { 0, NULL }, *out = r->out;
	const struct value	*item;
	size_t			 i, skip;

	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of domains");
	if (v->type != VALUE_NONE && v->count > DOMAINS_MAX)
		return reader_fault(r, v, "has more than %d domains",
		    DOMAINS_MAX);
	for (i = 0; v->type != VALUE_NONE && i < v->count; i++) {
		item = v->items[i];
		/* "@example.org", as elsewhere, is the same. */
		skip = item->type == VALUE_STR && item->len > 0 &&
		    item->bytes[0] == '@';
		if (item->type != VALUE_STR || !is_domain(item->bytes + skip,
		    item->len - skip)) {
			reader_fault(r, item, "must be a list of domains, such "
			    "as [\"example.org\"]");
			reader_clear_strings(&found);
			return -1;
		}
		reader_strings_add(&found, alloc_copy(item->bytes + skip,
		    item->len - skip));
	}
	reader_clear_strings(out);
	*out = found;
	return 0;
}
