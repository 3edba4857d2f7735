#ifndef CANDIDATE_H
#define CANDIDATE_H

#include <stdbool.h>

#include "lib/str.h"

/*
 * The limits of another configuration, for `policyctl try`: appends a word with
 * the statements of the settings that say what counts and what is limited,
 * without queries. Warnings are printed. False: the file cannot be used, and it
 * was printed why.
 */
bool	candidate_add(struct str *question, const char *file);

#endif
