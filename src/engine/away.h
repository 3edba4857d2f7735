#ifndef AWAY_H
#define AWAY_H

#include "engine/control.h"

/*
 * Fails a command that needs the database, with the reason why the database
 * gives no verdict, as the ledger or the parent knows it.
 */
void	away_fail(struct control *);

#endif
