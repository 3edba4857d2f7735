#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/client.h"
#include "engine/stats.h"
#include "engine/maillog.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "loop.h"

#define IDLE_MS		2000
#define REQUEST_MS	3000
#define ANSWER_MS	1000
#define MOST		40
#define BUFFERED		(4 * REQUEST_MAX)
#define MANY		64

static struct clients	*clients;

/*
 * The one who decides, as a test wishes: a request whose sender is "later"
 * waits for answer_next, any other is answered at once with its sender.
 */
static struct client	*waiting[MANY];
static char		 waiting_for[MANY][16];
static size_t		 nwaiting;
static size_t		 ntaken;		/* requests in all */

static void
answer(struct client *c, const char *text)
{
	char	bytes[256];
	int	n;

	n = snprintf(bytes, sizeof(bytes), "action=%s\n\n", text);
	client_answer(c, bytes, (size_t)n);
}

static void
on_request(void *arg, struct client *c, const struct request *req)
{
	const struct request_value	*v = &req->attr[ATTR_SENDER];
	char				 text[200];

	(void)arg;
	ntaken++;
	snprintf(text, sizeof(text), "%.*s", v->len > 100 ? 100 : (int)v->len,
	    v->len > 0 ? v->bytes : "");
	if (strncmp(text, "later", 5) == 0) {
		assert_true(nwaiting < MANY);
		snprintf(waiting_for[nwaiting], sizeof(waiting_for[0]), "%.10s",
		    text);
		waiting[nwaiting++] = c;
	} else
		answer(c, text);
}

static void
answer_next(void)
{
	struct client	*c = waiting[0];
	char		 text[16];

	assert_true(nwaiting > 0);
	memcpy(text, waiting_for[0], sizeof(text));
	nwaiting--;
	memmove(waiting, waiting + 1, nwaiting * sizeof(waiting[0]));
	memmove(waiting_for, waiting_for + 1,
	    nwaiting * sizeof(waiting_for[0]));
	loop_turn_end();
	answer(c, text);
}

static int
set_up(void **state)
{
	static const struct client_bounds	bounds = {
		.request_ms = REQUEST_MS,
		.answer_ms = ANSWER_MS,
		.most = MOST,
		.buffered = BUFFERED
	};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_open("test", LOG_TO_SYSLOG, -1, false);
	if (event_init() == NULL)
		return -1;
	clients = client_new(maillog_new(events_new()), on_request, NULL,
	    &bounds);
	client_set_idle(clients, IDLE_MS);
	return 0;
}

static int
begin(void **state)
{
	(void)state;
	loop_turn_end();
	/* Whatever became of the last test. */
	client_hold(clients, false);
	client_set_idle(clients, PATIENCE_S * 2000);
	nwaiting = 0;
	ntaken = 0;
	return 0;
}

static int
connection(void)
{
	static const struct client_peer	unix_peer;
	int				fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fd), 0);
	client_add(clients, fd[0], &unix_peer);
	return fd[1];
}

static void
say_bytes(int fd, const char *bytes, size_t len)
{
	assert_int_equal(write(fd, bytes, len), len);
}

static void
say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* Waits for exactly these bytes; NULL: for the end, and nothing before it. */
static void
hear(int fd, const char *want)
{
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);
	char		got[4096];
	size_t		len = 0, need = want != NULL ? strlen(want) : 1;
	ssize_t		n;

	while (len < need) {
		n = read(fd, got + len, need - len);
		if (want == NULL &&
		    (n == 0 || (n == -1 && errno == ECONNRESET)))
			return;
		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			fail_msg("closed after \"%.*s\"", (int)len, got);
		else if (clock_passed(deadline, clock_mono()))
			fail_msg("nothing after \"%.*s\"", (int)len, got);
		else
			turn();
	}
	if (want == NULL)
		fail_msg("\"%c\" in place of the end", got[0]);
	assert_memory_equal(got, want, len);
}

/* Until somebody waits for answer_next. */
static void
await_request(void)
{
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);

	while (nwaiting == 0) {
		assert_false(clock_passed(deadline, clock_mono()));
		turn();
	}
}

/* A few turns later there is still nothing. */
static void
silence(int fd)
{
	char	c;
	int	i;

	for (i = 0; i < 5; i++)
		turn();
	assert_int_equal(read(fd, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
in_any_pieces(void **state)
{
	static const char	text[] = "protocol_state=DATA\nsender=a\n\n"
	    "sender=b\n\n";
	size_t			i;
	int			fd = connection();

	(void)state;
	for (i = 0; text[i] != '\0'; i++) {
		say_bytes(fd, &text[i], 1);
		turn();
		turn();
	}
	hear(fd, "action=a\n\naction=b\n\n");
	/* The end of one and the beginning of the next in one piece. */
	say(fd, "sender=c");
	turn();
	say(fd, "\n\nsender=d\n\nsend");
	hear(fd, "action=c\n\naction=d\n\n");
	say(fd, "er=e\n\n");
	hear(fd, "action=e\n\n");
	close(fd);
	all_gone(clients);
}

static void
two_requests_in_one_write_merged(void **state)
{
	int	fd = connection();

	(void)state;
	say(fd, "sender=a\n\nsender=b\n\nsender=c\n\n");
	hear(fd, "action=a\n\naction=b\n\naction=c\n\n");
	assert_int_equal(ntaken, 3);
	close(fd);
	all_gone(clients);
}

static void
one_in_flight(void **state)
{
	int	fd = connection(), other = connection();

	(void)state;
	say(fd, "sender=a\n\nsender=later1\n\nsender=later2\n\nsender=b\n\n");
	hear(fd, "action=a\n\n");
	silence(fd);
	assert_int_equal(ntaken, 2);
	/* More of it waits, and nobody else does. */
	say(fd, "sender=c\n\n");
	say(other, "sender=x\n\n");
	hear(other, "action=x\n\n");
	silence(fd);
	assert_int_equal(ntaken, 3);
	answer_next();
	hear(fd, "action=later1\n\n");
	silence(fd);
	assert_int_equal(ntaken, 4);
	answer_next();
	hear(fd, "action=later2\n\naction=b\n\naction=c\n\n");
	close(fd);
	close(other);
	all_gone(clients);
}

static void
client_closes_early_kills_daemon(void **state)
{
	int	fd = connection();

	(void)state;
	/* With an answer due. */
	say(fd, "sender=later\n\nsender=a\n\n");
	await_request();
	close(fd);
	turn();
	turn();
	assert_int_equal(client_count(clients), 1);
	answer_next();
	all_gone(clients);
	/* In the middle of a request. */
	fd = connection();
	say(fd, "send");
	turn();
	close(fd);
	all_gone(clients);
	/* Having sent one. */
	fd = connection();
	say(fd, "sender=a\n\n");
	close(fd);
	all_gone(clients);
	/* Having sent nothing. */
	close(connection());
	all_gone(clients);
}

static void
half_close(void **state)
{
	int	fd = connection();

	(void)state;
	say(fd, "sender=a\n\nsender=later\n\nsender=b\n\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	hear(fd, "action=a\n\n");
	silence(fd);
	answer_next();
	hear(fd, "action=later\n\naction=b\n\n");
	hear(fd, NULL);
	close(fd);
	all_gone(clients);
}

static void
malformed(void **state)
{
	static const struct {
		const char	*bytes;
		size_t		 len;
	} cases[] = {
		{ "nothing\n\n", 9 },
		{ "sender=a\0\n\n", 11 },
		{ "request=junk\n\n", 14 },
		{ "sender=a\r\n\r\n", 12 }
	};
	size_t	i;
	int	fd;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fd = connection();
		say_bytes(fd, cases[i].bytes, cases[i].len);
		hear(fd, NULL);
		close(fd);
		all_gone(clients);
		/* What was asked before is answered, what comes after not. */
		fd = connection();
		say(fd, "sender=a\n\nsender=later\n\n");
		say_bytes(fd, cases[i].bytes, cases[i].len);
		say(fd, "sender=b\n\n");
		hear(fd, "action=a\n\n");
		answer_next();
		hear(fd, "action=later\n\n");
		hear(fd, NULL);
		close(fd);
		all_gone(clients);
	}
	assert_int_equal(ntaken, 2 * i);
}

/* `len` bytes in all, as fast as they are read. */
static void
say_long(int fd, size_t len)
{
	static char	bytes[REQUEST_MAX + 1];
	size_t		at = 0;
	ssize_t		n;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "sender=long\nhelo_name=", 22);
	memcpy(bytes + len - 2, "\n\n", 2);
	while (at < len) {
		if ((n = write(fd, bytes + at, len - at)) > 0)
			at += (size_t)n;
		else if (errno == EPIPE)
			return;
		turn();
	}
}

static void
long_helo_hides_sasl(void **state)
{
	int	fd = connection();

	(void)state;
	say_long(fd, REQUEST_MAX);
	hear(fd, "action=long\n\n");
	say(fd, "sender=a\n\n");
	hear(fd, "action=a\n\n");
	/* In two parts, the first smaller than any buffer. */
	say(fd, "a=b\n");
	turn();
	say_long(fd, REQUEST_MAX - 4);
	hear(fd, "action=long\n\n");
	close(fd);
	all_gone(clients);
}

static void
unbounded_buffer(void **state)
{
	int	fd = connection();

	(void)state;
	say_long(fd, REQUEST_MAX + 1);
	hear(fd, NULL);
	close(fd);
	all_gone(clients);
	assert_int_equal(ntaken, 0);
}

/* Who is longest in the middle of a request goes when they hold too much. */
static void
unbounded_buffers_together(void **state)
{
	static char	bytes[REQUEST_MAX - 100];
	int		fd[6], i;
	size_t		at;
	ssize_t		n;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (i = 0; i < 6; i++) {
		fd[i] = connection();
		for (at = 0; at < sizeof(bytes); at += (size_t)n) {
			n = write(fd[i], bytes, sizeof(bytes) - at);
			if (n == -1)
				n = 0;
			turn();
		}
		turn();
		assert_true(client_count(clients) <=
		    BUFFERED / REQUEST_MAX + 1);
	}
	hear(fd[0], NULL);
	hear(fd[1], NULL);
	for (i = 0; i < 6; i++)
		close(fd[i]);
	all_gone(clients);
}

static void
slow_client(void **state)
{
	struct mono	begun;
	int		fd = connection();
	char		c;
	int64_t		ms;

	(void)state;
	/* One byte after the other does not make it last longer. */
	say(fd, "s");
	begun = clock_mono();
	while (read(fd, &c, 1) == -1 && errno == EAGAIN) {
		assert_true(clock_between(begun, clock_mono()) / 1000000 <
		    PATIENCE_S * 1000);
		if (write(fd, "x", 1) == -1)
			break;
		turn();
		turn();
	}
	ms = clock_between(begun, clock_mono()) / 1000000;
	assert_true(ms >= REQUEST_MS - 10);
	close(fd);
	all_gone(clients);
}

static void
idle_client(void **state)
{
	int		 fd = connection(), busy = connection();
	uint64_t	 before = stats_get()->count[STATS_CLOSED_IDLE];
	struct mono	 begun = clock_mono(), last = begun;
	char		 c;

	(void)state;
	client_set_idle(clients, IDLE_MS);
	while (read(fd, &c, 1) == -1 && errno == EAGAIN) {
		/* Who asks stays. */
		last = clock_mono();
		say(busy, "sender=a\n\n");
		hear(busy, "action=a\n\n");
		assert_true(clock_between(begun, last) / 1000000 <
		    PATIENCE_S * 1000);
		turn();
	}
	assert_true(clock_between(begun, clock_mono()) / 1000000 >=
	    IDLE_MS - 1);
	assert_int_equal(stats_get()->count[STATS_CLOSED_IDLE], before + 1);
	assert_int_equal(client_count(clients), 1);
	/* One whose answer is due is not idle. */
	say(busy, "sender=later\n\n");
	await_request();
	begun = clock_mono();
	while (clock_between(begun, clock_mono()) / 1000000 < 2 * IDLE_MS)
		turn();
	assert_int_equal(client_count(clients), 1);
	answer_next();
	hear(busy, "action=later\n\n");
	close(fd);
	close(busy);
	all_gone(clients);
}

/* Fills the way back until an answer does not go out. */
static void
never_reads(void **state)
{
	int		fd = connection(), other = connection();
	uint64_t	before = stats_get()->count[STATS_CLOSED_SLOW];
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);
	char		c[512], text[] = "sender=a\n\n";
	size_t		got = 0, taken;
	ssize_t		n;

	(void)state;
	/* Nothing more is taken from it. */
	do {
		taken = ntaken;
		while (write(fd, text, sizeof(text) - 1) ==
		    (ssize_t)sizeof(text) - 1)
			;
		turn();
		turn();
		turn();
	} while (ntaken > taken);
	say(other, "sender=b\n\n");
	hear(other, "action=b\n\n");
	/* Closed at its deadline; what it was told is whole answers. */
	while (client_count(clients) > 1) {
		assert_false(clock_passed(deadline, clock_mono()));
		turn();
	}
	assert_int_equal(stats_get()->count[STATS_CLOSED_SLOW], before + 1);
	while ((n = read(fd, c, sizeof(c))) > 0)
		got += (size_t)n;
	assert_true(got > 0 && got <= taken * strlen("action=a\n\n"));
	close(fd);
	close(other);
	all_gone(clients);
}

/* It reads at last: every answer is there, in order, and it goes on. */
static void
reads_late(void **state)
{
	int		fd = connection();
	char		got[2] = "", text[] = "sender=a\n\n";
	size_t		taken, i, asked = 0, len = strlen("action=a\n\n");
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);

	(void)state;
	do {
		taken = ntaken;
		while (write(fd, text, sizeof(text) - 1) ==
		    (ssize_t)sizeof(text) - 1)
			asked++;
		turn();
	} while (ntaken > taken && asked < 100000);
	for (i = 0; i < asked * len;) {
		assert_false(clock_passed(deadline, clock_mono()));
		if (read(fd, got, 1) != 1)
			turn();
		else
			assert_int_equal(got[0], "action=a\n\n"[i++ % len]);
	}
	say(fd, "sender=b\n\n");
	hear(fd, "action=b\n\n");
	close(fd);
	all_gone(clients);
}

/* Who sends many at once gets its turn, and so do the others. */
static void
floods(void **state)
{
	static char	text[200 * 10 + 1];
	int		fd = connection(), other = connection(), i;
	size_t		before;
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);

	(void)state;
	for (i = 0; i < 200; i++)
		memcpy(text + i * 10, "sender=a\n\n", 10);
	say(fd, text);
	turn();
	assert_in_range(ntaken, 1, 64);
	say(other, "sender=b\n\n");
	hear(other, "action=b\n\n");
	assert_in_range(ntaken, 2, 150);
	while (ntaken < 201) {
		assert_false(clock_passed(deadline, clock_mono()));
		before = ntaken;
		turn();
		assert_in_range(ntaken - before, 0, 64);
	}
	for (i = 0; i < 200; i++)
		hear(fd, "action=a\n\n");
	close(fd);
	close(other);
	all_gone(clients);
}

static void
fd_exhaustion_kills_daemon(void **state)
{
	int	fd[MOST], i;

	(void)state;
	for (i = 0; i < MOST; i++) {
		assert_false(client_full(clients));
		fd[i] = connection();
	}
	assert_true(client_full(clients));
	/* The first is busy, the second asked last. */
	say(fd[0], "sender=later\n\n");
	say(fd[1], "sender=a\n\n");
	hear(fd[1], "action=a\n\n");
	say(fd[2], "sen");
	await_request();
	turn();
	assert_int_equal(client_make_room(clients, 2), 2);
	assert_false(client_full(clients));
	hear(fd[3], NULL);
	hear(fd[4], NULL);
	say(fd[5], "sender=b\n\n");
	hear(fd[5], "action=b\n\n");
	/* All that nobody waits for: who is in a request last of them. */
	assert_int_equal(client_make_room(clients, MOST - 4), MOST - 4);
	hear(fd[1], NULL);
	hear(fd[5], NULL);
	silence(fd[2]);
	assert_int_equal(client_make_room(clients, MOST), 1);
	hear(fd[2], NULL);
	assert_int_equal(client_make_room(clients, 1), 0);
	assert_int_equal(client_count(clients), 1);
	answer_next();
	hear(fd[0], "action=later\n\n");
	for (i = 0; i < MOST; i++)
		close(fd[i]);
	all_gone(clients);
}

static void
policy_back(void **state)
{
	int	fd = connection(), begun = connection(), new;

	(void)state;
	say(begun, "sen");
	turn();
	client_hold(clients, true);
	say(fd, "sender=a\n\n");
	say(begun, "der=b\n\n");
	new = connection();
	say(new, "sender=c\n\n");
	silence(fd);
	silence(begun);
	assert_int_equal(ntaken, 0);
	client_hold(clients, false);
	hear(fd, "action=a\n\n");
	hear(begun, "action=b\n\n");
	hear(new, "action=c\n\n");
	close(fd);
	close(begun);
	close(new);
	all_gone(clients);
}

/* What nobody would read is not waited for either. */
static void
policy_back_for_long(void **state)
{
	int		fd = connection(), slow = connection(), new;
	struct mono	held;

	(void)state;
	client_set_idle(clients, IDLE_MS);
	say(fd, "sen");
	say(slow, "sen");
	turn();
	loop_turn_end();
	client_hold(clients, true);
	held = clock_mono();
	new = connection();
	say(fd, "der=a\n\n");
	say(new, "sender=b\n\n");
	while (clock_between(held, clock_mono()) / 1000000 < 2 * REQUEST_MS)
		turn();
	assert_int_equal(client_count(clients), 3);
	loop_turn_end();
	client_hold(clients, false);
	hear(fd, "action=a\n\n");
	hear(new, "action=b\n\n");
	/* From now on the time runs again. */
	hear(slow, NULL);
	close(fd);
	close(slow);
	close(new);
	all_gone(clients);
}

static void
names(void **state)
{
	char			text[CLIENT_NAME_MAX];
	struct client_peer	peer = { .port = 4711 };
	int			fd[2];

	(void)state;
	assert_int_equal(addr_parse(&peer.addr, "2001:db8::1", 11), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fd), 0);
	client_add(clients, fd[0], &peer);
	say(fd[1], "sender=later\n\n");
	await_request();
	assert_string_equal(client_name(waiting[0], text, sizeof(text)),
	    "[2001:db8::1]:4711");
	answer_next();
	close(fd[1]);
	all_gone(clients);
}

/* The last test: there is no way back. */
static void
stop(void **state)
{
	int	fd[6], i;

	(void)state;
	for (i = 0; i < 6; i++)
		fd[i] = connection();
	say(fd[0], "sender=later\n\nsender=a\n\n");
	say(fd[1], "sen");
	for (i = 2; i < 4; i++) {
		say(fd[i], "sender=b\n\n");
		hear(fd[i], "action=b\n\n");
	}
	await_request();
	/* It came just before the end, and nobody has looked yet. */
	say(fd[3], "sender=c\n\n");
	client_stop(clients);
	hear(fd[2], NULL);
	hear(fd[3], "action=c\n\n");
	hear(fd[3], NULL);
	assert_int_equal(client_count(clients), 4);
	silence(fd[0]);
	/* What is whole and here is answered too. */
	answer_next();
	hear(fd[0], "action=later\n\naction=a\n\n");
	hear(fd[0], NULL);
	/* Who has begun, and who has just come, may say what they want. */
	say(fd[1], "der=d\n\n");
	hear(fd[1], "action=d\n\n");
	hear(fd[1], NULL);
	say(fd[4], "sender=e\n\n");
	hear(fd[4], "action=e\n\n");
	hear(fd[4], NULL);
	hear(fd[5], NULL);
	assert_int_equal(client_count(clients), 0);
	for (i = 0; i < 6; i++)
		close(fd[i]);
	i = connection();
	hear(i, NULL);
	close(i);
}

#define TEST(name)	cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(in_any_pieces),
		TEST(two_requests_in_one_write_merged),
		TEST(one_in_flight),
		TEST(client_closes_early_kills_daemon),
		TEST(half_close),
		TEST(malformed),
		TEST(long_helo_hides_sasl),
		TEST(unbounded_buffer),
		TEST(unbounded_buffers_together),
		TEST(slow_client),
		TEST(idle_client),
		TEST(never_reads),
		TEST(reads_late),
		TEST(floods),
		TEST(fd_exhaustion_kills_daemon),
		TEST(policy_back),
		TEST(policy_back_for_long),
		TEST(names),
		TEST(stop)
	};

	return cmocka_run_group_tests_name("client", tests, set_up, NULL);
}
