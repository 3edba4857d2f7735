#ifndef CHANGE_H
#define CHANGE_H

#include "engine/control/control.h"

/*
 * Commands that change something about an id. The change is in the database
 * before the answer is sent, and every daemon on it knows it a second later.
 * With one word, change_grant and change_block end a grant and a block.
 */
void	change_reset(struct control *, const struct control_word *, size_t);
void	change_charge(struct control *, const struct control_word *, size_t);
void	change_grant(struct control *, const struct control_word *, size_t);
void	change_block(struct control *, const struct control_word *, size_t);

int	change_reset_on_answer(struct control *, const struct message *);
int	change_charge_on_answer(struct control *, const struct message *);
int	change_on_answer(struct control *, const struct message *);

/*
 * Begins the event of a command, which is sent when it is done: events_add.
 */
void	change_event_begin(struct control *, const char *id, size_t idlen);

/*
 * change_habit.c: what rules that count new recipients know of an id. Makes a
 * network familiar, or unlearns what was learned since a time. change_on_answer
 * takes the answer.
 */
void	change_habit_trust(struct control *, const struct control_word *,
	    size_t);
void	change_habit_forget(struct control *, const struct control_word *,
	    size_t);

/*
 * change_list.c: lists the blocks, locks and grants in force; with a number, so
 * many of the newest of each kind. While the database is away, it lists those
 * that are known, and says so.
 */
void	change_list(struct control *, const struct control_word *, size_t);
void	change_list_on_state(struct control *, const struct msg_state *);
int	change_list_on_answer(struct control *, const struct message *);
void	change_list_on_timeout(struct control *);

#endif
