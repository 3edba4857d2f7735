#include <string.h>

#include "conf/ids.h"
#include "conf/syntax/literal.h"
#include "ledger/try_match.h"

static bool
match_networks(const struct settings_networks *a,
    const struct settings_networks *b)
{
	size_t	i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (a->list[i].prefix != b->list[i].prefix ||
		    a->list[i].addr.bits != b->list[i].addr.bits ||
		    memcmp(a->list[i].addr.byte, b->list[i].addr.byte,
		    a->list[i].addr.bits / 8) != 0)
			return false;
	return true;
}

static bool
match_lists(const struct settings_match *a, const struct settings_match *b)
{
	size_t	i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (a->list[i].attr != b->list[i].attr ||
		    !ids_equal(a->list[i].ids, b->list[i].ids))
			return false;
	return true;
}

static const char *
match_rule(const struct settings_rule *is, const struct settings_rule *would)
{
	size_t	i;

	if (is->nkey != would->nkey)
		return "it has another key";
	for (i = 0; i < is->nkey; i++)
		if (is->key[i] != would->key[i])
			return "it has another key";
	if ((is->id_sql == NULL) != (would->id_sql == NULL))
		return "its ids are mapped in another way";
	if (is->count != would->count)
		return "it counts something else";
	if (is->count != RULE_RECIPIENTS && is->count != RULE_MESSAGES &&
	    is->count != RULE_BYTES)
		return "it counts different values, which rows do not show";
	if (is->ipv4_prefix != would->ipv4_prefix ||
	    is->ipv6_prefix != would->ipv6_prefix)
		return "it counts networks of another length";
	if (is->unless != would->unless ||
	    !match_networks(&is->networks, &would->networks) ||
	    !match_lists(&is->only, &would->only) ||
	    !match_lists(&is->except, &would->except))
		return "it applies to other requests";
	return NULL;
}

const char *
try_match(const struct settings *now, size_t is,
    const struct settings *tried, size_t would)
{
	if (now->fold_case != tried->fold_case ||
	    strcmp(now->recipient_delimiter, tried->recipient_delimiter) != 0 ||
	    strcmp(now->default_domain, tried->default_domain) != 0)
		return "ids are folded in another way";
	if (now->count_mode != tried->count_mode)
		return "count_mode is another";
	if (now->nrules > 0)
		return match_rule(&now->rules[is], &tried->rules[would]);
	if (now->limit_by_sasl != tried->limit_by_sasl ||
	    now->limit_by_sender != tried->limit_by_sender ||
	    now->limit_by_ip != tried->limit_by_ip ||
	    !match_networks(&now->limited_networks, &tried->limited_networks))
		return "it counts by other identities";
	if (now->ipv4_prefix != tried->ipv4_prefix ||
	    now->ipv6_prefix != tried->ipv6_prefix)
		return "it counts networks of another length";
	return NULL;
}

/* --- what to try --- */

struct settings *
try_match_settings(const char *text, size_t len, char *why, size_t size)
{
	struct settings	*s = NULL;
	struct faults	 faults;
	struct value	*dict;
	size_t		 i;

	fault_init(&faults, "the settings");
	dict = literal_file(text, len, &faults);
	for (i = 0; i < dict->count; i += 2)
		if (dict->items[i]->type != VALUE_STR ||
		    !settings_is_tried(dict->items[i]->bytes))
			fault_error(&faults, 0, 0, "a setting is not tried");
	if (faults.errors == 0)
		s = settings_adopt(dict, &faults);
	else
		value_free(dict);
	if (faults.errors > 0) {
		settings_free(s);
		s = NULL;
		fault_sort(&faults);
		fault_print(&faults, 0, why, size);
	}
	fault_clear(&faults);
	return s;
}

size_t
try_match_rule_of(const struct settings *s, const char *name)
{
	size_t	i, j;

	for (i = 0; i < s->nrules; i++) {
		if (strcmp(s->rules[i].name, name) == 0)
			return i;
		for (j = 0; j < s->rules[i].nwas; j++)
			if (strcmp(s->rules[i].was[j], name) == 0)
				return i;
	}
	return SIZE_MAX;
}
