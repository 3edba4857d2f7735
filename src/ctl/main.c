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
#define PATIENCE_S	150	/* longer than any command takes */
#define EXPLAIN_MAX	255		/* most words, by the daemon */

static const char *const	no_lists[] = { NULL };
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

static const struct command {
	const char		*name;
	int			 min;		/* words after it */
	int			 max;
	const char		*arguments;
	const char *const	*lists;
	void			(*show)(struct str *, const struct answer *,
				    size_t);
} commands[] = {
	{ "status", 0, 0, "[-q]", status_lists, show_status },
	{ "show", 1, 1, "id", explain_lists, show_id },
	{ "top", 0, 1, "[-w] [--by fill | used | refused] [--group domain] "
	    "[--window time] [--rule name] [n]", top_lists, show_top },
	{ "why", 0, EXPLAIN_MAX, "[-n number] [queueid | login | address | "
	    "line]", why_lists, show_why },
	{ "explain", 0, EXPLAIN_MAX, "[name=value ...]", explain_lists,
	    show_explain },
	{ "reset", 1, 1, "id", reset_lists, show_reset },
	{ "charge", 2, 3, "rule:id n [instance]", charge_lists, show_charge },
	{ "list", 0, 0, "[-n number]", override_lists, show_overrides },
	{ "grant", 3, 5, "id n duration", no_lists, show_text },
	{ "ungrant", 1, 1, "id", no_lists, show_text },
	{ "trust", 2, 2, "id network", no_lists, show_text },
	{ "forget", 2, 3, "id since", no_lists, show_text },
	{ "block", 2, EXPLAIN_MAX, "what duration [reason]", no_lists,
	    show_text },
	{ "unblock", 1, 1, "what", no_lists, show_text },
	{ "try", 0, 1, "[-n k] [file]", try_lists, show_try },
	{ "reload", 0, 0, "", no_lists, show_text },
	{ "report", 0, 0, "", no_lists, show_text },
	{ "clean", 0, 0, "", no_lists, show_text },
	{ "log", 1, 1, "debug | brief", no_lists, show_text },
	{ "metrics", 0, 0, "[-p]", metrics_lists, show_metrics },
	{ "events", 0, 0, "", no_lists, NULL },
	{ "page", 0, 1, "[file]", no_lists, NULL },
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
static const struct {
	const char	*command;
	const char	*name;
	bool		*set;
} flags[] = {
	{ "status", "-q", &option.quiet },
	{ "top", "-w", &option.watch },
	{ "metrics", "-p", &option.prometheus },
};

/* Options of a command with a value, and their form for the daemon. */
static const struct {
	const char	*command;
	const char	*name;
	const char	*prefix;
} values[] = {
	{ "list", "-n", "" },
	{ "top", "-n", "" },
	{ "top", "--by", "by=" },
	{ "top", "--group", "group=" },
	{ "top", "--rule", "rule=" },
	{ "top", "--window", "window=" },
	{ "try", "-n", "k=" },
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

/* STATUS_OK if all output was written. */
static int
printed(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return STATUS_OK;
	/* A reader that closes the pipe has seen enough. */
	if (errno != EPIPE)
		fprintf(stderr, "policyctl: standard output: %s\n",
		    strerror(errno));
	return STATUS_FAILED;
}

/* Formats a successful answer. */
static void
answer_show(struct str *out, const struct command *command,
    const struct answer *a)
{
	if (option.json)
		json_add(out, a, command->lists);
	else if (option.prometheus)
		openmetrics_add(out, a, true);
	else {
		if (option.watch)
			str_adds(out, terminal_anew());
		command->show(out, a, terminal_width());
	}
}

/* The end of `policyctl status`: its exit status, and with -q its one line. */
static int
status_end(struct str *out, const struct answer *a, bool answered,
    enum health health, struct str *fault)
{
	struct str	text;

	if (answered)
		health = health_of(a, fault);
	str_init(&text);
	health_line(&text, health, fault->len > 0 ? fault->data : "");
	if (option.quiet)
		show_lines(out, text.data);
	else if (answered && health != HEALTH_WELL) {
		fputs("policyctl: ", stderr);
		fputs(text.data, stderr);
	}
	str_clear(&text);
	return (int)health;
}

static int
once(const struct command *command, const struct str *question)
{
	struct answer	a;
	struct str	out, text, fault;
	enum health	health;
	int		status, answered;

	str_init(&out);
	str_init(&text);
	str_init(&fault);
	option.sent = true;
	/* With -j, -q has no effect. */
	option.quiet = option.quiet && !option.json;
	health = ask_whole(option.socket, option.patience, question, &a,
	    &fault);
	status = health != HEALTH_WELL ? STATUS_NOBODY :
	    a.failed ? STATUS_FAILED : STATUS_OK;
	if (!option.quiet && status == STATUS_NOBODY)
		fprintf(stderr, "policyctl: %s\n", fault.data);
	else if (!option.quiet && status == STATUS_FAILED) {
		show_lines(&text, a.error);
		fprintf(stderr, "policyctl: %s", text.data);
	}
	if (!option.quiet && status == STATUS_OK)
		answer_show(&out, command, &a);
	answered = status;
	if (status == STATUS_OK &&
	    strcmp(answer_whole(&a, "known"), "0") == 0) {
		fprintf(stderr, "policyctl: never seen: this id has no count, "
		    "no refusal, no block and no grant\n");
		status = STATUS_FAILED;
	}
	if (command->show == show_status)
		status = status_end(&out, &a, status != STATUS_NOBODY, health,
		    &fault);
	if (!option.quiet && option.json && answered != STATUS_OK)
		json_add_error(&out, answered == STATUS_NOBODY ? fault.data :
		    a.error, status);
	if (out.len > 0)
		(void)fwrite(out.data, out.len, 1, stdout);
	if (printed() != STATUS_OK)
		status = STATUS_FAILED;
	str_clear(&fault);
	str_clear(&text);
	str_clear(&out);
	answer_clear(&a);
	return status;
}

/* Prints events until the daemon ends. */
static int
follow_events(const struct str *question)
{
	struct str	fault, out;
	enum follow_end	end = FOLLOW_LOST;
	int		fd, status;

	option.sent = true;
	str_init(&fault);
	str_init(&out);
	fd = ask_connect(option.socket, option.patience, &fault);
	if (fd != -1) {
		ask_write(fd, question);
		end = follow(fd, option.json, &out);
		close(fd);
		if (end == FOLLOW_LOST)
			str_addf(&fault, "%s: ", option.socket);
		str_adds(&fault, out.len > 0 ? out.data : "");
		str_clear(&out);
	}
	status = end == FOLLOW_LOST ? STATUS_NOBODY :
	    end == FOLLOW_FAILED ? STATUS_FAILED : STATUS_OK;
	if (status != STATUS_OK) {
		show_lines(&out, fault.data);
		fprintf(stderr, "policyctl: %s", out.data);
		str_clear(&out);
		if (option.json)
			json_add_error(&out, fault.data, status);
	}
	if (out.len > 0)
		(void)fwrite(out.data, out.len, 1, stdout);
	if (printed() != STATUS_OK)
		status = STATUS_FAILED;
	str_clear(&out);
	str_clear(&fault);
	return status;
}

/* --- the question --- */

/* The position of a duration or time in a command's words; 0: it has none. */
static int
duration_at(const struct command *command)
{
	if (strcmp(command->name, "block") == 0 ||
	    strcmp(command->name, "forget") == 0)
		return 1;
	return strcmp(command->name, "grant") == 0 ? 2 : 0;
}

static const struct command *
find_command(const char *name)
{
	size_t	i;

	for (i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool
set_flag(const struct command *command, const char *word)
{
	size_t	i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].command, command->name) == 0 &&
		    strcmp(flags[i].name, word) == 0) {
			*flags[i].set = true;
			return true;
		}
	return false;
}

/* True: `word` is an option, and its value was added to the request. */
static bool
set_value(struct str *question, const struct command *command,
    const char *word, const char *value)
{
	size_t	i;
	char	text[32];

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].command, command->name) == 0 &&
		    strcmp(values[i].name, word) == 0)
			break;
	if (i == sizeof(values) / sizeof(values[0]))
		return false;
	if (strcmp(word, "--window") == 0 && duration_length(value) != -1) {
		(void)snprintf(text, sizeof(text), "%" PRId64,
		    duration_length(value));
		value = text;
	}
	str_adds(question, values[i].prefix);
	question_word(question, value);
	option.counted = option.counted || strcmp(word, "-n") == 0;
	return true;
}

/* Whether the command has options, so that no word of it begins with "-". */
static bool
has_options(const struct command *command)
{
	size_t	i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].command, command->name) == 0)
			return true;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].command, command->name) == 0)
			return true;
	return false;
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

static bool
add_time(const struct command *command, struct str *question, char **words,
    int n)
{
	return strcmp(command->name, "forget") == 0 ?
	    question_since(question, words, n) :
	    question_duration(question, words, n);
}

static int
run_page(int argc, char **argv)
{
	if (argc <= 2 && !option.json)
		return (int)page_make(option.socket, option.patience, argv[1]);
	fprintf(stderr, "usage: policyctl [-s socket] [-t seconds] page "
	    "[file]\n");
	return (int)HEALTH_UNKNOWN;
}

/*
 * Adds the words after the command and returns their number. -1: they are
 * wrong, and the reason was printed; *status is STATUS_FAILED if a file is.
 */
static int
add_words(const struct command *command, struct str *question, int argc,
    char **argv, int *status)
{
	int	i, words = 0;

	for (i = 1; i < argc; i++) {
		if (set_flag(command, argv[i]))
			continue;
		if (i + 1 < argc && *argv[i + 1] != '\0' &&
		    set_value(question, command, argv[i], argv[i + 1])) {
			i++;
			continue;
		}
		if (words > 0 && words == duration_at(command))
			return add_time(command, question, argv + i,
			    argc - i) ? words + argc - i : -1;
		/* An empty word would end the request. */
		if (*argv[i] == '\0' || ++words > command->max ||
		    (*argv[i] == '-' && has_options(command)))
			break;
		if (strcmp(command->name, "try") != 0)
			question_word(question, argv[i]);
		else if (!candidate_add(question, argv[i])) {
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
	const struct command	*command;
	struct str		 question;
	int			 words, status;

	if ((command = find_command(argv[0])) == NULL) {
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
		status = command->show == NULL ? follow_events(&question) :
		    once(command, &question);
	}
 done:
	str_clear(&question);
	return status;
}

/* The object of a command that could not be sent. */
static void
not_sent(int status)
{
	struct str	out;

	str_init(&out);
	json_add_error(&out, "not sent; standard error has the reason", status);
	(void)fwrite(out.data, out.len, 1, stdout);
	(void)printed();
	str_clear(&out);
}

int
main(int argc, char **argv)
{
	int	c, status;

	(void)signal(SIGPIPE, SIG_IGN);
	option.patience = PATIENCE_S;
	option.socket = alloc_printf("%s/control", paths_rundir());
	/*
	 * The `+` makes the GNU C library stop at the first word that is not an
	 * option.
	 */
	while ((c = getopt(argc, argv, "+hjs:t:V")) != -1)
		switch (c) {
		case 'h':
			usage(stdout);
			return printed();
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
			return printed();
		default:
			usage(stderr);
			return STATUS_USAGE;
		}
	if (optind == argc) {
		usage(stderr);
		return STATUS_USAGE;
	}
	status = strcmp(argv[optind], "page") == 0 ?
	    run_page(argc - optind, argv + optind) :
	    run(argc - optind, argv + optind);
	if (option.json && !option.sent)
		not_sent(status);
	free(option.socket);
	return status;
}
