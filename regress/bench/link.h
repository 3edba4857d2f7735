#ifndef LEDGER_LINK_H
#define LEDGER_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "poller.h"
#include "result.h"
#include "traffic.h"

/*
 * One connection of the generator, as one smtpd holds it: a request, its
 * answer, the next one; made anew when the server closed it.
 */
enum link_state {
	LINK_FREE,		/* between requests; fd may be -1 */
	LINK_RETRY,		/* has a request to send, could not connect */
	LINK_CONNECTING,
	LINK_WAITING		/* for the answer */
};

struct link {
	struct link	*next;		/* in the queue of its state */
	enum link_state	 state;
	int		 fd;
	int64_t		 due;		/* when its request was meant to go */
	uint32_t	 user;
	uint32_t	 recipients;
	char		*unsent;	/* rest of a request */
	size_t		 nunsent;
	char		*part;		/* of an answer */
	size_t		 npart;
};

struct queue {
	struct link	*first, *last;
};

/* What all links share. */
struct load {
	struct endpoint	 where;
	struct poller	*poller;
	struct traffic	 traffic;
	struct result	 result;
	int64_t		 now;		/* the clock when last looked at */
	int64_t		 start;
	int64_t		 measure_from;	/* what is due in [from, to) is */
	int64_t		 measure_to;	/* measured */
	int64_t		 retry_at;
	uint64_t	 begun;		/* requests given to a link */
	int		 waiting;	/* links in that state or connecting */
	int		 one_shot;	/* a connection for each request */
	struct queue	 free;
	struct queue	 retry;
};

/* Nanoseconds of the monotonic clock. */
int64_t	link_clock(void);

/*
 * Connects, may take its time; puts the link among the free ones. -1 with
 * errno.
 */
int	link_open(struct load *, struct link *);

/*
 * Takes a free link from its queue, the longest free first; NULL when none is.
 */
struct link	*link_take(struct load *);

/* Sends the next request, meant for `due`, on a link that was taken. */
void	link_begin(struct load *, struct link *, int64_t due);

/* The descriptor is ready. The link is free again when its answer was whole. */
void	link_ready(struct load *, struct link *, int ready);

/* Tries the links in LINK_RETRY once more, if it is time. */
void	link_retry(struct load *);

#endif
