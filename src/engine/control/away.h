#ifndef AWAY_H
#define AWAY_H

#include "engine/control/control.h"

/*
 * Fails a command that needs the database, with the reason why the database
 * does not work, as the ledger or the parent knows it. `what`, a literal, is
 * the error that the reason follows; NULL: the state of the database.
 */
void	away_fail(struct control *, const char *what);

#endif
