#ifndef BATCH_DELAY_H
#define BATCH_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

/*
 * How long a batch waits for further charges before it begins. When several
 * daemons load one database server, fewer and larger batches are less work for
 * it. To begin a batch needs no disk: if that takes much longer than at other
 * times, the server is loaded.
 */
struct batch_delay {
	int64_t		usual;		/* ns to begin a batch, mean */
	int64_t		least;		/* ns without load; 0: not known */
	int64_t		interval;	/* ns between charges, mean */
	struct mono	last;		/* when the last batch began */
	unsigned int	batches;	/* of this period */
	size_t		largest;	/* charges of the largest of these */
	size_t		full;		/* `largest` of the last period */
};

void	batch_delay_init(struct batch_delay *, struct mono);

/*
 * A batch began at `now`, and to begin it took `took` ns. `charges`: how many
 * were waiting then.
 */
void	batch_delay_note(struct batch_delay *, struct mono now, size_t charges,
	    int64_t took);

/*
 * Milliseconds that a batch of so many charges waits. 0: the server is not
 * loaded, no further charge is expected in that time, or the batch is as large
 * as the largest of the last period.
 */
int	batch_delay(const struct batch_delay *, size_t charges);

#endif
