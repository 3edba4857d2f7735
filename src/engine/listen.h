#ifndef LISTEN_H
#define LISTEN_H

#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"

/*
 * The listening sockets. All that wait are accepted at once: on a full queue
 * Postfix gets an error and not a moment's wait. Descriptors that run out are
 * won back from clients that nobody waits for.
 */
void	listen_init(void);

/*
 * Who may connect by TCP, everybody when there are none; they stay the
 * caller's. Clients that are connected already stay.
 */
void	listen_allow(const struct settings_networks *);

/* Takes over the socket. One of the same number is replaced. */
void	listen_add(int fd, const struct msg_listener *);
void	listen_end(uint32_t number);

/* No more clients. */
void	listen_stop(void);

#endif
