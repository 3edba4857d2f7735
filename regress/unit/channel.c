#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ends.h"
#include "random.h"

/* Longer than anything here takes. */
static struct mono
soon(void)
{
	return clock_after(clock_mono(), 10000);
}

/* --- messages --- */

static void
header_on_the_wire(void **state)
{
	uint8_t			 expected[HEADER + 2];
	struct channel		*c;
	struct str		 s;
	uint8_t			 in[64];
	int			 fd;

	(void)state;
	c = bare(&fd, ROLE_ENGINE, ROLE_LEDGER);
	str_init(&s);
	str_adds(&s, "hi");
	channel_send(c, MSG_CHARGE, UINT64_C(0x0102030405060708), &s, -1);
	header(expected, 2, MSG_CHARGE, 0, UINT64_C(0x0102030405060708));
	memcpy(expected + HEADER, "hi", 2);
	assert_int_equal(channel_queued(c), sizeof(expected));
	assert_int_equal(channel_flush(c), 1);
	assert_int_equal(channel_queued(c), 0);
	assert_int_equal(read(fd, in, sizeof(in)), sizeof(expected));
	assert_memory_equal(in, expected, sizeof(expected));
	str_clear(&s);
	channel_free(c);
	channel_free(NULL);
	close(fd);
}

/* Payloads of every size, as they come, while both sides take what they can. */
static void
every_message_arrives_once(void **state)
{
	struct random	 r = { 51 };
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s, expected;
	uint64_t	 sent = 0, got = 0;
	size_t		 len;
	int		 n;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	str_init(&expected);
	while (got < 3000) {
		while (sent < 3000 && channel_queued(a) < CHANNEL_HIGH &&
		    random_below(&r, 8) != 0) {
			len = sent % 500 == 499 ? 300000 : sent % 50 == 49 ?
			    random_below(&r, 70000) : random_below(&r, 300);
			fill(&s, len, sent);
			if (len == 0)
				channel_signal(a, MSG_CHARGE, sent);
			else
				channel_send(a, MSG_CHARGE, sent, &s, -1);
			sent++;
		}
		assert_true(channel_flush(a) >= 0);
		for (n = (int)random_below(&r, 4); n > 0; n--)
			assert_true(channel_read(b) >= 0);
		while (channel_next(b, &m) == 1) {
			assert_int_equal(m.type, MSG_CHARGE);
			assert_int_equal(m.request, got);
			assert_int_equal(m.fd, -1);
			fill(&expected, m.len, got);
			assert_memory_equal(m.payload, expected.data, m.len);
			got++;
			/*
			 * At times the rest waits, also behind whole messages.
			 */
			if (random_below(&r, 50) == 0)
				break;
		}
	}
	assert_int_equal(sent, 3000);
	assert_int_equal(channel_next(b, &m), 0);
	assert_int_equal(channel_read(b), 0);
	str_clear(&s);
	str_clear(&expected);
	channel_free(a);
	channel_free(b);
}

static void
two_messages_in_one_write(void **state)
{
	struct channel	*c;
	struct message	 m;
	uint8_t		 out[3 * HEADER + 5];
	int		 fd, i;

	(void)state;
	c = bare(&fd, ROLE_LEDGER, ROLE_ENGINE);
	header(out, 2, MSG_CHARGE, 0, 1);
	memcpy(out + HEADER, "ab", 2);
	header(out + HEADER + 2, 0, MSG_CHARGE, 0, 2);
	header(out + 2 * HEADER + 2, 3, MSG_CHARGE, 0, 3);
	memcpy(out + 3 * HEADER + 2, "cde", 3);
	put(fd, out, sizeof(out));
	assert_int_equal(channel_read(c), 1);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(channel_next(c, &m), 1);
		assert_int_equal(m.request, i);
	}
	assert_memory_equal(m.payload, "cde", 3);
	assert_int_equal(channel_next(c, &m), 0);
	/* And one message in as many writes as it has bytes. */
	for (i = 0; i < HEADER + 2; i++) {
		assert_int_equal(channel_next(c, &m), 0);
		put(fd, out + i, 1);
		assert_int_equal(channel_read(c), 1);
	}
	assert_int_equal(channel_next(c, &m), 1);
	assert_memory_equal(m.payload, "ab", 2);
	channel_free(c);
	close(fd);
}

/* A read that takes less than there was room for leaves nothing behind. */
static void
a_read_that_fills_the_buffer(void **state)
{
	static uint8_t	 out[100 * 1024];
	const int	 size = 2 * (int)sizeof(out);
	struct channel	*c;
	struct message	 m;
	size_t		 at, got = 0;
	int		 fd;

	(void)state;
	c = bare(&fd, ROLE_LEDGER, ROLE_ENGINE);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size)), 0);
	assert_int_equal(setsockopt(channel_fd(c), SOL_SOCKET, SO_RCVBUF,
	    &size, sizeof(size)), 0);
	for (at = 0; at < sizeof(out); at += HEADER)
		header(out + at, 0, MSG_CHARGE, 0, at);
	put(fd, out, sizeof(out));
	do {
		assert_int_equal(channel_read(c), 1);
		while (channel_next(c, &m) == 1)
			got++;
		assert_int_equal(channel_filled(c),
		    got < sizeof(out) / HEADER);
	} while (channel_filled(c));
	put(fd, out, HEADER);
	assert_int_equal(channel_read(c), 1);
	assert_false(channel_filled(c));
	channel_free(c);
	close(fd);
}

static void
nobody_reads(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	uint64_t	 i, got = 0;
	size_t		 queued;
	int		 r;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	fill(&s, 1000, 1);
	for (i = 0; channel_queued(a) < CHANNEL_HIGH; i++) {
		channel_send(a, MSG_CHARGE, i, &s, -1);
		assert_true(channel_flush(a) >= 0);
	}
	queued = channel_queued(a);
	assert_int_equal(channel_flush(a), 0);
	assert_int_equal(channel_queued(a), queued);
	assert_int_equal(channel_drain(a, clock_mono()), -1);
	assert_int_equal(errno, ETIMEDOUT);
	do {
		while (channel_read(b) == 1)
			while (channel_next(b, &m) == 1)
				assert_int_equal(m.request, got++);
		r = channel_flush(a);
	} while (r == 0 || got < i);
	assert_int_equal(r, 1);
	assert_int_equal(got, i);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

static void
end_of_file(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	uint8_t		 out[HEADER];
	int		 fd;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_PARENT);
	channel_signal(a, MSG_TASK, 9);
	assert_int_equal(channel_flush(a), 1);
	channel_free(a);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 1);
	assert_int_equal(m.request, 9);
	assert_int_equal(channel_next(b, &m), 0);
	errno = EXDEV;
	assert_int_equal(channel_read(b), -1);
	assert_int_equal(errno, 0);
	channel_signal(b, MSG_STOP, 0);
	assert_int_equal(channel_flush(b), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(channel_flush(b), -1);
	channel_free(b);

	/* In the middle of a message, and with something of ours unread. */
	b = bare(&fd, ROLE_PARENT, ROLE_ENGINE);
	channel_signal(b, MSG_STOP, 0);
	assert_int_equal(channel_flush(b), 1);
	header(out, 5, MSG_READY, 0, 0);
	put(fd, out, sizeof(out));
	close(fd);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 0);
	errno = EXDEV;
	assert_int_equal(channel_read(b), -1);
	assert_int_equal(errno, 0);
	channel_free(b);
}

/* --- rules --- */

static void
refuses(enum role self, enum role peer, uint32_t len, uint16_t type,
    uint16_t flags)
{
	struct channel	*c;
	uint8_t		 out[HEADER];
	int		 fd;

	c = bare(&fd, self, peer);
	header(out, len, type, flags, 0);
	put(fd, out, sizeof(out));
	assert_int_equal(channel_read(c), 1);
	assert_broken(c);
	channel_free(c);
	close(fd);
}

static void
what_is_not_its_to_send(void **state)
{
	enum role	self, peer;
	unsigned int	type;
	const struct message_rule	*rule;

	(void)state;
	for (self = 0; self < ROLE__MAX; self++)
		for (peer = 0; peer < ROLE__MAX; peer++)
			for (type = 0; type < MSG__MAX; type++) {
				rule = message_rule(type);
				if ((rule->from & 1U << peer) == 0 ||
				    (rule->to & 1U << self) == 0)
					refuses(self, peer, 0, (uint16_t)type,
					    0);
				else if (!rule->fd)
					refuses(self, peer, 0, (uint16_t)type,
					    1);
			}
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, MSG__MAX, 0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, 65535, 0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, 0, MSG_CHARGE, 2);
	refuses(ROLE_ENGINE, ROLE_PARENT, 0, MSG_LISTENER, 0x8001);
}

/* Refused by its header: no memory is taken for what would come. */
static void
too_long(void **state)
{
	(void)state;
	refuses(ROLE_LEDGER, ROLE_ENGINE, CHANNEL_PAYLOAD_MAX + 1, MSG_CHARGE,
	    0);
	refuses(ROLE_LEDGER, ROLE_ENGINE, UINT32_MAX, MSG_CHARGE, 0);
	refuses(ROLE_ENGINE, ROLE_PARENT, CHANNEL_PARENT_MAX + 1, MSG_SETTING,
	    0);
	refuses(ROLE_ENGINE, ROLE_PARENT, UINT32_MAX - 15, MSG_SETTING, 0);
}

static void
longest(enum role from, enum role to, enum message_type type, size_t max)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	int		 r = 0;

	ends(&a, from, &b, to);
	str_init(&s);
	s.data = calloc(1, max + 2);
	assert_non_null(s.data);
	s.size = max + 2;
	s.len = max;
	s.data[0] = 'a';
	s.data[max - 1] = 'z';
	channel_send(a, type, 1, &s, -1);
	do {
		assert_true(channel_flush(a) >= 0);
		assert_true(channel_read(b) >= 0);
	} while ((r = channel_next(b, &m)) == 0);
	assert_int_equal(r, 1);
	assert_int_equal(m.len, max);
	assert_int_equal(m.payload[0], 'a');
	assert_int_equal(m.payload[max - 1], 'z');
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

static void
longest_payload(void **state)
{
	struct channel	*a, *b;
	struct str	 s;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	str_init(&s);
	s.data = calloc(1, CHANNEL_PAYLOAD_MAX + 2);
	assert_non_null(s.data);
	s.size = CHANNEL_PAYLOAD_MAX + 2;
	s.len = CHANNEL_PAYLOAD_MAX + 1;
	channel_send(a, MSG_CHARGE, 2, &s, -1);
	assert_int_equal(channel_flush(a), -1);
	assert_int_equal(errno, EMSGSIZE);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
	longest(ROLE_ENGINE, ROLE_LEDGER, MSG_CHARGE, CHANNEL_PAYLOAD_MAX);
	longest(ROLE_PARENT, ROLE_LEDGER, MSG_SETTING, 3 * CHANNEL_PAYLOAD_MAX);
}

/* Sending what the role may not is a mistake of ours and ends the process. */
static void
sending_against_the_rules(void **state)
{
	struct channel	*a, *b;
	pid_t		 pid;
	int		 status;

	(void)state;
	ends(&a, ROLE_ENGINE, &b, ROLE_LEDGER);
	if ((pid = fork()) == 0) {
		channel_signal(a, MSG_VERDICT, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	if ((pid = fork()) == 0) {
		channel_send(a, MSG_CHARGE, 0, NULL, channel_fd(b));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	channel_free(a);
	channel_free(b);
}

/* --- secrets --- */

static void
settings_are_wiped(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct str	 s;
	const uint8_t	*kept;
	size_t		 i;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_LEDGER);
	str_init(&s);
	str_adds(&s, "password='hunter2'");
	channel_send(a, MSG_SETTING, 0, &s, -1);
	channel_signal(a, MSG_START, 0);
	assert_int_equal(channel_flush(a), 1);
	assert_int_equal(channel_read(b), 1);
	assert_int_equal(channel_next(b, &m), 1);
	assert_memory_equal(m.payload, s.data, s.len);
	kept = m.payload;
	/* Whatever comes next; the buffer itself stays where it is. */
	assert_int_equal(channel_next(b, &m), 1);
	assert_int_equal(m.type, MSG_START);
	for (i = 0; i < s.len; i++)
		assert_int_equal(kept[i], 0);
	str_clear(&s);
	channel_free(a);
	channel_free(b);
}

/* --- blocking --- */

static void
wait_for_a_message(void **state)
{
	struct channel	*a, *b;
	struct message	 m;
	struct mono	 deadline;
	struct pollfd	 p = { .events = POLLIN };

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_ENGINE);
	p.fd = channel_fd(b);
	errno = 0;
	assert_int_equal(channel_wait(b, &m, clock_mono()), -1);
	assert_int_equal(errno, ETIMEDOUT);
	deadline = clock_after(clock_mono(), 20);
	assert_int_equal(channel_wait(b, &m, deadline), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(clock_passed(deadline, clock_mono()));
	channel_signal(a, MSG_START, 1);
	channel_signal(a, MSG_STOP, 2);
	assert_int_equal(channel_drain(a, soon()), 0);
	/* What waits to be sent goes out meanwhile. */
	channel_signal(b, MSG_READY, 3);
	assert_int_equal(channel_wait(b, &m, soon()), 0);
	assert_int_equal(m.type, MSG_START);
	/* Who takes over from here waits with poll(2). */
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(channel_wait(b, &m, soon()), 0);
	assert_int_equal(m.type, MSG_STOP);
	assert_int_equal(channel_wait(b, &m, clock_after(clock_mono(), 1)), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(channel_wait(a, &m, soon()), 0);
	assert_int_equal(m.type, MSG_READY);
	channel_free(a);
	channel_free(b);
}

/*
 * A child that cannot start says why and ends, whatever else it was being told.
 */
static void
last_words_are_heard(void **state)
{
	struct channel	*a, *b;
	struct message	 m;

	(void)state;
	ends(&a, ROLE_PARENT, &b, ROLE_LEDGER);
	channel_signal(b, MSG_FAULT, 7);
	assert_int_equal(channel_flush(b), 1);
	channel_free(b);
	channel_signal(a, MSG_START, 0);
	assert_int_equal(channel_wait(a, &m, soon()), 0);
	assert_int_equal(m.type, MSG_FAULT);
	errno = EXDEV;
	assert_int_equal(channel_wait(a, &m, soon()), -1);
	assert_int_equal(errno, 0);
	assert_int_equal(channel_drain(a, soon()), -1);
	assert_int_equal(errno, EPIPE);
	channel_free(a);
}

#define TEST(name)	cmocka_unit_test_teardown(name, nothing_open)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(header_on_the_wire),
		TEST(every_message_arrives_once),
		TEST(two_messages_in_one_write),
		TEST(a_read_that_fills_the_buffer),
		TEST(nobody_reads),
		TEST(end_of_file),
		TEST(what_is_not_its_to_send),
		TEST(too_long),
		TEST(longest_payload),
		TEST(sending_against_the_rules),
		TEST(settings_are_wiped),
		TEST(wait_for_a_message),
		TEST(last_words_are_heard)
	};

	return cmocka_run_group_tests_name("channel", tests, quiet, NULL);
}
