#include <sys/types.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/paths.h"
#include "ctl/answer.h"
#include "ctl/ask.h"
#include "ctl/candidate.h"
#include "ctl/duration.h"
#include "ctl/follow.h"
#include "ctl/health.h"
#include "ctl/json.h"
#include "ctl/openmetrics.h"
#include "ctl/page.h"
#include "ctl/question.h"
#include "ctl/show.h"
#include "ctl/terminal.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"

/*
 * policyctl: sends a command to the daemon's control socket. The daemon decides
 * who may use which command.
 */
enum {
	STATUS_OK = 0,
	STATUS_USAGE = 1,
	STATUS_NOBODY = 2,	/* no daemon answers */
	STATUS_FAILED = 3	/* refused, failed, or output lost */
};
/* Only `status` and `page` exit with the statuses of enum health. */

#define WATCH_MS	2000
#define WATCH_REST	4	/* times what an answer took */
#define WATCH_MOST_MS	60000
#define PATIENCE_MAX	86400
#define PATIENCE_S	150	/* more than the daemon waits for one */
#define EXPLAIN_MAX	255		/* most words, by the daemon */

static const char *const	status_lists[] = {
	"processes", "counters", NULL
};
static const char *const	override_lists[] = {
	"locks", "blocks", "grants", NULL
};
static const char *const	reset_lists[] = { "resets", NULL };
static const char *const	charge_lists[] = { "charges", "windows", NULL };
static const char *const	top_lists[] = { "ids", NULL };
static const char *const	explain_lists[] = {
	"locks", "blocks", "keys", "windows", NULL
};
static const char *const	why_lists[] = {
	"refusals", "windows", "shared", "help", NULL
};
static const char *const	try_lists[] = {
	"rules", "refused", "windows", "skipped", NULL
};
static const char *const	metrics_lists[] = {
	"metrics", "samples", NULL
};

struct command {
	const char		*name;
	int			 min;		/* words after it */
	int			 max;
	const char		*arguments;	/* of its usage */
	/* Prints an answer; NULL: it is a text. */
	void			(*show)(struct str *, const struct answer *,
				    size_t);
	const char *const	*lists;		/* with -j, also if empty */
	/* The word of this number and those after it are a time. 0: none. */
	int			 time_at;
	bool			(*time)(struct str *, char **, int);
	/* Adds a word in a form of its own. False: it cannot, and said why. */
	bool			(*word)(struct str *, const char *);
	/*
	 * Asks, prints the answers, and returns the exit status. NULL: `once`
	 * does that.
	 */
	int			(*run)(const struct str *);
};

static int	follow_events(const struct str *question);

static const struct command	commands[] = {
	{ .name = "status", .arguments = "[-q]",
	    .lists = status_lists, .show = show_status },
	{ .name = "show", .min = 1, .max = 1, .arguments = "id",
	    .lists = explain_lists, .show = show_id },
	{ .name = "top", .max = 1, .arguments = "[-w] [--by fill | used | "
	    "refused] [--group domain] [--window time] [--rule name] [n]",
	    .lists = top_lists, .show = show_top },
	{ .name = "why", .max = EXPLAIN_MAX, .arguments = "[-n number] "
	    "[queueid | login | address | line]",
	    .lists = why_lists, .show = show_why },
	{ .name = "explain", .max = EXPLAIN_MAX,
	    .arguments = "[name=value ...]",
	    .lists = explain_lists, .show = show_explain },
	{ .name = "reset", .min = 1, .max = 1, .arguments = "id",
	    .lists = reset_lists, .show = show_reset },
	{ .name = "charge", .min = 2, .max = 3,
	    .arguments = "rule:id n [instance]",
	    .lists = charge_lists, .show = show_charge },
	{ .name = "list", .arguments = "[-n number]",
	    .lists = override_lists, .show = show_overrides },
	{ .name = "grant", .min = 3, .max = 5, .arguments = "id n duration",
	    .time_at = 2, .time = question_duration },
	{ .name = "ungrant", .min = 1, .max = 1, .arguments = "id" },
	{ .name = "trust", .min = 2, .max = 2, .arguments = "id network" },
	{ .name = "forget", .min = 2, .max = 3, .arguments = "id since",
	    .time_at = 1, .time = question_since },
	{ .name = "block", .min = 2, .max = EXPLAIN_MAX,
	    .arguments = "what duration [reason]",
	    .time_at = 1, .time = question_duration },
	{ .name = "unblock", .min = 1, .max = 1, .arguments = "what" },
	{ .name = "try", .max = 1, .arguments = "[-n k] [file]",
	    .word = candidate_add, .lists = try_lists, .show = show_try },
	{ .name = "reload", .arguments = "" },
	{ .name = "report", .arguments = "" },
	{ .name = "clean", .arguments = "" },
	{ .name = "log", .min = 1, .max = 1, .arguments = "debug | brief" },
	{ .name = "metrics", .arguments = "[-p]",
	    .lists = metrics_lists, .show = show_metrics },
	{ .name = "events", .arguments = "", .run = follow_events },
	{ .name = "page", .max = 1, .arguments = "[file]" },
};

#define NCOMMANDS	(sizeof(commands) / sizeof(commands[0]))

static struct {
	char		*socket;
	int64_t		 patience;	/* seconds without a byte */
	bool		 json;
	bool		 watch;
	bool		 quiet;
	bool		 sent;		/* or the usage was wrong */
	bool		 prometheus;
	bool		 counted;	/* -n was given */
} option;

/* Options after a command. */
static const struct flag {
	const char	*command;
	const char	*name;
	bool		*set;		/* NULL: it has a value */
	const char	*prefix;	/* of the value, for the daemon */
} flags[] = {
	{ "status", "-q", &option.quiet, NULL },
	{ "top", "-w", &option.watch, NULL },
	{ "metrics", "-p", &option.prometheus, NULL },
	{ "list", "-n", NULL, "" },
	{ "top", "-n", NULL, "" },
	{ "top", "--by", NULL, "by=" },
	{ "top", "--group", NULL, "group=" },
	{ "top", "--rule", NULL, "rule=" },
	{ "top", "--window", NULL, "window=" },
	{ "try", "-n", NULL, "k=" },
};

static void
usage_of(FILE *f, const char *head, const struct command *command)
{
	fprintf(f, "%s policyctl %s%s%s\n", head, command->name,
	    *command->arguments != '\0' ? " " : "", command->arguments);
}

static void
usage(FILE *f)
{
	size_t	i;

	fprintf(f, "usage: policyctl [-jhV] [-s socket] [-t seconds] "
	    "command\n");
	for (i = 0; i < NCOMMANDS; i++)
		usage_of(f, "      ", &commands[i]);
}

/* --- the answer --- */

/* Writes and clears the output. Returns the status, or STATUS_FAILED. */
static int
print(struct str *out, int status)
{
	if (out->len > 0)
		(void)fwrite(out->data, out->len, 1, stdout);
	str_clear(out);
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	/* A reader that closes the pipe has seen enough. */
	if (errno != EPIPE)
		fprintf(stderr, "policyctl: standard output: %s\n",
		    strerror(errno));
	return STATUS_FAILED;
}

/* Prints why there is no answer, on standard error and with -j as an object. */
static void
complain(struct str *out, const char *printable, int status)
{
	struct str	text;

	str_init(&text);
	show_lines(&text, printable);
	fprintf(stderr, "policyctl: %s", text.data);
	str_clear(&text);
	if (option.json)
		json_add_error(out, printable, status);
}

static void
add_answer(struct str *out, const struct command *command,
    const struct answer *a)
{
	if (option.json)
		json_add(out, a, command->lists);
	else if (option.prometheus)
		openmetrics_add(out, a, true);
	else {
		if (option.watch)
			str_adds(out, terminal_anew());
		if (command->show != NULL)
			command->show(out, a, terminal_width());
		else
			show_text(out, a, terminal_width());
	}
}

/*
 * Asks, and prints the answer. Returns the exit status, which for `status` is
 * the health.
 */
static int
once(const struct command *command, const struct str *question)
{
	struct answer	a;
	struct str	out, fault, line;
	enum health	health;
	int		status = STATUS_OK;

	str_init(&out);
	str_init(&fault);
	str_init(&line);
	option.sent = true;
	/* With -j, -q has no effect. */
	option.quiet = option.quiet && !option.json;
	health = ask_whole(option.socket, option.patience, question, &a,
	    &fault);
	if (health != HEALTH_WELL)
		status = STATUS_NOBODY;
	else if (a.failed) {
		status = STATUS_FAILED;
		health = HEALTH_UNKNOWN;
		str_adds(&fault, a.error);
	}
	if (status != STATUS_OK && !option.quiet)
		complain(&out, fault.data, command->show == show_status ?
		    (int)health : status);
	else if (!option.quiet)
		add_answer(&out, command, &a);
	if (command->show == show_status) {
		if (status == STATUS_OK)
			health = health_of(&a, &fault);
		health_line(&line, health, fault.len > 0 ? fault.data : "");
		if (option.quiet)
			show_lines(&out, line.data);
		else if (status == STATUS_OK && health != HEALTH_WELL)
			fprintf(stderr, "policyctl: %s", line.data);
		status = (int)health;
	} else if (status == STATUS_OK &&
	    strcmp(answer_whole(&a, "known"), "0") == 0) {
		fprintf(stderr, "policyctl: never seen: this id has no count, "
		    "no refusal, no block and no grant\n");
		status = STATUS_FAILED;
	}
	status = print(&out, status);
	str_clear(&line);
	str_clear(&fault);
	answer_clear(&a);
	return status;
}

/* Prints events until the daemon ends. */
static int
follow_events(const struct str *question)
{
	struct str	fault, out;
	enum follow_end	end = FOLLOW_LOST;
	int		fd, status = STATUS_OK;

	option.sent = true;
	str_init(&fault);
	str_init(&out);
	fd = ask_connect(option.socket, option.patience, &fault);
	if (fd != -1) {
		(void)ask_write(fd, question);
		end = follow(fd, option.json, &out);
		close(fd);
		if (end == FOLLOW_LOST)
			str_addf(&fault, "%s: ", option.socket);
		str_adds(&fault, out.len > 0 ? out.data : "");
		str_clear(&out);
	}
	if (end == FOLLOW_LOST)
		status = STATUS_NOBODY;
	else if (end == FOLLOW_FAILED)
		status = STATUS_FAILED;
	if (status != STATUS_OK)
		complain(&out, fault.data, status);
	status = print(&out, status);
	str_clear(&fault);
	return status;
}

/* --- the question --- */

/* The command's option of this name; with a NULL name, its first option. */
static const struct flag *
find_flag(const struct command *command, const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].command, command->name) == 0 &&
		    (name == NULL || strcmp(flags[i].name, name) == 0))
			return &flags[i];
	return NULL;
}

/*
 * Shows as many ids as the window has lines for, below a heading of two lines.
 */
static int
watch(const struct command *command, struct str *question)
{
	struct mono	began;
	int64_t		took;
	size_t		len = question->len;
	int		status;

	terminal_keys();
	do {
		began = clock_mono();
		question->len = len;
		if (!option.counted && terminal_is())
			question_number(question, terminal_height() - 3);
		str_addc(question, '\0');
		status = once(command, question);
		/* A pause in proportion: reading many rows is work. */
		took = clock_between(began, clock_mono()) / 1000000;
		took = took * WATCH_REST > WATCH_MOST_MS ? WATCH_MOST_MS :
		    took * WATCH_REST;
	} while (status == STATUS_OK &&
	    terminal_wait(took > WATCH_MS ? (int)took : WATCH_MS));
	terminal_restore();
	return status;
}

/*
 * Adds the words after the command and returns their number. -1: they are
 * wrong, and the reason was printed; *status is STATUS_FAILED if a file is.
 */
static int
add_words(const struct command *command, struct str *question, int argc,
    char **argv, int *status)
{
	const struct flag	*flag;
	int64_t			 length;
	int			 i, words = 0;

	for (i = 1; i < argc; i++) {
		flag = find_flag(command, argv[i]);
		if (flag != NULL && flag->set != NULL) {
			*flag->set = true;
			continue;
		}
		if (flag != NULL && i + 1 < argc && *argv[i + 1] != '\0') {
			i++;
			str_adds(question, flag->prefix);
			if (strcmp(flag->name, "--window") == 0 &&
			    (length = duration_length(argv[i])) != -1)
				question_number(question, (size_t)length);
			else
				question_word(question, argv[i]);
			if (strcmp(flag->name, "-n") == 0)
				option.counted = true;
			continue;
		}
		if (words > 0 && words == command->time_at)
			return command->time(question, argv + i, argc - i) ?
			    words + argc - i : -1;
		/* An empty word would end the request. */
		if (*argv[i] == '\0' || ++words > command->max ||
		    (*argv[i] == '-' && find_flag(command, NULL) != NULL))
			break;
		if (command->word == NULL)
			question_word(question, argv[i]);
		else if (!command->word(question, argv[i])) {
			*status = STATUS_FAILED;
			return -1;
		}
	}
	if (i == argc && words >= command->min)
		return words;
	usage_of(stderr, "usage:", command);
	return -1;
}

static int
run(int argc, char **argv)
{
	const struct command	*command = commands;
	struct str		 question;
	int			 words, status;

	while (command < commands + NCOMMANDS &&
	    strcmp(command->name, argv[0]) != 0)
		command++;
	if (command == commands + NCOMMANDS) {
		fprintf(stderr, "policyctl: unknown command: %s\n", argv[0]);
		usage(stderr);
		return STATUS_USAGE;
	}
	status = command->show == show_status ? (int)HEALTH_UNKNOWN :
	    STATUS_USAGE;
	str_init(&question);
	ask_begin(&question);
	question_word(&question, command->name);
	if (command->show != show_why)
		words = add_words(command, &question, argc, argv, &status);
	else if (question_subject(&question, argv + 1, argc - 1))
		words = argc - 1;
	else {
		usage_of(stderr, "usage:", command);
		words = -1;
	}
	if (words == -1 || (strcmp(command->name, "explain") == 0 &&
	    words == 0 && question_request(&question) == -1))
		goto done;
	option.counted = option.counted || words > 0;
	if (option.watch)
		status = watch(command, &question);
	else {
		str_addc(&question, '\0');
		status = command->run != NULL ? command->run(&question) :
		    once(command, &question);
	}
 done:
	str_clear(&question);
	return status;
}

/* The status to exit with; -1: a command follows. */
static int
read_options(int argc, char **argv)
{
	struct str	none;
	int		c;

	str_init(&none);
	/*
	 * The `+` makes the GNU C library stop at the first word that is not an
	 * option.
	 */
	while ((c = getopt(argc, argv, "+hjs:t:V")) != -1)
		switch (c) {
		case 'h':
			usage(stdout);
			return print(&none, STATUS_OK);
		case 'j':
			option.json = true;
			break;
		case 's':
			free(option.socket);
			option.socket = alloc_string(optarg);
			break;
		case 't':
			if (num_parse(optarg, strlen(optarg), 1, PATIENCE_MAX,
			    &option.patience) == 0)
				break;
			fprintf(stderr, "policyctl: -t: a number of seconds "
			    "from 1 to %d is expected\n", PATIENCE_MAX);
			return STATUS_USAGE;
		case 'V':
			printf("policyctl %s\n", VERSION);
			return print(&none, STATUS_OK);
		default:
			usage(stderr);
			return STATUS_USAGE;
		}
	if (optind < argc)
		return -1;
	usage(stderr);
	return STATUS_USAGE;
}

int
main(int argc, char **argv)
{
	struct str	out;
	int		status;

	str_init(&out);
	(void)signal(SIGPIPE, SIG_IGN);
	option.patience = PATIENCE_S;
	option.socket = alloc_printf("%s/control", paths_rundir);
	if ((status = read_options(argc, argv)) != -1)
		return status;
	if (strcmp(argv[optind], "page") != 0)
		status = run(argc - optind, argv + optind);
	else if (argc - optind <= 2 && !option.json)
		status = (int)page_make(option.socket, option.patience,
		    argv[optind + 1]);
	else {
		fprintf(stderr, "usage: policyctl [-s socket] [-t seconds] "
		    "page [file]\n");
		status = (int)HEALTH_UNKNOWN;
	}
	if (option.json && !option.sent) {
		json_add_error(&out, "not sent; standard error has the reason",
		    status);
		(void)print(&out, status);
	}
	free(option.socket);
	return status;
}
