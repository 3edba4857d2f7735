#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/filio.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "sandbox/rlimits.h"
#include "sandbox/sandbox.h"

/*
 * capsicum(4): names of the file system and of the network are not accessible,
 * and each open descriptor is limited to what its kind is for. The parent is
 * not confined, since it opens things for the others.
 */
#define GAP	256	/* closed descriptors in a row that end the search */

static const char	*entered = "none";

void
sandbox_prepare(enum sandbox_role role)
{
	int	off = PROC_TRACE_CTL_DISABLE;

	(void)role;
	rlimits_prepare();
	/*
	 * Forbids debuggers, core files and set-id programs. An exec reverts
	 * the first two, so the child requests them again.
	 */
	if (procctl(P_PID, getpid(), PROC_TRACE_CTL, &off) == -1)
		log_fatal("procctl(PROC_TRACE_CTL): %s", strerror(errno));
}

/* An accepted connection inherits the rights of its listening socket. */
static void
socket_rights(cap_rights_t *rights, int fd)
{
	socklen_t	len = sizeof(int);
	int		listens;

	cap_rights_init(rights, CAP_READ, CAP_WRITE, CAP_EVENT, CAP_FSTAT,
	    CAP_FCNTL, CAP_IOCTL, CAP_GETSOCKNAME, CAP_GETPEERNAME,
	    CAP_GETSOCKOPT, CAP_SETSOCKOPT, CAP_SHUTDOWN);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	    listens != 0)
		cap_rights_set(rights, CAP_ACCEPT);
}

/* SQLite's directory: files opened beneath it inherit its rights. */
static void
directory_rights(cap_rights_t *rights)
{
	cap_rights_init(rights, CAP_LOOKUP, CAP_CREATE, CAP_READ, CAP_WRITE,
	    CAP_SEEK, CAP_MMAP_RW, CAP_FSTAT, CAP_FSYNC, CAP_FTRUNCATE,
	    CAP_FLOCK, CAP_FCNTL, CAP_FCHMOD, CAP_UNLINKAT);
}

/* No role but ledger-sqlite uses files. */
static void
file_rights(cap_rights_t *rights, enum sandbox_role role)
{
	if (role == SANDBOX_LEDGER_SQLITE)
		directory_rights(rights);
	else
		cap_rights_init(rights);
}

/* fstat(2) shows a kqueue as a pipe. */
static void
other_rights(cap_rights_t *rights)
{
	cap_rights_init(rights, CAP_READ, CAP_WRITE, CAP_FSTAT, CAP_EVENT,
	    CAP_FCNTL, CAP_KQUEUE);
}

/*
 * Descriptors get the lowest free number, so a wide gap of closed ones is the
 * end; this is verified.
 */
static int
limit_all(enum sandbox_role role)
{
	static const unsigned long	commands[] = { FIONREAD, FIONBIO };
	cap_rights_t			rights;
	struct stat			sb;
	int				fd, closed = 0;

	for (fd = 0; closed < GAP; fd++) {
		if (fstat(fd, &sb) == -1) {
			if (errno != EBADF)
				return -1;
			closed++;
			continue;
		}
		closed = 0;
		if (S_ISSOCK(sb.st_mode))
			socket_rights(&rights, fd);
		else if (S_ISDIR(sb.st_mode))
			directory_rights(&rights);
		else if (S_ISREG(sb.st_mode))
			file_rights(&rights, role);
		else
			other_rights(&rights);
		if (cap_rights_limit(fd, &rights) == -1)
			return -1;
		/*
		 * Not F_SETOWN: on shared descriptors it would outlive this
		 * process.
		 */
		if (cap_rights_is_set(&rights, CAP_FCNTL) &&
		    cap_fcntls_limit(fd, CAP_FCNTL_GETFL | CAP_FCNTL_SETFL) ==
		    -1)
			return -1;
		if (cap_rights_is_set(&rights, CAP_IOCTL) &&
		    cap_ioctls_limit(fd, commands, 2) == -1)
			return -1;
	}
	closefrom(fd);
	return 0;
}

/* Kernels that have neither return EINVAL. */
static int
control(int command, int value)
{
	return procctl(P_PID, getpid(), command, &value) == -1 &&
	    errno != EINVAL ? -1 : 0;
}

/* Makes the kernel kill the child when its parent ends. */
static int
enter_first(enum sandbox_role role)
{
#ifdef PROC_NO_NEW_PRIVS_CTL
	if (control(PROC_NO_NEW_PRIVS_CTL, PROC_NO_NEW_PRIVS_ENABLE) == -1)
		return -1;
#endif
	return role == SANDBOX_PARENT ? 0 :
	    control(PROC_PDEATHSIG_CTL, SIGKILL);
}

/* Capability mode has no names, so it is entered once connected. */
int
sandbox_connect(const struct sandbox_needs *needs)
{
	if (enter_first(needs->role) == -1)
		return -1;
	return rlimits_enter(needs->role, false);
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	if (enter_first(needs->role) == -1)
		return -1;
	if (needs->role == SANDBOX_PARENT) {
		entered = "procctl";
		return 0;
	}
	if (limit_all(needs->role) == -1 && errno != ENOSYS)
		return -1;
	if (rlimits_enter(needs->role, false) == -1)
		return -1;
	if (cap_enter() == -1) {
		if (errno != ENOSYS)
			return -1;
		log_warning("sandbox: this kernel is built without Capsicum; "
		    "ids and resource limits alone hold");
		if (needs->required) {
			log_error("sandbox: sandbox_required is set");
			return -1;
		}
		entered = "procctl limits";
		return 0;
	}
	entered = "procctl limits capsicum";
	return 0;
}

const char *
sandbox_description(void)
{
	return entered;
}
