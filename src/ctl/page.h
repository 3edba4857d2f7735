#ifndef PAGE_H
#define PAGE_H

#include "ctl/health.h"

/*
 * `policyctl page`: asks the daemon at this control socket what an operator
 * looks at first, and writes it as an HTML file, with the mode 0640 and in one
 * step; with NULL to standard output. Where the daemon or its database is away,
 * the page says so. Returns the health of both, or HEALTH_UNKNOWN if the page
 * could not be written. Faults are printed.
 */
enum health	page_make(const char *path, int64_t patience, const char *file);

#endif
