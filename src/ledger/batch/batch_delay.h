#ifndef BATCH_DELAY_H
#define BATCH_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

/*
 * How long a batch waits for further charges before it begins. When several
 * daemons load one database server, fewer and larger batches are less work for
 * it. The server is loaded when a batch takes much longer to begin, which needs
 * no disk, than it takes at other times.
 */
struct batch_delay {
	int64_t		usual;		/* ns to begin a batch, mean */
	int64_t		least;		/* ns without load; 0: not known */
	int64_t		interval;	/* ns between charges, mean */
	struct mono	last;		/* when the last batch began */
	unsigned int	batches;	/* of this period */
	size_t		largest;	/* of them, in charges */
	size_t		full;		/* the largest of the last period */
};

void	batch_delay_init(struct batch_delay *, struct mono);

/* A batch of so many charges began at `now`, which took `took` ns. */
void	batch_delay_note(struct batch_delay *, struct mono now, size_t charges,
	    int64_t took);

/*
 * Milliseconds that a batch of so many charges waits. 0: the server is not
 * loaded, or no further charge is expected in that time.
 */
int	batch_delay(const struct batch_delay *, size_t charges);

#endif
