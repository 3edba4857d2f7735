#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "role/role.h"
#include "sandbox/privileges.h"

extern char	**environ;

#define START_MS	(30 * 1000)
#define GOODBYE_MS	(2 * 1000)
#define STATUS_USAGE	1

/* Variables that libraries use; all others are removed. */
static const char *const	environment[] = {
	"TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"
};

#define NKEPT	(sizeof(environment) / sizeof(environment[0]))

static void
clean_environment(void)
{
	static char	*empty[] = { NULL };
	char		*kept[NKEPT];
	const char	*value;
	size_t		 i;

	for (i = 0; i < NKEPT; i++) {
		value = getenv(environment[i]);
		kept[i] = value != NULL ? alloc_string(value) : NULL;
	}
	environ = empty;
	for (i = 0; i < NKEPT; i++) {
		if (kept[i] == NULL)
			continue;
		if (setenv(environment[i], kept[i], 1) == -1)
			log_fatal("setenv: %s", strerror(errno));
		free(kept[i]);
	}
}

/*
 * Ignores the signals that a terminal or a service manager sends to every
 * process of a group. The parent stops its children by a message, so that
 * answers in flight are sent.
 */
static void
set_signals(void)
{
	static const int	ignored[] = {
		SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1
	};
	sigset_t		none;
	size_t			i;
	int			signo;

	for (signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whether descriptor 3 is a channel of the parent. */
static bool
channel_is_there(void)
{
	struct sockaddr_storage	ss;
	socklen_t		len;
	int			type;

	len = sizeof(type);
	if (getsockopt(ROLE_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &len) ==
	    -1 || type != SOCK_STREAM)
		return false;
	len = sizeof(ss);
	if (getsockname(ROLE_CHANNEL_FD, (struct sockaddr *)&ss, &len) == -1)
		return false;
	return ss.ss_family == AF_UNIX;
}

/* --- before MSG_START: 0, or -1 when it is not as it must be --- */

static int
start_on_log(struct role_start *start, const struct message *m)
{
	uint64_t	debug;

	(void)start;
	if (msg_number_get(&debug, m->payload, m->len) == -1 || debug > 1)
		return -1;
	log_set_debug(debug == 1);
	return 0;
}

static int
start_on_identity(struct role_start *start, const struct message *m)
{
	if (msg_identity_get(&start->identity, m->payload, m->len) == -1)
		return -1;
	/* Database libraries look for password files in the home directory. */
	if (start->identity.home[0] != '\0' &&
	    setenv("HOME", start->identity.home, 1) == -1)
		return -1;
	return 0;
}

/* Sets *fresh when a generation is complete. */
static int
on_setting(struct role_start *start, const struct message *m,
    struct settings **fresh)
{
	struct settings	*settings;

	if (start->receiving == NULL)
		start->receiving = settings_message_new();
	switch (settings_message_receive(start->receiving, m, &settings)) {
	case 0:
		return 0;
	case 1:
		settings_message_free(start->receiving);
		start->receiving = NULL;
		*fresh = settings;
		return msg_number_get(&start->generation, m->payload, m->len);
	default:
		return -1;
	}
}

static int
start_on_setting(struct role_start *start, const struct message *m)
{
	struct settings	*fresh = NULL;

	if (on_setting(start, m, &fresh) == -1)
		return -1;
	if (fresh != NULL) {
		settings_free(start->settings);
		start->settings = fresh;
	}
	return 0;
}

static int
start_on_listener(struct role_start *start, const struct message *m)
{
	struct role_listener	*listener;

	if (m->fd == -1)
		return -1;
	start->listeners = alloc_resize(start->listeners, start->nlisteners + 1,
	    sizeof(*start->listeners));
	listener = &start->listeners[start->nlisteners++];
	listener->fd = m->fd;
	return msg_listener_get(&listener->about, m->payload, m->len);
}

static int
start_on_directory(struct role_start *start, const struct message *m)
{
	(void)m;
	if (!start->inherited || start->directory != -1)
		return -1;
	start->directory = ROLE_DIRECTORY_FD;
	return 0;
}

static int
start_on_peer(struct role_start *start, const struct message *m)
{
	uint64_t	number;

	if (m->fd == -1 || start->peer != NULL)
		return -1;
	if (msg_number_get(&number, m->payload, m->len) == -1 ||
	    number >= ROLE__MAX)
		return -1;
	start->peer = channel_new(m->fd, start->self, (enum role)number);
	return 0;
}

static int
start_on_tried(struct role_start *start, const struct message *m)
{
	struct report_tried	*tried = &start->tried;

	if (tried->count == REPORT_TRIED_MAX)
		return -1;
	return msg_text_get(tried->address[tried->count++], REPORT_ADDRESS_MAX,
	    m->payload, m->len);
}

static int	(*const at_start[MSG__MAX])(struct role_start *,
		    const struct message *) = {
	[MSG_LOG]		= start_on_log,
	[MSG_IDENTITY]		= start_on_identity,
	[MSG_SETTING]		= start_on_setting,
	[MSG_SETTINGS_END]	= start_on_setting,
	[MSG_LISTENER]		= start_on_listener,
	[MSG_DIRECTORY]		= start_on_directory,
	[MSG_PEER]		= start_on_peer,
	[MSG_TRIED]		= start_on_tried
};

static void
receive_start(struct role_start *start)
{
	struct mono	deadline = clock_after(clock_mono(), START_MS);
	struct message	m;

	for (;;) {
		if (channel_wait(start->parent, &m, deadline) == -1) {
			/*
			 * The parent is gone, so nobody waits for this process.
			 */
			if (errno == 0)
				exit(0);
			log_fatal("waiting for the parent: %s",
			    strerror(errno));
		}
		if (m.type == MSG_START)
			break;
		if (m.type == MSG_STOP)
			exit(0);
		if (at_start[m.type] == NULL ||
		    at_start[m.type](start, &m) == -1)
			log_fatal("the parent's %s at start is not as it must "
			    "be", message_rule(m.type)->name);
	}
	if (start->settings == NULL)
		log_fatal("the parent sent no settings");
	start->required = start->settings->sandbox_required;
	if (start->inherited && start->directory == -1)
		(void)close(ROLE_DIRECTORY_FD);
}

void
role_begin(struct role_start *start, enum role self, const char *name)
{
	struct stat	sb;

	memset(start, 0, sizeof(*start));
	start->directory = -1;
	start->self = self;
	if (!channel_is_there()) {
		fprintf(stderr, "%s: is started by policyd-rate-limit, "
		    "not by itself\n", name);
		exit(STATUS_USAGE);
	}
	log_open(name, LOG_TO_PARENT, -1, false);
	sandbox_prepare(self == ROLE_ENGINE ? SANDBOX_ENGINE :
	    self == ROLE_REPORT ? SANDBOX_REPORT : SANDBOX_LEDGER_SERVER);
	/* Closes all descriptors but the channel and a directory. */
	closefrom(ROLE_DIRECTORY_FD + 1);
	start->inherited = fstat(ROLE_DIRECTORY_FD, &sb) == 0 &&
	    S_ISDIR(sb.st_mode) &&
	    fcntl(ROLE_DIRECTORY_FD, F_SETFD, FD_CLOEXEC) == 0;
	if (!start->inherited)
		(void)close(ROLE_DIRECTORY_FD);
	umask(077);
	set_signals();
	clean_environment();
	start->parent = channel_new(ROLE_CHANNEL_FD, self, ROLE_PARENT);
	receive_start(start);
}

static void __attribute__((__noreturn__))
privileges_fault(struct role_start *start)
{
	role_fault(start, ROLE_FAULT, "privileges could not be given up for "
	    "uid %lu, gid %lu: %s; a container must grant CAP_SETUID, "
	    "CAP_SETGID and CAP_SYS_CHROOT, or start the program as that user",
	    (unsigned long)start->identity.uid,
	    (unsigned long)start->identity.gid, strerror(errno));
}

void
role_connect(struct role_start *start, struct sandbox_needs *needs)
{
	if (privileges_drop_ids(&start->identity) == -1)
		privileges_fault(start);
	needs->required = start->required;
	if (sandbox_connect(needs) == -1)
		role_fault(start, ROLE_FAULT, "sandbox: %s", strerror(errno));
	start->connecting = true;
}

void
role_lock(struct role_start *start, struct sandbox_needs *needs)
{
	int	result;

	if (start->connecting)
		result = privileges_jail(&start->identity, &needs->jailed);
	else {
		/* The database's directory, if there is one, is the root. */
		needs->jailed = start->identity.drop;
		result = privileges_drop(&start->identity, start->directory);
	}
	if (result == -1)
		privileges_fault(start);
	if (start->directory != -1 && fchdir(start->directory) == -1)
		role_fault(start, ROLE_FAULT, "directory of the database: %s",
		    strerror(errno));
	needs->directory = ".";
	needs->directory_fd = start->directory;
	needs->required = start->required;
	if (sandbox_enter(needs) == -1)
		role_fault(start, ROLE_FAULT, "sandbox: %s", strerror(errno));
	start->jailed = needs->jailed;
}

void
role_ready(struct role_start *start)
{
	char	layers[256];

	snprintf(layers, sizeof(layers), "%s%s%s",
	    start->jailed ? "chroot " : "", start->identity.drop ? "ids " : "",
	    sandbox_description());
	channel_send_text(start->parent, MSG_READY, layers);
	if (channel_drain(start->parent,
	    clock_after(clock_mono(), START_MS)) == -1)
		log_fatal("the parent does not read: %s", strerror(errno));
}

void
role_fault(struct role_start *start, int status, const char *fmt, ...)
{
	char	text[512];
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	channel_send_text(start->parent, MSG_FAULT, text);
	/* The parent logs it; without the parent this process does. */
	if (channel_drain(start->parent,
	    clock_after(clock_mono(), GOODBYE_MS)) == -1)
		log_error("%s", text);
	settings_free(start->settings);
	exit(status);
}

int
role_message(struct role_start *start, const struct message *m,
    struct settings **fresh)
{
	switch (m->type) {
	case MSG_LOG:
		return start_on_log(start, m) == -1 ? -1 : 1;
	case MSG_SETTING:
	case MSG_SETTINGS_END:
		return on_setting(start, m, fresh) == -1 ? -1 : 1;
	default:
		return 0;
	}
}

void
role_taken(struct role_start *start)
{
	channel_send_number(start->parent, MSG_SETTINGS_TAKEN,
	    start->generation, -1);
}
