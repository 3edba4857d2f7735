#ifndef READABLE_H
#define READABLE_H

#include "conf/fault.h"
#include "conf/settings.h"

/*
 * Files that the settings name for OpenSSL and the library of the database are
 * read by the daemon's user, not by root: a fault for each that he cannot read.
 */
void	readable_check(const struct settings *, struct faults *);

#endif
