#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "link.h"

/*
 * Load for a policy server. Closed loop: each of N connections sends a request,
 * waits for the answer, and sends the next one. Open loop (-r): requests are
 * due at a constant rate, whatever the server does, and latency counts from
 * when a request was due, so a server that stands still for a while pays for
 * all that waited meanwhile.
 */
#define DRAIN		10000000000	/* nanoseconds for the last answers */
#define TURN		100000000	/* nanoseconds that one turn may wait */
#define COUNT_TIME	600.0		/* seconds for -n without -t */

static struct {
	int		 connections;
	int		 idle;
	uint32_t	 users;
	uint64_t	 count;		/* 0: until the time is over */
	double		 seconds;
	double		 warm_up;
	double		 rate;		/* 0: closed loop */
	uint32_t	 recipients;
	int		 one_shot;
	int		 in_turn;
	uint64_t	 seed;
	const char	*domain;
	const char	*dump;
} option = {
	.connections = 1,
	.users = 10000,
	.warm_up = 0.5,
	.seed = 1,
	.domain = "submission.example.org",
};

static volatile sig_atomic_t	stopped;

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: load [-os] [-c connections] [-D domain] [-d file] "
	    "[-i idle]\n"
	    "            [-n count] [-R recipients] [-r rate] [-S seed] "
	    "[-t seconds]\n"
	    "            [-u users] [-w warm-up] unix:path | "
	    "inet:address:port\n"
	    "\n"
	    "  -c  connections that send (1)      -o  a new connection for "
	    "each request\n"
	    "  -i  more that only stay open (0)   -r  requests a second: "
	    "open loop\n"
	    "  -n  stop after so many requests    -R  recipients of each "
	    "mail\n"
	    "  -t  seconds to measure (10)        -u  users (10000), "
	    "-s: in turn\n"
	    "  -w  seconds before that (0.5)      -D  what follows their @\n"
	    "  -S  seed of the choice (1)         -d  file for the users' "
	    "counts\n");
	exit(1);
}

static uint64_t
number(const char *text, long long min, long long max)
{
	const char	*reason;
	long long	 value;

	value = strtonum(text, min, max, &reason);
	if (reason != NULL)
		errx(1, "%s: %s", text, reason);
	return (uint64_t)value;
}

static double
decimal(const char *text, double max)
{
	char	*end;
	double	 value;

	value = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(value) || value < 0 ||
	    value > max)
		errx(1, "%s: not a number from 0 to %.0f", text, max);
	return value;
}

static void
parse_options(int argc, char *argv[])
{
	int	ch;

	while ((ch = getopt(argc, argv, "c:D:d:i:n:oR:r:S:st:u:w:")) != -1) {
		switch (ch) {
		case 'c':
			option.connections = (int)number(optarg, 1, 1000000);
			break;
		case 'D':
			option.domain = optarg;
			break;
		case 'd':
			option.dump = optarg;
			break;
		case 'i':
			option.idle = (int)number(optarg, 0, 1000000);
			break;
		case 'n':
			option.count = number(optarg, 1, LLONG_MAX);
			break;
		case 'o':
			option.one_shot = 1;
			break;
		case 'R':
			option.recipients = (uint32_t)number(optarg, 1, 100000);
			break;
		case 'r':
			option.rate = decimal(optarg, 1e7);
			break;
		case 'S':
			option.seed = number(optarg, 0, LLONG_MAX);
			break;
		case 's':
			option.in_turn = 1;
			break;
		case 't':
			option.seconds = decimal(optarg, 1e6);
			break;
		case 'u':
			option.users = (uint32_t)number(optarg, 1,
			    TRAFFIC_USERS_MAX);
			break;
		case 'w':
			option.warm_up = decimal(optarg, 1e6);
			break;
		default:
			usage();
		}
	}
	if (option.seconds <= 0)
		option.seconds = option.count > 0 ? COUNT_TIME : 10;
}

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

static double
cpu_seconds(void)
{
	struct rusage	ru;

	if (getrusage(RUSAGE_SELF, &ru) == -1)
		err(1, "getrusage");
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* Connections that never ask anything, and then those that do. */
static void
open_links(struct load *k)
{
	struct link	*links;
	long		 limit;
	int		 i;

	limit = endpoint_descriptors();
	if (limit != -1 && limit < (long)option.connections + option.idle + 16)
		errx(1, "only %ld descriptors are allowed", limit);
	for (i = 0; i < option.idle; i++)
		if (endpoint_connect(&k->where, 1, NULL) == -1)
			err(1, "idle connection %d", i + 1);
	links = calloc((size_t)option.connections, sizeof(*links));
	if (links == NULL)
		err(1, "calloc");
	for (i = 0; i < option.connections; i++)
		if (link_open(k, &links[i]) == -1)
			err(1, "connection %d", i + 1);
}

/* When the next request is due, given that `k->begun` of them were. */
static int64_t
next_due(const struct load *k)
{
	if (option.count > 0 && k->begun >= option.count)
		return INT64_MAX;
	if (option.rate > 0)
		return k->start +
		    (int64_t)((double)k->begun * 1e9 / option.rate);
	return k->now;
}

/*
 * Gives the free links what is due. Nanoseconds until there may be more to do.
 */
static int64_t
begin_due(struct load *k)
{
	struct link	*l;
	int64_t		 due;

	for (;;) {
		due = next_due(k);
		if (due >= k->measure_to || k->free.first == NULL)
			return INT64_MAX;
		if (due > k->now)
			return due - k->now;
		if ((l = link_take(k)) != NULL)
			link_begin(k, l, due);
	}
}

/* Whether all that was due before the end has its answer. */
static int
finished(const struct load *k)
{
	return next_due(k) >= k->measure_to && k->waiting == 0 &&
	    k->retry.first == NULL;
}

/* One turn: what is due, then what is ready. `wait` bounds its length. */
static void
turn(struct load *k, int64_t wait)
{
	static struct poller_event	 events[POLLER_EVENTS];
	int64_t				 left;
	int				 i, n;

	left = begin_due(k);
	if (left < wait)
		wait = left;
	if (k->retry.first != NULL && k->retry_at - k->now < wait)
		wait = k->retry_at > k->now ? k->retry_at - k->now : 0;
	if ((n = poller_wait(k->poller, events, wait)) == -1)
		err(1, "poller_wait");
	for (i = 0; i < n; i++) {
		link_ready(k, events[i].tag, events[i].ready);
		(void)begin_due(k);
	}
	k->now = link_clock();
}

static uint64_t
count_unanswered(const struct load *k)
{
	const struct link	*l;
	int64_t			 due;
	uint64_t		 n;

	n = (uint64_t)k->waiting;
	for (l = k->retry.first; l != NULL; l = l->next)
		n++;
	/* An open loop that could not even send what was due. */
	due = next_due(k);
	if (option.rate > 0 && due < k->measure_to)
		n += (uint64_t)((double)(k->measure_to - due) *
		    option.rate / 1e9);
	return n;
}

static void
run(struct load *k, struct result_run *about)
{
	double	cpu = 0;
	int	warm = 0;

	k->now = k->start = link_clock();
	k->measure_from = k->start + (int64_t)(option.warm_up * 1e9);
	k->measure_to = k->measure_from + (int64_t)(option.seconds * 1e9);
	while (!finished(k) && k->now < k->measure_to + DRAIN) {
		if (!warm && k->now >= k->measure_from) {
			warm = 1;
			cpu = cpu_seconds();
		}
		if (stopped && k->now < k->measure_to)
			k->measure_to = k->now;
		link_retry(k);
		turn(k, TURN);
	}
	if (k->now < k->measure_to)
		k->measure_to = k->now;		/* all of -n is done */
	k->result.unanswered = count_unanswered(k);
	about->seconds = (double)(k->measure_to - k->measure_from) / 1e9;
	if (about->seconds < 0)
		about->seconds = 0;
	about->cpu_share = !warm ? 0 : (cpu_seconds() - cpu) /
	    ((double)(k->now - k->measure_from) / 1e9);
}

/* For a checker: what each user was granted, and what nobody can know. */
static void
dump(const struct result *r, const char *path)
{
	FILE		*out;
	uint32_t	 i;

	if ((out = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	for (i = 0; i < option.users; i++)
		if (r->user[i].accepted > 0 || r->user[i].unknown > 0)
			(void)fprintf(out, "%s %u %u\n", traffic_user(i),
			    r->user[i].accepted, r->user[i].unknown);
	if (fclose(out) == EOF)
		err(1, "%s", path);
}

int
main(int argc, char *argv[])
{
	static struct load	 k;
	struct result_run	 about;
	const char		*reason;

	parse_options(argc, argv);
	if (argc - optind != 1)
		usage();
	if (endpoint_parse(&k.where, argv[optind], &reason) == -1)
		errx(1, "%s: %s", argv[optind], reason);
	if ((k.poller = poller_new()) == NULL)
		err(1, "poller_new");
	traffic_init(&k.traffic, option.users, option.seed, option.recipients,
	    option.domain);
	k.traffic.in_turn = option.in_turn;
	k.one_shot = option.one_shot;
	if (option.dump != NULL && (k.result.user = calloc(option.users,
	    sizeof(*k.result.user))) == NULL)
		err(1, "calloc");
	if (signal(SIGINT, on_signal) == SIG_ERR ||
	    signal(SIGTERM, on_signal) == SIG_ERR)
		err(1, "signal");
	open_links(&k);
	about.rate = option.rate;
	about.connections = option.connections;
	about.idle = option.idle;
	run(&k, &about);
	result_print(&k.result, &about, stdout);
	if (fflush(stdout) == EOF)
		err(1, "stdout");
	if (option.dump != NULL)
		dump(&k.result, option.dump);
	return 0;
}
