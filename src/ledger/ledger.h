#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ledger/cache.h"
#include "ledger/charge.h"
#include "ledger/clean.h"
#include "ledger/hits.h"
#include "ledger/lookup.h"
#include "ledger/store.h"
#include "role/role.h"

/* What the files of the ledger's program share. */
struct ledger {
	struct role_start	 start;
	struct channel		*parent;
	struct channel		*engine;	/* NULL: the next one comes */
	struct channel		*report;
	struct settings		*settings;
	struct store		*store;
	struct cache		*cache;
	struct lookup		*limits;
	struct charge_batch	*batch;
	struct hits		*hits;
	struct clean		 clean;
	unsigned int		 questions;	/* since the last decision */
	bool			 hits_wanted;	/* by the report to come */
	bool			 overrides_told;	/* to this engine */
	bool			 stopping;
	bool			 busy;		/* the database is locked */
	char			 trouble[512];	/* "", or the fault as it was
						   logged */
	int64_t			 busy_since;	/* ns; 0: it is not */
	int64_t			 progress;	/* of cleaning, last told, ns */
	int64_t			 remembered;	/* limits from SQL, ns */
	uint64_t		 figure[FIGURE__MAX];
	struct str		 payload;
};

/* --- main.c --- */

/* The connection is gone: says so, and ends the process. */
void	ledger_lost(struct ledger *);

/* What the database came to, said once when that changes. */
void	ledger_note(struct ledger *, enum store_result);

/* The next one comes by the parent. */
void	ledger_drop_report(struct ledger *);

/* --- asked.c: what the engine asks --- */

/* Takes in what waits. -1: it broke the rules, and is not listened to. */
int	asked_message(struct ledger *, const struct message *);

/* For override_table_on_read: tells the engine. */
void	asked_on_overrides(void *, bool changed);

/* A new engine is there: it is told what is granted and blocked. */
void	asked_engine(struct ledger *);

/* Decides on all charges that were taken in, in one transaction. */
void	asked_decide(struct ledger *);

/* --- upkeep.c: cleaning and reporting, as the parent asks for it --- */

int	upkeep_on_clean(struct ledger *, const struct message *);
int	upkeep_on_hits_wanted(struct ledger *, const struct message *);
int	upkeep_on_hits_sent(struct ledger *, const struct message *);

/* A step of cleaning, when it is time for one. */
void	upkeep_clean(struct ledger *);

/* The hits, once both sides of the report are there. */
void	upkeep_send_hits(struct ledger *);

#endif
