#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
#include "lib/log.h"
#include "sandbox/landlock.h"
#include "sandbox/privileges.h"
#include "sandbox/sandbox.h"
#include "sandbox/seccomp.h"

/*
 * Plays a role that was taken over: locks itself in as the role does, then
 * tries one thing. Run by roles.t, which knows what must come of it.
 *
 *	attack list		attempts: name, call, who may without a lock
 *	attack table		system calls that are left, by role
 *	attack victim		says its pid, waits until its input ends
 * attack LOCK ROLE ATTEMPT [name=value ...]
 *
 * LOCK is `all` (as the daemon does it), `landlock` (that layer alone) or
 * `none`. ATTEMPT may be `work`: what the role needs must go on working, or
 * `abort`. The output is "locked: ..." and then "worked" (status 0) or "failed:
 * reason" (status 3).
 */

static const char *const	roles[SANDBOX__MAX] = {
	[SANDBOX_ENGINE]	= "engine",
	[SANDBOX_LEDGER_SQLITE]	= "ledger-sqlite",
	[SANDBOX_LEDGER_SERVER]	= "ledger-server",
	[SANDBOX_REPORT]	= "report",
	[SANDBOX_CONNECTING]	= "connecting"
};

static const struct attempt *const	attempts[] = {
	files_attempts, network_attempts, processes_attempts, kernel_attempts
};

#define NATTEMPTS	(sizeof(attempts) / sizeof(attempts[0]))

static struct scene		scene = { .ledger = -1 };
static struct msg_identity	identity;
static bool			required;
static const char		*without[4];
static size_t			nwithout;

static void __attribute__((__noreturn__))
die(const char *what)
{
	perror(what);
	exit(2);
}

static int
list(void)
{
	static const char *const	who[] = { "nobody", "user", "root" };
	const struct attempt		*a;
	size_t				 i;

	for (i = 0; i < NATTEMPTS; i++)
		for (a = attempts[i]; a->name != NULL; a++)
			printf("%s\t%s\t%s\n", a->name, a->call, who[a->who]);
	return 0;
}

static int
table(void)
{
	struct seccomp_row	row;
	size_t			i;
	int			role;

	for (i = 0; seccomp_row(i, &row); i++) {
		printf("%s\t%s", row.names, row.rule);
		for (role = SANDBOX_ENGINE; role < SANDBOX__MAX; role++)
			printf("\t%s", (row.roles & 1U << role) != 0 ?
			    roles[role] : "");
		printf("\n");
	}
	return 0;
}

static int
victim(void)
{
	char	byte;

	/* Where Yama lets only ancestors trace, this one lets everybody. */
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	printf("%ld\n", (long)getpid());
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) == -1 && errno == EINTR)
		continue;
	return 0;
}

static void
option(char *word)
{
	char	*value = strchr(word, '=');

	if (value == NULL)
		die(word);
	*value++ = '\0';
	if (strcmp(word, "file") == 0)
		scene.file = value;
	else if (strcmp(word, "directory") == 0)
		scene.directory = value;
	else if (strcmp(word, "socket") == 0)
		scene.socket = value;
	else if (strcmp(word, "datagram") == 0)
		scene.datagram = value;
	else if (strcmp(word, "abstract") == 0)
		scene.abstract = value;
	else if (strcmp(word, "tcp") == 0)
		scene.tcp = (uint16_t)strtonum(value, 1, 65535, NULL);
	else if (strcmp(word, "victim") == 0)
		scene.victim = (pid_t)strtonum(value, 1, INT32_MAX, NULL);
	else if (strcmp(word, "ledger") == 0) {
		if ((scene.ledger = open(value, O_RDONLY | O_DIRECTORY)) == -1)
			die(value);
	} else if (strcmp(word, "uid") == 0) {
		identity.drop = true;
		identity.uid = (uint32_t)strtonum(value, 0, UINT32_MAX, NULL);
	} else if (strcmp(word, "gid") == 0)
		identity.gid = (uint32_t)strtonum(value, 0, UINT32_MAX, NULL);
	else if (strcmp(word, "without") == 0)
		without[nwithout++ % 4] = value;
	else if (strcmp(word, "required") == 0)
		required = true;
	else if (strcmp(word, "jail") == 0)
		strlcpy(identity.jail, value, sizeof(identity.jail));
	else
		die(word);
}

static int
new_socket(int family, int type)
{
	int	fd;

	if ((fd = socket(family, type, 0)) == -1)
		die("socket");
	return fd;
}

/* Two listening sockets, each with a client that sent a byte. */
static void
set_listeners(void)
{
	struct sockaddr_in	sin;
	struct sockaddr_un	sun;
	socklen_t		len;
	int			fd;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	len = sizeof(sin);
	scene.tcp_listener = new_socket(AF_INET, SOCK_STREAM);
	fd = new_socket(AF_INET, SOCK_STREAM);
	if (bind(scene.tcp_listener, (struct sockaddr *)&sin, len) == -1 ||
	    listen(scene.tcp_listener, 5) == -1 ||
	    getsockname(scene.tcp_listener, (struct sockaddr *)&sin, &len) ==
	    -1 || connect(fd, (struct sockaddr *)&sin, len) == -1 ||
	    write(fd, "x", 1) != 1)
		die("TCP");

	/* Bound to no name, Linux gives it an abstract one. */
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	scene.unix_listener = new_socket(AF_UNIX, SOCK_STREAM);
	fd = new_socket(AF_UNIX, SOCK_STREAM);
	len = sizeof(sun);
	if (bind(scene.unix_listener, (struct sockaddr *)&sun,
	    sizeof(sa_family_t)) == -1 ||
	    listen(scene.unix_listener, 5) == -1 ||
	    getsockname(scene.unix_listener, (struct sockaddr *)&sun, &len) ==
	    -1 || connect(fd, (struct sockaddr *)&sun, len) == -1 ||
	    write(fd, "x", 1) != 1)
		die("UNIX");
}

static void
set_scene(void)
{
	scene.tcp_fd = new_socket(AF_INET, SOCK_STREAM);
	scene.udp_fd = new_socket(AF_INET, SOCK_DGRAM);
	scene.unix_fd = new_socket(AF_UNIX, SOCK_STREAM);
	scene.abstract_fd = new_socket(AF_UNIX, SOCK_STREAM);
	scene.datagram_fd = new_socket(AF_UNIX, SOCK_DGRAM);
	set_listeners();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, scene.channel) == -1)
		die("socketpair");
	if ((scene.epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1");
	if ((scene.file_fd = open("/tmp", O_RDWR | O_TMPFILE, 0600)) == -1)
		die("O_TMPFILE");
	scene.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scene.page == MAP_FAILED)
		die("mmap");
}

int
attack_send_descriptor(int to, int fd)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr	 mh;
	struct iovec	 iov = { (void *)(uintptr_t)"x", 1 };
	struct cmsghdr	*cmsg;

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
	return sendmsg(to, &mh, 0) == -1 ? -1 : 0;
}

/*
 * What the parent would send: a descriptor, for the step of work.c that takes
 * one.
 */
static void
send_from_parent(void)
{
	if (attack_send_descriptor(scene.channel[1], STDERR_FILENO) == -1)
		die("sendmsg");
}

/* The first step, while a role resolves and connects. */
static void
lock_connecting(struct sandbox_needs *needs)
{
	enum sandbox_role	role = needs->role;

	if (privileges_drop_ids(&identity) == -1)
		die("privileges_drop_ids");
	if (role == SANDBOX_CONNECTING)
		needs->role = SANDBOX_REPORT;
	if (sandbox_connect(needs) == -1)
		die("sandbox_connect");
	if (role == SANDBOX_CONNECTING)
		printf("locked: %s\n", sandbox_description());
}

/*
 * A kernel, or a filter around the process, that has not got a layer: the call
 * that would enter it fails.
 */
static void
take_layer_away(const char *layer, int error)
{
	scmp_filter_ctx	filter;
	int		result;

	if ((filter = seccomp_init(SCMP_ACT_ALLOW)) == NULL)
		die("seccomp_init");
	if (strcmp(layer, "landlock") == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(error),
		    SCMP_SYS(landlock_create_ruleset), 0);
	else if (strcmp(layer, "seccomp") == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL),
		    SCMP_SYS(prctl), 1,
		    SCMP_CMP(0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0));
	else
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(error),
		    SCMP_SYS(unshare), 0);
	if (result != 0 || seccomp_load(filter) != 0)
		die(layer);
	seccomp_release(filter);
}

static void
lock_all(enum sandbox_role role)
{
	struct sandbox_needs	needs;

	memset(&needs, 0, sizeof(needs));
	needs.role = role;
	needs.directory_fd = scene.ledger;
	sandbox_prepare(role);
	needs.required = required;
	if (role == SANDBOX_LEDGER_SERVER || role == SANDBOX_REPORT ||
	    role == SANDBOX_CONNECTING) {
		lock_connecting(&needs);
		if (role == SANDBOX_CONNECTING)
			return;
		if (privileges_jail(&identity, &needs.jailed) == -1)
			die("privileges_jail");
	} else {
		if (privileges_drop(&identity, scene.ledger) == -1)
			die("privileges_drop");
		needs.jailed = identity.drop;
	}
	if (scene.ledger != -1 && fchdir(scene.ledger) == -1)
		die("fchdir");
	if (sandbox_enter(&needs) == -1)
		die("sandbox_enter");
	printf("locked: %s\n", sandbox_description());
}

static void
lock_landlock(void)
{
	int	abi = landlock_abi();

	if (abi == 0)
		die("landlock_abi");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		die("PR_SET_NO_NEW_PRIVS");
	if (landlock_enter(abi, scene.ledger, false) == -1)
		die("landlock_enter");
	printf("locked: landlock-%d\n", abi);
}

int
attack_kept(int result)
{
	return result == -1 ? -1 : 0;
}

static const struct attempt *
find(const char *name)
{
	const struct attempt	*a;
	size_t			 i;

	for (i = 0; i < NATTEMPTS; i++)
		for (a = attempts[i]; a->name != NULL; a++)
			if (strcmp(a->name, name) == 0)
				return a;
	die(name);
}

static int
run(const char *name, int role)
{
	const char	*step = "";
	int		 result;

	if (strcmp(name, "abort") == 0)
		abort();
	if (strcmp(name, "work") == 0) {
		if ((result = work_all(&scene, role, &step)) == -1)
			printf("step: %s\n", step);
	} else
		result = find(name)->try(&scene);
	if (result == -1) {
		printf("failed: %s\n", strerror(errno));
		fflush(stdout);
		return 3;
	}
	printf("worked\n");
	fflush(stdout);
	return 0;
}

int
main(int argc, char *argv[])
{
	int	i, role;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if (argc == 2 && strcmp(argv[1], "table") == 0)
		return table();
	if (argc == 2 && strcmp(argv[1], "victim") == 0)
		return victim();
	if (argc < 4) {
		fprintf(stderr,
		    "usage: attack lock role attempt [name=value ...]\n");
		return 2;
	}
	for (role = SANDBOX_ENGINE; role < SANDBOX__MAX; role++)
		if (strcmp(argv[2], roles[role]) == 0)
			break;
	if (role == SANDBOX__MAX)
		die(argv[2]);
	for (i = 4; i < argc; i++)
		option(argv[i]);
	/*
	 * The output is a pipe: no system call before what is tried but the
	 * write.
	 */
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	log_open(roles[role], LOG_TO_STDERR, -1, true);
	set_scene();
	send_from_parent();
	for (i = 0; i < 4 && without[i] != NULL; i++)
		take_layer_away(without[i], i % 2 == 0 ? ENOSYS : EPERM);
	if (strcmp(argv[1], "all") == 0)
		lock_all((enum sandbox_role)role);
	else if (strcmp(argv[1], "landlock") == 0)
		lock_landlock();
	else
		printf("locked: not\n");
	fflush(stdout);
	return run(argv[3], role);
}
