#ifndef STAGE_H
#define STAGE_H

#include "conf/settings.h"
#include "engine/request.h"
#include "lib/str.h"

/*
 * The stages of SMTP at which Postfix asks, what is counted there, and the line
 * of main.cf that makes Postfix ask.
 */
enum stage {
	STAGE_NONE,		/* no protocol_state */
	STAGE_OTHER,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_END,		/* END-OF-MESSAGE */
	STAGE__MAX
};

enum stage	stage_of(const struct request *);

/* Whether the rule (NULL: the plain settings) counts anything at this stage. */
bool		stage_counts(const struct settings *,
		    const struct settings_rule *, enum stage);

/*
 * Bit i is set if rule i counts something at the stage, whatever the identity;
 * without rules bit 0.
 */
uint32_t	stage_rules(const struct settings *, enum stage);

/* Appends the line that main.cf needs for those of `rules`. */
void		stage_hint(struct str *, const struct settings *,
		    uint32_t rules);

#endif
