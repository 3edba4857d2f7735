#include <limits.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/num.h"

#define NS_PER_SECOND	INT64_C(1000000000)
#define NS_PER_MS	INT64_C(1000000)

struct mono
clock_mono(void)
{
	struct timespec	ts;
	struct mono	now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now.ns = (int64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
	return now;
}

struct mono
clock_after(struct mono start, int64_t milliseconds)
{
	int64_t	ns;

	/* Called for each request, so without the division of num_mul. */
	if (milliseconds > INT64_MAX / NS_PER_MS)
		ns = INT64_MAX;
	else if (milliseconds < INT64_MIN / NS_PER_MS)
		ns = INT64_MIN;
	else
		ns = milliseconds * NS_PER_MS;
	start.ns = num_add_clamp(start.ns, ns);
	return start;
}

bool
clock_passed(struct mono deadline, struct mono now)
{
	return now.ns >= deadline.ns;
}

int
clock_left(struct mono deadline, struct mono now)
{
	int64_t	ns, ms;

	ns = clock_between(now, deadline);
	if (ns <= 0)
		return 0;
	ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int
clock_sooner(int a, int b)
{
	return a == -1 || (b != -1 && b < a) ? b : a;
}

int64_t
clock_between(struct mono then, struct mono now)
{
	return num_sub_clamp(now.ns, then.ns);
}

int64_t
clock_wall(void)
{
	struct timespec	ts;

	/* tv_nsec is never negative, so tv_sec is the floor before 1970 too. */
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}
