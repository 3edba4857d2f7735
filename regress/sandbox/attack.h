#ifndef ATTACK_H
#define ATTACK_H

#include <sys/types.h>

#include <stdint.h>

/*
 * What a process that was taken over could have in its hands, and more: descriptors that
 * no role has are made before the lock, so that each layer is tried by itself.
 */
struct scene {
	/* given by the test */
	const char	*file;		/* everybody may read it */
	const char	*directory;	/* everybody may write there, it is not the ledger's */
	const char	*socket;	/* a listening UNIX socket */
	const char	*datagram;	/* a UNIX datagram socket */
	const char	*abstract;	/* a listening abstract one, name without NUL */
	uint16_t	 tcp;		/* something listens there on 127.0.0.1 */
	pid_t		 victim;	/* a process of the same user */
	int		 ledger;	/* the ledger's directory, -1 in other roles */

	/* made before the lock */
	int		 tcp_fd;	/* unconnected sockets */
	int		 udp_fd;
	int		 unix_fd;
	int		 abstract_fd;
	int		 datagram_fd;
	int		 tcp_listener;
	int		 unix_listener;
	int		 channel[2];
	int		 epoll;
	void		*page;		/* of data, with the code of a function in it */
};

enum who {
	NOBODY,			/* not tried without the sandbox */
	USER,			/* works without it, for everybody */
	ROOT			/* works without it, for root */
};

/* One thing to try: 0 when it worked, -1 with errno. */
struct attempt {
	const char	*name;
	const char	*call;		/* the log must name it; "" any */
	enum who	 who;
	int		(*try)(struct scene *);
};

extern const struct attempt	attempts[];	/* ends with a name of NULL */

/* What the role must still be able to do. 0, or -1 with the step in *step. */
int	work(struct scene *, int role, const char **step);

#endif
