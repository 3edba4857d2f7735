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
#include "conf/table.h"
#include "conf/trust.h"
#include "conf/value.h"
#include "conf/syntax/yaml.h"
#include "lib/alloc.h"

#define LOAD_WHY_MAX	512

/* --- finding and opening --- */

/*
 * Opens the file and names it in the faults; -1 with a fault. A file that is
 * not `required` may be missing, as far as this user can tell: -1, and the
 * faults name no file.
 */
static int
open_file(const char *file, bool required, struct faults *faults)
{
	struct stat	st;
	int		fd, saved;

	/* O_NONBLOCK: a FIFO must not block the start; it is rejected later. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	saved = errno;
	free(faults->file);
	faults->file = NULL;
	if (fd == -1 && !required && (saved == ENOENT || saved == ENOTDIR ||
	    (saved == EACCES && stat(file, &st) == -1 && errno == EACCES)))
		return -1;
	faults->file = alloc_string(file);
	if (fd == -1)
		fault_error(faults, 0, 0, "cannot be opened: %s",
		    strerror(saved));
	return fd;
}

/* Opens the first file that exists. */
static int
open_first(struct faults *faults)
{
	static const char *const	 names[] = {
		"policyd-rate-limit.conf", "policyd-rate-limit.yaml"
	};
	const struct passwd		*pw;
	const char			*home;
	char				*file;
	size_t				 i;
	int				 fd = -1;

	if ((home = getenv("HOME")) == NULL || *home == '\0')
		home = (pw = getpwuid(getuid())) == NULL ? NULL : pw->pw_dir;
	for (i = home == NULL ? 2 : 0; i < 4; i++) {
		file = i < 2 ? alloc_printf("%s/.config/%s", home, names[i]) :
		    alloc_printf("%s/%s", paths_sysconfdir, names[i - 2]);
		fd = open_file(file, false, faults);
		free(file);
		if (faults->file != NULL)
			break;
	}
	return fd;
}

/* --- judging --- */

/*
 * A user who can write to the file can make root use ids and create directories
 * of his choice. A group counts as others unless it is root's.
 */
static int
check_writers(const struct stat *st, struct faults *faults)
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
check_file(int fd, struct stat *st, bool limits, struct faults *faults)
{
	if (fstat(fd, st) == -1) {
		fault_error(faults, 0, 0, "cannot be opened: %s",
		    strerror(errno));
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
	return limits ? 0 : check_writers(st, faults);
}

/* Whether the value has a password, and not a placeholder such as "*****". */
static bool
has_password(const struct value *v)
{
	const struct value	*key, *item;
	size_t			 i;

	for (i = 0; i + 1 < v->count; i += 2) {
		key = v->items[i];
		item = v->items[i + 1];
		if (item->type != VALUE_STR ||
		    strspn(item->bytes, "*") == item->len)
			continue;
		if (v->type != VALUE_DICT)	/* smtp_credentials */
			return true;
		if (key->type != VALUE_STR)
			continue;
		if (strstr(key->bytes, "passw") != NULL ||
		    strcmp(key->bytes, "dsn") == 0)
			return true;
		/* libpq accepts a connection string as a database's name. */
		if ((strcmp(key->bytes, "dbname") == 0 ||
		    strcmp(key->bytes, "database") == 0) &&
		    (strstr(item->bytes, "password=") != NULL ||
		    strncmp(item->bytes, "postgres", 8) == 0) &&
		    strpbrk(item->bytes, "=@") != NULL)
			return true;
	}
	return false;
}

static void
check_readers(const struct stat *st, const struct settings *s,
    struct faults *faults)
{
	const struct reader_row	*row;
	const struct value		*v;
	size_t				 i;

	if ((st->st_mode & S_IROTH) == 0)
		return;
	for (i = 0; i < table_count(); i++) {
		row = table_row(i);
		v = s->values[i];
		if ((row->flags & TABLE_SECRET) != 0 && v->line != 0 &&
		    has_password(v))
			fault_warning(faults, v->line, v->column, "%s holds a "
			    "password and everybody may read this file: "
			    "chmod o-r", row->name);
	}
}

/* --- reading --- */

/*
 * The content of the file, which the caller must freezero(); NULL with a fault.
 */
static char *
read_bytes(int fd, size_t size, size_t *len, struct faults *faults)
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

/*
 * Looks at what follows the first word of most lines: `=` (above 0) or `:`
 * (below 0).
 */
static int
guess_syntax(const char *p, size_t len)
{
	const char	*end = p + len;
	int		 lines = 0;

	for (; p < end; p++) {
		for (len = 0; p < end &&
		    (isalnum((unsigned char)*p) || *p == '_'); p++)
			len++;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (len > 0 && p < end)
			lines += (*p == '=') - (*p == ':');
		while (p < end && *p != '\n')
			p++;
	}
	return lines;
}

static struct value *
parse_bytes(const char *bytes, size_t len, struct faults *faults)
{
	struct value	*dict;
	const char	*dot = strrchr(faults->file, '.');
	bool		 yaml;

	yaml = dot != NULL && (strcasecmp(dot, ".yaml") == 0 ||
	    strcasecmp(dot, ".yml") == 0);
	dict = yaml ? yaml_file(bytes, len, faults) :
	    literal_file(bytes, len, faults);
	if (faults->errors == 0)
		return dict;
	if (yaml && guess_syntax(bytes, len) > 0)
		fault_warning(faults, 0, 0, "this is read as YAML, as its name "
		    "says, but looks like name = value: let its name end in "
		    ".conf");
	else if (!yaml && guess_syntax(bytes, len) < 0)
		fault_warning(faults, 0, 0, "this is read as name = value, but "
		    "looks like YAML: let its name end in .yaml");
	return dict;
}

/* Reads and closes the file; `limits` as load_limits. */
static struct settings *
read_settings(int fd, bool limits, struct faults *faults)
{
	struct settings	*s = NULL;
	struct value	*dict;
	struct stat	 st;
	char		*bytes;
	size_t		 len;

	if (fd == -1)
		return NULL;
	if (check_file(fd, &st, limits, faults) == 0 && (bytes = read_bytes(fd,
	    (size_t)st.st_size, &len, faults)) != NULL) {
		dict = parse_bytes(bytes, len, faults);
		freezero(bytes, (size_t)st.st_size + 1);
		s = settings_adopt(dict, faults);
		check_settings(s, faults);
		if (!limits)
			check_readers(&st, s, faults);
	}
	close(fd);
	if (faults->errors == 0)
		return s;
	settings_free(s);
	return NULL;
}

struct settings *
load_settings(const char *file, struct faults *faults)
{
	int	fd;

	fd = file != NULL ? open_file(file, true, faults) :
	    open_first(faults);
	return faults->file == NULL ? settings_new() :
	    read_settings(fd, false, faults);
}

struct settings *
load_limits(const char *file, struct faults *faults)
{
	return read_settings(open_file(file, true, faults), true, faults);
}
