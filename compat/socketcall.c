/*
 * On some 32-bit systems the C library makes every socket call through
 * socketcall(2), whose arguments are in memory, where a system call filter
 * cannot see them. Linux 4.3 has a call for each function. These definitions
 * use it, and for every library of the process the dynamic linker prefers them
 * to the C library's.
 */
/* GNU's prototypes have unions where ISO C has pointers. */
#undef _GNU_SOURCE
#define _DEFAULT_SOURCE
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(SYS_socketcall) && defined(SYS_recvmsg)

int	accept4(int, struct sockaddr *restrict, socklen_t *restrict, int);
/* Called by libraries that were built with a 64-bit time_t. */
int	__getsockopt64(int, int, int, void *restrict, socklen_t *restrict);
int	__setsockopt64(int, int, int, const void *, socklen_t);
ssize_t	__sendmsg64(int, const struct msghdr *, int);
ssize_t	__recvmsg64(int, struct msghdr *, int);

int
socket(int domain, int type, int protocol)
{
	return (int)syscall(SYS_socket, domain, type, protocol);
}

int
socketpair(int domain, int type, int protocol, int pair[2])
{
	return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
}

int
bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)syscall(SYS_bind, fd, sa, len);
}

int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)syscall(SYS_connect, fd, sa, len);
}

int
listen(int fd, int backlog)
{
	return (int)syscall(SYS_listen, fd, backlog);
}

int
accept4(int fd, struct sockaddr *restrict sa, socklen_t *restrict len,
    int flags)
{
	return (int)syscall(SYS_accept4, fd, sa, len, flags);
}

int
accept(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return accept4(fd, sa, len, 0);
}

int
getsockname(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return (int)syscall(SYS_getsockname, fd, sa, len);
}

int
getpeername(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return (int)syscall(SYS_getpeername, fd, sa, len);
}

int
getsockopt(int fd, int level, int name, void *restrict value,
    socklen_t *restrict len)
{
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

int
shutdown(int fd, int how)
{
	return (int)syscall(SYS_shutdown, fd, how);
}

ssize_t
sendto(int fd, const void *buf, size_t size, int flags,
    const struct sockaddr *sa, socklen_t len)
{
	return syscall(SYS_sendto, fd, buf, size, flags, sa, len);
}

ssize_t
send(int fd, const void *buf, size_t size, int flags)
{
	return sendto(fd, buf, size, flags, NULL, 0);
}

ssize_t
recvfrom(int fd, void *restrict buf, size_t size, int flags,
    struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return syscall(SYS_recvfrom, fd, buf, size, flags, sa, len);
}

ssize_t
recv(int fd, void *buf, size_t size, int flags)
{
	return recvfrom(fd, buf, size, flags, NULL, NULL);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	return syscall(SYS_recvmsg, fd, msg, flags);
}

int
__getsockopt64(int fd, int level, int name, void *restrict value,
    socklen_t *restrict len)
{
	return getsockopt(fd, level, name, value, len);
}

int
__setsockopt64(int fd, int level, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, level, name, value, len);
}

ssize_t
__sendmsg64(int fd, const struct msghdr *msg, int flags)
{
	return sendmsg(fd, msg, flags);
}

ssize_t
__recvmsg64(int fd, struct msghdr *msg, int flags)
{
	return recvmsg(fd, msg, flags);
}

#else
/* ISO C forbids an empty translation unit. */
extern int	socketcall_is_not_used;
#endif
