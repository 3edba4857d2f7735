#ifndef MAILLOG_H
#define MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/events.h"
#include "engine/request.h"
#include "ipc/message.h"

/*
 * The engine's log lines, in the name=value form of Postfix's, and what the
 * followers of events.h are told of requests. Text from outside is made
 * printable, and lines that clients can cause are limited in their rate.
 */
struct maillog;

struct maillog	*maillog_new(struct followers *);

/* Attributes of a request besides its charge, unchanged but cut. */
struct maillog_value {
	size_t	len;
	char	bytes[120];
};
struct maillog_about {
	enum rule_attribute	identity;	/* of struct applied */
	struct maillog_value	login;
	struct maillog_value	sender;
	struct maillog_value	recipient;	/* empty at DATA with several */
	struct maillog_value	nrecipients;
	bool			exempt;		/* of struct applied */
	struct maillog_value	client;
	struct maillog_value	client_name;
	struct maillog_value	state;
	struct maillog_value	queue_id;
	struct maillog_value	instance;
};

/* Fills it in, with `exempt` false. */
void		 maillog_about(struct maillog_about *, const struct request *,
		    enum rule_attribute identity);

/*
 * Logs a refusal, an acceptance over a soft limit, each shadow rule that would
 * have refused, each lock that was set, would be or could not be, and each
 * warn_at that was reached; in debug mode anything else too. `how` says why
 * there is no verdict of the ledger; NULL: there is one.
 */
void		 maillog_verdict(struct maillog *, const struct settings *,
		    const struct msg_charge *, const struct maillog_about *,
		    const struct msg_verdict *, const char *how);

/* Logs a request that a block matched; NULL: the block has ended meanwhile. */
void		 maillog_blocked(struct maillog *, const struct maillog_about *,
		    const struct override *);

/* In debug mode: logs a request that was answered without a charge. */
void		 maillog_passed(const struct maillog_about *, const char *why);

/* Logs a malformed request, with the beginning of its bytes. */
void		 maillog_malformed(struct maillog *, const char *client,
		    const char *reason, const char *, size_t);

/* Logs that the recipient_count is not a number. */
void		 maillog_bad_count(struct maillog *, const struct request *);

/*
 * Call it for every request with a protocol_state, with the result of
 * stage_rules(). If no request counts under any rule, or none of many counts
 * under one rule, logs the line that main.cf needs, at most once an hour.
 */
void		 maillog_stage(struct maillog *, const struct settings *,
		    uint32_t rules);

/* Call it when the rules have changed: counts the stages from zero. */
void		 maillog_stages_afresh(struct maillog *);

/*
 * Logs that no request came since the start, and the line that main.cf needs.
 */
void		 maillog_silence(const struct settings *);

#endif
