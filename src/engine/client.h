#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/maillog.h"
#include "engine/request.h"
#include "lib/addr.h"

/*
 * The clients, most of all Postfix: one connection each, any number of requests
 * in sequence, one of them in flight. A client that is sending a request or
 * does not read its answer has a deadline. An idle client is closed after the
 * idle time, or earlier if its place is needed.
 */
struct clients;
struct client;

struct client_peer {
	struct addr	addr;		/* bits 0: a UNIX socket */
	uint16_t	port;
};

struct client_bounds {
	int64_t	request_ms;	/* since a request's first byte */
	int64_t	answer_ms;	/* until an answer is read */
	size_t	most;		/* clients at the same time */
	size_t	buffered;	/* unprocessed bytes of all clients */
};

/*
 * `request` is called with `arg` for every complete, well-formed request. It
 * calls client_answer, then or later. The request is valid until it returns.
 */
struct clients	*client_new(struct maillog *,
		    void (*request)(void *arg, struct client *,
		    const struct request *), void *arg,
		    const struct client_bounds *);

/* Sets for how long a client may be idle between two requests. */
void	client_set_idle(struct clients *, int64_t idle_ms);

/* Takes over a connected, non-blocking socket. */
void	client_add(struct clients *, int fd, const struct client_peer *);

/*
 * Sends an answer, in one write if the socket accepts all of it, and goes on to
 * the client's next request. The client may be freed when it returns.
 */
void	client_answer(struct client *, const char *, size_t);

/* The client's name in the log: "unix" or "[2001:db8::1]:54321". */
#define CLIENT_NAME_MAX		(ADDR_TEXT_MAX + 16)
const char	*client_name(const struct client *, char *, size_t);

size_t	client_count(const struct clients *);
bool	client_full(const struct clients *);

/*
 * Closes up to `n` clients without a request in flight: first those that are
 * idle longest, then those that have been sending a request longest, then those
 * that have not read their answer longest. Returns how many.
 */
size_t	client_make_room(struct clients *, size_t n);

/*
 * Stops accepting requests: answers those that were received, then closes their
 * clients. A client that has just connected or begun a request has half a
 * second to complete it.
 */
void	client_stop(struct clients *);

/*
 * While held, requests stay unread in the sockets, and only a client that does
 * not read its answer is closed: for the others the time stands still.
 */
void	client_hold(struct clients *, bool);

#endif
