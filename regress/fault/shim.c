#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Preloaded before a role: calls of the C library that fail when the test says
 * so, clocks that can be moved, a disk that is slow, and a journal of what was
 * written and what was synced. The test and the role share a page, and the
 * journal, mapped before the sandbox closes: nothing here makes a system call
 * of its own afterwards, but for the pause.
 */
#define NAME		24

/* The layout is known to regress/lib/Fault/Shim.pm. */
struct control {
	char			name[NAME];	/* the call that fails; "*": any
						   but malloc and fcntl */
	int64_t			error;		/* its errno */
	_Atomic int64_t		after;		/* it is the n-th from now */
	_Atomic int64_t		count;		/* so many fail: 0, none */
	_Atomic int64_t		failed;		/* so many failed */
	_Atomic int64_t		clock;		/* seconds it is ahead */
	_Atomic int64_t		pause;		/* microseconds before a sync,
						   behind a mkdirat */
	int64_t			size;		/* of the journal; 0: none */
	_Atomic int64_t		used;		/* of it */
	_Atomic int64_t		mono;		/* CLOCK_MONOTONIC is ahead */
	char			hit[NAME];	/* the call that failed last */
	_Atomic int64_t		wall;		/* CLOCK_REALTIME stands still
						   here; 0: it does not */
};

#define JOURNAL_AT	4096
#define DATABASE	"db.sqlite3"

/* What is in the journal; then come that many bytes. */
struct record {
	int32_t	what;		/* 'w'rite, 't'runcate, 's'ync, 'u'nlink */
	int32_t	file;		/* 'm'ain or its name's last letter */
	int64_t	offset;
	int64_t	len;
};

#define FILES		64

static struct control	*control;
static char		*journal;
static char		 file_of[FILES];	/* by descriptor; or 0 */

/* glibc's own, which work before anything else does. */
void	*__libc_malloc(size_t);
void	*__libc_calloc(size_t, size_t);
void	*__libc_realloc(void *, size_t);

static void
map_control(void)
{
	const char	*path = getenv("FAULT_CONTROL");
	struct stat	 sb;
	void		*p;
	int		 fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		_exit(120);
	if (fstat(fd, &sb) == -1 || sb.st_size < JOURNAL_AT)
		_exit(121);
	p = mmap(NULL, (size_t)sb.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (p == MAP_FAILED)
		_exit(122);
	close(fd);
	journal = (char *)p + JOURNAL_AT;
	control = p;
}

static void __attribute__((__constructor__))
begin(void)
{
	map_control();
}

/* Whether this call is one that fails; errno is set then. */
static int
fails(const char *name)
{
	if (control == NULL || atomic_load(&control->count) <= 0)
		return 0;
	if (strcmp(control->name, "*") == 0 ? strcmp(name, "malloc") == 0 ||
	    strcmp(name, "fcntl") == 0 :
	    strncmp(name, control->name, NAME) != 0)
		return 0;
	if (atomic_fetch_sub(&control->after, 1) > 1)
		return 0;
	if (atomic_fetch_sub(&control->count, 1) <= 0)
		return 0;
	(void)strncpy(control->hit, name, NAME - 1);
	atomic_fetch_add(&control->failed, 1);
	errno = (int)control->error;
	return 1;
}

/* --- memory --- */

void *
malloc(size_t size)
{
	return fails("malloc") ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails("malloc") ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return fails("malloc") ? NULL : __libc_realloc(old, size);
}

void *
reallocarray(void *old, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, n * size);
}

/* --- calls that only fail --- */

#define REAL(name)							\
	static __typeof__(&name) real;					\
	if (real == NULL)						\
		*(void **)&real = dlsym(RTLD_NEXT, #name)

#define CALL(type, name, parameters, arguments)				\
type									\
name parameters								\
{									\
	REAL(name);							\
	return fails(#name) ? -1 : real arguments;			\
}

CALL(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
CALL(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
CALL(ssize_t, recv, (int fd, void *p, size_t n, int f), (fd, p, n, f))
CALL(ssize_t, send, (int fd, const void *p, size_t n, int f), (fd, p, n, f))
CALL(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))
CALL(int, poll, (struct pollfd *p, nfds_t n, int t), (p, n, t))
CALL(int, epoll_wait, (int fd, struct epoll_event *e, int n, int t),
    (fd, e, n, t))
CALL(int, epoll_ctl, (int fd, int op, int of, struct epoll_event *e),
    (fd, op, of, e))
CALL(ssize_t, pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
CALL(ssize_t, pread64, (int fd, void *p, size_t n, off64_t o), (fd, p, n, o))
CALL(int, epoll_create1, (int f), (f))
CALL(int, socket, (int d, int t, int p), (d, t, p))
CALL(int, socketpair, (int d, int t, int p, int fd[2]), (d, t, p, fd))
CALL(int, listen, (int fd, int n), (fd, n))
CALL(int, setsockopt, (int fd, int l, int o, const void *p, socklen_t n),
    (fd, l, o, p, n))
CALL(int, pipe2, (int fd[2], int f), (fd, f))
CALL(int, dup2, (int fd, int to), (fd, to))
CALL(pid_t, fork, (void), ())
CALL(pid_t, waitpid, (pid_t pid, int *s, int f), (pid, s, f))
CALL(int, kill, (pid_t pid, int s), (pid, s))
CALL(int, execve, (const char *p, char *const *a, char *const *e), (p, a, e))
CALL(int, chdir, (const char *p), (p))
CALL(int, fchdir, (int fd), (fd))
CALL(int, chroot, (const char *p), (p))
CALL(int, mkdir, (const char *p, mode_t m), (p, m))
CALL(int, fchmod, (int fd, mode_t m), (fd, m))
CALL(int, fchmodat, (int fd, const char *p, mode_t m, int f), (fd, p, m, f))
CALL(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g))
CALL(int, fchownat, (int fd, const char *p, uid_t u, gid_t g, int f),
    (fd, p, u, g, f))
CALL(int, fstat, (int fd, struct stat *sb), (fd, sb))
CALL(int, fstatat, (int fd, const char *p, struct stat *sb, int f),
    (fd, p, sb, f))
CALL(int, setgroups, (size_t n, const gid_t *g), (n, g))
CALL(int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
CALL(int, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
CALL(int, getsockopt, (int fd, int l, int o, void *p, socklen_t *n),
    (fd, l, o, p, n))

int
connect(int fd, __CONST_SOCKADDR_ARG sa, socklen_t len)
{
	REAL(connect);
	return fails("connect") ? -1 : real(fd, sa, len);
}

int
bind(int fd, __CONST_SOCKADDR_ARG sa, socklen_t len)
{
	REAL(bind);
	return fails("bind") ? -1 : real(fd, sa, len);
}

int
prctl(int what, ...)
{
	va_list		ap;
	unsigned long	arg[4];
	size_t		i;

	REAL(prctl);
	va_start(ap, what);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	return fails("prctl") ? -1 : real(what, arg[0], arg[1], arg[2],
	    arg[3]);
}

int
accept4(int fd, __SOCKADDR_ARG sa, socklen_t *len, int flags)
{
	REAL(accept4);
	return fails("accept4") ? -1 : real(fd, sa, len, flags);
}

static void *
pass_pointer(va_list ap)
{
	return va_arg(ap, void *);
}

#define VARIADIC(name)							\
int									\
name(int fd, int what, ...)						\
{									\
	va_list	 ap;							\
	void	*p;							\
									\
	REAL(name);							\
	va_start(ap, what);						\
	p = pass_pointer(ap);						\
	va_end(ap);							\
	if (fails(what == F_DUPFD_CLOEXEC ? "dupfd" : "fcntl"))		\
		return -1;						\
	return real(fd, what, p);					\
}

VARIADIC(fcntl)
VARIADIC(fcntl64)

/* --- the clock --- */

static int64_t
ahead(clockid_t clock)
{
	if (control == NULL)
		return 0;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		return atomic_load(&control->clock);
	return clock == CLOCK_MONOTONIC ? atomic_load(&control->mono) : 0;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t	wall;
	int	result;

	REAL(clock_gettime);
	result = real(clock, ts);
	if (result != 0)
		return result;
	wall = control != NULL && (clock == CLOCK_REALTIME ||
	    clock == CLOCK_REALTIME_COARSE) ? atomic_load(&control->wall) : 0;
	if (wall != 0) {
		ts->tv_sec = wall;
		ts->tv_nsec = 0;
	} else
		ts->tv_sec += ahead(clock);
	return result;
}

time_t
time(time_t *out)
{
	struct timespec	ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec	ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

/* --- files --- */

static void
record(int what, int file, int64_t offset, const void *bytes, size_t len)
{
	struct record	r = { what, file, offset, (int64_t)len };
	int64_t		used;

	if (control == NULL || file == 0 || control->size == 0)
		return;
	/* The ledger's processes may both be at it. */
	used = atomic_fetch_add(&control->used, (int64_t)(sizeof(r) + len));
	if (used + (int64_t)(sizeof(r) + len) > control->size)
		_exit(123);
	memcpy(journal + used, &r, sizeof(r));
	if (len > 0)
		memcpy(journal + used + sizeof(r), bytes, len);
}

static int
file(int fd)
{
	return fd >= 0 && fd < FILES ? file_of[fd] : 0;
}

/* The database's, its log's or its journal's letter. */
static char
letter(const char *path)
{
	const char	*name = strrchr(path, '/');

	name = name != NULL ? name + 1 : path;
	if (strcmp(name, DATABASE) == 0)
		return 'm';
	if (strcmp(name, DATABASE "-wal") == 0)
		return 'w';
	if (strcmp(name, DATABASE "-journal") == 0)
		return 'j';
	return 0;
}

static int
opened(int fd, const char *path)
{
	if (fd >= 0 && fd < FILES)
		file_of[fd] = letter(path);
	return fd;
}

#define OPEN(name)							\
int									\
name(const char *path, int flags, ...)					\
{									\
	va_list	ap;							\
	mode_t	mode;							\
									\
	REAL(name);							\
	va_start(ap, flags);						\
	mode = (mode_t)va_arg(ap, unsigned int);			\
	va_end(ap);							\
	return fails("open") ? -1 : opened(real(path, flags, mode), path); \
}

OPEN(open)
OPEN(open64)

#define OPENAT(name)							\
int									\
name(int dir, const char *path, int flags, ...)				\
{									\
	va_list	ap;							\
	mode_t	mode;							\
									\
	REAL(name);							\
	va_start(ap, flags);						\
	mode = (mode_t)va_arg(ap, unsigned int);			\
	va_end(ap);							\
	return fails("open") ? -1 :					\
	    opened(real(dir, path, flags, mode), path);			\
}

OPENAT(openat)
OPENAT(openat64)

static void
pause_now(void)
{
	if (control != NULL && atomic_load(&control->pause) > 0)
		usleep((useconds_t)atomic_load(&control->pause));
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	int	result, saved;

	REAL(mkdirat);
	if (fails("mkdirat"))
		return -1;
	result = real(dir, path, mode);
	saved = errno;
	pause_now();
	errno = saved;
	return result;
}

static int
sync_fails(void)
{
	pause_now();
	return fails("fsync");
}

#define SYNC(name)							\
int									\
name(int fd)								\
{									\
	int	result;							\
									\
	REAL(name);							\
	if (sync_fails())						\
		return -1;						\
	if ((result = real(fd)) == 0)					\
		record('s', file(fd), 0, NULL, 0);			\
	return result;							\
}

SYNC(fsync)
SYNC(fdatasync)

#define PWRITE(name, offset_type)					\
ssize_t									\
name(int fd, const void *p, size_t n, offset_type offset)		\
{									\
	ssize_t	result;							\
									\
	REAL(name);							\
	if (fails("pwrite"))						\
		return -1;						\
	if ((result = real(fd, p, n, offset)) > 0)			\
		record('w', file(fd), offset, p, (size_t)result);	\
	return result;							\
}

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, size_type)					\
int									\
name(int fd, size_type size)						\
{									\
	int	result;							\
									\
	REAL(name);							\
	if (fails("ftruncate"))						\
		return -1;						\
	if ((result = real(fd, size)) == 0)				\
		record('t', file(fd), size, NULL, 0);			\
	return result;							\
}

TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static int
unlinked(int result, const char *path)
{
	if (result == 0)
		record('u', letter(path), 0, NULL, 0);
	return result;
}

int
unlink(const char *path)
{
	REAL(unlink);
	return fails("unlink") ? -1 : unlinked(real(path), path);
}

int
unlinkat(int dir, const char *path, int flags)
{
	REAL(unlinkat);
	return fails("unlink") ? -1 : unlinked(real(dir, path, flags), path);
}
