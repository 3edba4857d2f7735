#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/load.h"
#include "lib/log.h"
#include "parent/activation.h"
#include "parent/background.h"
#include "parent/notify.h"
#include "parent/options.h"
#include "parent/parent.h"
#include "parent/reload.h"
#include "parent/run_as.h"
#include "parent/signals.h"
#include "sandbox/sandbox.h"

#define DIRECTORY_MODE	0755

/*
 * Closes inherited descriptors, and opens the first three if they are closed.
 */
static void
tidy_descriptors(struct activation *activation)
{
	int	fd;

	closefrom(activation_take(activation) + 1);
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1) {
			(void)dprintf(STDERR_FILENO, "%s: /dev/null: %s\n",
			    getprogname(), strerror(errno));
			_exit(STATUS_FATAL);
		}
	} while (fd <= STDERR_FILENO);
	close(fd);
}

/* Each client needs a descriptor, and the children inherit our limit. */
static void
raise_limit(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_debug("setrlimit: %s", strerror(errno));
}

/*
 * STATUS_OK, or the status to exit with (policyd-rate-limit(8), EXIT STATUS).
 */
static int
read_configuration(struct parent *p)
{
	struct faults	faults;
	int		status = STATUS_OK;

	fault_init(&faults, NULL);
	p->settings = reload_read(p, &faults);
	if (p->settings == NULL)
		status = options_fault_status(&faults);
	else
		parent_log(p, true);
	reload_log_faults(&faults, NULL);
	if (p->settings != NULL && faults.file == NULL)
		log_notice("no configuration file: all settings are defaults");
	fault_clear(&faults);
	return status;
}

/* Takes the pid file first: nothing is changed if another instance runs. */
static int
open_files(struct parent *p)
{
	const struct directory_new	 new = run_as_directory(&p->identity,
					    DIRECTORY_MODE);
	const struct listeners		 none = { .list = NULL };
	const char			*pidfile = p->settings->pidfile;
	enum pidlock_result		 result = PIDLOCK_OURS;
	char				 why[WHY_MAX];

	if (pidfile != NULL)
		result = pidlock_open(&p->pidlock, pidfile, &new, why);
	if (result == PIDLOCK_RUNNING) {
		log_error("already running: %s", why);
		return STATUS_RUNNING;
	}
	if (result == PIDLOCK_FAILED)
		goto no_pidfile;
	if (sockets_open(&p->listeners, &none, &p->activation, p->settings,
	    &p->identity, why) == -1) {
		log_error("%s", why);
		return STATUS_FATAL;
	}
	activation_end(&p->activation);
	if (pidfile == NULL || pidlock_write(&p->pidlock, why) == 0)
		return STATUS_OK;
 no_pidfile:
	log_error("pid file: %s", why);
	return STATUS_FATAL;
}

static int
run(struct parent *p)
{
	char	why[WHY_MAX];
	uid_t	uid;
	gid_t	gid;
	int	status;

	if ((status = read_configuration(p)) != STATUS_OK)
		return status;
	if (run_as_find(&p->identity, p->settings, why) == -1 ||
	    (p->identity.drop && !p->cleaning &&
	    (run_as_user(p->settings->socket_user, &uid, why) == -1 ||
	    run_as_group(p->settings->socket_group, &gid, why) == -1))) {
		log_error("%s", why);
		return STATUS_NO_USER;
	}
	if (p->background)
		background_begin();
	p->signals = signals_open();
	if (!p->cleaning && (status = open_files(p)) != STATUS_OK)
		return status;
	if (run_as_jail(&p->identity, why) == -1) {
		log_error("%s", why);
		return STATUS_FATAL;
	}
	return serve(p);
}

int
main(int argc, char **argv)
{
	struct parent	parent = { .pidlock.fd = -1, .pidlock.place.dir = -1 };
	struct options	options;
	size_t		i;
	int		status;

	tidy_descriptors(&parent.activation);
	umask(022);
	if ((status = options_parse(argc, argv, &options)) != OPTIONS_GO_ON)
		return status;
	if (options.get_config != NULL)
		return options_get_config(&options);
	if (options.configtest)
		return options_configtest(&options);
	parent.file = options.file;
	parent.debug = options.debug;
	parent.background = options.background;
	parent.cleaning = options.clean;
	for (i = 0; i < SLOT__MAX; i++)
		child_init(&parent.child[i]);
	log_open("parent", LOG_TO_STDERR, -1, options.debug);
	sandbox_prepare(SANDBOX_PARENT);
	raise_limit();
	notify_open(&parent.notify);

	status = run(&parent);
	/* Removes what a failed start has created. */
	sockets_close(&parent.listeners);
	pidlock_close(&parent.pidlock);
	notify_close(&parent.notify);
	settings_free(parent.settings);
	background_end(status, false);
	return status;
}
