#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "liar.h"

#define FLOOD		200000
#define DRIP_MS		3000

static int
put_charge(const char *id)
{
	struct str	payload;
	int		result;

	liar_charge(&payload, id);
	result = liar_put_frame(channel_fd(liar_start.peer), MSG_CHARGE, 0,
	    payload.data, payload.len);
	str_clear(&payload);
	return result;
}

/* Well-formed, with numbers from the far ends of their ranges. */
static int
put_extremes(void)
{
	static struct msg_charge	charge;
	static const int64_t		far[] = { 0, 1, INT64_MAX - 1,
		INT64_MAX };
	static uint8_t			out[LIAR_HEADER + 65536];
	struct str			payload;
	size_t				i;
	int				result = 0;

	for (i = 0; i < 256 && result == 0; i++) {
		memset(&charge, 0, sizeof(charge));
		charge.mode = (uint8_t)(i % CHARGE__MAX);
		charge.deadline = i & 1 ? INT64_MIN : INT64_MAX;
		charge.date = charge.mode == CHARGE_REPLAY ? far[i % 4] : 0;
		charge.instance = charge.state = "";
		charge.tag = i & 2 ? INT64_MIN : -1;
		for (charge.nkeys = 0; charge.nkeys < CHARGE_KEYS_MAX;
		    charge.nkeys++) {
			struct msg_charge_key *k = &charge.keys[charge.nkeys];

			k->id = "the same";
			k->idlen = i & 4 ? strlen(k->id) : charge.nkeys % 2;
			k->amount = far[i / 4 % 4];
			k->kind = (uint8_t)(i / 16 % CHARGE_KIND__MAX);
			k->value = "";
			k->sql = (i & 8) != 0;
			k->max_per_mail = far[i / 8 % 4];
			k->rule = UINT16_MAX;
			k->reported = UINT32_MAX;
			k->limits.list = charge.store;
			k->limits.count = 1;
		}
		charge.store[0].mails = far[i / 2 % 4];
		charge.store[0].seconds = 1 + far[i / 8 % 4] / 2;
		str_init(&payload);
		msg_charge_put(&payload, &charge);
		if (payload.len <= sizeof(out) - LIAR_HEADER)
			result = liar_put(channel_fd(liar_start.peer), out,
			    liar_frame(out, (uint32_t)payload.len, MSG_CHARGE,
			    0, payload.data, payload.len));
		str_clear(&payload);
	}
	return result;
}

/* A charge of which a few bytes are others, or are missing. */
static int
put_mutation(void)
{
	uint8_t		out[LIAR_HEADER + 1024];
	struct str	payload;
	size_t		len;
	uint32_t	flips;

	liar_charge(&payload, "mutation");
	len = payload.len;
	flips = liar_chance() % 4;
	while (flips-- > 0)
		payload.data[liar_chance() % len] = (char)liar_chance();
	if (liar_chance() % 4 == 0)
		len -= liar_chance() % len;
	(void)liar_frame(out, (uint32_t)len, MSG_CHARGE, 0, payload.data, len);
	str_clear(&payload);
	return liar_put(channel_fd(liar_start.peer), out, LIAR_HEADER + len);
}

/* --- the lies --- */

static int
to_parent(void)
{
	return channel_fd(liar_start.parent);
}

static int
to_ledger(void)
{
	return channel_fd(liar_start.peer);
}

static int
unknown_type(int fd)
{
	return liar_put_frame(fd, 999, 0, NULL, 0);
}

static int
too_long(int fd)
{
	uint8_t	out[LIAR_HEADER];

	return liar_put(fd, out, liar_frame(out, UINT32_MAX,
	    fd == to_parent() ? MSG_TASK : MSG_CHARGE, 0, NULL, 0));
}

/* What only the parent may say. */
static int
not_mine(int fd)
{
	return liar_put_frame(fd, liar_number % 2 == 0 ? MSG_STOP : MSG_CLEAN,
	    0, NULL, 0);
}

static int
verdict(int fd)
{
	return liar_put_frame(fd, MSG_VERDICT, 0, "x", 1);
}

static int
flags(int fd)
{
	return liar_put_frame(fd,
	    fd == to_parent() ? MSG_SETTINGS_TAKEN : MSG_CHARGE, 0x8002,
	    NULL, 0);
}

static int
missing_descriptor(int fd)
{
	return liar_put_frame(fd,
	    fd == to_parent() ? MSG_SETTINGS_TAKEN : MSG_CHARGE, LIAR_FD,
	    NULL, 0);
}

static int
ready_again(int fd)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_text_put(&payload, "");
	result = liar_put_frame(fd, MSG_READY, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

static int
task_unknown(int fd)
{
	return liar_put_number(fd, MSG_TASK, 77);
}

static int
task_short(int fd)
{
	return liar_put_frame(fd, MSG_TASK, 0, "abc", 3);
}

static int
fault_forged(int fd)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_text_put(&payload, "x\n2026-01-01T00:00:00 parent: forged\x1b[2J");
	result = liar_put_frame(fd, MSG_FAULT, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

/* A child's lines are lines of that child, whatever they say. */
static int
line_forged(int fd)
{
	static const char	text[] =
	    "x\n2026-01-01T00:00:00 parent: forged\n"
	    "<0>2026-01-01T00:00:00 parent: urgent\r\x1b[2J\xff\n\n"
	    "<3>\n<9>level\n<3\nline without an end";

	(void)fd;
	return write(STDERR_FILENO, text, sizeof(text) - 1) ==
	    (ssize_t)sizeof(text) - 1 ? 0 : -1;
}

/* One of 64 KiB, and one that comes in two halves. */
static int
line_long(int fd)
{
	static char	text[65537];

	(void)fd;
	memset(text, 'y', sizeof(text));
	text[100] = '\033';
	text[sizeof(text) - 1] = '\n';
	if (write(STDERR_FILENO, text, sizeof(text)) !=
	    (ssize_t)sizeof(text) || write(STDERR_FILENO, "in two ", 7) != 7)
		return -1;
	(void)poll(NULL, 0, 500);
	return write(STDERR_FILENO, "halves\n", 7) == 7 ? 0 : -1;
}

/* As fast as the pipe takes them, short ones and one that never ends. */
static int
line_flood(int fd)
{
	static char	text[65536];
	struct mono	end = clock_after(clock_mono(), DRIP_MS);
	size_t		i;

	(void)fd;
	memset(text, liar_number == 0 ? '\n' : 'x', sizeof(text));
	for (i = 15; liar_number == 2 && i < sizeof(text); i += 16)
		text[i] = '\n';
	while (!clock_passed(end, clock_mono()))
		if (write(STDERR_FILENO, text, sizeof(text)) == -1 &&
		    errno != EAGAIN)
			return -1;
	/* Lines of the impostor itself follow. */
	while (write(STDERR_FILENO, "\n", 1) == -1)
		(void)poll(NULL, 0, 1);
	return 0;
}

/* Half a header, and nothing more. */
static int
half(int fd)
{
	return liar_put(fd, "\0\0\0\1", 4);
}

static int
task_flood(int fd)
{
	unsigned int	i;

	for (i = 0; i < FLOOD; i++)
		if (liar_put_number(fd, MSG_TASK, liar_number % TASK__MAX) ==
		    -1)
			return -1;
	return 0;
}

/* Each is done before the next, and what the parent says is never read. */
static int
task_drip(int fd)
{
	struct mono	end = clock_after(clock_mono(), DRIP_MS);

	/* For less than it takes to be found out as an engine that hangs. */
	while (!clock_passed(end, clock_mono())) {
		if (liar_put_number(fd, MSG_TASK, TASK_RELOAD) == -1)
			return -1;
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

/* The ledger breaks no rule. */
static int
accuse(int fd)
{
	struct mono	end = clock_after(clock_mono(), DRIP_MS);

	while (!clock_passed(end, clock_mono())) {
		if (liar_put_frame(fd, MSG_PEER_BROKEN, 0, NULL, 0) == -1)
			return -1;
		(void)poll(NULL, 0, 1);
	}
	/* The parent has read the last one before the lie is told. */
	(void)poll(NULL, 0, 200);
	return 0;
}

static int
lost_flood(int fd)
{
	unsigned int	i;

	for (i = 0; i < FLOOD; i++)
		if (liar_put_number(fd, MSG_SETTINGS_TAKEN, i) == -1)
			return -1;
	return 0;
}

static int
charge_flood(int fd)
{
	char		id[32];
	unsigned int	i;

	(void)fd;
	for (i = 0; i < FLOOD; i++) {
		snprintf(id, sizeof(id), "flood%u", i);
		if (put_charge(id) == -1)
			return -1;
	}
	return 0;
}

static int
charge_raw(const void *payload, size_t len)
{
	return liar_put_frame(to_ledger(), MSG_CHARGE, 0, payload, len);
}

static int
charge_empty(int fd)
{
	(void)fd;
	return charge_raw(NULL, 0);
}

static int
charge_left_over(int fd)
{
	struct str	payload;
	int		result;

	(void)fd;
	liar_charge(&payload, "left over");
	str_addc(&payload, 'x');
	result = charge_raw(payload.data, payload.len);
	str_clear(&payload);
	return result;
}

static int
charge_cut(int fd)
{
	struct str	payload;
	int		result;

	(void)fd;
	liar_charge(&payload, "cut");
	result = charge_raw(payload.data, liar_number % payload.len);
	str_clear(&payload);
	return result;
}

static int
charge_extreme(int fd)
{
	(void)fd;
	return put_extremes();
}

static int
charge_mutated(int fd)
{
	unsigned int	i;

	(void)fd;
	for (i = 0; i < 1000; i++)
		if (put_mutation() == -1)
			return -1;
	return 0;
}

/* --- policyctl's questions, which nobody asked --- */

/* Many long ids, each of which a list of them will have. */
static int
charge_long(unsigned int many)
{
	char		id[201];
	unsigned int	i;

	for (i = 0; i < many; i++) {
		memset(id, 'x', sizeof(id) - 1);
		snprintf(id, sizeof(id), "%0200u", i);
		if (put_charge(id) == -1)
			return -1;
	}
	return 0;
}

/* Short questions with long answers, none of which is read. */
static int
top_flood(int fd)
{
	unsigned int	i;

	if (charge_long(1500) == -1)
		return -1;
	for (i = 0; i < FLOOD; i++)
		if (liar_put_number(fd, MSG_TOP, UINT64_MAX) == -1)
			return -1;
	return 0;
}

static int
figures_flood(int fd)
{
	unsigned int	i;

	for (i = 0; i < FLOOD; i++)
		if (liar_put_frame(fd, MSG_FIGURES_WANTED, 0, NULL, 0) == -1)
			return -1;
	return 0;
}

static int
weigh_flood(int fd)
{
	struct str	payload;
	unsigned int	i;
	int		result = 0;

	liar_charge(&payload, "weighed");
	for (i = 0; i < FLOOD && result == 0; i++)
		result = liar_put_frame(fd, i % 2 == 0 ? MSG_WEIGH : MSG_RESET,
		    0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

static int
override_flood(int fd)
{
	struct msg_override	 o = { .kind = OVERRIDE_BLOCK, .nids = 2,
				    .until = OVERRIDE_FOREVER, .who = "",
				    .reason = "" };
	struct str		 payload;
	char			 id[32];
	unsigned int		 i;
	int			 result = 0;

	str_init(&payload);
	for (i = 0; i < FLOOD && result == 0; i++) {
		snprintf(id, sizeof(id), "override%u", i);
		o.id[0] = o.id[1] = id;
		o.idlen[0] = strlen(id);
		o.idlen[1] = strlen(id) / 2;
		payload.len = 0;
		msg_override_put(&payload, &o);
		result = liar_put_frame(fd, MSG_OVERRIDE, 0, payload.data,
		    payload.len);
	}
	str_clear(&payload);
	return result;
}

/* Payloads of questions of which a few bytes are others, or are missing. */
static int
question_mutated(int fd)
{
	static const enum message_type	types[] = {
		MSG_WEIGH, MSG_RESET, MSG_OVERRIDE, MSG_TOP, MSG_FIGURES_WANTED
	};
	struct str			payload;
	unsigned int			i;
	size_t				len;
	int				result = 0;

	for (i = 0; i < 2000 && result == 0; i++) {
		liar_charge(&payload, "question");
		len = liar_chance() % (payload.len + 1);
		if (liar_chance() % 2 == 0)
			len = payload.len;
		payload.data[liar_chance() % payload.len] =
		    (char)liar_chance();
		result = liar_put_frame(fd, types[liar_chance() % 5], 0,
		    payload.data, len);
		str_clear(&payload);
	}
	return result;
}

static const struct lie	lies[] = {
	{ "parent-type", to_parent, unknown_type, false },
	{ "parent-length", to_parent, too_long, false },
	{ "parent-not-mine", to_parent, not_mine, false },
	{ "parent-verdict", to_parent, verdict, false },
	{ "parent-flags", to_parent, flags, false },
	{ "parent-no-descriptor", to_parent, missing_descriptor, false },
	{ "parent-descriptors", to_parent, liar_put_descriptors, true },
	{ "parent-ready-again", to_parent, ready_again, false },
	{ "parent-task-unknown", to_parent, task_unknown, false },
	{ "parent-task-short", to_parent, task_short, false },
	{ "parent-fault-forged", to_parent, fault_forged, false },
	{ "parent-line-forged", to_parent, line_forged, false },
	{ "parent-line-long", to_parent, line_long, false },
	{ "parent-line-flood", to_parent, line_flood, false },
	{ "parent-refuse", to_parent, half, false },
	{ "parent-half", to_parent, half, false },
	{ "parent-task-flood", to_parent, task_flood, false },
	{ "parent-task-drip", to_parent, task_drip, false },
	{ "parent-accuse", to_parent, accuse, false },
	{ "parent-lost-flood", to_parent, lost_flood, false },
	{ "parent-noise", to_parent, liar_put_noise, false },
	{ "ledger-type", to_ledger, unknown_type, false },
	{ "ledger-length", to_ledger, too_long, false },
	{ "ledger-not-mine", to_ledger, not_mine, false },
	{ "ledger-verdict", to_ledger, verdict, false },
	{ "ledger-flags", to_ledger, flags, false },
	{ "ledger-no-descriptor", to_ledger, missing_descriptor, false },
	{ "ledger-descriptors", to_ledger, liar_put_descriptors, true },
	{ "ledger-half", to_ledger, half, false },
	{ "ledger-charge-empty", to_ledger, charge_empty, false },
	{ "ledger-charge-left-over", to_ledger, charge_left_over, false },
	{ "ledger-charge-cut", to_ledger, charge_cut, false },
	{ "ledger-charge-extreme", to_ledger, charge_extreme, false },
	{ "ledger-charge-mutated", to_ledger, charge_mutated, false },
	{ "ledger-charge-flood", to_ledger, charge_flood, false },
	{ "ledger-top-flood", to_ledger, top_flood, false },
	{ "ledger-figures-flood", to_ledger, figures_flood, false },
	{ "ledger-weigh-flood", to_ledger, weigh_flood, false },
	{ "ledger-override-flood", to_ledger, override_flood, false },
	{ "ledger-question-mutated", to_ledger, question_mutated, false },
	{ "ledger-noise", to_ledger, liar_put_noise, false }
};

const struct lie *
lie_find(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		if (strcmp(lies[i].name, name) == 0)
			return &lies[i];
	return NULL;
}
