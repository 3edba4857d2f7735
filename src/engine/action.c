#include <inttypes.h>
#include <string.h>

#include "conf/access.h"
#include "conf/rule_lock.h"
#include "engine/action.h"

#define VALUE_MAX	512		/* bytes of an id in an answer */

/*
 * Replaces what is not printable ASCII: the text goes to the client unchanged.
 */
static void
add_text(struct str *out, const char *bytes, size_t len)
{
	char		 text[VALUE_MAX];
	const char	*p;

	str_printable(text, sizeof(text), bytes, len);
	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			str_addf(out, "\\x%02x", (unsigned char)*p);
		else
			str_addc(out, *p);
}

/* Replaces separators in text that Postfix parses. */
static void
add_word(struct str *out, const char *bytes, size_t len)
{
	static const char	 harmless[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "._@+=-";
	size_t			 i;

	for (i = 0; i < len && i < VALUE_MAX; i++)
		str_addc(out, bytes[i] != '\0' &&
		    strchr(harmless, bytes[i]) != NULL ? bytes[i] : '_');
}

/* Fills in the placeholders. */
static void
add_filled(struct str *out, const struct settings *s, const char *action,
    const struct msg_charge_key *key, const struct msg_verdict *v)
{
	enum { ID, RULE, LIMIT, PERIOD, USED, RETRY_AFTER, NAMES };
	static const char	*const names[NAMES] = {
		"{id}", "{rule}", "{limit}", "{period}", "{used}",
		"{retry_after}"
	};
	const int64_t		 number[NAMES] = {
		[LIMIT] = v->limit.mails, [PERIOD] = v->limit.seconds,
		[USED] = v->used, [RETRY_AFTER] = v->retry_after
	};
	const char		*text = action + access_text(action);
	const char		*rule = key->rule < s->nrules ?
				    s->rules[key->rule].name : NULL;
	bool			 blocked = v->verdict == VERDICT_BLOCKED;
	size_t			 skip = rule != NULL ? strlen(rule) + 1 : 0;
	size_t			 len, i;
	void			(*add)(struct str *, const char *, size_t);

	if (skip > key->idlen || blocked)
		skip = 0;
	for (;;) {
		len = strcspn(action, "{");
		str_add(out, action, len);
		action += len;
		if (*action == '\0')
			return;
		for (i = 0; i < NAMES; i++)
			if (strncmp(action, names[i], strlen(names[i])) == 0)
				break;
		if (i == NAMES) {
			str_addc(out, *action++);
			continue;
		}
		/* Postfix parses what precedes the text. */
		add = action < text ? add_word : add_text;
		action += strlen(names[i]);
		if (i == ID)
			add(out, key->id + skip, key->idlen - skip);
		else if (i == RULE && rule != NULL)
			add(out, rule, strlen(rule));
		/* A block has no limit. */
		else if (i == RETRY_AFTER || (i != RULE && !blocked))
			str_addf(out, "%" PRId64, number[i]);
	}
}

static void
cut(struct str *out, size_t at)
{
	size_t	end;

	if (out->len - at <= ACTION_MAX)
		return;
	end = at + str_utf8_cut(out->data + at, out->len - at, ACTION_MAX);
	out->data[end] = '\0';
	out->len = end;
}

void
action_add_blocked(struct str *out, const struct settings *s,
    const struct override *block, int64_t now)
{
	struct msg_charge_key	 key = { .id = "", .rule = UINT16_MAX };
	struct msg_verdict	 v = { .verdict = VERDICT_BLOCKED };
	const char		*colon, *action = s->block_action;
	size_t			 at = out->len, i;

	for (i = 0; i < s->nrules && block != NULL &&
	    block->kind == OVERRIDE_LOCK; i++) {
		if (!rule_lock_is_named(&s->rules[i], block->who,
		    block->wholen))
			continue;
		key.rule = (uint16_t)i;
		if (s->rules[i].lock.action != NULL)
			action = s->rules[i].lock.action;
	}
	if (block != NULL) {
		colon = memchr(block->id, ':', block->idlen);
		key.id = colon != NULL ? colon + 1 : block->id;
		key.idlen = block->idlen - (size_t)(key.id - block->id);
		v.retry_after = block->until - now;
	}
	add_filled(out, s, action, &key, &v);
	cut(out, at);
}

void
action_add(struct str *out, const struct settings *s,
    const struct msg_charge *charge, const struct msg_verdict *v)
{
	const struct msg_charge_key	*key;
	const char			*action;
	size_t				 at = out->len;

	if (v->verdict == VERDICT_ACCEPTED && v->over == 0) {
		str_adds(out, s->success_action);
		return;
	}
	if (v->verdict == VERDICT_UNAVAILABLE || v->key >= charge->nkeys) {
		str_adds(out, s->db_error_action);
		return;
	}
	key = &charge->keys[v->key];
	action = access_of(s, key->rule);
	if (v->per_mail)
		action = access_per_mail(s, key->rule);
	else if (v->never && s->never_action != NULL && access_defers(action))
		action = s->never_action;
	add_filled(out, s, action, key, v);
	cut(out, at);
}
