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
	const char	*get_config;	/* NULL: option absent */
	bool		 background;
	bool		 clean;
	bool		 configtest;
	bool		 debug;
};

#define OPTIONS_GO_ON	(-1)

/*
 * OPTIONS_GO_ON, or the status to exit with; help or an error message was
 * printed then.
 */
int	options_parse(int argc, char **argv, struct options *);

/* --get-config and -n: read the file, print, and return the exit status. */
int	options_get_config(const struct options *);
int	options_configtest(const struct options *);

/*
 * The exit status for a configuration with errors: 4 if only SOCKET is wrong,
 * else 5.
 */
int	options_fault_status(const struct faults *);

#endif
