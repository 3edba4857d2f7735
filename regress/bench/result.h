#ifndef RESULT_H
#define RESULT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"

/* What a run found. All times in nanoseconds. */
#define RESULT_KINDS	16		/* different first words of answers */

struct result_user {
	uint32_t	 accepted;	/* recipients that may pass */
	uint32_t	 unknown;	/* sent, and the connection lost */
};

struct result {
	/* Of what was due after the warm-up: */
	struct histogram latency;
	struct histogram late;		/* sent behind that time */
	uint64_t	 answered;	/* before the end: what throughput is */

	/* Of the whole run: */
	uint64_t	 sent;
	uint64_t	 unanswered;	/* also after the time to drain */
	uint64_t	 lost;		/* closed instead of an answer */
	uint64_t	 closed_idle;	/* closed between requests */
	uint64_t	 refused;	/* connects that failed */
	uint64_t	 malformed;	/* answers that are none; lost too */
	uint64_t	 accepted_recipients;
	uint64_t	 unknown_recipients;
	struct {
		char	 word[32];
		uint64_t count;
	} kind[RESULT_KINDS];

	struct result_user *user;	/* [users], the caller's */
};

/* Of the run itself, for what is printed. */
struct result_run {
	double	 seconds;		/* that were measured */
	double	 cpu_share;		/* of one core, the generator's own */
	double	 rate;			/* 0: closed loop */
	int	 connections;
	int	 idle;
};

/*
 * Counts one whole answer, `len` bytes with its empty line. Returns 1 when it
 * lets the mail pass, 0 when it does not, -1 when it is no answer.
 */
int	result_answer(struct result *, const char *, size_t len);

/* Everything as one JSON object and a newline. */
void	result_print(const struct result *, const struct result_run *, FILE *);

#endif
