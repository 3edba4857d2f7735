#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "parent/readable.h"
#include "parent/run_as.h"
#include "sandbox/privileges.h"

/*
 * libpq ignores or refuses a file with a secret that others than its owner may
 * read, except a key of root that a group may read.
 */
#define OTHERS		(S_IRWXG | S_IRWXO)
#define OTHERS_OF_ROOTS	(S_IWGRP | S_IXGRP | S_IRWXO)
#define STATUS_OPEN	255		/* no errno: others may read it */

enum readable_secret {
	READABLE_ANY,
	READABLE_IGNORED,		/* by libpq, if others may read it */
	READABLE_REFUSED		/* and then there is no connection */
};

/*
 * A file that the setting `name` names. Without it the library looks at `home`
 * in the user's home directory, but only beside the setting `with` and not
 * beside `unless`.
 */
struct readable {
	const char		*name;
	const char		*home;
	const char		*with;
	const char		*unless;
	enum readable_secret	 secret;
};

static const struct readable	pgsql_files[] = {
	{ .name = "sslrootcert", .home = ".postgresql/root.crt" },
	{ .name = "sslcert", .home = ".postgresql/postgresql.crt" },
	{ .name = "sslkey", .home = ".postgresql/postgresql.key",
	    .secret = READABLE_REFUSED },
	{ .name = "sslcrl", .home = ".postgresql/root.crl" },
	{ .name = "passfile", .home = ".pgpass", .unless = "password",
	    .secret = READABLE_IGNORED },
	{ .home = ".pg_service.conf", .with = "service" }
};
static const struct readable	mysql_files[] = {
	{ .name = "read_default_file" },
	{ .name = "server_public_key_path" },
	{ .home = ".my.cnf", .with = "read_default_group" }
};
static const struct readable	mysql_tls_files[] = {
	{ .name = "ca" }, { .name = "capath" }, { .name = "cert" },
	{ .name = "key" }
};
static const struct readable	tls_file = { .name = "smtp_tls_cafile" };

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

/*
 * A process without root opens the file: 0, the errno of open(2), or
 * STATUS_OPEN.
 */
static int
try_open(const char *path, const struct readable *r,
    const struct msg_identity *identity)
{
	struct stat	sb;
	mode_t		others = OTHERS;
	pid_t		pid;
	int		fd, status;

	if ((pid = fork()) == -1)
		return 0;
	if (pid == 0) {
		if (privileges_drop_ids(identity) == -1 || (fd = open(path,
		    O_RDONLY | O_NONBLOCK | O_CLOEXEC)) == -1)
			_exit(errno);
		if (r->secret == READABLE_ANY)
			_exit(0);
		if (fstat(fd, &sb) == -1 || !S_ISREG(sb.st_mode))
			_exit(STATUS_OPEN);
		if (r->secret == READABLE_REFUSED && sb.st_uid == 0)
			others = OTHERS_OF_ROOTS;
		_exit((sb.st_mode & others) == 0 ? 0 : STATUS_OPEN);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* `v`: the place in the configuration. In the home directory it need not be. */
static void
check_file(const struct value *v, const struct readable *r,
    const char *path, bool named, const struct msg_identity *identity,
    struct faults *faults)
{
	int		 error = try_open(path, r, identity);
	bool		 fatal;
	struct str	 why;

	if (error == 0 || (error == ENOENT && !named))
		return;
	str_init(&why);
	if (error == STATUS_OPEN) {
		fatal = r->secret == READABLE_REFUSED;
		str_addf(&why, "others than its owner may read it, so libpq %s",
		    fatal ? "does not connect" : "ignores it");
	} else {
		fatal = error == EACCES && identity->drop;
		str_adds(&why, strerror(error));
		if (fatal)
			str_addf(&why, " (it is read as user \"%s\", not as "
			    "root)", identity->user);
	}
	(fatal && named ? fault_error : fault_warning)(faults, v->line,
	    v->column, "%s \"%s\": %s", named ? r->name : "file", path,
	    why.data);
	str_clear(&why);
}

static bool
has(const struct value *dict, const char *name)
{
	const struct value	*v = value_get(dict, name);

	return v != NULL && v->type == VALUE_STR && v->len > 0;
}

static void
check_files(const struct value *dict, const struct readable *r, size_t n,
    const struct msg_identity *identity, struct faults *faults)
{
	const struct value	*v;
	char			*path;

	for (; dict != NULL && n > 0; r++, n--) {
		v = r->name != NULL ? value_get(dict, r->name) : NULL;
		/* Not "system", which libpq takes for the system's store. */
		if (v != NULL && v->type != VALUE_NONE) {
			if (v->type == VALUE_STR && strchr(v->bytes, '/') !=
			    NULL)
				check_file(v, r, v->bytes, true, identity,
				    faults);
			continue;
		}
		if (r->home == NULL || identity->home[0] == '\0' ||
		    (r->with != NULL && !has(dict, r->with)) ||
		    (r->unless != NULL && has(dict, r->unless)))
			continue;
		path = alloc_printf("%s/%s", identity->home, r->home);
		check_file(dict, r, path, false, identity, faults);
		free(path);
	}
}

void
readable_check(const struct settings *s, struct faults *faults)
{
	struct msg_identity	identity;
	char			why[WHY_MAX];

	/* A missing user is reported elsewhere. */
	if (run_as_find(&identity, s, why) == -1)
		return;
	if (s->smtp_tls_cafile != NULL)
		check_file(settings_lookup(s, tls_file.name), &tls_file,
		    s->smtp_tls_cafile, true, &identity, faults);
	if (s->backend == BACKEND_PGSQL)
		check_files(s->pgsql_config, pgsql_files, COUNT(pgsql_files),
		    &identity, faults);
	if (s->backend != BACKEND_MYSQL)
		return;
	check_files(s->mysql_config, mysql_files, COUNT(mysql_files),
	    &identity, faults);
	check_files(value_get(s->mysql_config, "ssl"), mysql_tls_files,
	    COUNT(mysql_tls_files), &identity, faults);
}
