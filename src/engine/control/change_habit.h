#ifndef CHANGE_HABIT_H
#define CHANGE_HABIT_H

#include "engine/control/control.h"

/*
 * What rules that count new recipients know of an id: makes a network familiar,
 * or unlearns what was learned since a time. change_on_answer takes the answer.
 */
void	change_habit_trust(struct control *, const struct control_word *,
	    size_t);
void	change_habit_forget(struct control *, const struct control_word *,
	    size_t);

#endif
