#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "role/role.h"

/*
 * An engine that somebody took over, in the place of the real one: it starts
 * and locks itself in as the engine does, asks the ledger one honest question,
 * and then lies to the parent or to the ledger. Which lie it is stands in its
 * settings, fail_action = "reject lie NAME NUMBER". What must come of each is
 * in liar.t.
 */
#define HEADER		16
#define WAIT_MS		10000
#define STUCK_MS	2000	/* a receiver that reads nothing for so long */
#define FLOOD		200000
#define FLAG_FD		1

static struct role_start	start;
static unsigned int		number;		/* seed, where chance is used */

/* --- sending what no channel would send --- */

static uint32_t
chance(void)
{
	static uint32_t	state;

	if (state == 0)
		state = number * 2654435761U + 1;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* -1: the other end is closed, or takes nothing any more. */
static int
put(int fd, const void *data, size_t len)
{
	const uint8_t	*p = data;
	struct pollfd	 pfd = { .fd = fd, .events = POLLOUT };
	ssize_t		 n;

	while (len > 0) {
		if ((n = send(fd, p, len, MSG_NOSIGNAL)) > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		if (poll(&pfd, 1, STUCK_MS) != 1)
			return -1;
	}
	return 0;
}

static size_t
frame(uint8_t *out, uint32_t len, unsigned int type, unsigned int flags,
    const void *payload, size_t size)
{
	memset(out, 0, HEADER);
	out[0] = (uint8_t)(len >> 24);
	out[1] = (uint8_t)(len >> 16);
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	out[4] = (uint8_t)(type >> 8);
	out[5] = (uint8_t)type;
	out[6] = (uint8_t)(flags >> 8);
	out[7] = (uint8_t)flags;
	out[15] = 1;
	if (size > 0)
		memcpy(out + HEADER, payload, size);
	return HEADER + size;
}

static int
put_frame(int fd, unsigned int type, unsigned int flags, const void *payload,
    size_t size)
{
	uint8_t	out[HEADER + 1024];

	return put(fd, out, frame(out, (uint32_t)size, type, flags, payload,
	    size));
}

static int
put_number(int fd, unsigned int type, uint64_t value)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_number_put(&payload, value);
	result = put_frame(fd, type, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

static int
put_noise(int fd)
{
	uint8_t	noise[4096];
	size_t	i, round;

	for (round = 0; round < 64; round++) {
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)chance();
		if (put(fd, noise, sizeof(noise)) == -1)
			return -1;
	}
	return 0;
}

static int
put_descriptors(int fd)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(100 * sizeof(int))];
	} control;
	uint8_t		 out[HEADER];
	struct msghdr	 mh;
	struct iovec	 iov = { out, sizeof(out) };
	struct cmsghdr	*cmsg;
	int		 i, two = STDERR_FILENO;

	frame(out, 0, MSG_LOG_LOST, FLAG_FD, NULL, 0);
	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(100 * sizeof(int));
	for (i = 0; i < 100; i++)
		memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &two,
		    sizeof(two));
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == -1 ? -1 : 0;
}

/* --- charges --- */

static void
charge_make(struct str *payload, const char *id)
{
	static struct msg_charge	charge;

	memset(&charge, 0, sizeof(charge));
	charge.mode = CHARGE_ONCE;
	charge.deadline = clock_after(clock_mono(), WAIT_MS).ns;
	charge.instance = "liar";
	charge.instancelen = strlen("liar");
	charge.state = "DATA";
	charge.statelen = strlen("DATA");
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = strlen(id);
	charge.keys[0].amount = 1;
	charge.keys[0].limits.list = charge.store;
	charge.keys[0].limits.count = 1;
	charge.store[0].mails = 1000000;
	charge.store[0].seconds = 60;
	str_init(payload);
	msg_charge_put(payload, &charge);
}

/* What an honest engine asks is still answered, whatever came before. */
static void
ask_honestly(void)
{
	struct msg_verdict	verdict;
	struct message		m;
	struct str		payload;

	charge_make(&payload, "probe");
	channel_send(start.peer, MSG_CHARGE, 7, &payload, -1);
	str_clear(&payload);
	if (channel_wait(start.peer, &m, clock_after(clock_mono(), WAIT_MS)) ==
	    -1 || m.type != MSG_VERDICT || m.request != 7 ||
	    msg_verdict_get(&verdict, m.payload, m.len) == -1)
		log_error("liar: an honest charge has no answer");
	else
		log_notice("liar: an honest charge has its answer");
}

static int
put_charge(const char *id)
{
	struct str	payload;
	int		result;

	charge_make(&payload, id);
	result = put_frame(channel_fd(start.peer), MSG_CHARGE, 0, payload.data,
	    payload.len);
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
	static uint8_t			out[HEADER + 65536];
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
			k->rule = UINT16_MAX;
			k->reported = UINT32_MAX;
			k->limits.list = charge.store;
			k->limits.count = 1;
		}
		charge.store[0].mails = far[i / 2 % 4];
		charge.store[0].seconds = 1 + far[i / 8 % 4] / 2;
		str_init(&payload);
		msg_charge_put(&payload, &charge);
		if (payload.len <= sizeof(out) - HEADER)
			result = put(channel_fd(start.peer), out, frame(out,
			    (uint32_t)payload.len, MSG_CHARGE, 0, payload.data,
			    payload.len));
		str_clear(&payload);
	}
	return result;
}

/* A charge of which a few bytes are others, or are missing. */
static int
put_mutation(void)
{
	uint8_t		out[HEADER + 1024];
	struct str	payload;
	size_t		len;
	uint32_t	flips;

	charge_make(&payload, "mutation");
	len = payload.len;
	flips = chance() % 4;
	while (flips-- > 0)
		payload.data[chance() % len] = (char)chance();
	if (chance() % 4 == 0)
		len -= chance() % len;
	(void)frame(out, (uint32_t)len, MSG_CHARGE, 0, payload.data, len);
	str_clear(&payload);
	return put(channel_fd(start.peer), out, HEADER + len);
}

/* --- the lies --- */

static int
to_parent(void)
{
	return channel_fd(start.parent);
}

static int
to_ledger(void)
{
	return channel_fd(start.peer);
}

static int
unknown_type(int fd)
{
	return put_frame(fd, 999, 0, NULL, 0);
}

static int
too_long(int fd)
{
	uint8_t	out[HEADER];

	return put(fd, out, frame(out, UINT32_MAX,
	    fd == to_parent() ? MSG_WISH : MSG_CHARGE, 0, NULL, 0));
}

/* What only the parent may say. */
static int
not_mine(int fd)
{
	return put_frame(fd, number % 2 == 0 ? MSG_STOP : MSG_CLEAN, 0, NULL,
	    0);
}

static int
verdict(int fd)
{
	return put_frame(fd, MSG_VERDICT, 0, "x", 1);
}

static int
flags(int fd)
{
	return put_frame(fd, fd == to_parent() ? MSG_LOG_LOST : MSG_CHARGE,
	    0x8002, NULL, 0);
}

static int
missing_descriptor(int fd)
{
	return put_frame(fd, fd == to_parent() ? MSG_LOG_LOST : MSG_CHARGE,
	    FLAG_FD, NULL, 0);
}

static int
ready_again(int fd)
{
	struct msg_ready	ready;
	struct str		payload;
	int			result;

	memset(&ready, 0, sizeof(ready));
	str_init(&payload);
	msg_ready_put(&payload, &ready);
	result = put_frame(fd, MSG_READY, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

static int
wish_unknown(int fd)
{
	return put_number(fd, MSG_WISH, 77);
}

static int
wish_short(int fd)
{
	return put_frame(fd, MSG_WISH, 0, "abc", 3);
}

static int
fault_forged(int fd)
{
	struct str	payload;
	int		result;

	str_init(&payload);
	msg_text_put(&payload, "x\n2026-01-01T00:00:00 parent: forged\x1b[2J");
	result = put_frame(fd, MSG_FAULT, 0, payload.data, payload.len);
	str_clear(&payload);
	return result;
}

/* Half a header, and nothing more. */
static int
half(int fd)
{
	return put(fd, "\0\0\0\1", 4);
}

static int
wish_flood(int fd)
{
	unsigned int	i;

	for (i = 0; i < FLOOD; i++)
		if (put_number(fd, MSG_WISH, number % WISH__MAX) == -1)
			return -1;
	return 0;
}

/* Each is done before the next, and what the parent says is never read. */
static int
wish_drip(int fd)
{
	unsigned int	i;

	for (i = 0; i < 3000; i++) {
		if (put_number(fd, MSG_WISH, WISH_RELOAD) == -1)
			return -1;
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

static int
lost_flood(int fd)
{
	unsigned int	i;

	for (i = 0; i < FLOOD; i++)
		if (put_frame(fd, MSG_LOG_LOST, 0, NULL, 0) == -1)
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
	return put_frame(to_ledger(), MSG_CHARGE, 0, payload, len);
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
	charge_make(&payload, "left over");
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
	charge_make(&payload, "cut");
	result = charge_raw(payload.data, number % payload.len);
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

static const struct {
	const char	*name;
	int		(*to)(void);
	int		(*lie)(int);
	bool		 unlocked;	/* the lock leaves no way to do it */
} lies[] = {
	{ "parent-type", to_parent, unknown_type, false },
	{ "parent-length", to_parent, too_long, false },
	{ "parent-not-mine", to_parent, not_mine, false },
	{ "parent-verdict", to_parent, verdict, false },
	{ "parent-flags", to_parent, flags, false },
	{ "parent-no-descriptor", to_parent, missing_descriptor, false },
	{ "parent-descriptors", to_parent, put_descriptors, true },
	{ "parent-ready-again", to_parent, ready_again, false },
	{ "parent-wish-unknown", to_parent, wish_unknown, false },
	{ "parent-wish-short", to_parent, wish_short, false },
	{ "parent-fault-forged", to_parent, fault_forged, false },
	{ "parent-half", to_parent, half, false },
	{ "parent-wish-flood", to_parent, wish_flood, false },
	{ "parent-wish-drip", to_parent, wish_drip, false },
	{ "parent-lost-flood", to_parent, lost_flood, false },
	{ "parent-noise", to_parent, put_noise, false },
	{ "ledger-type", to_ledger, unknown_type, false },
	{ "ledger-length", to_ledger, too_long, false },
	{ "ledger-not-mine", to_ledger, not_mine, false },
	{ "ledger-verdict", to_ledger, verdict, false },
	{ "ledger-flags", to_ledger, flags, false },
	{ "ledger-no-descriptor", to_ledger, missing_descriptor, false },
	{ "ledger-descriptors", to_ledger, put_descriptors, true },
	{ "ledger-half", to_ledger, half, false },
	{ "ledger-charge-empty", to_ledger, charge_empty, false },
	{ "ledger-charge-left-over", to_ledger, charge_left_over, false },
	{ "ledger-charge-cut", to_ledger, charge_cut, false },
	{ "ledger-charge-extreme", to_ledger, charge_extreme, false },
	{ "ledger-charge-mutated", to_ledger, charge_mutated, false },
	{ "ledger-charge-flood", to_ledger, charge_flood, false },
	{ "ledger-noise", to_ledger, put_noise, false }
};

/* Takes what the parent says, up to new settings: that is the test's reload. */
static bool
take_messages(void)
{
	struct settings	*fresh = NULL;
	struct message	 m;
	bool		 reloaded;
	int		 result;

	if ((result = channel_read(start.parent)) == -1)
		exit(0);
	while (result == 1 && fresh == NULL &&
	    (result = channel_next(start.parent, &m)) == 1) {
		if (m.type == MSG_STOP)
			exit(0);
		(void)role_message(&start, &m, &fresh);
	}
	reloaded = fresh != NULL;
	settings_free(fresh);
	return reloaded;
}

/* The lie is for a daemon that has started: the test reloads it then. */
static void
wait_reload(void)
{
	struct pollfd	pfd = { .fd = to_parent(), .events = POLLIN };

	while (!take_messages())
		(void)poll(&pfd, 1, -1);
}

/* Who was lied to may close the channel, kill this process, or bear it. */
static void
wait_end(int fd)
{
	struct pollfd	pfd[2] = {
		{ .fd = to_parent(), .events = POLLIN },
		{ .fd = fd == to_parent() ? -1 : fd, .events = 0 }
	};

	do
		(void)take_messages();
	while (poll(pfd, 2, -1) != -1 && pfd[1].revents == 0);
}

int
main(void)
{
	struct sandbox_needs	needs;
	char			name[64] = "";
	size_t			i;
	int			fd;

	role_begin(&start, ROLE_ENGINE, "engine");
	if (sscanf(start.settings->fail_action, "reject lie %63s %u", name,
	    &number) != 2)
		role_fault(&start, "fail_action names no lie");
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		if (strcmp(lies[i].name, name) == 0)
			break;
	if (i == sizeof(lies) / sizeof(lies[0]))
		role_fault(&start, "%s is no lie", name);
	memset(&needs, 0, sizeof(needs));
	needs.role = SANDBOX_ENGINE;
	if (!lies[i].unlocked)
		role_lock(&start, &needs);
	role_ready(&start);
	ask_honestly();
	wait_reload();
	fd = lies[i].to();
	if (lies[i].lie(fd) == -1)
		log_notice("liar: %s came to an end", name);
	else
		log_notice("liar: %s was told", name);
	wait_end(fd);
	return 0;
}
