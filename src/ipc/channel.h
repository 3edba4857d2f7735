#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/clock.h"
#include "lib/str.h"

/*
 * A stream of messages over a stream socketpair, buffered both ways so that one
 * system call carries many messages. The header is sixteen bytes in the order
 * of the host: u32 length of the payload, u16 type, u16 flags (1: a descriptor
 * comes with it), u64 request number. The table in message.c says who may send
 * what to whom. Any other message breaks the channel (EBADMSG). So does a
 * descriptor if the type carries none, or if a child sends it; that descriptor
 * is closed.
 */
struct channel;

/*
 * Longest payload from a child, which holds the largest charge that message.h
 * permits; and from the parent, which is trusted, and may send the limits of
 * many ids in one setting.
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
 * is the role of this process, `peer` of the other end. Fatal if it fails.
 */
struct channel	*channel_new(int fd, enum role self, enum role peer);
void		 channel_free(struct channel *);	/* wipes, closes */
int		 channel_fd(const struct channel *);

/*
 * One recvmsg(2) into the buffer, unless that has a whole message. 1:
 * channel_next may have a message; 0: no bytes now; -1: end of file (errno 0)
 * or a fault (errno).
 */
int	channel_read(struct channel *);

/*
 * Whether the last channel_read filled the buffer. If not, the next one would
 * most likely find nothing.
 */
bool	channel_filled(const struct channel *);

/*
 * The next complete message. 1: *m is set; 0: none yet; -1: the peer broke the
 * rules (errno EBADMSG, logged), and the channel must be freed. The payload is
 * valid until the next channel_read; a MSG_SETTING, which may hold a password,
 * is wiped by the next channel_next.
 */
int	channel_next(struct channel *, struct message *);

/*
 * Queues one message; the payload (NULL: empty) is copied. `fd` (or -1) is
 * duplicated, and the caller still owns its own. A type that this role may not
 * send is a broken invariant. If the descriptor cannot be duplicated or the
 * payload is too long, every later channel_flush fails.
 */
void	channel_send(struct channel *, enum message_type, uint64_t request,
	    const struct str *payload, int fd);

/*
 * channel_signal: a message without payload or descriptor. The others, without
 * a request number: one whose payload is a number or a text.
 */
void	channel_signal(struct channel *, enum message_type, uint64_t request);
void	channel_send_number(struct channel *, enum message_type, uint64_t,
	    int fd);
void	channel_send_text(struct channel *, enum message_type, const char *);

/*
 * Writes what it can. 1: everything is written; 0: some is left, wait until
 * writable; -1: errno.
 */
int	channel_flush(struct channel *);

/* Bytes queued and not written. Above CHANNEL_HIGH callers stop producing. */
size_t	channel_queued(const struct channel *);
#define CHANNEL_HIGH	(1024 * 1024)

/*
 * For start-up: waits for the next message. 0, or -1 with errno (ETIMEDOUT, 0
 * at end of file, EBADMSG). Flushes queued messages meanwhile. What follows the
 * message stays in the socket, so that poll(2) tells of it.
 */
int	channel_wait(struct channel *, struct message *, struct mono deadline);

/* Flushes, and waits until the deadline. 0 or -1 with errno. */
int	channel_drain(struct channel *, struct mono deadline);

/* Two connected descriptors, close-on-exec. 0 or -1 with errno. */
int	channel_pair(int fd[2]);

#endif
