#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ledger/batch/charge_batch.h"
#include "ledger/cache.h"
#include "ledger/clean.h"
#include "ledger/history.h"
#include "ledger/hits.h"
#include "ledger/id.h"
#include "ledger/lookup.h"
#include "ledger/notices.h"
#include "ledger/inquiry.h"
#include "ledger/store.h"
#include "lib/log.h"
#include "role/role.h"

/* Most overrides that one message makes: each under all names of its rule. */
#define LEDGER_OVERRIDES_MAX	(CHARGE_KEYS_MAX * (1 + RULE_WAS_MAX))

/* Shared by the files of the ledger's program. */
struct ledger {
	struct role_start	 start;
	struct channel		*parent;
	struct channel		*engine;	/* NULL: not connected */
	struct channel		*report;
	struct settings		*settings;
	struct store		*store;
	struct cache		*cache;
	struct lookup		*limits;
	struct lookup		*ids;		/* id_sql */
	struct charge_batch	*batch;
	struct hits		*hits;
	struct history		*history;
	struct clean		 clean;
	struct inquiries	 asked;		/* by policyctl */
	bool			 scans;		/* this process was started for
						   one question, and does
						   nothing else */
	unsigned int		 questions;	/* since the last decision */
	struct notices		*notices;
	enum message_type	 wanted;	/* by the report: hits or a
						   notice; 0: nothing */
	bool			 overrides_sent;	/* to this engine */
	bool			 stopping;
	bool			 busy;		/* the database is locked */
	uint32_t		 pause;		/* after a conflict, mean, ms */
	struct mono		 retry;		/* end of that pause */
	bool			 gathering;	/* the batch waits for more */
	struct mono		 gathered;	/* until then; 0: it is due */
	char			 trouble[512];	/* "", or the fault as it was
						   logged */
	int64_t			 busy_since;	/* ns; 0: it is not */
	int64_t			 progress;	/* last told to parent, ns */
	int64_t			 remembered;	/* last clean_remember, ns */
	/* Monotonic, ns, for ledger_ended: when each connection was used. */
	int64_t			 used;		/* the store's: last charges */
	int64_t			 flushed;	/* the one that makes commits
						   durable */
	uint64_t		 figure[FIGURE__MAX];
	struct log_limit	 notices_failed;	/* in the log */
	struct str		 payload;	/* ledger_payload */

	/* --- the message that is being handled: too large for the stack --- */
	union {
		struct msg_refusal	 refusal;
		struct msg_override	 override;
		struct msg_charge	 charge;
		struct msg_topped	 topped;
	}			 message;
	char			 stored[LEDGER_OVERRIDES_MAX]
				    [ID_STORED_MAX + 1];
};

/* --- ledger.c: the state of the database; messages --- */

/* The store's last fault, or words for none: text for the log and policyctl. */
const char	*ledger_reason(const struct ledger *);

/* Logs that the connection is lost and ends the process. Does not return. */
void	ledger_lost(struct ledger *);

/*
 * Ends the process when a connection was closed between two batches; `used`:
 * when it was last used, monotonic, in ns. A proxy closes connections that are
 * idle: that is not logged, unless the next ledger fails to connect. If the
 * connection was used a moment ago, it is ledger_lost.
 */
void	ledger_ended(struct ledger *, int64_t used);

/* Logs the state of the database when it has changed. */
void	ledger_note(struct ledger *, enum store_result);

/*
 * A message for the engine: put its payload into what ledger_payload returns,
 * which is empty, then send it with ledger_answer. Without an engine it is
 * dropped.
 */
struct str	*ledger_payload(struct ledger *);
void		 ledger_answer(struct ledger *, enum message_type,
		    uint64_t request);

/*
 * Closes the report's channel and forgets what it wanted; the parent sends the
 * next one.
 */
void	ledger_drop_report(struct ledger *);

/* --- dispatch.c: what the engine asks --- */

/*
 * Handles one message of the engine. -1: it is malformed, and the engine is to
 * be dropped.
 */
int	dispatch_message(struct ledger *, const struct message *);

/* For override_table.h: send the list, or one override, to the engine. */
void	dispatch_on_overrides(void *, bool changed);
void	dispatch_on_override_set(void *, const struct override *);

/* What the batch calls. */
struct charge_answers	dispatch_answers(struct ledger *);

/* A new engine is connected: sends it the grants and blocks. */
void	dispatch_engine(struct ledger *);

/* Decides all waiting charges in one transaction. */
void	dispatch_decide(struct ledger *);

/* --- upkeep.c: cleaning and reporting, as the parent asks for it --- */

int	upkeep_on_clean(struct ledger *, const struct message *);
int	upkeep_on_wanted(struct ledger *, const struct message *);
int	upkeep_on_hits_sent(struct ledger *, const struct message *);
int	upkeep_on_notice_sent(struct ledger *, const struct message *);

/* Claims notices of report_user, if it is time to. */
void	upkeep_notices(struct ledger *, struct mono now);

/* Writes some refusals, if they are due. */
void	upkeep_history(struct ledger *, struct mono now);

/* The same, due or not. False: none were written. */
bool	upkeep_keep(struct ledger *);

/* Takes a step of cleaning, if one is due. */
void	upkeep_clean(struct ledger *);

/*
 * Sends the hits, or a notice, once the parent has asked for them and the
 * report is connected.
 */
void	upkeep_send_hits(struct ledger *);

/* --- orphans.c --- */

/*
 * After a reload: logs how many ids in memory, grants and locks belong to each
 * rule that is gone and that no rule names in `was`. The counts stay in the
 * tables.
 */
void	orphans_tell(const struct ledger *, const struct settings *fresh);

#endif
