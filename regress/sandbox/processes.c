#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "attack.h"

static int
start_process(struct scene *s)
{
	pid_t	pid;

	(void)s;
	if ((pid = fork()) == -1)
		return -1;
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return 0;
}

static int
start_clone(struct scene *s)
{
	uint64_t	args[8] = { 0, 0, 0, 0, SIGCHLD, 0, 0, 0 };
	long		pid;

	(void)s;
	if ((pid = syscall(SYS_clone3, args, sizeof(args))) == -1)
		return -1;
	if (pid == 0)
		_exit(0);
	waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
start_thread(struct scene *s)
{
	pthread_t	thread;
	int		error;

	(void)s;
	if ((error = pthread_create(&thread, NULL, nothing, NULL)) != 0) {
		errno = error;
		return -1;
	}
	pthread_join(thread, NULL);
	return 0;
}

static char	*no_words[] = { NULL, NULL };

static int
run_program(struct scene *s)
{
	char	name[] = "true";

	(void)s;
	no_words[0] = name;
	return execv("/bin/true", no_words);
}

static int
run_program_at(struct scene *s)
{
	char	name[] = "true";

	(void)s;
	no_words[0] = name;
	return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", no_words,
	    no_words + 1, 0);
}

/* SIGURG is ignored by who does not ask for it. */
static int
signal_parent(struct scene *s)
{
	(void)s;
	return kill(getppid(), SIGURG);
}

static int
signal_victim(struct scene *s)
{
	return kill(s->victim, SIGURG);
}

static int
signal_everybody(struct scene *s)
{
	(void)s;
	return kill(-1, 0);
}

static int
signal_thread(struct scene *s)
{
	return (int)syscall(SYS_tgkill, s->victim, s->victim, SIGURG);
}

static int
signal_with_data(struct scene *s)
{
	union sigval	value = { 0 };

	return sigqueue(s->victim, SIGURG, value);
}

static int
signal_by_owner(struct scene *s)
{
	return fcntl(s->channel[0], F_SETOWN, s->victim);
}

static int
hold_process(struct scene *s)
{
	return attack_kept((int)syscall(SYS_pidfd_open, s->victim, 0));
}

static int
trace(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
		return -1;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	waitpid(pid, NULL, __WALL);
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) == -1 ? -1 : 0;
}

static int
trace_parent(struct scene *s)
{
	(void)s;
	return trace(getppid());
}

static int
trace_victim(struct scene *s)
{
	return trace(s->victim);
}

/* Address 0 is never there: EFAULT says that it was looked for. */
static int
read_memory(struct scene *s)
{
	char		byte;
	struct iovec	here = { &byte, 1 }, there = { NULL, 1 };

	if (process_vm_readv(s->victim, &here, 1, &there, 1, 0) != -1 ||
	    errno == EFAULT)
		return 0;
	return -1;
}

static int
write_memory(struct scene *s)
{
	char		byte = 0;
	struct iovec	here = { &byte, 1 }, there = { NULL, 1 };

	if (process_vm_writev(s->victim, &here, 1, &there, 1, 0) != -1 ||
	    errno == EFAULT)
		return 0;
	return -1;
}

static int
slow_victim(struct scene *s)
{
	return setpriority(PRIO_PROCESS, (id_t)s->victim, 19);
}

static int
limit_victim(struct scene *s)
{
	struct rlimit	limit;

	return prlimit(s->victim, RLIMIT_NOFILE, NULL, &limit);
}

static int
become_root(struct scene *s)
{
	(void)s;
	return setuid(0);
}

static int
become_root_again(struct scene *s)
{
	(void)s;
	return setresuid(0, 0, 0);
}

static int
take_group(struct scene *s)
{
	gid_t	group = 0;

	(void)s;
	return setgroups(1, &group);
}

static int
take_capabilities(struct scene *s)
{
	struct {
		uint32_t	version;
		int		pid;
	} header = { 0x20080522, 0 };
	uint32_t	data[6];

	(void)s;
	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	return (int)syscall(SYS_capset, &header, data);
}

static int
new_namespace(struct scene *s)
{
	(void)s;
	return unshare(CLONE_NEWUSER);
}

static int
outlive_parent(struct scene *s)
{
	(void)s;
	return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

/* The parent ends what is left of the session's group. */
static int
leave_group(struct scene *s)
{
	(void)s;
	return setpgid(0, 0);
}

static int
leave_session(struct scene *s)
{
	(void)s;
	return setsid() == -1 ? -1 : 0;
}

static int
be_dumpable(struct scene *s)
{
	(void)s;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* READ_IMPLIES_EXEC: memory that is readable would be executable. */
static int
change_personality(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(SYS_personality, 0x0400000));
}

const struct attempt	processes_attempts[] = {
	/* fork(3) of newer C libraries blocks every signal, SIGSYS too. */
	{ "fork", "", USER, start_process },
	{ "clone3", "clone3", USER, start_clone },
	{ "thread", "", USER, start_thread },
	{ "execve", "execve", NOBODY, run_program },
	{ "execveat", "execveat", NOBODY, run_program_at },
	{ "kill-parent", "getppid|kill", NOBODY, signal_parent },
	{ "kill-victim", "kill", USER, signal_victim },
	{ "kill-everybody", "kill", NOBODY, signal_everybody },
	{ "tgkill", "tgkill", USER, signal_thread },
	{ "sigqueue", "", USER, signal_with_data },
	{ "fcntl-owner", "fcntl", USER, signal_by_owner },
	{ "pidfd", "pidfd_open", USER, hold_process },
	{ "ptrace-parent", "getppid|ptrace", NOBODY, trace_parent },
	{ "ptrace-victim", "ptrace", USER, trace_victim },
	{ "process-vm-readv", "process_vm_readv", USER, read_memory },
	{ "process-vm-writev", "process_vm_writev", USER, write_memory },
	{ "setpriority", "setpriority", USER, slow_victim },
	{ "prlimit", "prlimit64", USER, limit_victim },
	{ "setuid", "setuid", ROOT, become_root },
	{ "setresuid", "setresuid", ROOT, become_root_again },
	{ "setgroups", "setgroups", ROOT, take_group },
	{ "capset", "capget|capset", USER, take_capabilities },
	{ "unshare", "unshare", NOBODY, new_namespace },
	{ "prctl-dumpable", "prctl", USER, be_dumpable },
	{ "prctl-outlive", "prctl", USER, outlive_parent },
	{ "setpgid", "setpgid", USER, leave_group },
	{ "setsid", "setsid", NOBODY, leave_session },
	{ "personality", "personality", USER, change_personality },
	{ NULL, NULL, NOBODY, NULL }
};
