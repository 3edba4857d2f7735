#ifndef WHY_H
#define WHY_H

#include "engine/control/control.h"

/*
 * The refusals that the ledger keeps: policyctl why, and what show says of
 * them.
 */
void	why_run(struct control *, const struct control_word *, size_t);
int	why_on_answer(struct control *, const struct message *);

/*
 * Asks for the refusals of the ids of a charge. False: there is no ledger. The
 * answer goes to why_show_on_answer, which appends what is known of them; 1:
 * that was all; 0: more comes; -1: malformed.
 */
bool	why_show(struct control *, const struct msg_charge *);
int	why_show_on_answer(struct control *, const struct message *);

#endif
