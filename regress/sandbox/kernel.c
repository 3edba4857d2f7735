#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
/* --- memory --- */

static int
map_executable(struct scene *s)
{
	(void)s;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
protect_executable(struct scene *s)
{
	return mprotect(s->page, 4096, PROT_READ | PROT_EXEC);
}

static int
protect_by_key(struct scene *s)
{
	return (int)syscall(SYS_pkey_mprotect, s->page, 4096,
	    PROT_READ | PROT_EXEC, -1);
}

static int
share_memory(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(SYS_shmget, 0, 4096, 01600));
}

/* --- the kernel's wide doors --- */

static int
set_up_ring(struct scene *s)
{
	char	params[256];

	(void)s;
	memset(params, 0, sizeof(params));
	return attack_kept((int)syscall(SYS_io_uring_setup, 1, params));
}

static int
load_bpf(struct scene *s)
{
	char	attr[128];

	(void)s;
	memset(attr, 0, sizeof(attr));
	return attack_kept((int)syscall(SYS_bpf, 0, attr, sizeof(attr)));
}

static int
take_faults(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(SYS_userfaultfd, 1));
}

static int
ask_keys(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(SYS_keyctl, 0, -3, 1));
}

static int
count_events(struct scene *s)
{
	char	attr[128];

	(void)s;
	memset(attr, 0, sizeof(attr));
	return attack_kept((int)syscall(SYS_perf_event_open, attr, 0, -1, -1,
	    0));
}

static int
read_kernel_log(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(SYS_syslog, 10, NULL, 0));
}

static int
load_module(struct scene *s)
{
	(void)s;
	return (int)syscall(SYS_init_module, NULL, 0, "");
}

static int
push_terminal(struct scene *s)
{
	char	c = 'x';

	return ioctl(s->channel[0], TIOCSTI, &c);
}

/* --- the handler of forbidden calls itself --- */

static int
replace_handler(struct scene *s)
{
	(void)s;
	return signal(SIGSYS, SIG_IGN) == SIG_ERR ? -1 : 0;
}

/*
 * While the signal is blocked the call ends the process unnamed, but ends it.
 */
static int
block_handler(struct scene *s)
{
	sigset_t	all;

	(void)s;
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) == -1)
		return -1;
	return attack_kept(socket(AF_INET, SOCK_STREAM, 0));
}

/* Number 20 is getpid to i386, writev to x86-64. */
static int
other_architecture(struct scene *s)
{
	(void)s;
#ifdef __x86_64__
	long	result;

	__asm__ volatile ("int $0x80" : "=a" (result) : "a" (20L) : "memory");
	if (result > 0)
		return 0;
#endif
	errno = ENOSYS;
	return -1;
}

static int
x32(struct scene *s)
{
	(void)s;
	return attack_kept((int)syscall(0x40000000 | 39));
}

static int
lock_inheriting(struct scene *s)
{
	return (int)syscall(SYS_futex, s->page, FUTEX_TRYLOCK_PI, 0, NULL, NULL,
	    0);
}

static int
requeue(struct scene *s)
{
	return (int)syscall(SYS_futex, s->page, FUTEX_CMP_REQUEUE, 0, NULL,
	    (char *)s->page + 8, 0);
}

static int
advise_pages(struct scene *s)
{
	return madvise(s->page, 4096, MADV_SEQUENTIAL);
}

const struct attempt	kernel_attempts[] = {
	{ "futex-pi", "futex", NOBODY, lock_inheriting },
	{ "futex-requeue", "futex", USER, requeue },
	{ "madvise", "madvise", USER, advise_pages },
	{ "mmap-exec", "mmap|mmap2", USER, map_executable },
	{ "mprotect-exec", "mprotect", USER, protect_executable },
	{ "pkey-mprotect-exec", "pkey_mprotect", NOBODY, protect_by_key },
	{ "shmget", "shmget", NOBODY, share_memory },
	{ "io-uring", "io_uring_setup", NOBODY, set_up_ring },
	{ "bpf", "bpf", NOBODY, load_bpf },
	{ "userfaultfd", "userfaultfd", NOBODY, take_faults },
	{ "keyctl", "keyctl", NOBODY, ask_keys },
	{ "perf", "perf_event_open", NOBODY, count_events },
	{ "syslog", "syslog", NOBODY, read_kernel_log },
	{ "init-module", "init_module", NOBODY, load_module },
	{ "ioctl-terminal", "ioctl", NOBODY, push_terminal },
	{ "handler-replaced", "rt_sigaction", USER, replace_handler },
	{ "handler-blocked", "", USER, block_handler },
	{ "other-architecture", "", NOBODY, other_architecture },
	{ "x32", "", NOBODY, x32 },
	{ NULL, NULL, NOBODY, NULL }
};
