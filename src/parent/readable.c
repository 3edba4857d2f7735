#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "parent/identity.h"
#include "parent/readable.h"
#include "sandbox/privileges.h"

static const char *const	pgsql_files[] = {
	"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile", NULL
};
static const char *const	mysql_files[] = {
	"read_default_file", "server_public_key_path", NULL
};
static const char *const	mysql_tls_files[] = {
	"ca", "capath", "cert", "key", NULL
};

/* A process that gave root up tries: 0, or the errno of its open(2). */
static int
readable_error(const char *path, const struct msg_identity *identity)
{
	pid_t	pid;
	int	status;

	if ((pid = fork()) == -1)
		return 0;
	if (pid == 0) {
		if (privileges_drop_ids(identity) == -1 ||
		    open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) == -1)
			_exit(errno);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void
readable_file(const struct value *v, const char *name, const char *path,
    const struct msg_identity *identity, struct faults *faults)
{
	int	error;

	if ((error = readable_error(path, identity)) == 0)
		return;
	if (error == EACCES && identity->drop)
		fault_error(faults, v->line, v->column, "%s \"%s\": %s (it is "
		    "read as user \"%s\", not as root)", name, path,
		    strerror(error), identity->user);
	else
		fault_warning(faults, v->line, v->column, "%s \"%s\": %s", name,
		    path, strerror(error));
}

static void
readable_files(const struct value *dict, const char *const *names,
    const struct msg_identity *identity, struct faults *faults)
{
	const struct value	*v;

	for (; dict != NULL && *names != NULL; names++) {
		v = value_get(dict, *names);
		/* Not "system", which libpq takes for the system's store. */
		if (v != NULL && v->type == VALUE_STR &&
		    strchr(v->bytes, '/') != NULL)
			readable_file(v, *names, v->bytes, identity, faults);
	}
}

void
readable_check(const struct settings *s, struct faults *faults)
{
	struct msg_identity	identity;
	char			why[WHY_MAX];

	/* That there is no such user is told elsewhere. */
	if (identity_find(&identity, s, why) == -1)
		return;
	if (s->smtp_tls_cafile != NULL)
		readable_file(settings_lookup(s, "smtp_tls_cafile"),
		    "smtp_tls_cafile", s->smtp_tls_cafile, &identity, faults);
	if (s->backend == BACKEND_PGSQL)
		readable_files(s->pgsql_config, pgsql_files, &identity, faults);
	if (s->backend != BACKEND_MYSQL)
		return;
	readable_files(s->mysql_config, mysql_files, &identity, faults);
	readable_files(value_get(s->mysql_config, "ssl"), mysql_tls_files,
	    &identity, faults);
}
