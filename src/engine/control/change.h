#ifndef CHANGE_H
#define CHANGE_H

#include "engine/control/control.h"

/*
 * Commands that change something about an id. The change is in the database
 * before the answer is sent, and every daemon on it knows it a second later.
 */
void	change_reset(struct control *, const struct control_word *, size_t);
void	change_charge(struct control *, const struct control_word *, size_t);
void	change_grant(struct control *, const struct control_word *, size_t);
void	change_block(struct control *, const struct control_word *, size_t);
void	change_unblock(struct control *, const struct control_word *, size_t);
void	change_ungrant(struct control *, const struct control_word *, size_t);

int	change_reset_on_answer(struct control *, const struct message *);
int	change_charge_on_answer(struct control *, const struct message *);
int	change_on_answer(struct control *, const struct message *);

#endif
