#ifndef MESSAGE_SIMULATE_H
#define MESSAGE_SIMULATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/* What `policyctl try` asks for, and what it is told; as in message.h. */

/*
 * What to try: statements of a configuration, of those that say what counts
 * and what is limited; "": the limits that are in force.
 */
#define SIMULATE_TEXT_MAX	(1024 * 1024)
struct msg_simulate {
	uint32_t	 most_ids;	/* that a suggested limit may refuse */
	const char	*text;
	size_t		 textlen;
};
void	msg_simulate_put(struct str *, const struct msg_simulate *);
int	msg_simulate_get(struct msg_simulate *, const void *, size_t);

enum simulated_kind {
	SIMULATED_SPAN,		/* what was read */
	SIMULATED_RULE,		/* what a rule would have refused */
	SIMULATED_ID,		/* an id that it would have refused */
	SIMULATED_WINDOW,	/* how much ids had in a window */
	SIMULATED_SKIPPED,	/* a rule that says nothing; text: why */
	SIMULATED_FAILED,	/* the end; text: why */
	SIMULATED_DONE,		/* the end */
	SIMULATED__MAX
};
#define SIMULATED_NUMBERS	8	/* engine/control/try.c names them */
struct msg_simulated {
	uint8_t		 kind;		/* enum simulated_kind */
	const char	*rule;		/* its name; "": plain settings */
	size_t		 rulelen;
	const char	*text;		/* an id or a reason */
	size_t		 textlen;
	int64_t		 number[SIMULATED_NUMBERS];
};
void	msg_simulated_put(struct str *, const struct msg_simulated *);
int	msg_simulated_get(struct msg_simulated *, const void *, size_t);

#endif
