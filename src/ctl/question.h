#ifndef QUESTION_H
#define QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/str.h"

/* The words of a question to the daemon. Faults are printed. */

void	question_word(struct str *question, const char *word);
void	question_number(struct str *question, size_t n);

/*
 * Adds a captured request from standard input: lines of name=value up to an
 * empty one. -1: there is none.
 */
int	question_request(struct str *question);

/* Makes a time in the past one word. False: it is not such a time. */
bool	question_since(struct str *question, char **words, int n);

/*
 * Adds the duration at the start of these words as one word of the question,
 * and the words after it, the reason, as another. False: they do not start with
 * a duration.
 */
bool	question_duration(struct str *question, char **words, int n);

/*
 * Adds the subject of `why`: an id, or the words of a line of Postfix's log;
 * without words, everybody. False: there is no subject in the words.
 */
bool	question_subject(struct str *question, char **words, int n);

#endif
