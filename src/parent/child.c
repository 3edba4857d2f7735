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

/* PATH and what is set of the list above. */
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

/* Moves a descriptor out of the way. -1 stays -1. */
static int
aside(int fd)
{
	return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
}

struct start {
	char		*path;
	char		*name;
	int		 channel;
	int		 directory;	/* -1: none */
	int		 log;
	bool		 lowly;
};

/*
 * In the child: places the descriptors and executes the program. The role
 * resets the signals.
 */
static void __attribute__((__noreturn__))
become(const struct start *s, char **env, int report)
{
	char	*argv[] = { s->name, NULL };
	int	 null, channel, directory, log, error;

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

/* Starts the process and waits for its exec(2): its id; -1 with errno. */
static pid_t
start(const struct start *s)
{
	int	  report[2], error = 0;
	char	**env, **variable;
	ssize_t	  n;
	pid_t	  pid;

	if (pipe2(report, O_CLOEXEC) == -1)
		return -1;
	env = make_environment();
	if ((pid = fork()) == 0)
		become(s, env, report[1]);
	if (pid == -1)
		error = errno;
	for (variable = env; *variable != NULL; variable++)
		free(*variable);
	free(env);
	close(report[1]);
	if (pid != -1) {
		do
			n = read(report[0], &error, sizeof(error));
		while (n == -1 && errno == EINTR);
		if (n != (ssize_t)sizeof(error))
			error = 0;
	}
	close(report[0]);
	if (error == 0)
		return pid;
	while (pid != -1 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	errno = error;
	return -1;
}

int
child_spawn(struct child *child, enum role role, const char *program,
    int directory, bool lowly, char *why)
{
	struct start	 s = { .directory = directory, .lowly = lowly };
	int		 fd[2];

	child_init(child);
	child->role = role;
	strlcpy(child->program, program, sizeof(child->program));
	s.log = relay_open(&child->relay, message_role_name(role));
	if (s.log == -1 || channel_pair(fd) == -1) {
		snprintf(why, WHY_MAX, "%s: channel: %s", program,
		    strerror(errno));
		goto fail;
	}
	s.path = alloc_printf("%s/%s", paths_libexecdir, program);
	s.name = child->program;
	s.channel = fd[1];
	child->pid = start(&s);
	if (child->pid == -1)
		snprintf(why, WHY_MAX, "%s: %s", s.path, strerror(errno));
	free(s.path);
	close(fd[1]);
	if (child->pid == -1) {
		close(fd[0]);
		goto fail;
	}
	close(s.log);
	child->relay.pid = child->pid;
	child->channel = channel_new(fd[0], ROLE_PARENT, role);
	child->since = clock_mono();
	child->state = CHILD_STARTING;
	return 0;
 fail:
	if (s.log != -1)
		close(s.log);
	relay_close(&child->relay);
	return -1;
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
	if (child->channel != NULL)
		channel_send_text(child->channel, type, text);
}

void
child_number(struct child *child, enum message_type type, uint64_t number,
    int fd)
{
	if (child->channel != NULL)
		channel_send_number(child->channel, type, number, fd);
}
