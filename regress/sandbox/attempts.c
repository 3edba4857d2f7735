#include <sys/types.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"

/* --- files --- */

static char *
in_directory(const struct scene *s, const char *name)
{
	static char	path[2][512];
	static int	next;
	char		*p = path[next++ % 2];

	snprintf(p, sizeof(path[0]), "%s/%s", s->directory, name);
	return p;
}

static int
kept(int fd)
{
	return fd == -1 ? -1 : 0;
}

static int
open_file(struct scene *s)
{
	return kept(open(s->file, O_RDONLY));
}

static int
open_directory(struct scene *s)
{
	return kept(open(s->directory, O_RDONLY | O_DIRECTORY));
}

static int
open_for_writing(struct scene *s)
{
	return kept(open(in_directory(s, "made"), O_WRONLY | O_CREAT, 0600));
}

static int
open_maps(struct scene *s)
{
	(void)s;
	return kept(open("/proc/self/maps", O_RDONLY));
}

static int
open_memory(struct scene *s)
{
	char	path[64];

	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)s->victim);
	return kept(open(path, O_RDWR));
}

static int
open_how(struct scene *s)
{
	uint64_t	how[3] = { O_RDONLY, 0, 0 };

	return kept((int)syscall(SYS_openat2, AT_FDCWD, s->file, how, sizeof(how)));
}

static int
make_directory(struct scene *s)
{
	return mkdir(in_directory(s, "dir"), 0700);
}

static int
remove_file(struct scene *s)
{
	return unlink(in_directory(s, "victim"));
}

static int
rename_file(struct scene *s)
{
	return rename(in_directory(s, "victim"), in_directory(s, "stolen"));
}

static int
link_file(struct scene *s)
{
	return link(in_directory(s, "victim"), in_directory(s, "hard"));
}

static int
link_symbolically(struct scene *s)
{
	return symlink("/etc", in_directory(s, "soft"));
}

static int
make_fifo(struct scene *s)
{
	return mknod(in_directory(s, "fifo"), S_IFIFO | 0600, 0);
}

static int
truncate_file(struct scene *s)
{
	return truncate(in_directory(s, "victim"), 0);
}

static int
change_mode(struct scene *s)
{
	return chmod(in_directory(s, "victim"), 0644);
}

static int
change_root(struct scene *s)
{
	return chroot(s->directory);
}

static int
change_directory(struct scene *s)
{
	return chdir(s->directory);
}

static int
watch_file(struct scene *s)
{
	int	fd;

	if ((fd = inotify_init1(0)) == -1)
		return -1;
	return kept(inotify_add_watch(fd, s->directory, IN_ALL_EVENTS));
}

static int
mount_something(struct scene *s)
{
	return mount("none", s->directory, "tmpfs", 0, NULL);
}

static int
make_memory_file(struct scene *s)
{
	(void)s;
	return kept(memfd_create("x", 0));
}

/* --- network --- */

static int
make_socket(int family, int type)
{
	return kept(socket(family, type, 0));
}

static int
socket_tcp(struct scene *s)
{
	(void)s;
	return make_socket(AF_INET, SOCK_STREAM);
}

static int
socket_udp(struct scene *s)
{
	(void)s;
	return make_socket(AF_INET6, SOCK_DGRAM);
}

static int
socket_unix(struct scene *s)
{
	(void)s;
	return make_socket(AF_UNIX, SOCK_STREAM);
}

static int
socket_netlink(struct scene *s)
{
	(void)s;
	return make_socket(AF_NETLINK, SOCK_RAW);
}

static int
socket_pair(struct scene *s)
{
	int	fd[2];

	(void)s;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in	sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sin;
}

static int
connect_tcp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return connect(s->tcp_fd, (struct sockaddr *)&sin, sizeof(sin));
}

static int
connect_udp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return connect(s->udp_fd, (struct sockaddr *)&sin, sizeof(sin));
}

static socklen_t
unix_address(struct sockaddr_un *sun, const char *name, int abstract)
{
	size_t	len = strlen(name);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path + abstract, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static int
connect_unix(struct scene *s)
{
	struct sockaddr_un	sun;
	socklen_t		len = unix_address(&sun, s->socket, 0);

	return connect(s->unix_fd, (struct sockaddr *)&sun, len);
}

static int
connect_abstract(struct scene *s)
{
	struct sockaddr_un	sun;
	socklen_t		len = unix_address(&sun, s->abstract, 1);

	return connect(s->abstract_fd, (struct sockaddr *)&sun, len);
}

static int
bind_tcp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(0);

	return bind(s->tcp_fd, (struct sockaddr *)&sin, sizeof(sin));
}

static int
listen_tcp(struct scene *s)
{
	return listen(s->tcp_fd, 1);
}

static int
sendto_udp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return kept((int)sendto(s->udp_fd, "x", 1, 0, (struct sockaddr *)&sin,
	    sizeof(sin)));
}

static int
send_message(int fd, void *address, socklen_t len, int flags)
{
	struct msghdr	mh;
	struct iovec	iov = { (void *)(uintptr_t)"x", 1 };

	memset(&mh, 0, sizeof(mh));
	mh.msg_name = address;
	mh.msg_namelen = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	return kept((int)sendmsg(fd, &mh, flags));
}

static int
sendmsg_udp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return send_message(s->udp_fd, &sin, sizeof(sin), 0);
}

static int
sendmsg_unix(struct scene *s)
{
	struct sockaddr_un	sun;
	socklen_t		len = unix_address(&sun, s->datagram, 0);

	return send_message(s->datagram_fd, &sun, len, 0);
}

static int
sendmmsg_udp(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);
	struct iovec		iov = { (void *)(uintptr_t)"x", 1 };
	struct mmsghdr		mm;

	memset(&mm, 0, sizeof(mm));
	mm.msg_hdr.msg_name = &sin;
	mm.msg_hdr.msg_namelen = sizeof(sin);
	mm.msg_hdr.msg_iov = &iov;
	mm.msg_hdr.msg_iovlen = 1;
	return kept(sendmmsg(s->udp_fd, &mm, 1, 0));
}

/* TCP Fast Open connects without connect(2). */
static int
fastopen_sendto(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return kept((int)sendto(s->tcp_fd, "x", 1, MSG_FASTOPEN,
	    (struct sockaddr *)&sin, sizeof(sin)));
}

static int
fastopen_sendmsg(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return send_message(s->tcp_fd, &sin, sizeof(sin), MSG_FASTOPEN);
}

/* The engine has listening sockets: shut down, one is as good as new. */
static int
fastopen_listener(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	if (shutdown(s->tcp_listener, SHUT_RD) == -1)
		return -1;
	return kept((int)sendto(s->tcp_listener, "x", 1, MSG_FASTOPEN,
	    (struct sockaddr *)&sin, sizeof(sin)));
}

static int
send_descriptor(struct scene *s)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr	 mh;
	struct iovec	 iov = { (void *)(uintptr_t)"x", 1 };
	struct cmsghdr	*cmsg;
	int		 fd = 0;

	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.space;
	mh.msg_controllen = sizeof(control.space);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return kept((int)sendmsg(s->channel[0], &mh, 0));
}

static int
option_mark(struct scene *s)
{
	int	one = 1;

	return setsockopt(s->tcp_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

static int
option_fastopen(struct scene *s)
{
	int	one = 1;

	return setsockopt(s->tcp_fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
	    sizeof(one));
}

/* --- processes --- */

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
	return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", no_words, no_words + 1,
	    0);
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
	return kept((int)syscall(SYS_pidfd_open, s->victim, 0));
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
	return kept((int)syscall(SYS_personality, 0x0400000));
}

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
	return (int)syscall(SYS_pkey_mprotect, s->page, 4096, PROT_READ | PROT_EXEC,
	    -1);
}

static int
share_memory(struct scene *s)
{
	(void)s;
	return kept((int)syscall(SYS_shmget, 0, 4096, 01600));
}

/* --- the kernel's wide doors --- */

static int
set_up_ring(struct scene *s)
{
	char	params[256];

	(void)s;
	memset(params, 0, sizeof(params));
	return kept((int)syscall(SYS_io_uring_setup, 1, params));
}

static int
load_bpf(struct scene *s)
{
	char	attr[128];

	(void)s;
	memset(attr, 0, sizeof(attr));
	return kept((int)syscall(SYS_bpf, 0, attr, sizeof(attr)));
}

static int
take_faults(struct scene *s)
{
	(void)s;
	return kept((int)syscall(SYS_userfaultfd, 1));
}

static int
ask_keys(struct scene *s)
{
	(void)s;
	return kept((int)syscall(SYS_keyctl, 0, -3, 1));
}

static int
count_events(struct scene *s)
{
	char	attr[128];

	(void)s;
	memset(attr, 0, sizeof(attr));
	return kept((int)syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
}

static int
read_kernel_log(struct scene *s)
{
	(void)s;
	return kept((int)syscall(SYS_syslog, 10, NULL, 0));
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

/* While the signal is blocked the call ends the process unnamed, but ends it. */
static int
block_handler(struct scene *s)
{
	sigset_t	all;

	(void)s;
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) == -1)
		return -1;
	return socket_tcp(s);
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
	return kept((int)syscall(0x40000000 | 39));
}

const struct attempt	attempts[] = {
	{ "open-file", "openat|open", USER, open_file },
	{ "open-directory", "openat|open", USER, open_directory },
	{ "open-for-writing", "openat|open", USER, open_for_writing },
	{ "open-proc-maps", "openat|open", USER, open_maps },
	{ "open-proc-mem", "openat|open", USER, open_memory },
	{ "openat2", "openat2", USER, open_how },
	{ "mkdir", "mkdir|mkdirat", USER, make_directory },
	{ "unlink", "unlink|unlinkat", USER, remove_file },
	{ "rename", "rename|renameat", USER, rename_file },
	{ "link", "link|linkat", USER, link_file },
	{ "symlink", "symlink|symlinkat", USER, link_symbolically },
	{ "mknod", "mknod|mknodat", USER, make_fifo },
	{ "truncate", "truncate", USER, truncate_file },
	{ "chmod", "chmod|fchmodat", USER, change_mode },
	{ "chroot", "chroot", ROOT, change_root },
	{ "chdir", "chdir", USER, change_directory },
	{ "inotify", "inotify_init1", USER, watch_file },
	{ "mount", "mount", NOBODY, mount_something },
	{ "memfd", "memfd_create", USER, make_memory_file },
	{ "socket-tcp", "socket", USER, socket_tcp },
	{ "socket-udp", "socket", USER, socket_udp },
	{ "socket-unix", "socket", USER, socket_unix },
	{ "socket-netlink", "socket", USER, socket_netlink },
	{ "socketpair", "socketpair", USER, socket_pair },
	{ "connect-tcp", "connect", USER, connect_tcp },
	{ "connect-udp", "connect", USER, connect_udp },
	{ "connect-unix", "connect", USER, connect_unix },
	{ "connect-abstract", "connect", USER, connect_abstract },
	{ "bind-tcp", "bind", USER, bind_tcp },
	{ "listen", "listen", USER, listen_tcp },
	{ "sendto-udp", "sendto", USER, sendto_udp },
	{ "sendmsg-udp", "sendmsg", USER, sendmsg_udp },
	{ "sendmsg-unix", "sendmsg", USER, sendmsg_unix },
	{ "sendmmsg-udp", "sendmmsg", USER, sendmmsg_udp },
	{ "fastopen-sendto", "sendto", USER, fastopen_sendto },
	{ "fastopen-sendmsg", "sendmsg", USER, fastopen_sendmsg },
	{ "fastopen-listener", "shutdown|sendto", USER, fastopen_listener },
	{ "send-descriptor", "sendmsg", USER, send_descriptor },
	{ "setsockopt-reuse", "setsockopt", USER, option_mark },
	{ "setsockopt-fastopen", "setsockopt", USER, option_fastopen },
	{ "fork", "clone|clone3|fork", USER, start_process },
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
	{ "personality", "personality", USER, change_personality },
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
