#ifndef CONTROL_WORDS_H
#define CONTROL_WORDS_H

#include <stddef.h>

/* The word before a command that says who has called sudo. */
#define CONTROL_SUDO		"sudo_uid="

/*
 * A command of policyctl as it arrives: words, each ended by a NUL byte, and an
 * empty word at the end. Pure.
 */
struct control_word {
	const char	*bytes;		/* NUL-terminated */
	size_t		 len;
};

/*
 * Splits a complete command into *n words, at most `max`, which point into the
 * bytes. 0, or -1: it is malformed.
 */
int	control_words(struct control_word *, size_t max, size_t *n,
	    const char *, size_t len);

/* Length of the complete command at the start of the bytes; 0: incomplete. */
size_t	control_request_end(const char *, size_t len);

#endif
