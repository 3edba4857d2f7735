#include <string.h>

#include "ipc/message.h"
#include "ipc/wire.h"
#include "lib/log.h"

#define PARENT		(1U << ROLE_PARENT)
#define ENGINE		(1U << ROLE_ENGINE)
#define LEDGER		(1U << ROLE_LEDGER)
#define REPORT		(1U << ROLE_REPORT)
#define CHILDREN	(ENGINE | LEDGER | REPORT)

/* Who may send what to whom, and with a descriptor or without. */
static const struct message_rule	rules[MSG__MAX] = {
	[MSG_LOG] =		{ "log", PARENT, CHILDREN, false },
	[MSG_IDENTITY] =	{ "identity", PARENT, CHILDREN, false },
	[MSG_SETTING] =		{ "setting", PARENT, CHILDREN, false },
	[MSG_SETTINGS_END] =	{ "settings end", PARENT, CHILDREN, false },
	[MSG_LISTENER] =	{ "listener", PARENT, ENGINE, true },
	[MSG_LISTENER_END] =	{ "listener end", PARENT, ENGINE, false },
	[MSG_DIRECTORY] =	{ "directory", PARENT, LEDGER, false },
	[MSG_PEER] =		{ "peer", PARENT, CHILDREN, true },
	[MSG_START] =		{ "start", PARENT, CHILDREN, false },
	[MSG_STOP] =		{ "stop", PARENT, CHILDREN, false },
	[MSG_ALIVE_WANTED] =	{ "alive wanted", PARENT, ENGINE, false },
	[MSG_READY] =		{ "ready", CHILDREN, PARENT, false },
	[MSG_ALIVE] =		{ "alive", ENGINE, PARENT, false },
	[MSG_SETTINGS_TAKEN] =	{ "settings taken", ENGINE | LEDGER, PARENT,
				    false },
	[MSG_FAULT] =		{ "fault", CHILDREN, PARENT, false },
	[MSG_PEER_BROKEN] =	{ "peer broken", ENGINE | LEDGER, PARENT,
				    false },
	[MSG_CHARGE] =		{ "charge", ENGINE, LEDGER, false },
	[MSG_VERDICT] =		{ "verdict", LEDGER, ENGINE, false },
	[MSG_SERVING] =		{ "serving", LEDGER, ENGINE, false },
	[MSG_REFUSAL] =		{ "refusal", ENGINE, LEDGER, false },
	[MSG_REFUSALS_KEPT] =	{ "refusals kept", LEDGER, ENGINE, false },
	[MSG_CLEAN] =		{ "clean", PARENT, LEDGER, false },
	[MSG_CLEANED] =		{ "cleaned", LEDGER, PARENT, false },
	[MSG_HITS_WANTED] =	{ "hits wanted", PARENT, LEDGER, false },
	[MSG_HIT] =		{ "hit", LEDGER, REPORT, false },
	[MSG_EVIDENCE] =	{ "evidence", LEDGER, REPORT, false },
	[MSG_HITS_END] =	{ "hits end", LEDGER, REPORT, false },
	[MSG_HITS_SENT] =	{ "hits sent", PARENT, LEDGER, false },
	[MSG_HITS_FORGOTTEN] =	{ "hits forgotten", LEDGER, PARENT, false },
	[MSG_HIT_NEW] =		{ "hit new", LEDGER, PARENT, false },
	[MSG_NOTICE_NEW] =	{ "notice new", LEDGER, PARENT, false },
	[MSG_NOTICE_WANTED] =	{ "notice wanted", PARENT, LEDGER, false },
	[MSG_NOTICE] =		{ "notice", LEDGER, REPORT, false },
	[MSG_NOTICE_END] =	{ "notice end", LEDGER, REPORT, false },
	[MSG_NOTICE_SENT] =	{ "notice sent", PARENT, LEDGER, false },
	[MSG_REPORTED] =	{ "reported", REPORT, PARENT, false },
	[MSG_TRIED] =		{ "tried", PARENT, REPORT, false },
	[MSG_TASK] =		{ "task", ENGINE, PARENT, false },
	[MSG_TASK_DONE] =	{ "task done", PARENT, ENGINE, false },
	[MSG_STATE] =		{ "state", PARENT, ENGINE, false },
	[MSG_WEIGH] =		{ "weigh", ENGINE, LEDGER, false },
	[MSG_WEIGHED] =		{ "weighed", LEDGER, ENGINE, false },
	[MSG_TOP] =		{ "top", ENGINE, LEDGER, false },
	[MSG_TOPPED] =		{ "topped", LEDGER, ENGINE, false },
	[MSG_FIGURES_WANTED] =	{ "figures wanted", ENGINE, LEDGER, false },
	[MSG_FIGURES] =		{ "figures", LEDGER, ENGINE, false },
	[MSG_SEARCH] =		{ "search", ENGINE, LEDGER, false },
	[MSG_FOUND] =		{ "found", LEDGER, ENGINE, false },
	[MSG_SEARCHED] =	{ "searched", LEDGER, ENGINE, false },
	[MSG_PROGRESS] =	{ "progress", LEDGER, ENGINE, false },
	[MSG_RESET] =		{ "reset", ENGINE, LEDGER, false },
	[MSG_EXTERNAL] =	{ "external", ENGINE, LEDGER, false },
	[MSG_OVERRIDE] =	{ "override", ENGINE, LEDGER, false },
	[MSG_TRUST] =		{ "trust", ENGINE, LEDGER, false },
	[MSG_FORGET] =		{ "forget", ENGINE, LEDGER, false },
	[MSG_OVERRIDES_WANTED] = { "overrides wanted", ENGINE, LEDGER, false },
	[MSG_SCAN] =		{ "scan", PARENT, ENGINE | LEDGER, true },
	[MSG_SIMULATE] =	{ "simulate", ENGINE, LEDGER, false },
	[MSG_SIMULATED] =	{ "simulated", LEDGER, ENGINE, false },
	[MSG_OVERRIDES_BEGIN] =	{ "overrides begin", LEDGER, ENGINE, false },
	[MSG_OVERRIDES_PART] =	{ "overrides part", LEDGER, ENGINE, false },
	[MSG_OVERRIDES_END] =	{ "overrides end", LEDGER, ENGINE, false },
	[MSG_OVERRIDDEN] =	{ "overridden", LEDGER, ENGINE, false }
};

const char *
message_role_name(enum role role)
{
	static const char *const	names[ROLE__MAX] = {
		[ROLE_PARENT] = "parent",
		[ROLE_ENGINE] = "engine",
		[ROLE_LEDGER] = "ledger",
		[ROLE_REPORT] = "report"
	};

	return (unsigned int)role < ROLE__MAX ? names[role] : "nobody";
}

const struct message_rule *
message_rule(unsigned int type)
{
	if (type >= MSG__MAX || rules[type].name == NULL)
		return NULL;
	return &rules[type];
}

/* --- start --- */

void
msg_identity_put(struct str *s, const struct msg_identity *m)
{
	if (m->ngroups > IDENTITY_GROUPS_MAX)
		log_fatal("an identity of %zu groups", m->ngroups);
	wire_put_u8(s, m->drop);
	wire_put_u8(s, m->replaces);
	wire_put_u32(s, m->uid);
	wire_put_u32(s, m->gid);
	wire_put_u8(s, (uint8_t)m->ngroups);
	str_add(s, m->groups, m->ngroups * sizeof(m->groups[0]));
	wire_put_text(s, m->jail);
	wire_put_text(s, m->user);
	wire_put_text(s, m->home);
}

int
msg_identity_get(struct msg_identity *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	memset(m, 0, sizeof(*m));
	m->drop = wire_get_bool(&w);
	m->replaces = wire_get_bool(&w);
	m->uid = wire_get_u32(&w);
	m->gid = wire_get_u32(&w);
	m->ngroups = wire_get_below(&w, IDENTITY_GROUPS_MAX + 1);
	wire_get(&w, m->groups, m->ngroups * sizeof(m->groups[0]));
	wire_get_array(&w, m->jail, sizeof(m->jail));
	wire_get_array(&w, m->user, sizeof(m->user));
	wire_get_array(&w, m->home, sizeof(m->home));
	return wire_done(&w);
}

void
msg_listener_put(struct str *s, const struct msg_listener *m)
{
	wire_put_u32(s, m->number);
	wire_put_u8(s, m->kind);
	wire_put_text(s, m->name);
}

int
msg_listener_get(struct msg_listener *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->number = wire_get_u32(&w);
	m->kind = wire_get_below(&w, LISTENER__MAX);
	wire_get_array(&w, m->name, sizeof(m->name));
	return wire_done(&w);
}

void
msg_number_put(struct str *s, uint64_t value)
{
	wire_put_u64(s, value);
}

int
msg_number_get(uint64_t *value, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	*value = wire_get_u64(&w);
	return wire_done(&w);
}

void
msg_text_put(struct str *s, const char *text)
{
	wire_put_bytes(s, text, strlen(text));
}

int
msg_text_get(char *dst, size_t size, const void *src, size_t len)
{
	struct wire	 w;
	const void	*p;
	size_t		 n;

	wire_init(&w, src, len);
	p = wire_get_bytes(&w, len, &n);
	if (memchr(p, '\0', n) != NULL)
		wire_fail(&w);
	if (n >= size)
		n = size - 1;
	memcpy(dst, p, n);
	dst[n] = '\0';
	return wire_done(&w);
}

/* --- parts of several messages --- */

void
msg_ids_put(struct str *s, const char *const *id, const size_t *idlen,
    size_t n)
{
	size_t	i;

	if (n > CHARGE_KEYS_MAX)
		log_fatal("a message about %zu ids", n);
	wire_put_u8(s, (uint8_t)n);
	for (i = 0; i < n; i++)
		wire_put_bytes(s, id[i], idlen[i]);
}

size_t
msg_ids_get(struct wire *w, const char **id, size_t *idlen)
{
	size_t	n = wire_get_below(w, CHARGE_KEYS_MAX + 1), i;

	for (i = 0; i < n; i++)
		id[i] = wire_get_bytes(w, CHARGE_ID_MAX, &idlen[i]);
	return n;
}

void
msg_limit_put(struct str *s, const struct limit *limit)
{
	wire_put_i64(s, limit->mails);
	wire_put_i64(s, limit->seconds);
}

void
msg_limit_get(struct wire *w, struct limit *limit, int64_t min_seconds)
{
	limit->mails = wire_get_range(w, 0, INT64_MAX);
	limit->seconds = wire_get_range(w, min_seconds, INT64_MAX);
}

/* --- cleaning and reporting --- */

void
msg_cleaned_put(struct str *s, const struct msg_cleaned *m)
{
	wire_put_u8(s, m->done);
	wire_put_u8(s, m->failed);
	wire_put_i64(s, m->records);
	wire_put_text(s, m->reason);
}

int
msg_cleaned_get(struct msg_cleaned *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->done = wire_get_bool(&w);
	m->failed = wire_get_bool(&w);
	m->records = wire_get_range(&w, 0, INT64_MAX);
	wire_get_array(&w, m->reason, sizeof(m->reason));
	return wire_done(&w);
}

void
msg_hit_put(struct str *s, const struct msg_hit *m)
{
	wire_put_u8(s, m->kind);
	wire_put_bytes(s, m->id, m->idlen);
	wire_put_bytes(s, m->rule, m->rulelen);
	wire_put_i64(s, m->mails);
	wire_put_i64(s, m->seconds);
	wire_put_i64(s, m->hits);
}

int
msg_hit_get(struct msg_hit *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->kind = wire_get_below(&w, HIT_KIND__MAX);
	m->id = wire_get_bytes(&w, CHARGE_ID_MAX, &m->idlen);
	m->rule = wire_get_bytes(&w, CHARGE_ID_MAX, &m->rulelen);
	m->mails = wire_get_range(&w, 0, INT64_MAX);
	m->seconds = wire_get_range(&w, 0, INT64_MAX);
	m->hits = wire_get_range(&w, 0, INT64_MAX);
	return wire_done(&w);
}

bool
msg_hits_fit(struct msg_hits_room *room, const struct msg_hit *m)
{
	size_t	bytes = m->idlen + m->rulelen;

	if (room->hits >= HITS_MAX || bytes > HITS_BYTES_MAX - room->bytes)
		room->full = true;
	if (room->full)
		return false;
	room->hits++;
	room->bytes += bytes;
	return true;
}

void
msg_evidence_put(struct str *s, const struct msg_evidence *m)
{
	wire_put_u8(s, m->kind);
	wire_put_bytes(s, m->id, m->idlen);
	wire_put_bytes(s, m->rule, m->rulelen);
	wire_put_bytes(s, m->value, m->valuelen);
	wire_put_i64(s, m->times);
}

int
msg_evidence_get(struct msg_evidence *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->kind = wire_get_below(&w, EVIDENCE__MAX);
	m->id = wire_get_bytes(&w, CHARGE_ID_MAX, &m->idlen);
	m->rule = wire_get_bytes(&w, CHARGE_ID_MAX, &m->rulelen);
	m->value = wire_get_bytes(&w, CHARGE_ID_MAX, &m->valuelen);
	m->times = wire_get_range(&w, 0, INT64_MAX);
	return wire_done(&w);
}

void
msg_reported_put(struct str *s, const struct msg_reported *m)
{
	wire_put_u8(s, m->outcome);
	wire_put_text(s, m->reason);
	wire_put_text(s, m->address);
}

int
msg_reported_get(struct msg_reported *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->outcome = wire_get_below(&w, REPORT__MAX);
	wire_get_array(&w, m->reason, sizeof(m->reason));
	wire_get_array(&w, m->address, sizeof(m->address));
	return wire_done(&w);
}
