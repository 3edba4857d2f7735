#ifndef ADDRESSEE_H
#define ADDRESSEE_H

#include "conf/reader.h"

/*
 * Whom report_user tells that a login was limited. A login is chosen by
 * whoever has it or guesses, so that an address is made only where nobody can
 * take it for another one: plain characters, and a domain of
 * report_user_domains.
 */
#define ADDRESSEE_MAX	255	/* bytes, with a NUL */

/* Puts the address into `out`. 0, or -1: this login has none. */
int	addressee_of(const struct settings *, const char *login, size_t len,
	    char out[ADDRESSEE_MAX]);

reader	addressee_read;			/* report_user: char *, or NULL */
reader	addressee_read_domains;		/* struct settings_strings */

#endif
