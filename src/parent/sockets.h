#ifndef SOCKETS_H
#define SOCKETS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"
#include "parent/activation.h"
#include "parent/child.h"
#include "parent/directories.h"

/*
 * The listening sockets. They belong to the parent for as long as it runs, so
 * that clients wait in the queue while the engine restarts.
 */
struct listener {
	uint32_t		 number;	/* never reused */
	enum listener_kind	 kind;
	int			 fd;
	char			*name;		/* path or [address]:port */
	/* The running list has the same descriptor. */
	bool			 shared;
	bool			 given;		/* by the service manager */
	/* UNIX sockets */
	mode_t			 mode;
	uid_t			 uid;		/* -1: not set */
	gid_t			 gid;
	struct place		 place;
	/* Identifies our file, so that no other is removed. */
	dev_t			 dev;
	ino_t			 ino;
};

struct listeners {
	struct listener	*list;
	size_t		 count;
	uint32_t	 last_number;	/* given to a listener */
};

/*
 * Opens what the settings name, `control_socket` included, next to what runs
 * already (`running` is empty at start): a listener that stays is shared, and
 * gets another mode or owner when the list is adopted. A UNIX socket appears
 * under its name with its mode and owner, listening; one of another daemon is
 * not taken (unixsocket.h). A control socket that cannot be made is only a
 * warning. 0, or -1 with `why`, and then no socket is left open.
 */
int	sockets_open(struct listeners *fresh, const struct listeners *running,
	    struct activation *, const struct settings *,
	    const struct msg_identity *, char *why);

/* Closes what sockets_open opened and removes its files, except shared ones. */
void	sockets_abandon(struct listeners *fresh);

/*
 * Makes the fresh list the running one: sends new listeners to the engine, and
 * closes and removes those that are no longer wanted.
 */
void	sockets_adopt(struct listeners *running, struct listeners *fresh,
	    struct child *engine);

/* Sends all of them to an engine that starts. */
void	sockets_send(const struct listeners *, struct child *engine);

/* Closes all of them and removes our files. */
void	sockets_close(struct listeners *);

#endif
