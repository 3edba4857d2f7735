#ifndef JSON_H
#define JSON_H

#include "ctl/answer.h"

/*
 * Appends the answer as one JSON object: the fields of the answer as a whole,
 * and a list for each kind of record; `lists` (NULL-terminated) are there also
 * when they are empty. Bytes that are no UTF-8 stand there as they are
 * printed. Pure.
 */
void	json_add(struct str *, const struct answer *, const char *const *lists);

/* Appends the object of a command that failed, with its exit status. */
void	json_add_error(struct str *, const char *printable, int status);

/*
 * Appends one JSON string of well-formed UTF-8; what a terminal would act on or
 * not show becomes \uNNNN.
 */
void	json_add_string(struct str *, const char *, size_t);

#endif
