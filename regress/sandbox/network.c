#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"

static int
make_socket(int family, int type)
{
	return attack_kept(socket(family, type, 0));
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

	return attack_kept((int)sendto(s->udp_fd, "x", 1, 0,
	    (struct sockaddr *)&sin, sizeof(sin)));
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
	return attack_kept((int)sendmsg(fd, &mh, flags));
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
	return attack_kept(sendmmsg(s->udp_fd, &mm, 1, 0));
}

/* TCP Fast Open connects without connect(2). */
static int
fastopen_sendto(struct scene *s)
{
	struct sockaddr_in	sin = loopback(s->tcp);

	return attack_kept((int)sendto(s->tcp_fd, "x", 1, MSG_FASTOPEN,
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
	return attack_kept((int)sendto(s->tcp_listener, "x", 1, MSG_FASTOPEN,
	    (struct sockaddr *)&sin, sizeof(sin)));
}

static int
send_descriptor(struct scene *s)
{
	return attack_send_descriptor(s->channel[0], 0);
}

static int
option_mark(struct scene *s)
{
	int	one = 1;

	return setsockopt(s->tcp_fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one));
}

static int
option_fastopen(struct scene *s)
{
	int	one = 1;

	return setsockopt(s->tcp_fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
	    sizeof(one));
}

/* What is done to a listening socket is done to all who hold it. */
static int
listener_flags(struct scene *s)
{
	return fcntl(s->tcp_listener, F_SETFL, O_RDWR);
}

static int
listener_async(struct scene *s)
{
	return fcntl(s->tcp_listener, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC);
}

static int
listener_owner(struct scene *s)
{
	return fcntl(s->tcp_listener, F_SETOWN, getpid());
}

static int
listener_signal(struct scene *s)
{
	return fcntl(s->tcp_listener, F_SETSIG, SIGUSR1);
}

static int
listener_blocks(struct scene *s)
{
	int	off = 0;

	return ioctl(s->tcp_listener, FIONBIO, &off);
}

static int
listener_timeout(struct scene *s)
{
	struct timeval	tv = { 0, 1 };

	return setsockopt(s->tcp_listener, SOL_SOCKET, SO_RCVTIMEO, &tv,
	    sizeof(tv));
}

static int
listener_filter(struct scene *s)
{
	struct sock_filter	none = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog	program = { 1, &none };

	return setsockopt(s->tcp_listener, SOL_SOCKET, SO_ATTACH_FILTER,
	    &program, sizeof(program));
}

static int
listener_backlog(struct scene *s)
{
	return listen(s->tcp_listener, 0);
}

static int
listener_shutdown(struct scene *s)
{
	return shutdown(s->tcp_listener, SHUT_RDWR);
}

const struct attempt	network_attempts[] = {
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
	{ "listener-flags", "fcntl", USER, listener_flags },
	{ "listener-async", "fcntl", USER, listener_async },
	{ "listener-owner", "fcntl", USER, listener_owner },
	{ "listener-signal", "fcntl", USER, listener_signal },
	{ "listener-blocks", "ioctl", USER, listener_blocks },
	{ "listener-timeout", "setsockopt", USER, listener_timeout },
	{ "listener-filter", "setsockopt", NOBODY, listener_filter },
	{ "listener-backlog", "listen", USER, listener_backlog },
	{ "listener-shutdown", "shutdown", USER, listener_shutdown },
	{ NULL, NULL, NOBODY, NULL }
};
