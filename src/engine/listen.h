#ifndef LISTEN_H
#define LISTEN_H

#include <stdint.h>

#include "conf/settings.h"
#include "engine/client.h"
#include "ipc/message.h"

struct controls;

/*
 * The listening sockets. A turn of the event loop accepts up to 256 waiting
 * connections of a socket, since Postfix gets an error if the queue is full. If
 * descriptors run out, clients without a request in flight are closed.
 */
struct listeners;

struct listeners	*listen_new(struct clients *, struct controls *);

/*
 * The networks that may connect by TCP; if empty, every host. They stay the
 * caller's, and must be valid until the next call. Connected clients stay.
 */
void	listen_allow(struct listeners *, const struct settings_networks *);

/* Takes over the socket. It replaces one of the same number. */
void	listen_add(struct listeners *, int fd, const struct msg_listener *);

/* Closes the socket of this number, if there is one. */
void	listen_end(struct listeners *, uint32_t number);

/* Closes all listening sockets. */
void	listen_stop(struct listeners *);

#endif
