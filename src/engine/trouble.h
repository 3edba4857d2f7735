#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>

#include "engine/policy.h"

/* Logs once that there are no verdicts, and once that there are again. */
void	trouble_note(bool none, const struct policy *);

#endif
