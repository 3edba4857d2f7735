#ifndef CHANGE_H
#define CHANGE_H

#include "engine/control.h"

/*
 * What an administrator changes of one id. It is in the database when it is
 * answered, and known to every daemon on it a second later.
 */
void	change_reset(struct control *, const struct control_word *, size_t);
void	change_grant(struct control *, const struct control_word *, size_t);
void	change_block(struct control *, const struct control_word *, size_t);
void	change_unblock(struct control *, const struct control_word *, size_t);
void	change_ungrant(struct control *, const struct control_word *, size_t);
void	change_list(struct control *, const struct control_word *, size_t);
void	change_list_late(struct control *);
int	change_list_told(struct control *, const struct message *);

int	change_reset_told(struct control *, const struct message *);
int	change_told(struct control *, const struct message *);

#endif
