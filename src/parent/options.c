#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/load.h"
#include "conf/paths.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "lib/str.h"
#include "parent/options.h"
#include "parent/parent.h"
#include "parent/readable.h"
#include "parent/run_as.h"

/* Values of long options without a letter. */
enum {
	OPTION_CLEAN = 256,
	OPTION_GET_CONFIG
};

static const struct option	long_options[] = {
	{ "background",	no_argument,		NULL, 'b' },
	{ "clean",	no_argument,		NULL, OPTION_CLEAN },
	{ "configtest",	no_argument,		NULL, 'n' },
	{ "debug",	no_argument,		NULL, 'd' },
	{ "file",	required_argument,	NULL, 'f' },
	{ "get-config",	required_argument,	NULL, OPTION_GET_CONFIG },
	{ "help",	no_argument,		NULL, 'h' },
	{ "version",	no_argument,		NULL, 'V' },
	{ NULL,		0,			NULL, 0 }
};

static const char	usage[] =
    "usage: policyd-rate-limit [-bdhnV] [-f file] [--clean] "
    "[--get-config name]\n";

static const char	help[] =
    "  -b, --background       detach and run in the background\n"
    "  -d, --debug            log to stderr at full detail\n"
    "  -f, --file FILE        read this configuration file\n"
    "  -h, --help             print this and exit\n"
    "  -n, --configtest       check the configuration and exit\n"
    "  -V, --version          print the version and exit\n"
    "      --clean            delete old records, send the report and exit\n"
    "      --get-config NAME  print one setting and exit\n";

/* Scripts use the output, so it must have been written. */
static int
written(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	perror("policyd-rate-limit: stdout");
	return STATUS_FATAL;
}

static int
wrong(const char *what)
{
	if (what != NULL)
		fprintf(stderr, "policyd-rate-limit: %s\n", what);
	fputs(usage, stderr);
	return STATUS_USAGE;
}

int
options_parse(int argc, char **argv, struct options *o)
{
	int	letter;

	memset(o, 0, sizeof(*o));
	optind = 1;
	while ((letter = getopt_long(argc, argv, "bdf:hnV", long_options,
	    NULL)) != -1) {
		switch (letter) {
		case 'b':
			o->background = true;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'n':
			o->configtest = true;
			break;
		case OPTION_CLEAN:
			o->clean = true;
			break;
		case OPTION_GET_CONFIG:
			o->get_config = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			fputs(help, stdout);
			return written(STATUS_OK);
		case 'V':
			puts("policyd-rate-limit " VERSION);
			return written(STATUS_OK);
		default:
			/* getopt_long has said why. */
			return wrong(NULL);
		}
	}
	if (optind < argc)
		return wrong("only options are expected");
	if ((o->get_config != NULL) + o->configtest + o->clean > 1)
		return wrong("only one of --clean, --configtest and "
		    "--get-config at a time");
	if (o->clean && o->background)
		return wrong("--clean does not run in the background");
	table_set_directories(paths_rundir, paths_statedir);
	return OPTIONS_GO_ON;
}

/*
 * Prints the faults on stderr in the order of the file; without `warnings`,
 * only errors.
 */
static void
print_faults(struct faults *faults, bool warnings)
{
	char	text[2048];
	size_t	i;

	fault_sort(faults);
	for (i = 0; i < faults->count; i++) {
		if (faults->list[i].kind != FAULT_ERROR && !warnings)
			continue;
		fault_print(faults, i, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
}

int
options_fault_status(const struct faults *faults)
{
	return faults->errors > 0 && faults->errors == faults->sockets ?
	    STATUS_SOCKET : STATUS_CONFIG;
}

/*
 * A configuration may be checked on another machine. The default names are not
 * reported, since that user may not exist yet.
 */
static void
check_names(const struct settings *s, struct faults *faults)
{
	const struct {
		const char	*setting;
		const char	*name;
		bool		 user;
	}			 names[] = {
		{ "user", s->user, true }, { "group", s->group, false },
		{ "socket_user", s->socket_user, true },
		{ "socket_group", s->socket_group, false }
	};
	const struct value	*v;
	size_t			 i;
	bool			 found;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		v = settings_lookup(s, names[i].setting);
		if (names[i].name == NULL || v->line == 0)
			continue;
		found = names[i].user ? getpwnam(names[i].name) != NULL :
		    getgrnam(names[i].name) != NULL;
		if (!found)
			fault_warning(faults, v->line, v->column,
			    "there is no %s \"%s\" here", names[i].user ?
			    "user" : "group", names[i].name);
	}
}

int
options_get_config(const struct options *o)
{
	const struct value	*v;
	struct settings		*s;
	struct faults		 faults, names;
	struct str		 text;
	int			 status;

	fault_init(&faults, NULL);
	if ((s = load_settings(o->file, &faults)) == NULL) {
		print_faults(&faults, false);
		status = options_fault_status(&faults);
		fault_clear(&faults);
		return status;
	}
	/* No other warnings, since scripts call this. */
	fault_init(&names, faults.file);
	check_names(s, &names);
	print_faults(&names, true);
	fault_clear(&names);
	str_init(&text);
	if ((v = settings_lookup(s, o->get_config)) == NULL) {
		fprintf(stderr, "%s not found\n", o->get_config);
		status = STATUS_USAGE;
	} else {
		value_print(&text, v);
		if (text.len > 0)
			fwrite(text.data, 1, text.len, stdout);
		status = written(STATUS_OK);
	}
	str_wipe(&text);
	settings_free(s);
	fault_clear(&faults);
	return status;
}

int
options_configtest(const struct options *o)
{
	struct settings	*s;
	struct faults	 faults;
	int		 status;

	fault_init(&faults, NULL);
	s = load_settings(o->file, &faults);
	if (s != NULL) {
		check_names(s, &faults);
		run_as_check_groups(s, false, &faults);
		readable_check(s, &faults);
		check_addresses(s, &faults);
		check_rules_notes(s, &faults);
	}
	if (faults.file == NULL)
		fputs("there is no configuration file: built-in defaults\n",
		    stderr);
	fault_refuse_unknown(&faults);
	print_faults(&faults, true);
	if (s == NULL || faults.errors > 0)
		status = options_fault_status(&faults);
	else {
		puts("configuration OK");
		status = written(STATUS_OK);
	}
	settings_free(s);
	fault_clear(&faults);
	return status;
}
