#include <inttypes.h>
#include <string.h>

#include "engine/action.h"

#define VALUE_MAX	512		/* bytes of an id in an answer */

static void
add_number(struct str *out, int64_t n)
{
	str_addf(out, "%" PRId64, n);
}

static void
add_value(struct str *out, const struct msg_charge_key *key,
    const struct msg_verdict *v, const char *name)
{
	char	text[VALUE_MAX];

	if (strcmp(name, "{id}") == 0)
		str_adds(out, str_printable(text, sizeof(text), key->id,
		    key->idlen));
	else if (strcmp(name, "{limit}") == 0)
		add_number(out, v->limit.mails);
	else if (strcmp(name, "{period}") == 0)
		add_number(out, v->limit.seconds);
	else if (strcmp(name, "{used}") == 0)
		add_number(out, v->used);
	else if (v->retry_after < 0)
		str_adds(out, "never");
	else
		add_number(out, v->retry_after);
}

static void
add_filled(struct str *out, const char *action,
    const struct msg_charge_key *key, const struct msg_verdict *v)
{
	static const char	*const names[] = {
		"{id}", "{limit}", "{period}", "{used}", "{retry_after}", NULL
	};
	size_t			 i, len;

	while (*action != '\0') {
		len = strcspn(action, "{");
		str_add(out, action, len);
		action += len;
		if (*action == '\0')
			return;
		for (i = 0; names[i] != NULL; i++)
			if (strncmp(action, names[i], strlen(names[i])) == 0)
				break;
		if (names[i] != NULL) {
			add_value(out, key, v, names[i]);
			action += strlen(names[i]);
		} else
			str_addc(out, *action++);
	}
}

void
action_add(struct str *out, const struct settings *s,
    const struct msg_charge *charge, const struct msg_verdict *v)
{
	const struct msg_charge_key	*key;
	const char			*action = s->fail_action;
	size_t				 at = out->len, end;

	if (v->verdict == VERDICT_ACCEPTED) {
		str_adds(out, s->success_action);
		return;
	}
	if (v->verdict != VERDICT_REFUSED || v->key >= charge->nkeys) {
		str_adds(out, s->db_error_action);
		return;
	}
	key = &charge->keys[v->key];
	if (key->rule < s->nrules && s->rules[key->rule].action != NULL)
		action = s->rules[key->rule].action;
	add_filled(out, action, key, v);
	if (out->len - at <= ACTION_MAX)
		return;
	end = at + str_utf8_cut(out->data + at, out->len - at, ACTION_MAX);
	out->data[end] = '\0';
	out->len = end;
}
