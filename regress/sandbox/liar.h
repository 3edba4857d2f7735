#ifndef LIAR_H
#define LIAR_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "role/role.h"

/*
 * An engine that lies: liar.c begins, lie.c has the lies, liar_put.c says them.
 */
#define LIAR_HEADER	16
#define LIAR_WAIT_MS	10000
#define LIAR_FD		1		/* the flag of a descriptor */

extern struct role_start	liar_start;
extern unsigned int		liar_number;	/* seed, where chance is used */

struct lie {
	const char	*name;
	int		(*to)(void);	/* the descriptor that it is told to */
	int		(*lie)(int);	/* -1: that one takes no more */
	bool		 unlocked;	/* the lock leaves no way to do it */
};

/* NULL: there is none of that name. */
const struct lie	*lie_find(const char *name);

uint32_t	liar_chance(void);

/* What no channel would send. -1: the other end is closed, or stuck. */
int	liar_put(int fd, const void *, size_t);
int	liar_put_frame(int fd, unsigned int type, unsigned int flags,
	    const void *payload, size_t);
int	liar_put_number(int fd, unsigned int type, uint64_t);
int	liar_put_noise(int fd);
int	liar_put_descriptors(int fd);

/* A header with whatever is said in it, and the payload; the whole length. */
size_t	liar_frame(uint8_t *, uint32_t len, unsigned int type,
	    unsigned int flags, const void *payload, size_t);

/* The payload of an honest charge; the str is made. */
void	liar_charge(struct str *, const char *id);

#endif
