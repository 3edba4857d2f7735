#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/request.h"
#include "lib/addr.h"

/*
 * Those who ask, most of all Postfix: one connection each, any number of
 * requests one after the other, one of them in flight. A client in the middle
 * of a request or with an answer that it does not take has a deadline; one
 * that asks nothing is closed after the idle time, and before that when its
 * place is needed.
 */
struct client;

struct client_peer {
	struct addr	addr;		/* bits 0: a UNIX socket */
	uint16_t	port;
};

struct client_bounds {
	int64_t	idle_ms;	/* nothing asked */
	int64_t	request_ms;	/* from the first byte of a request on */
	int64_t	answer_ms;	/* until an answer is taken */
	size_t	most;		/* clients at a time */
	size_t	held;		/* bytes of all that are not used yet */
};

/*
 * `request` is called for every whole, well-formed request, and answers it by
 * client_answer, at once or later; its values are there until it returns.
 */
void	client_init(void (*request)(struct client *, const struct request *),
	    const struct client_bounds *);
void	client_set_idle(int64_t idle_ms);

/* Takes over a connected, non-blocking socket. */
void	client_new(int fd, const struct client_peer *);

/* Writes one whole answer, in one piece if the client takes it. */
void	client_answer(struct client *, const char *, size_t);

/* For the log: "unix" or "[2001:db8::1]:54321". */
#define CLIENT_NAME_MAX		(ADDR_TEXT_MAX + 16)
const char	*client_name(const struct client *, char *, size_t);

size_t	client_count(void);
bool	client_full(void);

/*
 * Closes up to `n` clients that nobody waits for, the longest idle first, then
 * those who are longest in the middle of a request. How many it was.
 */
size_t	client_make_room(size_t n);

/*
 * Nobody may ask any more: what was asked is answered, and then its client is
 * closed. Who has just connected, or has begun a request, has half a second to
 * say it.
 */
void	client_stop(void);

/* While held, requests stay unread where they are, and no deadline comes. */
void	client_hold(bool);

#endif
