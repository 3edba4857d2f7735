#ifndef PGSQL_LIBRARY_H
#define PGSQL_LIBRARY_H

#include <libpq-fe.h>

#include "ledger/pgsql/pgsql.h"

/*
 * Copies the first line of an error to the buffer, printable, without libpq's
 * severity in front.
 */
void	pgsql_words(char *, size_t, const char *text);

#endif
