#ifndef ADDRESSEE_H
#define ADDRESSEE_H

#include "conf/reader.h"

/*
 * The address to which report_user writes that a login was limited. A client
 * can send any text as a login, so an address is made only of plain characters,
 * and only in a domain of report_user_domains.
 */
#define ADDRESSEE_MAX	255	/* bytes, with a NUL */

/* Puts the address into `out`. 0, or -1: this login has none. */
int	addressee_of(const struct settings *, const char *login, size_t len,
	    char out[ADDRESSEE_MAX]);

reader	addressee_read;			/* report_user: char *, or NULL */
reader	addressee_read_domains;		/* struct settings_strings */

#endif
