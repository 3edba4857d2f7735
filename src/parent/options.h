#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "conf/fault.h"

/*
 * The command line (policyd-rate-limit(8)), and the two options that only read
 * the configuration and need no root, no database and no user.
 */
struct options {
	const char	*file;		/* -f, NULL: search */
	const char	*get_config;	/* NULL: not asked for */
	bool		 background;
	bool		 clean;
	bool		 configtest;
	bool		 debug;
};

#define OPTIONS_GO_ON	(-1)

/*
 * OPTIONS_GO_ON, or the status to exit with: what was to be printed, help or
 * what is wrong, has been.
 */
int	options_parse(int argc, char **argv, struct options *);

/* --get-config and -n, from the file to what is printed: the exit status. */
int	options_get_config(const struct options *);
int	options_configtest(const struct options *);

/* Every fault on stderr, in the order of the file; errors alone if so asked. */
void	options_print_faults(struct faults *, bool warnings);

/*
 * The exit status that a configuration with errors asks for: 5, or 4 when
 * SOCKET is all that is wrong.
 */
int	options_fault_status(const struct faults *);

#endif
