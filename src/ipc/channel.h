#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/clock.h"
#include "lib/str.h"

/*
 * A message stream over a stream socketpair, buffered both ways so that one
 * system call carries many messages. Sixteen bytes of header, network byte
 * order: u32 length of the payload, u16 type, u16 flags (1: a descriptor comes
 * with it), u64 request number. Who may send what to whom stands in message.c;
 * anything else is refused, and so is a descriptor that the type does not carry
 * (surplus ones are closed).
 */
struct channel;

/*
 * Longest payload from a child: the largest charge that message.h permits fits.
 * The parent is trusted, and a table of limits for many ids is one setting.
 */
#define CHANNEL_PAYLOAD_MAX	(2 * 1024 * 1024)
#define CHANNEL_PARENT_MAX	(64 * 1024 * 1024)

struct message {
	enum message_type	 type;
	uint64_t		 request;
	const uint8_t		*payload;	/* see channel_next */
	size_t			 len;
	int			 fd;		/* the caller's now; -1: none */
};

/*
 * Takes over the descriptor and makes it non-blocking and close-on-exec. `self`
 * is the role of this process, `peer` of the other end.
 */
struct channel	*channel_new(int fd, enum role self, enum role peer);
void		 channel_free(struct channel *);	/* wipes, closes */
int		 channel_fd(const struct channel *);
enum role	 channel_peer(const struct channel *);

/*
 * One recvmsg(2) into the buffer. 1: bytes came; 0: nothing there now; -1: end
 * of file (errno 0) or a fault (errno).
 */
int	channel_read(struct channel *);

/*
 * The next whole message of the buffer. 1: *m is set; 0: none yet; -1: the peer
 * broke the rules (errno EBADMSG, said in the log), the channel must be freed.
 * The payload stays where it is until the next channel_read; a MSG_SETTING,
 * which can hold a password, is wiped by the next channel_next already.
 */
int	channel_next(struct channel *, struct message *);

/*
 * Queues one message; the payload is copied. `fd` (or -1) is duplicated at
 * once, the caller still owns its own. A type that this role may not send is a
 * broken invariant; no descriptor left for the duplicate, or a payload over the
 * bound, is told by the next channel_flush, which fails from then on.
 */
void	channel_send(struct channel *, enum message_type, uint64_t request,
	    const struct str *payload, int fd);

/* A short cut without payload or descriptor. */
void	channel_signal(struct channel *, enum message_type, uint64_t request);

/*
 * Writes what it can. 1: all out; 0: some is left, wait for writable; -1:
 * errno.
 */
int	channel_flush(struct channel *);

/*
 * Bytes queued and not yet written; above CHANNEL_HIGH callers stop their
 * sources.
 */
size_t	channel_queued(const struct channel *);
#define CHANNEL_HIGH	(1024 * 1024)

/*
 * Blocking, for start-up: the next message, or -1 with errno (ETIMEDOUT, 0 at
 * end of file, EBADMSG). Queued messages are flushed meanwhile.
 */
int	channel_wait(struct channel *, struct message *, struct mono deadline);

/* Blocking flush until the deadline; 0 or -1 with errno. */
int	channel_drain(struct channel *, struct mono deadline);

/* Two connected ends, close-on-exec. 0 or -1 with errno. */
int	channel_pair(int fd[2]);

#endif
