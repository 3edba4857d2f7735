#ifndef COMMAND_H
#define COMMAND_H

#include "engine/control.h"

/* policyctl's commands: the one table of them. NULL: there is none. */
const struct control_command	*command_find(const struct control_word *);

#endif
