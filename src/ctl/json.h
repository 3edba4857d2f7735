#ifndef JSON_H
#define JSON_H

#include "ctl/answer.h"

/*
 * Appends the answer as one JSON object: the fields of the whole answer, and a
 * list for each kind of record in `lists` (NULL-terminated, or NULL), even if
 * it is empty. Bytes that are not UTF-8 stay in their printable
 * form. Pure.
 */
void	json_add(struct str *, const struct answer *, const char *const *lists);

/* Appends one record as a JSON object and a newline. */
void	json_add_record(struct str *, const struct answer_record *);

/* Appends the JSON object of a command that failed, with its exit status. */
void	json_add_error(struct str *, const char *printable, int status);

#endif
