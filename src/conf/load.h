#ifndef LOAD_H
#define LOAD_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * Finds, opens, checks and reads the configuration: search path, both syntaxes,
 * ownership and modes of the file. `file` NULL: search; if there is none, these
 * are the built-in defaults. Returns NULL if the file is missing or unreadable
 * or has any error; `faults` has the reasons, and warnings also on success.
 * faults->file becomes the path used, NULL for the built-in defaults.
 *
 * Only a regular file is read. As root, a file is refused if it belongs to
 * another user, if others, or a group other than root's, may write to it, or if
 * its path is not trusted (trust.h).
 */
struct settings	*load_settings(const char *file, struct faults *);

/*
 * The same for a named file of which only limits are used: whoever may write to
 * it, and nothing is said of passwords in it.
 */
struct settings	*load_limits(const char *file, struct faults *);

#endif
