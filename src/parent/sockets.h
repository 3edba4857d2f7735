#ifndef SOCKETS_H
#define SOCKETS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"
#include "parent/child.h"
#include "parent/directories.h"

/*
 * The listening sockets. They belong to the parent for as long as it lives,
 * whatever happens to the engine, so clients wait in the queue meanwhile.
 */
struct listener {
	uint32_t		 number;	/* never used twice */
	enum listener_kind	 kind;
	int			 fd;
	char			*name;		/* path or [address]:port */
	/* The running list has it too. */
	bool			 shared;
	bool			 given;		/* by the service manager */
	/* UNIX sockets */
	mode_t			 mode;
	uid_t			 uid;		/* -1: as it comes */
	gid_t			 gid;
	struct place		 place;
	/* Our file, to remove no other. */
	dev_t			 dev;
	ino_t			 ino;
};

struct listeners {
	struct listener	*list;
	size_t		 count;
};

/*
 * Opens what the settings name, `control_socket` included, next to what runs
 * already (`running` is empty at start): a listener that stays is shared, and
 * gets another mode or owner when the list is adopted. A UNIX socket appears
 * under its name with its mode and owner, listening; one that somebody answers
 * at is never taken. A control socket that cannot be made is only a warning. 0,
 * or -1 with *why, and then all is as before.
 */
int	sockets_open(struct listeners *fresh, const struct listeners *running,
	    const struct settings *, const struct msg_identity *, char *why);

/* Closes what sockets_open opened, files and all, but for what is shared. */
void	sockets_abandon(struct listeners *fresh);

/*
 * The fresh list becomes the running one: the engine is told of what is new,
 * and of what is over, which is closed and removed.
 */
void	sockets_adopt(struct listeners *running, struct listeners *fresh,
	    struct child *engine);

/* Hands all of them to an engine that starts. */
void	sockets_send(const struct listeners *, struct child *engine);

/* Closes all of them and removes the files that are ours. */
void	sockets_close(struct listeners *);

#endif
