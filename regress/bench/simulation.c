#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulated.h"
#include "lib/alloc.h"

/*
 * Simulates thousands of logins over months, with a clock of its own, and says
 * how much of a thief's mail passes, and how many honest recipients are
 * refused: under limits of volume, under habit, and under habit with the
 * backstop. The same seed gives the same figures.
 *
 * The table is in policyd-rate-limit.conf(5), "Habit".
 */

#define DAY		INT64_C(86400)
#define START		(INT64_C(20000) * DAY)	/* a Thursday */
#define BEFORE		90	/* days before what is measured */
#define MEASURED	30	/* days */
#define THIEF_DAYS	14

#define PERSONS		1000

/* --- random numbers: SplitMix64, the same on every system --- */

static uint64_t	state;

static uint64_t
random_next(void)
{
	uint64_t	z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double
random_share(void)
{
	return (double)(random_next() >> 11) / 9007199254740992.0;
}

static bool
random_chance(double p)
{
	return random_share() < p;
}

/* From `least` to `most`, both included. */
static int64_t
random_in(int64_t least, int64_t most)
{
	return least + (int64_t)(random_share() * (double)(most - least + 1));
}

static int64_t
random_poisson(double mean)
{
	double	limit = exp(-mean), p = 1;
	int64_t	n = -1;

	do {
		n++;
		p *= random_share();
	} while (p > limit);
	return n;
}

/* --- honest people --- */

struct kind {
	const char	*name;
	int		 share;		/* of a thousand persons; 0: apart */
	double		 mails;		/* on a working day */
	double		 stranger;	/* a recipient who is new to him */
	double		 many;		/* a mail to 5 to 12 */
	double		 round;		/* a mail to 20 to 80, half new */
	double		 mobile;	/* share of days with mail on the way */
	double		 trip;		/* a trip begins, on each day */
	int64_t		 contacts;	/* at first */
	bool		 young;		/* begins within the month */
};

static const struct kind	kinds[] = {
	{ "few contacts", 450, 4, 0.03, 0.02, 0.0003, 0.5, 0.004, 25, false },
	{ "many contacts", 230, 18, 0.08, 0.03, 0.0005, 0.5, 0.01, 150, false },
	{ "travelling", 120, 14, 0.07, 0.03, 0.0005, 0.8, 0.08, 120, false },
	{ "role mailbox", 150, 12, 0.25, 0.01, 0.0005, 0.0, 0, 80, false },
	{ "new", 50, 6, 0.30, 0.03, 0.0020, 0.5, 0.004, 0, true },
	{ "shop", 0, 120, 0.60, 0, 0, 0, 0, 500, false },
	{ "list owner", 0, 3, 0.05, 0.03, 0.3, 0.3, 0.004, 400, false },
};

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))
#define APART	10	/* logins of a kind with share 0 */

struct person {
	const struct kind	*kind;
	uint64_t		 number;
	int64_t			 contacts;	/* recipients 0 to this */
	uint64_t		 home;		/* number of the network */
	uint64_t		 trip;
	int64_t			 trip_until;	/* day */
	struct simulated	*login[POLICY__MAX];
};

/* Networks and recipients are numbers that belong to one person. */
static uint64_t
own(const struct person *p, uint64_t n)
{
	return p->number << 32 | n;
}

static void
person_moves(struct person *p, int64_t day)
{
	/* A provider assigns another network once in about three months. */
	if (random_chance(1.0 / 90))
		p->home++;
	if (day >= p->trip_until && random_chance(p->kind->trip)) {
		p->trip++;
		p->trip_until = day + random_in(2, 5);
	}
}

static uint64_t
network_of(const struct person *p, int64_t day)
{
	if (day < p->trip_until)
		return own(p, 2000000 + p->trip);
	/* The networks of a mobile operator, some more often than others. */
	if (random_chance(p->kind->mobile / 3))
		return own(p, 1000000 +
		    (uint64_t)(random_share() * random_share() * 24));
	if (p->kind->share == 0)
		return own(p, 0);	/* a server */
	return own(p, day % 7 < 5 && random_chance(0.6) ? 0 : 1 + p->home);
}

static uint64_t
recipient_of(struct person *p, double stranger)
{
	double	share;

	if (p->contacts == 0 || random_chance(stranger))
		return own(p, (uint64_t)p->contacts++);
	/* Some contacts get most of the mail, later ones too. */
	share = random_share();
	if (random_chance(0.5))
		return own(p, (uint64_t)(p->contacts - 1 - (int64_t)(share *
		    (double)(p->contacts < 20 ? p->contacts : 20))));
	return own(p, (uint64_t)(share * share * (double)p->contacts));
}

struct tally {
	int64_t	sent;
	int64_t	refused;
	int64_t	persons;	/* who were refused at least once */
};

static void
person_mail(struct person *p, int64_t now, struct tally *tally, bool *hit)
{
	const struct kind	*k = p->kind;
	uint64_t		 network = network_of(p, (now - START) / DAY);
	uint64_t		 recipient;
	double			 stranger = k->stranger;
	int64_t			 n = 1, i;
	int			 policy;

	if (random_chance(k->round)) {
		n = random_in(20, 80);
		stranger = k->share == 0 ? 0.02 : 0.5;
	} else if (random_chance(k->many))
		n = random_in(5, 12);
	else if (random_chance(0.25))
		n = random_in(2, 4);
	for (i = 0; i < n; i++) {
		recipient = recipient_of(p, stranger);
		for (policy = 0; policy < POLICY__MAX; policy++) {
			if (tally != NULL)
				tally[policy].sent++;
			if (simulated_send(p->login[policy], network,
			    recipient, now) || tally == NULL)
				continue;
			tally[policy].refused++;
			tally[policy].persons += !hit[policy];
			hit[policy] = true;
		}
	}
}

static void
person_day(struct person *p, int64_t day, struct tally *tally, bool *hit)
{
	double	mean = p->kind->mails;
	int64_t	n, i, at = 7 * 3600;

	if (day % 7 >= 5)
		mean /= p->kind->share == 0 ? 1.5 : 6;
	person_moves(p, day);
	n = random_poisson(mean);
	for (i = 0; i < n; i++) {
		at += random_in(1, 2 * 12 * 3600 / (n + 1));
		person_mail(p, START + day * DAY + at, tally, hit);
	}
}

static void
person_free(struct person *p)
{
	int	policy;

	for (policy = 0; policy < POLICY__MAX; policy++)
		simulated_free(p->login[policy]);
}

static void
person_init(struct person *p, const struct kind *k, uint64_t number)
{
	int	policy;

	memset(p, 0, sizeof(*p));
	p->kind = k;
	p->number = number;
	p->contacts = k->contacts;
	for (policy = 0; policy < POLICY__MAX; policy++)
		p->login[policy] = simulated_new(policy, START);
}

/* Lives until the measured month. */
static void
person_before(struct person *p)
{
	int64_t	day;

	for (day = 0; day < BEFORE && !p->kind->young; day++)
		person_day(p, day, NULL, NULL);
}

static void
people_of(const struct kind *k, int64_t count, struct tally *all,
    int64_t *recipients, int64_t *networks)
{
	struct tally	tally[POLICY__MAX];
	struct person	p;
	int64_t		stored[2], i, day;
	bool		hit[POLICY__MAX];
	int		policy;

	memset(tally, 0, sizeof(tally));
	for (i = 0; i < count; i++) {
		person_init(&p, k, random_next() >> 33 | 1);
		memset(hit, 0, sizeof(hit));
		person_before(&p);
		day = BEFORE + (k->young ? random_in(0, MEASURED - 1) : 0);
		for (; day < BEFORE + MEASURED; day++)
			person_day(&p, day, tally, hit);
		simulated_stored(p.login[POLICY_HABIT], &stored[0],
		    &stored[1]);
		*recipients += k->share > 0 ? stored[0] : 0;
		*networks += k->share > 0 ? stored[1] : 0;
		person_free(&p);
	}
	printf("%-16s %7" PRId64 " %9" PRId64, k->name, count, tally[0].sent);
	for (policy = 0; policy < POLICY__MAX; policy++) {
		printf("  %9" PRId64 " %4" PRId64, tally[policy].refused,
		    tally[policy].persons);
		all[policy].sent += tally[policy].sent;
		all[policy].refused += tally[policy].refused;
		all[policy].persons += tally[policy].persons;
	}
	printf("\n");
}

static void
people(void)
{
	struct tally	all[POLICY__MAX], apart[POLICY__MAX];
	int64_t		recipients = 0, networks = 0;
	size_t		i;
	int		policy;

	memset(all, 0, sizeof(all));
	memset(apart, 0, sizeof(apart));
	printf("honest recipients refused within %d days, and how many people "
	    "that hit\n%-16s %7s %9s  %14s  %14s  %14s\n", MEASURED, "",
	    "persons", "sent", "volume", "habit", "with backstop");
	for (i = 0; i < KINDS; i++)
		people_of(&kinds[i], kinds[i].share > 0 ? kinds[i].share :
		    APART, kinds[i].share > 0 ? all : apart, &recipients,
		    &networks);
	printf("%-16s %7d %9" PRId64, "without last two", PERSONS, all[0].sent);
	for (policy = 0; policy < POLICY__MAX; policy++)
		printf("  %9" PRId64 " %4" PRId64, all[policy].refused,
		    all[policy].persons);
	printf("\nstored for a person: %" PRId64 " recipients, %" PRId64
	    " networks\n\n", recipients / PERSONS, networks / PERSONS);
}

/* --- thieves --- */


struct thief {
	const char	*name;
	int64_t		 count;
	int64_t		 days;
	uint64_t	 networks;
	bool		 book;		/* to the owner's contacts */
	bool		 unused;	/* of a login that nobody used before */
};

static const struct thief	thieves[] = {
	{ "botnet of 200 networks", 7200, 1, 200, false, false },
	{ "one machine", 6000, 1, 1, false, false },
	{ "a login never used before", 6000, 1, 1, false, true },
	{ "5 an hour, 14 days", 5 * 24 * THIEF_DAYS, THIEF_DAYS, 1, false,
	    false },
	{ "to the address book", 2000, 1, 1, true, false },
};

static void
thief_run(const struct thief *t)
{
	struct person	owner;
	uint64_t	network, recipient;
	int64_t		passed[POLICY__MAX] = { 0 }, i, now;
	int		policy;

	person_init(&owner, &kinds[1], 1);
	if (!t->unused)
		person_before(&owner);
	for (i = 0; i < t->count; i++) {
		now = START + BEFORE * DAY + i * t->days * DAY / t->count;
		network = UINT64_C(1) << 63 | (uint64_t)i % t->networks;
		recipient = t->book ? own(&owner, (uint64_t)(owner.contacts -
		    1 - i % 100)) : UINT64_C(1) << 63 | (uint64_t)i;
		for (policy = 0; policy < POLICY__MAX; policy++)
			passed[policy] += simulated_send(owner.login[policy],
			    network, recipient, now);
	}
	printf("%-28s %7" PRId64, t->name, t->count);
	for (policy = 0; policy < POLICY__MAX; policy++)
		printf("  %13" PRId64, passed[policy]);
	printf("\n");
	person_free(&owner);
}

int
main(int argc, char *argv[])
{
	uint64_t	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	size_t		i;

	state = seed;
	printf("seed %" PRIu64 "\n\n", seed);
	printf("a thief's recipients that are accepted\n%-28s %7s  %13s  %13s"
	    "  %13s\n", "", "sent", "volume", "habit", "with backstop");
	for (i = 0; i < sizeof(thieves) / sizeof(thieves[0]); i++)
		thief_run(&thieves[i]);
	printf("\n");
	people();
	return 0;
}
