#include "ledger/batch/batch_delay.h"

#define WEIGHT		8		/* a value counts 1/8 in a mean */
#define FORGET		4096		/* `least` rises by 1/4096 */
#define LOADED		2		/* times `least`: more is load */
#define TIMES		4		/* the delay is 4 times the excess */
#define PERIOD		32		/* batches */
#define MOST_NS		INT64_C(20000000)
#define MS		INT64_C(1000000)

void
batch_delay_init(struct batch_delay *d, struct mono now)
{
	d->usual = d->least = 0;
	d->interval = MOST_NS;
	d->last = now;
	d->batches = 0;
	d->largest = 0;
	d->full = SIZE_MAX;
}

static void
update_mean(int64_t *mean, int64_t value)
{
	*mean += (value - *mean) / WEIGHT;
}

void
batch_delay_note(struct batch_delay *d, struct mono now, size_t charges,
    int64_t took)
{
	int64_t	elapsed = clock_between(d->last, now);

	d->last = now;
	if (charges == 0)
		return;
	update_mean(&d->interval, elapsed / (int64_t)charges);
	if (charges > d->largest)
		d->largest = charges;
	if (++d->batches == PERIOD) {
		d->full = d->largest;
		d->batches = 0;
		d->largest = 0;
	}
	if (d->least == 0 || took < d->least)
		d->least = took;
	else
		d->least += (took - d->least) / FORGET;
	update_mean(&d->usual, took);
}

/*
 * Clients that all wait for their answers send nothing more, so a batch as
 * large as the largest of late does not wait. The first batch of each period
 * waits all the same: there may be more clients now.
 */
int
batch_delay(const struct batch_delay *d, size_t charges)
{
	int64_t	ns = (d->usual - LOADED * d->least) * TIMES;

	if (charges >= d->full && d->batches > 0)
		return 0;
	if (ns > MOST_NS)
		ns = MOST_NS;
	return ns < MS || ns < d->interval ? 0 : (int)(ns / MS);
}
