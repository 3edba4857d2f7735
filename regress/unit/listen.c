#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <netinet/in.h>

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
#include "engine/listen.h"
#include "engine/stats.h"
#include "engine/maillog.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "loop.h"

#define MOST		60

static struct clients		*clients;
static struct listeners		*listeners;
static char			 directory[] = "/tmp/listen.XXXXXX";
static struct sockaddr_un	 unix_address;
static struct sockaddr_in	 inet_address;

static void
on_request(void *arg, struct client *c, const struct request *req)
{
	(void)arg;
	(void)req;
	client_answer(c, "action=dunno\n\n", 14);
}

static void
listens(int fd, uint32_t number, enum listener_kind kind, const void *sa,
    socklen_t len)
{
	struct msg_listener	about;

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, sa, len), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	memset(&about, 0, sizeof(about));
	about.number = number;
	about.kind = (uint8_t)kind;
	listen_add(listeners, fd, &about);
}

static int
set_up(void **state)
{
	struct client_bounds	bounds = {
		.request_ms = PATIENCE_S * 2000,
		.answer_ms = PATIENCE_S * 2000,
		.most = MOST,
		.buffered = REQUEST_MAX
	};
	socklen_t		len = sizeof(inet_address);
	int			fd;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_open("test", LOG_TO_SYSLOG, -1, false);
	if (event_init() == NULL || mkdtemp(directory) == NULL)
		return -1;
	clients = client_new(maillog_new(events_new()), on_request, NULL,
	    &bounds);
	client_set_idle(clients, PATIENCE_S * 2000);
	listeners = listen_new(clients, NULL);
	unix_address.sun_family = AF_UNIX;
	snprintf(unix_address.sun_path, sizeof(unix_address.sun_path), "%s/s",
	    directory);
	listens(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), 1,
	    LISTENER_UNIX, &unix_address, sizeof(unix_address));
	inet_address.sin_family = AF_INET;
	inet_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	listens(fd, 2, LISTENER_TCP, &inet_address, sizeof(inet_address));
	return getsockname(fd, (struct sockaddr *)&inet_address, &len);
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(unix_address.sun_path);
	return rmdir(directory);
}

static int
connected(int family)
{
	int	fd, r;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_not_equal(fd, -1);
	if (family == AF_UNIX)
		r = connect(fd, (struct sockaddr *)&unix_address,
		    sizeof(unix_address));
	else
		r = connect(fd, (struct sockaddr *)&inet_address,
		    sizeof(inet_address));
	assert_true(r == 0 || errno == EINPROGRESS);
	return fd;
}

/* Whether a request is answered, or the connection closed. */
static bool
is_served(int fd)
{
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);
	char		got[32];
	ssize_t		n;
	bool		asked = false;

	while (!clock_passed(deadline, clock_mono())) {
		turn();
		if (!asked)
			asked = write(fd, "sender=a\n\n", 10) == 10;
		n = read(fd, got, sizeof(got));
		if (n == 14)
			return true;
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != ENOTCONN))
			return false;
	}
	fail_msg("neither answered nor closed");
	return false;
}

static void
serves_both(void **state)
{
	int	local, tcp;

	(void)state;
	local = connected(AF_UNIX);
	tcp = connected(AF_INET);
	assert_true(is_served(local));
	assert_true(is_served(tcp));
	assert_int_equal(client_count(clients), 2);
	close(local);
	close(tcp);
	all_gone(clients);
}

/* All that wait come in with one turn. */
static void
listen_backlog_EAGAIN(void **state)
{
	int	fd[MOST - 10], i;

	(void)state;
	for (i = 0; i < MOST - 10; i++)
		fd[i] = connected(AF_UNIX);
	turn();
	assert_int_equal(client_count(clients), MOST - 10);
	for (i = 0; i < MOST - 10; i++)
		close(fd[i]);
	all_gone(clients);
}

static void
allowed(void **state)
{
	struct network			 net;
	struct settings_networks	 nets = { 1, &net };
	uint64_t			 before;
	int				 fd;

	(void)state;
	assert_int_equal(addr_network_parse(&net, "192.0.2.0/24", 12), 0);
	listen_allow(listeners, &nets);
	before = stats_get()->count[STATS_FORBIDDEN];
	fd = connected(AF_INET);
	assert_false(is_served(fd));
	close(fd);
	assert_int_equal(stats_get()->count[STATS_FORBIDDEN], before + 1);
	/* It is about TCP alone. */
	fd = connected(AF_UNIX);
	assert_true(is_served(fd));
	close(fd);
	assert_int_equal(addr_network_parse(&net, "127.0.0.0/8", 11), 0);
	fd = connected(AF_INET);
	assert_true(is_served(fd));
	close(fd);
	nets.count = 0;
	fd = connected(AF_INET);
	assert_true(is_served(fd));
	close(fd);
	listen_allow(listeners, NULL);
	all_gone(clients);
}

/* More than there may be: the first ones go, the last ones are served. */
static void
more_than_may_be(void **state)
{
	int	fd[3 * MOST], i, n = 3 * MOST;

	(void)state;
	for (i = 0; i < n; i++) {
		fd[i] = connected(AF_UNIX);
		turn();
		assert_true(client_count(clients) <= MOST);
	}
	assert_true(is_served(fd[n - 1]));
	assert_true(is_served(fd[n - 2]));
	assert_false(is_served(fd[0]));
	for (i = 0; i < n; i++)
		close(fd[i]);
	all_gone(clients);
}

/* The same when the system has no descriptor left. */
static void
fd_exhaustion_kills_daemon(void **state)
{
	struct rlimit	old, few;
	int		fd[30], last, i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (i = 0; i < 30; i++)
		fd[i] = connected(AF_UNIX);
	last = fd[29];
	/* As many as are there, and ten. */
	few = old;
	few.rlim_cur = (rlim_t)last + 11;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < 50; i++)
		turn();
	/* Nobody goes as long as nobody else waits. */
	assert_int_equal(client_count(clients), 10);
	assert_true(is_served(last));
	/* No room to be made: it waits until there is. */
	(void)client_make_room(clients, MOST);
	assert_int_equal(client_count(clients), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (i = 0; i < 30; i++)
		close(fd[i]);
	last = connected(AF_UNIX);
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < 20; i++) {
		turn();
		assert_int_equal(client_count(clients), 0);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(is_served(last));
	close(last);
	all_gone(clients);
}

static void
sockets_come_and_go(void **state)
{
	struct sockaddr_un	other = unix_address;
	int			fd;

	(void)state;
	strlcat(other.sun_path, "2", sizeof(other.sun_path));
	listens(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), 3,
	    LISTENER_UNIX, &other, sizeof(other));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&other, sizeof(other)),
	    0);
	assert_true(is_served(fd));
	listen_end(listeners, 99);
	listen_end(listeners, 3);
	/* Who is there stays. */
	assert_true(is_served(fd));
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&other, sizeof(other)),
	    -1);
	close(fd);
	unlink(other.sun_path);
	fd = connected(AF_UNIX);
	assert_true(is_served(fd));
	listen_stop(listeners);
	assert_true(is_served(fd));
	close(fd);
	all_gone(clients);
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(serves_both),
		TEST(listen_backlog_EAGAIN),
		TEST(allowed),
		TEST(more_than_may_be),
		TEST(fd_exhaustion_kills_daemon),
		TEST(sockets_come_and_go)
	};

	return cmocka_run_group_tests_name("listen", tests, set_up, tear_down);
}
