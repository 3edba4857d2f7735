#ifndef ATTACK_H
#define ATTACK_H

#include <sys/types.h>

#include <stdint.h>

/*
 * What a process that was taken over could have in its hands, and more:
 * descriptors that no role has are made before the lock, so that each layer is
 * tried by itself.
 */
struct scene {
	/* given by the test */
	const char	*file;		/* everybody may read it */
	const char	*directory;	/* everybody may write there */
	const char	*socket;	/* a listening UNIX socket */
	const char	*datagram;	/* a UNIX datagram socket */
	const char	*abstract;	/* a listening abstract one */
	uint16_t	 tcp;		/* somebody listens there, 127.0.0.1 */
	pid_t		 victim;	/* a process of the same user */
	int		 ledger;	/* the ledger's directory, else -1 */

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
	int		 file_fd;	/* of this process's own */
	void		*page;		/* of data */
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

/* By what they go for; each ends with a name of NULL. */
extern const struct attempt	files_attempts[];
extern const struct attempt	network_attempts[];
extern const struct attempt	processes_attempts[];
extern const struct attempt	kernel_attempts[];

/* A call that returns a descriptor or a count, as one that returns 0 or -1. */
int	attack_kept(int);

/* Sends one byte and the descriptor over a UNIX socket. 0 or -1 with errno. */
int	attack_send_descriptor(int to, int fd);

/* What the role must still be able to do. 0, or -1 with the step in *step. */
int	work_all(struct scene *, int role, const char **step);

#endif
