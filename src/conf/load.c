#include <sys/types.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/load.h"
#include "conf/paths.h"
#include "conf/settings.h"
#include "conf/trust.h"
#include "conf/value.h"
#include "conf/syntax/yaml.h"
#include "lib/alloc.h"

#define LOAD_WHY_MAX	512

/* File names, looked for in this order in each directory. */
static const char *const load_names[] = {
	"policyd-rate-limit.conf", "policyd-rate-limit.yaml"
};

/* The syntax that the content has, whatever the file's name. */
enum load_look {
	LOAD_CONF,
	LOAD_YAML,
	LOAD_UNCLEAR
};

/* --- finding and opening --- */

static int
load_open(const char *file)
{
	/* O_NONBLOCK: a FIFO must not block the start; it is rejected later. */
	return open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/*
 * Whether the file does not exist, as far as this user can tell; errno is
 * open(2)'s.
 */
static bool
load_is_missing(const char *file)
{
	struct stat	st;

	if (errno == ENOENT || errno == ENOTDIR)
		return true;
	return errno == EACCES && stat(file, &st) == -1 && errno == EACCES;
}

static void
load_name_file(struct faults *faults, const char *file)
{
	free(faults->file);
	faults->file = alloc_string(file);
}

static void
load_fault_open(struct faults *faults, const char *why)
{
	fault_error(faults, 0, 0, "cannot be opened: %s", why);
}

/*
 * Opens the first file that exists in the directory. 1: *fd is its descriptor,
 * or -1 with a fault; 0: there is none.
 */
static int
load_search_directory(const char *directory, struct faults *faults, int *fd)
{
	char	*file;
	size_t	 i;
	int	 saved;

	for (i = 0; i < sizeof(load_names) / sizeof(load_names[0]); i++) {
		file = alloc_printf("%s/%s", directory, load_names[i]);
		*fd = load_open(file);
		saved = errno;
		if (*fd != -1 || !load_is_missing(file)) {
			load_name_file(faults, file);
			free(file);
			if (*fd == -1)
				load_fault_open(faults, strerror(saved));
			return 1;
		}
		free(file);
	}
	return 0;
}

/* The home directory, which the caller frees; NULL: this user has none. */
static char *
load_home(void)
{
	const struct passwd	*pw;
	const char		*home;

	if ((home = getenv("HOME")) == NULL || *home == '\0')
		home = (pw = getpwuid(getuid())) == NULL ? NULL : pw->pw_dir;
	return home == NULL ? NULL : alloc_printf("%s/.config", home);
}

static int
load_search(struct faults *faults, int *fd)
{
	char	*directory;
	int	 found;

	found = 0;
	if ((directory = load_home()) != NULL)
		found = load_search_directory(directory, faults, fd);
	free(directory);
	if (!found)
		found = load_search_directory(paths_sysconfdir(), faults, fd);
	return found;
}

/* --- judging --- */

/*
 * A user who can write to the file can make root use ids and create directories
 * of his choice. A group counts as others unless it is root's.
 */
static int
load_judge_writers(const struct stat *st, struct faults *faults)
{
	char	why[LOAD_WHY_MAX];

	if (geteuid() != 0) {
		if ((st->st_mode & S_IWOTH) != 0)
			fault_warning(faults, 0, 0,
			    "everybody may write to this file: chmod o-w");
		return 0;
	}
	if (st->st_uid != 0)
		fault_error(faults, 0, 0, "refused: it belongs to uid %lu, "
		    "who may write to it: chown root",
		    (unsigned long)st->st_uid);
	else if ((st->st_mode & S_IWOTH) != 0)
		fault_error(faults, 0, 0,
		    "refused: everybody may write to it: chmod o-w");
	else if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0)
		fault_error(faults, 0, 0,
		    "refused: gid %lu may write to it: chmod g-w",
		    (unsigned long)st->st_gid);
	else if (trust_path(faults->file, why, sizeof(why)) == -1)
		fault_error(faults, 0, 0, "refused: another user decides "
		    "what is found there: %s", why);
	else
		return 0;
	return -1;
}

static int
load_judge(int fd, struct stat *st, bool limits, struct faults *faults)
{
	if (fstat(fd, st) == -1) {
		load_fault_open(faults, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st->st_mode)) {
		fault_error(faults, 0, 0, "%s", S_ISDIR(st->st_mode) ?
		    "a directory, not a file" : "not a regular file");
		return -1;
	}
	if (st->st_size > LITERAL_FILE_MAX) {
		fault_error(faults, 0, 0, "larger than %d bytes",
		    LITERAL_FILE_MAX);
		return -1;
	}
	return limits ? 0 : load_judge_writers(st, faults);
}

/*
 * Whether it is a password, and not a placeholder of the samples such as
 * "*****".
 */
static bool
load_is_password(const struct value *v)
{
	return v->type == VALUE_STR && strspn(v->bytes, "*") < v->len;
}

/* libpq accepts a connection string in place of a database name. */
static bool
load_is_password_in(const struct value *key, const struct value *v)
{
	return strstr(key->bytes, "passw") != NULL ||
	    strcmp(key->bytes, "dsn") == 0 ||
	    ((strcmp(key->bytes, "dbname") == 0 ||
	    strcmp(key->bytes, "database") == 0) &&
	    (strstr(v->bytes, "password=") != NULL ||
	    strncmp(v->bytes, "postgres", 8) == 0) &&
	    strpbrk(v->bytes, "=@") != NULL);
}

/* Whether the value holds a secret. */
static bool
load_is_secret(const struct value *v)
{
	const struct value	*key;
	size_t			 i;

	if (v->type == VALUE_LIST || v->type == VALUE_TUPLE)
		return v->count > 1 && load_is_password(v->items[1]);
	if (v->type != VALUE_DICT)
		return false;
	for (i = 0; i + 1 < v->count; i += 2) {
		key = v->items[i];
		if (key->type == VALUE_STR &&
		    load_is_password(v->items[i + 1]) &&
		    load_is_password_in(key, v->items[i + 1]))
			return true;
	}
	return false;
}

static void
load_judge_readers(const struct stat *st, const struct settings *s,
    struct faults *faults)
{
	const struct settings_info	*info;
	const struct value		*v;
	size_t				 i;

	if ((st->st_mode & S_IROTH) == 0)
		return;
	for (i = 0; i < settings_count(); i++) {
		info = settings_info(i);
		if (!info->secret ||
		    (v = settings_lookup(s, info->name)) == NULL ||
		    v->line == 0 || !load_is_secret(v))
			continue;
		fault_warning(faults, v->line, v->column, "%s holds a password "
		    "and everybody may read this file: chmod o-r", info->name);
	}
}

/* --- reading --- */

/*
 * The content of the file, which the caller must freezero(); NULL with a fault.
 */
static char *
load_bytes(int fd, size_t size, size_t *len, struct faults *faults)
{
	char	*bytes;
	ssize_t	 n;

	/* One more byte shows whether the file has grown. */
	bytes = alloc_zero(size + 1, 1);
	for (*len = 0; *len <= size; *len += (size_t)n) {
		n = read(fd, bytes + *len, size + 1 - *len);
		if (n == 0)
			return bytes;
		if (n == -1 && errno == EINTR)
			n = 0;
		if (n == -1) {
			fault_error(faults, 0, 0, "cannot be read: %s",
			    strerror(errno));
			break;
		}
	}
	if (*len > size)
		fault_error(faults, 0, 0,
		    "another process writes to it: try again");
	freezero(bytes, size + 1);
	return NULL;
}

static bool
load_is_yaml(const char *file)
{
	const char	*dot;

	dot = strrchr(file, '.');
	return dot != NULL && (strcasecmp(dot, ".yaml") == 0 ||
	    strcasecmp(dot, ".yml") == 0);
}

/* Decides by what follows the first word of most lines: `=` or `: `. */
static enum load_look
load_look(const char *p, size_t len)
{
	const char	*end;
	size_t		 conf, yaml;

	end = p + len;
	for (conf = yaml = 0; p < end; p++) {
		for (len = 0; p < end &&
		    (isalnum((unsigned char)*p) || *p == '_'); p++)
			len++;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (len > 0 && p < end && *p == '=')
			conf++;
		else if (len > 0 && p < end && *p == ':')
			yaml++;
		while (p < end && *p != '\n')
			p++;
	}
	return conf > yaml ? LOAD_CONF : yaml > conf ? LOAD_YAML : LOAD_UNCLEAR;
}

static struct value *
load_parse(const char *bytes, size_t len, struct faults *faults)
{
	struct value	*dict;
	bool		 yaml;

	yaml = load_is_yaml(faults->file);
	dict = yaml ? yaml_file(bytes, len, faults) :
	    literal_file(bytes, len, faults);
	if (faults->errors == 0)
		return dict;
	if (yaml && load_look(bytes, len) == LOAD_CONF)
		fault_warning(faults, 0, 0, "this is read as YAML, as its name "
		    "says, but looks like name = value: let its name end in "
		    ".conf");
	else if (!yaml && load_look(bytes, len) == LOAD_YAML)
		fault_warning(faults, 0, 0, "this is read as name = value, but "
		    "looks like YAML: let its name end in .yaml");
	return dict;
}

static struct settings *
load_file(int fd, bool limits, struct faults *faults)
{
	struct settings	*s;
	struct value	*dict;
	struct stat	 st;
	char		*bytes;
	size_t		 len;

	if (load_judge(fd, &st, limits, faults) == -1 || (bytes = load_bytes(fd,
	    (size_t)st.st_size, &len, faults)) == NULL)
		return NULL;
	dict = load_parse(bytes, len, faults);
	freezero(bytes, (size_t)st.st_size + 1);
	s = settings_adopt(dict, faults);
	check_settings(s, faults);
	if (!limits)
		load_judge_readers(&st, s, faults);
	return s;
}

static struct settings *
load_found(int fd, bool limits, struct faults *faults)
{
	struct settings	*s;

	if (fd == -1)
		return NULL;
	s = load_file(fd, limits, faults);
	close(fd);
	if (faults->errors == 0)
		return s;
	settings_free(s);
	return NULL;
}

static int
load_open_named(const char *file, struct faults *faults)
{
	int	fd;

	load_name_file(faults, file);
	if ((fd = load_open(file)) == -1)
		load_fault_open(faults, strerror(errno));
	return fd;
}

struct settings *
load_settings(const char *file, struct faults *faults)
{
	int	fd = -1;

	if (file != NULL)
		fd = load_open_named(file, faults);
	else if (!load_search(faults, &fd)) {
		free(faults->file);
		faults->file = NULL;
		return settings_new();
	}
	return load_found(fd, false, faults);
}

struct settings *
load_limits(const char *file, struct faults *faults)
{
	return load_found(load_open_named(file, faults), true, faults);
}
