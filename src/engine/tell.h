#ifndef TELL_H
#define TELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/request.h"
#include "ipc/message.h"

/*
 * The engine's lines in the log, in the name=value form of Postfix's own. What
 * came from strangers is made printable; what strangers can cause is bounded
 * in its rate.
 */
void	tell_init(void);

/* What a line says of a request besides its charge: as it came, cut. */
struct tell_value {
	size_t	len;
	char	bytes[120];
};
struct tell_about {
	enum rule_attribute	identity;	/* struct decision */
	struct tell_value	login;
	struct tell_value	sender;
	struct tell_value	recipient;	/* empty at DATA with several */
	struct tell_value	nrecipients;
	struct tell_value	client;
	struct tell_value	queue_id;
};
void	tell_about(struct tell_about *, const struct request *,
	    enum rule_attribute identity);

/*
 * One line for a refusal, for each shadow rule that would have refused, for
 * each warn_at that was crossed; in debug mode one for anything else. `how` is
 * why there was no verdict of the ledger's, NULL when there was.
 */
void	tell_verdict(const struct settings *, const struct msg_charge *,
	    const struct tell_about *, const struct msg_verdict *,
	    const char *how);

/*
 * What was blocked, by which block (NULL: it has ended meanwhile), at once or
 * after the ledger found it.
 */
void	tell_blocked(const struct request *, const struct override *);
void	tell_blocked_charge(const struct tell_about *,
	    const struct override *);

/* In debug mode: a request that was answered without a charge. */
void	tell_passed(const struct request *, const char *why);

/* The same where the ledger looked for blocks first. */
void	tell_passed_charge(const struct msg_charge *,
	    const struct tell_about *, const char *why);

void	tell_malformed(const char *client, const char *reason, const char *,
	    size_t);
void	tell_bad_count(const struct request *);

/*
 * To be told of every request with a protocol_state: the rules that count at
 * its stage, as decide_stage_rules() has them. When none does, or one never
 * does, the log gets the line that main.cf needs, once an hour.
 */
void	tell_stage(const struct settings *, uint32_t rules);

/* The rules are others from now on. */
void	tell_stages_afresh(void);

/* No request came since the start; the line that main.cf needs. */
void	tell_silence(const struct settings *);

#endif
