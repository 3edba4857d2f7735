#ifndef CHANGE_LIST_H
#define CHANGE_LIST_H

#include "engine/control/control.h"

/*
 * Lists the blocks, locks and grants in force; with a number, so many of the
 * newest of each kind. While the database is away, it lists those that are
 * known, and says so.
 */
void	change_list(struct control *, const struct control_word *, size_t);
void	change_list_on_state(struct control *, const struct msg_state *);
int	change_list_on_answer(struct control *, const struct message *);
void	change_list_on_timeout(struct control *);

#endif
