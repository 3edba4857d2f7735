#ifndef READABLE_H
#define READABLE_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * The daemon's user, not root, reads the files that the settings name for
 * OpenSSL and the library of the database, and those that the library looks for
 * in the user's home directory. Adds a fault for each file that this user
 * cannot read, or that libpq refuses because others may read it.
 */
void	readable_check(const struct settings *, struct faults *);

#endif
