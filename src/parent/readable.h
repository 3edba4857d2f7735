#ifndef READABLE_H
#define READABLE_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * Files that the settings name for OpenSSL and the library of the database, and
 * those that the library looks for in the user's home directory, are read by
 * the daemon's user, not by root: a fault for each that he cannot read, or that
 * libpq does not take because others may read it.
 */
void	readable_check(const struct settings *, struct faults *);

#endif
