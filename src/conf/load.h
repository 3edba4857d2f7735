#ifndef LOAD_H
#define LOAD_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * Finds, opens, judges and reads the configuration: the search
 * path, both syntaxes, ownership and modes of the file. `file` NULL: search.
 * NULL when the file named is missing or unreadable or any error was found;
 * faults say why, and hold warnings also on success. faults->file becomes the
 * path used, NULL for defaults.
 *
 * Only a regular file is read. Run as root, one that belongs to somebody else
 * is refused, and so is one that everybody or a group other than root's may
 * write to.
 */
struct settings	*load_settings(const char *file, struct faults *);

#endif
