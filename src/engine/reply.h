#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"
#include "lib/window.h"

/*
 * Answers to policyctl: one record on each line, its kind and then its fields,
 * each preceded by a tab: name=text, name#number, name?0 or name?1. The fields
 * of a record without a kind belong to the whole answer. str_printable has made
 * the texts safe. Pure.
 */
void	reply_begin(struct str *, const char *kind);
void	reply_end(struct str *);

void	reply_bytes(struct str *, const char *name, const void *, size_t);
void	reply_text(struct str *, const char *name, const char *);
void	reply_number(struct str *, const char *name, int64_t);
void	reply_bool(struct str *, const char *name, bool);

/*
 * The fields retry_after and never. A retry_after of -1 is written as the
 * length of the window, as in the answer to Postfix.
 */
void	reply_retry_after(struct str *, int64_t retry_after,
	    const struct limit *);

/* The fields until (seconds since 1970) and forever, of a block or grant. */
void	reply_until(struct str *, int64_t until);

#endif
