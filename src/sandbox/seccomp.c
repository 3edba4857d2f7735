#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "sandbox/seccomp.h"

/*
 * The action for a forbidden call. SECCOMP_RET_KILL_PROCESS would not tell
 * which call it was, so it is SECCOMP_RET_TRAP: the kernel does not execute the
 * call but raises SIGSYS. The handler logs the call and then makes another
 * forbidden call. SIGSYS is blocked in its own handler, so the kernel kills the
 * process for the second call, and the parent sees SIGSYS.
 *
 * That is no weaker than killing at once, because no allowed call can disable
 * the handler: no rt_sigaction, no sigaltstack, no thread, no executable
 * memory. A blocked or ignored SIGSYS is fatal by itself, and so is a handler
 * that cannot run. Calls of another architecture (on x86-64: int 0x80 and x32)
 * are killed at once, since their numbers would be misnamed.
 */

#define E	(1U << SANDBOX_ENGINE)
#define S	(1U << SANDBOX_LEDGER_SQLITE)
#define D	(1U << SANDBOX_LEDGER_SERVER)
#define R	(1U << SANDBOX_REPORT)
#define C	(1U << SANDBOX_CONNECTING)
#define LOCKED	(E | S | D | R)
#define ALL	(LOCKED | C)
#define EASED	0U

#define OWN_PID	UINT64_MAX	/* replaced by getpid(2) at the lock */

struct call {
	const char		*names;		/* separated by blanks */
	unsigned int		 roles;
	const char		*rule;
	unsigned int		 nargs;
	struct scmp_arg_cmp	 args[3];
};

/* Rows with a name in common are alternatives. */
#define ARG(n, value)	1, { { (n), SCMP_CMP_EQ, (uint64_t)(value), 0 } }
#define WITHOUT(n, bits) 1, { { (n), SCMP_CMP_MASKED_EQ, (uint64_t)(bits), 0 } }
#define MASKED(n, mask, value) 1, {					\
	{ (n), SCMP_CMP_MASKED_EQ, (uint32_t)(mask), (uint64_t)(value) } }
#define ANY		"", 0, { { 0 } }

#define FCNTL(cmd)	#cmd, ARG(1, cmd)
#define IOCTL(cmd)	#cmd, ARG(1, cmd)
#define ADVICE(name)	#name, ARG(2, name)
#define FUTEX(op)	#op, MASKED(1,					\
	~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op)
#define MODE(n)		"no set-id and no sticky bit", WITHOUT(n, 07000)

/*
 * Sets of file status flags that include `least` and nothing else but
 * O_NONBLOCK.
 */
#define SETFL(rule, ignored, least) rule, 2, {				\
	{ 1, SCMP_CMP_EQ, F_SETFL, 0 },					\
	{ 2, SCMP_CMP_MASKED_EQ, (uint32_t)~(O_ACCMODE | (ignored)), (least) } }
#define SETFL_ON	SETFL("F_SETFL with O_NONBLOCK only", 0, O_NONBLOCK)
#define SETFL_ANY	SETFL("F_SETFL of O_NONBLOCK", O_NONBLOCK, 0)

#define PRCTL(name)	#name, ARG(0, name)
#define FAMILY(name)	#name, ARG(0, name)

/* O_TMPFILE without the O_DIRECTORY that it includes. */
#define UNNAMED		(O_TMPFILE & ~O_DIRECTORY)
#define CREATE(n)	"no O_TMPFILE, no set-id and no sticky bit", 2, { \
	{ (n), SCMP_CMP_MASKED_EQ, UNNAMED, 0 },			\
	{ (n) + 1, SCMP_CMP_MASKED_EQ, 07000, 0 } }
#define READING(n)	"to read",					\
	WITHOUT(n, O_ACCMODE | O_CREAT | O_TRUNC | UNNAMED)
#define OPTION(l, name)	#name, 2, {				\
	{ 1, SCMP_CMP_EQ, (uint64_t)(l), 0 },				\
	{ 2, SCMP_CMP_EQ, (uint64_t)(name), 0 } }

static const struct call	calls[] = {
	/*
	 * Exiting, and the signals of handlers that libraries set before the
	 * lock.
	 */
	{ "exit exit_group rt_sigreturn sigreturn restart_syscall "
	    "rt_sigprocmask", ALL, ANY },
	/* abort(3) */
	{ "gettid getpid", ALL, ANY },
	{ "tgkill", ALL, "itself, SIGABRT", 2, {
	    { 0, SCMP_CMP_EQ, OWN_PID, 0 },
	    { 2, SCMP_CMP_EQ, SIGABRT, 0 } } },
	{ "tkill", ALL, "itself, SIGABRT", 2, {
	    { 0, SCMP_CMP_EQ, OWN_PID, 0 },
	    { 1, SCMP_CMP_EQ, SIGABRT, 0 } } },

	/* Memory, but never executable. */
	{ "brk", ALL, ANY },
	{ "mmap mmap2 mprotect", LOCKED, "no PROT_EXEC",
	    WITHOUT(2, PROT_EXEC) },
	{ "mremap munmap", ALL, ANY },
	/* The advice that allocators, and OpenSSL's memory for keys, give. */
	{ "madvise", ALL, ADVICE(MADV_NORMAL) },
	{ "madvise", ALL, ADVICE(MADV_DONTNEED) },
	{ "madvise", ALL, ADVICE(MADV_FREE) },
	{ "madvise", ALL, ADVICE(MADV_DONTDUMP) },
	{ "madvise", ALL, ADVICE(MADV_WIPEONFORK) },
	/*
	 * Locks of libc; not the operations that inherit priorities or requeue.
	 */
	{ "futex futex_time64", ALL, FUTEX(FUTEX_WAIT) },
	{ "futex futex_time64", ALL, FUTEX(FUTEX_WAKE) },
	{ "futex futex_time64", ALL, FUTEX(FUTEX_WAIT_BITSET) },
	{ "sysinfo", ALL, ANY },		/* qsort(3) of glibc */
	{ "getrandom", ALL, ANY },

	/* Time, on systems where the vdso does not have it. */
	{ "clock_gettime clock_gettime64 gettimeofday time", ALL, ANY },
	{ "nanosleep clock_nanosleep clock_nanosleep_time64", S | C, ANY },

	/*
	 * Existing descriptors. File status flags belong to the open file
	 * description, which the engine's listeners share with those of later
	 * engines: no flag may be set or cleared.
	 */
	{ "read write writev close poll ppoll ppoll_time64", ALL, ANY },
	{ "fcntl fcntl64", ALL, FCNTL(F_GETFD) },
	{ "fcntl fcntl64", ALL, FCNTL(F_SETFD) },
	{ "fcntl fcntl64", ALL, FCNTL(F_GETFL) },
	{ "fcntl fcntl64", E | S | R, SETFL_ON },
	{ "fcntl fcntl64", D | C, SETFL_ANY },
	{ "fcntl fcntl64", ALL, FCNTL(F_DUPFD_CLOEXEC) },
	{ "ioctl", D | C, IOCTL(FIONREAD) },
	{ "epoll_wait epoll_pwait epoll_pwait2 epoll_ctl", E, ANY },

	/*
	 * Existing sockets, only to their peer. No sendmsg(2): it can carry
	 * descriptors, and an address that no filter sees. MSG_FASTOPEN would
	 * connect a listening socket that was shut down to any address.
	 */
	{ "recvmsg recvfrom recv", ALL, ANY },
	{ "sendto", LOCKED, "no MSG_FASTOPEN, no address", 2, {
	    { 3, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0 },
	    { 4, SCMP_CMP_EQ, 0, 0 } } },
	{ "send", LOCKED, "no MSG_FASTOPEN", WITHOUT(3, MSG_FASTOPEN) },
	{ "accept accept4", E, ANY },
	{ "getsockopt", E, OPTION(SOL_SOCKET, SO_PEERCRED) },
	/*
	 * Not for the engine: it could shut down a listening socket that the
	 * parent shares.
	 */
	{ "shutdown", D | C, ANY },

	/* SQLite's files; Landlock and chroot(2) limit where. */
	{ "open", S, CREATE(1) },
	{ "openat", S, CREATE(2) },
	{ "access faccessat faccessat2", S | C, ANY },
	{ "stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx",
	    S | C, ANY },
	{ "readlink readlinkat getcwd geteuid geteuid32 lseek _llseek pread64",
	    S | C, ANY },
	{ "pwrite64 ftruncate ftruncate64", S, ANY },
	{ "fallocate", S, "no mode", ARG(1, 0) },
	{ "fsync fdatasync", S, ANY },
	{ "fchmod", S, MODE(1) },
	{ "unlink unlinkat", S, ANY },
	{ "fcntl fcntl64", S, FCNTL(F_GETLK) },
	{ "fcntl fcntl64", S, FCNTL(F_SETLK) },
	{ "fcntl fcntl64", S, FCNTL(F_SETLKW) },
	{ "fcntl64", S, FCNTL(F_GETLK64) },
	{ "fcntl64", S, FCNTL(F_SETLK64) },
	{ "fcntl64", S, FCNTL(F_SETLKW64) },

	/*
	 * Before the lock: name services and the libraries of the databases
	 * resolve, connect, read files and load plugins, as the user.
	 */
	{ "open", C, READING(1) },
	{ "openat", C, READING(2) },
	{ "mmap mmap2 mprotect", C, ANY },
	{ "statfs statfs64 fstatfs fstatfs64 getdents getdents64 readv uname",
	    C, ANY },
	{ "getuid getuid32 getgid getgid32 getegid getegid32 getresuid "
	    "getresuid32 getresgid getresgid32 getgroups getgroups32 getppid",
	    C, ANY },
	{ "getrusage getrlimit ugetrlimit setrlimit", C, ANY },
	{ "prlimit64", C, "itself", ARG(0, 0) },
	{ "sched_yield sched_getaffinity clock_getres clock_getres_time64",
	    C, ANY },
	{ "rt_sigaction rt_sigpending rt_sigtimedwait rt_sigtimedwait_time64 "
	    "sigaltstack", C, ANY },
	{ "socket", C, FAMILY(AF_UNIX) },
	{ "socket", C, FAMILY(AF_INET) },
	{ "socket", C, FAMILY(AF_INET6) },
	{ "socket", C, "NETLINK_ROUTE", 2, {
	    { 0, SCMP_CMP_EQ, AF_NETLINK, 0 },
	    { 2, SCMP_CMP_EQ, NETLINK_ROUTE, 0 } } },
	{ "connect bind getsockname getpeername", C, ANY },
	{ "getsockopt setsockopt", C, ANY },
	{ "send sendto sendmsg sendmmsg recvmmsg recvmmsg_time64", C, ANY },
	{ "select _newselect pselect6 pselect6_time64", C, ANY },
	{ "ioctl", C, IOCTL(FIONBIO) },
	/* The second step. */
	{ "chroot chdir fchdir capget capset seccomp", C, ANY },
	{ "landlock_create_ruleset landlock_add_rule landlock_restrict_self",
	    C, ANY },
	{ "prctl", C, PRCTL(PR_SET_NO_NEW_PRIVS) },
	{ "prctl", C, PRCTL(PR_SET_SECCOMP) },
	{ "prctl", C, PRCTL(PR_CAPBSET_READ) },
	{ "prctl", C, PRCTL(PR_CAPBSET_DROP) },
	{ "prctl", C, PRCTL(PR_GET_DUMPABLE) },
	{ "prctl", C, "PR_CAP_AMBIENT_CLEAR_ALL", 2, {
	    { 0, SCMP_CMP_EQ, PR_CAP_AMBIENT, 0 },
	    { 1, SCMP_CMP_EQ, PR_CAP_AMBIENT_CLEAR_ALL, 0 } } },
	{ "prctl", C, "PR_SET_PDEATHSIG to SIGKILL", 2, {
	    { 0, SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0 },
	    { 1, SCMP_CMP_EQ, SIGKILL, 0 } } },
	{ "prctl", C, "PR_SET_DUMPABLE to 0", 2, {
	    { 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 },
	    { 1, SCMP_CMP_EQ, 0, 0 } } },

	/* For sanitizers and valgrind; not part of a normal build. */
	{ "mmap mmap2 mprotect madvise futex fchmod open openat mkdir "
	    "mkdirat access stat fstat newfstatat statx lseek pread64 "
	    "readlink readlinkat getcwd getdents getdents64 process_vm_readv "
	    "unlink ftruncate fcntl ioctl dup pipe2 clone clone3 "
	    "set_robust_list rseq wait4 ptrace prctl getppid getuid geteuid "
	    "getgid getegid uname prlimit64 setrlimit getrusage sched_yield "
	    "sched_getaffinity sigaltstack rt_sigaction rt_sigtimedwait "
	    "tgkill tkill membarrier", EASED, ANY }
};

/*
 * Before the lock, a plugin of a name service may make calls that the table
 * lacks: those fail with EPERM and the process goes on. No legitimate plugin
 * makes one of the calls below, so they are fatal.
 */
static const char	traps[] =
    "execve execveat ptrace process_vm_readv process_vm_writev "
    "mount umount2 pivot_root move_mount open_tree fsopen unshare setns "
    "bpf io_uring_setup userfaultfd perf_event_open "
    "init_module finit_module kexec_load reboot "
    "setuid setreuid setresuid setgid setregid setresgid setgroups "
    "mknod mknodat chmod fchmod fchmodat rename renameat renameat2 "
    "unlink unlinkat truncate ftruncate link linkat symlink symlinkat "
    "mkdir mkdirat";

/* The signal's si_code: the kernel's headers have it, some libcs lack it. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP	1
#endif

#define NCALLS		(sizeof(calls) / sizeof(calls[0]))
#define NAMED		512	/* above all numbers of 64-bit systems */

static char	*call_names[NAMED];

static size_t
append(char *line, size_t at, size_t size, const char *text)
{
	while (*text != '\0' && at + 1 < size)
		line[at++] = *text++;
	line[at] = '\0';
	return at;
}

/* Calls only what signal-safety(7) allows. */
static void
on_forbidden(int signo, siginfo_t *info, void *context)
{
	char		 line[128], digits[16], *digit;
	const char	*name = NULL;
	unsigned int	 number = (unsigned int)info->si_syscall;
	size_t		 at;

	(void)signo;
	(void)context;
	/* The signal was sent by kill(2). */
	if (info->si_code != SYS_SECCOMP)
		goto die;
	if (number < NAMED)
		name = call_names[number];
	digit = digits + sizeof(digits) - 1;
	*digit = '\0';
	do
		*--digit = (char)('0' + number % 10);
	while ((number /= 10) != 0);

	at = append(line, 0, sizeof(line), "sandbox: forbidden system call: ");
	at = append(line, at, sizeof(line), name != NULL ? name : "number");
	at = append(line, at, sizeof(line), name != NULL ? " (" : " ");
	at = append(line, at, sizeof(line), digit);
	append(line, at, sizeof(line), name != NULL ? ")" : "");
	log_signal(line);
 die:
	/* SIGSYS is blocked in its handler, so this call kills the process. */
	syscall(SYS_ptrace, 0, 0, 0, 0);
	for (;;)
		_exit(128 + SIGSYS);
}

/* Looks up the names beforehand: a handler cannot. */
static int
catch_forbidden(void)
{
	struct sigaction	sa;
	int			i;

	for (i = 0; i < NAMED; i++)
		if (call_names[i] == NULL)
			call_names[i] = seccomp_syscall_resolve_num_arch(
			    SCMP_ARCH_NATIVE, i);
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_forbidden;
	sa.sa_flags = SA_SIGINFO;
	sigfillset(&sa.sa_mask);
	return sigaction(SIGSYS, &sa, NULL);
}

/* 0, or a negated errno, as libseccomp returns it. */
static int
add(scmp_filter_ctx filter, uint32_t action, const char *names,
    unsigned int nargs, const struct scmp_arg_cmp *args)
{
	char	name[32];
	size_t	len;
	int	number, error;

	for (; *names != '\0'; names += len + strspn(names + len, " ")) {
		len = strcspn(names, " ");
		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		number = seccomp_syscall_resolve_name(name);
		/*
		 * A call that this libseccomp or this architecture lacks cannot
		 * be made.
		 */
		if (number == __NR_SCMP_ERROR)
			continue;
		error = seccomp_rule_add_array(filter, action, number, nargs,
		    args);
		/* EEXIST: another row allows this already. */
		if (error != 0 && error != -EEXIST)
			return error;
	}
	return 0;
}

static int
build(scmp_filter_ctx filter, enum sandbox_role role, bool eased)
{
	struct scmp_arg_cmp	args[3];
	size_t			i, j;
	int			error;

	error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	/*
	 * Before Linux 4.14 only the thread can be killed: there is only one.
	 */
	if (error != 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
		    SCMP_ACT_KILL);
	/* A search tree instead of a list, and the audit log: optional. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	for (i = 0; i < NCALLS && error == 0; i++) {
		if ((calls[i].roles & (1U << role)) == 0 &&
		    !(eased && calls[i].roles == EASED))
			continue;
		for (j = 0; j < calls[i].nargs; j++) {
			args[j] = calls[i].args[j];
			if (args[j].datum_a == OWN_PID)
				args[j].datum_a = (scmp_datum_t)getpid();
		}
		error = add(filter, SCMP_ACT_ALLOW, calls[i].names,
		    calls[i].nargs, args);
	}
	if (error == 0 && role == SANDBOX_CONNECTING && !eased)
		error = add(filter, SCMP_ACT_TRAP, traps, 0, NULL);
	return error;
}

/*
 * socketcall(2) passes its arguments in memory, which filters cannot see, and
 * libseccomp allows it along with each socket call, for the same function. With
 * two filters the stricter one applies. Not while connecting: the resolver is
 * part of glibc, which on 32-bit x86 has no other call, and compat/socketcall.c
 * replaces only what other libraries import.
 */
static int
forbid_socketcall(void)
{
	scmp_filter_ctx	filter;
	int		number, error = 0;

	number = seccomp_syscall_resolve_name("socketcall");
	/* Negative: this architecture does not have it. */
	if (number < 0)
		return 0;
	if ((filter = seccomp_init(SCMP_ACT_ALLOW)) == NULL)
		return -ENOMEM;
	error = seccomp_rule_add(filter, SCMP_ACT_TRAP, number, 0);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

int
seccomp_enter(enum sandbox_role role, bool eased)
{
	bool		connecting = role == SANDBOX_CONNECTING;
	scmp_filter_ctx	filter;
	int		error;

	/*
	 * EFAULT: the kernel has filters, and looked for this one; EINVAL: it
	 * has none.
	 */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 &&
	    errno == EINVAL)
		return 1;
	filter = seccomp_init(connecting ? SCMP_ACT_ERRNO(EPERM) :
	    SCMP_ACT_TRAP);
	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	error = build(filter, role, eased);
	if (error == 0 && catch_forbidden() == -1)
		error = -errno;
	if (error == 0 && !connecting)
		error = forbid_socketcall();
	if (error == 0)
		error = seccomp_load(filter);
	/*
	 * libseccomp's memory is freed after the lock, so free(3) must be
	 * allowed.
	 */
	seccomp_release(filter);
	if (error != 0) {
		errno = -error;
		return -1;
	}
	return 0;
}

bool
seccomp_row(size_t i, struct seccomp_row *row)
{
	if (i >= NCALLS)
		return false;
	row->names = calls[i].names;
	row->roles = calls[i].roles;
	row->rule = calls[i].rule;
	return true;
}
