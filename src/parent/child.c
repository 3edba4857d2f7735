#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/paths.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "parent/child.h"
#include "parent/signals.h"

#define CHANNEL_FD	3	/* ROLE_CHANNEL_FD */
#define DIRECTORY_FD	4	/* ROLE_DIRECTORY_FD, or closed */
#define EXEC_FD		5	/* tells the parent that exec failed */
#define NICE		10	/* a child that must not slow down others */
#define ABOVE		16	/* descriptors are moved above it */

/*
 * Variables that libraries use. The program passes nothing through the
 * environment.
 */
static const char *const	environment[] = {
	"TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"
};

#define NENVIRONMENT	(sizeof(environment) / sizeof(environment[0]))

void
child_init(struct child *child)
{
	memset(child, 0, sizeof(*child));
	child->pid = -1;
	child->relay.fd = -1;
}

static char **
make_environment(void)
{
	char		**list;
	const char	 *value;
	size_t		  i, n = 0;

	list = alloc_zero(NENVIRONMENT + 2, sizeof(*list));
	list[n++] = alloc_string("PATH=/usr/bin:/bin");
	for (i = 0; i < NENVIRONMENT; i++) {
		if ((value = getenv(environment[i])) != NULL)
			list[n++] = alloc_printf("%s=%s", environment[i],
			    value);
	}
	return list;
}

static void
free_environment(char **list)
{
	size_t	i;

	for (i = 0; list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

struct start {
	const char	*path;
	char		*name;
	int		 channel;
	int		 directory;	/* -1: none */
	int		 log;
	bool		 lowly;
};

/* Moves a descriptor out of the way. -1 stays -1. */
static int
aside(int fd)
{
	return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
}

/* In the child: places the descriptors and executes the program. */
static void __attribute__((__noreturn__))
become(const struct start *s, char **env, int report)
{
	char	*argv[] = { s->name, NULL };
	int	 null, channel, directory, log, error;

	signals_reset();
	/* ^C at the terminal is for the parent only. */
	setsid();
	channel = aside(s->channel);
	directory = aside(s->directory);
	report = aside(report);
	log = aside(s->log);
	null = open("/dev/null", O_RDWR);
	if (channel == -1 || report == -1 || log == -1 || null == -1 ||
	    (directory == -1 && s->directory != -1) ||
	    dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(log, STDERR_FILENO) == -1 ||
	    dup2(channel, CHANNEL_FD) == -1 || dup2(report, EXEC_FD) == -1 ||
	    fcntl(EXEC_FD, F_SETFD, FD_CLOEXEC) == -1)
		goto fail;
	report = EXEC_FD;
	if (directory == -1)
		(void)close(DIRECTORY_FD);
	else if (dup2(directory, DIRECTORY_FD) == -1)
		goto fail;
	closefrom(EXEC_FD + 1);
	umask(077);
	if (s->lowly && nice(NICE) == -1)
		errno = 0;	/* it is only slower for others */
	execve(s->path, argv, env);
 fail:
	error = errno;
	while (write(report, &error, sizeof(error)) == -1 && errno == EINTR)
		continue;
	_exit(127);
}

/* Waits for exec(2): 0, or its errno. */
static int
exec_error(int fd)
{
	ssize_t	n;
	int	error;

	do
		n = read(fd, &error, sizeof(error));
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(error) ? error : 0;
}

static pid_t
start(const struct start *s)
{
	int	  report[2], error;
	char	**env;
	pid_t	  pid;

	if (pipe2(report, O_CLOEXEC) == -1)
		return -1;
	env = make_environment();
	pid = fork();
	if (pid == 0)
		become(s, env, report[1]);
	error = pid == -1 ? errno : 0;
	free_environment(env);
	close(report[1]);
	if (pid != -1 && (error = exec_error(report[0])) != 0) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		pid = -1;
	}
	close(report[0]);
	errno = error;
	return pid;
}

static void
close_log(struct child *child, int fd)
{
	if (fd != -1)
		close(fd);
	relay_close(&child->relay);
}

int
child_spawn(struct child *child, enum role role, const char *program,
    int directory, bool lowly, char *why)
{
	struct start	 s = { .directory = directory, .lowly = lowly };
	char		*path;
	int		 fd[2];

	child_init(child);
	child->role = role;
	strlcpy(child->program, program, sizeof(child->program));
	if ((s.log = relay_open(&child->relay)) == -1 ||
	    channel_pair(fd) == -1) {
		snprintf(why, WHY_MAX, "%s: channel: %s", program,
		    strerror(errno));
		close_log(child, s.log);
		return -1;
	}
	path = alloc_printf("%s/%s", paths_libexecdir(), program);
	s.path = path;
	s.name = child->program;
	s.channel = fd[1];
	child->pid = start(&s);
	if (child->pid == -1)
		snprintf(why, WHY_MAX, "%s: %s", path, strerror(errno));
	free(path);
	close(fd[1]);
	if (child->pid == -1) {
		close_log(child, s.log);
		close(fd[0]);
		return -1;
	}
	close(s.log);
	child->channel = channel_new(fd[0], ROLE_PARENT, role);
	child->since = clock_mono();
	child->state = CHILD_STARTING;
	return 0;
}

void
child_kill(struct child *child)
{
	if (child->pid == -1)
		return;
	child->killed = true;
	kill(child->pid, SIGKILL);
}

void
child_disconnect(struct child *child)
{
	channel_free(child->channel);
	child->channel = NULL;
}

void
child_gone(struct child *child)
{
	child_disconnect(child);
	relay_close(&child->relay);
	child_init(child);
}

void
child_relay(struct child *child, struct mono now)
{
	relay_take(&child->relay, message_role_name(child->role), child->pid,
	    now);
}

void
child_relay_rest(struct child *child)
{
	relay_rest(&child->relay, message_role_name(child->role), child->pid);
}

void
child_send(struct child *child, enum message_type type,
    const struct str *payload, int fd)
{
	if (child->channel != NULL)
		channel_send(child->channel, type, 0, payload, fd);
}

void
child_signal(struct child *child, enum message_type type)
{
	if (child->channel != NULL)
		channel_signal(child->channel, type, 0);
}

void
child_text(struct child *child, enum message_type type, const char *text)
{
	struct str	payload;

	str_init(&payload);
	msg_text_put(&payload, text);
	child_send(child, type, &payload, -1);
	str_clear(&payload);
}

void
child_number(struct child *child, enum message_type type, uint64_t number,
    int fd)
{
	struct str	payload;

	str_init(&payload);
	msg_number_put(&payload, number);
	child_send(child, type, &payload, fd);
	str_clear(&payload);
}
