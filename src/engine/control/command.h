#ifndef COMMAND_H
#define COMMAND_H

#include "engine/control/control.h"

/*
 * The engine's side of a command of policyctl, by its name; NULL: there is
 * none. ctl/main.c has policyctl's side.
 */
const struct control_command	*command_find(const struct control_word *);

#endif
