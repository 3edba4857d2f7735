#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
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

#include "conf/settings_message.h"
#include "role/role.h"

#define WAIT_MS		20000
#define INHERITED	77	/* a descriptor that somebody forgot to close */

static struct role_start	start;
static struct channel		*parent;	/* the test's end */
static pid_t			 child;
static int			 directory = STDIN_FILENO;	/* its 4 */

/*
 * A process with our channel as descriptor 3; its exit status is what body
 * says.
 */
static void
begin(enum role role, int (*body)(void))
{
	int	fd[2];

	fflush(stdout);
	assert_int_equal(channel_pair(fd), 0);
	assert_true((child = fork()) != -1);
	if (child == 0) {
		/* What it complains of is expected. */
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		unsetenv("JOURNAL_STREAM");
		unsetenv("SSL_CERT_DIR");
		setenv("SSL_CERT_FILE", "/some/file", 1);
		setenv("EVIL", "1", 1);
		setenv("TZ", "UTC", 1);
		signal(SIGTERM, SIG_DFL);
		dup2(fd[1], INHERITED);
		dup2(directory, ROLE_DIRECTORY_FD);
		dup2(INHERITED, ROLE_CHANNEL_FD);
		_exit(body());
	}
	close(fd[1]);
	parent = channel_new(fd[0], ROLE_PARENT, role);
}

static struct mono
soon(void)
{
	return clock_after(clock_mono(), WAIT_MS);
}

static int
status(void)
{
	int	st;

	assert_int_equal(channel_drain(parent, soon()), 0);
	assert_int_equal(waitpid(child, &st, 0), child);
	channel_free(parent);
	parent = NULL;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

static void
send_log(bool debug)
{
	channel_send_number(parent, MSG_LOG, debug, -1);
}

static void
send_identity(void)
{
	struct msg_identity	identity;
	struct str		payload;

	memset(&identity, 0, sizeof(identity));
	strlcpy(identity.home, "/home/somebody", sizeof(identity.home));
	str_init(&payload);
	msg_identity_put(&payload, &identity);
	channel_send(parent, MSG_IDENTITY, 0, &payload, -1);
	str_clear(&payload);
}

static void
send_settings(enum role to, uint64_t generation)
{
	struct settings	*settings = settings_new();

	settings_message_send(parent, settings, to, generation);
	settings_free(settings);
}

static void
send_listener(const char *name, int fd)
{
	struct msg_listener	about;
	struct str		payload;

	memset(&about, 0, sizeof(about));
	about.number = 7;
	about.kind = LISTENER_UNIX;
	strlcpy(about.name, name, sizeof(about.name));
	str_init(&payload);
	msg_listener_put(&payload, &about);
	channel_send(parent, MSG_LISTENER, 0, &payload, fd);
	str_clear(&payload);
}

static void
send_peer(enum role role)
{
	int	fd[2];

	assert_int_equal(channel_pair(fd), 0);
	channel_send_number(parent, MSG_PEER, role, fd[0]);
	close(fd[0]);
	close(fd[1]);
}

/* --- the child's side --- */

static int
nothing_at_3(void)
{
	close(ROLE_CHANNEL_FD);
	role_begin(&start, ROLE_ENGINE, "engine");
	return 50;
}

static int
file_at_3(void)
{
	int	fd;

	if ((fd = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(fd, ROLE_CHANNEL_FD) == -1)
		return 51;
	role_begin(&start, ROLE_ENGINE, "engine");
	return 50;
}

static int
begin_engine(void)
{
	role_begin(&start, ROLE_ENGINE, "engine");
	return 50;
}

static int
begin_ledger(void)
{
	role_begin(&start, ROLE_LEDGER, "ledger-sqlite");
	return 50;
}

static int
has_directory(void)
{
	struct stat	sb;

	role_begin(&start, ROLE_LEDGER, "ledger-sqlite");
	if (start.directory == -1)
		return fcntl(ROLE_DIRECTORY_FD, F_GETFD) == -1 ? 0 : 52;
	if (fstat(start.directory, &sb) == -1 || !S_ISDIR(sb.st_mode) ||
	    fcntl(start.directory, F_GETFD) != FD_CLOEXEC)
		return 53;
	return 1;
}

static int
whole_start(void)
{
	extern char		**environ;
	struct sigaction	  sa;
	size_t			  n;

	role_begin(&start, ROLE_ENGINE, "engine");
	if (start.settings == NULL || start.peer == NULL ||
	    start.directory != -1)
		return 60;
	/* Fatal if the peer is not a ledger. */
	channel_signal(start.peer, MSG_FIGURES_WANTED, 0);
	if (start.nlisteners != 2 || start.listeners[1].about.number != 7 ||
	    strcmp(start.listeners[0].about.name, "one") != 0 ||
	    strcmp(start.listeners[1].about.name, "two") != 0 ||
	    fcntl(start.listeners[1].fd, F_GETFD) != FD_CLOEXEC)
		return 61;
	for (n = 0; environ[n] != NULL; n++)
		continue;
	if (n != 3 || getenv("EVIL") != NULL ||
	    strcmp(getenv("TZ"), "UTC") != 0 ||
	    strcmp(getenv("SSL_CERT_FILE"), "/some/file") != 0 ||
	    strcmp(getenv("HOME"), "/home/somebody") != 0)
		return 62;
	if (fcntl(INHERITED, F_GETFD) != -1)
		return 63;
	if (umask(0) != 077)
		return 64;
	if (sigaction(SIGTERM, NULL, &sa) == -1 || sa.sa_handler != SIG_IGN)
		return 65;
	role_ready(&start);
	return 0;
}

static int
fault(void)
{
	role_begin(&start, ROLE_ENGINE, "engine");
	role_fault(&start, ROLE_FAULT, "nothing works on %s", "Mondays");
}

static int
reload(void)
{
	struct settings	*fresh = NULL;
	struct message	 m;

	role_begin(&start, ROLE_ENGINE, "engine");
	while (fresh == NULL) {
		if (channel_wait(start.parent, &m, soon()) == -1)
			return 70;
		if (role_message(&start, &m, &fresh) != 1)
			return 71;
	}
	/* Something else is not role_message's. */
	if (channel_wait(start.parent, &m, soon()) == -1 ||
	    m.type != MSG_STOP || role_message(&start, &m, &fresh) != 0)
		return 72;
	settings_free(fresh);
	return 0;
}

/* --- tests --- */

static void
a_child_refuses_a_start_by_hand(void **state)
{
	(void)state;
	begin(ROLE_ENGINE, nothing_at_3);
	assert_int_equal(status(), 1);
	begin(ROLE_ENGINE, file_at_3);
	assert_int_equal(status(), 1);
}

static void
the_start_delivers_everything(void **state)
{
	struct message	m;
	char		layers[64];
	int		fd;

	(void)state;
	begin(ROLE_ENGINE, whole_start);
	assert_int_not_equal(fd = socket(AF_UNIX, SOCK_STREAM, 0), -1);
	send_log(false);
	send_identity();
	send_settings(ROLE_ENGINE, 1);
	send_listener("one", fd);
	send_listener("two", fd);
	close(fd);
	send_peer(ROLE_LEDGER);
	channel_signal(parent, MSG_START, 0);
	assert_int_equal(channel_wait(parent, &m, soon()), 0);
	assert_int_equal(m.type, MSG_READY);
	assert_int_equal(msg_text_get(layers, sizeof(layers), m.payload,
	    m.len), 0);
	assert_string_equal(layers, "none");
	assert_int_equal(status(), 0);
}

static void
the_parent_is_told_of_a_fault(void **state)
{
	struct message	m;
	char		text[64];

	(void)state;
	begin(ROLE_ENGINE, fault);
	send_settings(ROLE_ENGINE, 1);
	channel_signal(parent, MSG_START, 0);
	assert_int_equal(channel_wait(parent, &m, soon()), 0);
	assert_int_equal(m.type, MSG_FAULT);
	assert_int_equal(msg_text_get(text, sizeof(text), m.payload, m.len), 0);
	assert_string_equal(text, "nothing works on Mondays");
	assert_int_equal(status(), 6);
}

static void
a_child_ends_with_its_parent(void **state)
{
	int	st;

	(void)state;
	begin(ROLE_ENGINE, begin_engine);
	channel_free(parent);
	parent = NULL;
	assert_int_equal(waitpid(child, &st, 0), child);
	assert_int_equal(st, 0);

	begin(ROLE_ENGINE, begin_engine);
	channel_signal(parent, MSG_STOP, 0);
	assert_int_equal(status(), 0);
}

static void
a_malformed_start_is_refused(void **state)
{
	(void)state;
	/* No settings. */
	begin(ROLE_ENGINE, begin_engine);
	channel_signal(parent, MSG_START, 0);
	assert_int_equal(status(), 6);
	/* A listening socket without the socket. */
	begin(ROLE_ENGINE, begin_engine);
	send_listener("none", -1);
	assert_int_equal(status(), 6);
	/* Too early. */
	begin(ROLE_LEDGER, begin_ledger);
	channel_signal(parent, MSG_CLEAN, 0);
	assert_int_equal(status(), 6);
	/* None, and twice. */
	begin(ROLE_LEDGER, begin_ledger);
	channel_signal(parent, MSG_DIRECTORY, 0);
	assert_int_equal(status(), 6);
	assert_int_not_equal(directory = open("/", O_RDONLY | O_DIRECTORY), -1);
	begin(ROLE_LEDGER, begin_ledger);
	channel_signal(parent, MSG_DIRECTORY, 0);
	channel_signal(parent, MSG_DIRECTORY, 0);
	assert_int_equal(status(), 6);
	close(directory);
	directory = STDIN_FILENO;
	/* A log level that there is not. */
	begin(ROLE_ENGINE, begin_engine);
	channel_send_number(parent, MSG_LOG, 2, -1);
	assert_int_equal(status(), 6);
	/* A role that there is not. */
	begin(ROLE_LEDGER, begin_ledger);
	send_peer(ROLE__MAX);
	assert_int_equal(status(), 6);
}

static void
directory_is_inherited(void **state)
{
	int	told;

	(void)state;
	/* One that nobody speaks of is not kept. */
	for (told = 0; told <= 1; told++) {
		directory = open("/", O_RDONLY | O_DIRECTORY);
		assert_int_not_equal(directory, -1);
		begin(ROLE_LEDGER, has_directory);
		if (told)
			channel_signal(parent, MSG_DIRECTORY, 0);
		send_settings(ROLE_LEDGER, 1);
		channel_signal(parent, MSG_START, 0);
		assert_int_equal(status(), told);
		close(directory);
		directory = STDIN_FILENO;
	}
	begin(ROLE_LEDGER, has_directory);
	send_settings(ROLE_LEDGER, 1);
	channel_signal(parent, MSG_START, 0);
	assert_int_equal(status(), 0);
}

static void
a_reload_brings_new_settings(void **state)
{
	(void)state;
	begin(ROLE_ENGINE, reload);
	send_settings(ROLE_ENGINE, 1);
	channel_signal(parent, MSG_START, 0);
	send_log(true);
	send_settings(ROLE_ENGINE, 2);
	channel_signal(parent, MSG_STOP, 0);
	assert_int_equal(status(), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_child_refuses_a_start_by_hand),
		cmocka_unit_test(the_start_delivers_everything),
		cmocka_unit_test(the_parent_is_told_of_a_fault),
		cmocka_unit_test(a_child_ends_with_its_parent),
		cmocka_unit_test(a_malformed_start_is_refused),
		cmocka_unit_test(directory_is_inherited),
		cmocka_unit_test(a_reload_brings_new_settings)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
