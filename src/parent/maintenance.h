#ifndef MAINTENANCE_H
#define MAINTENANCE_H

#include "parent/parent.h"

/*
 * Cleaning and reporting. A second ledger cleans, so that decisions do not
 * wait. A report process, which sends one mail, gets the hits from the serving
 * ledger; with --clean, where none serves, from the one that cleaned. The steps
 * are the same for --clean, clean_interval, report_immediately and policyctl's
 * requests.
 */

/* Reads the intervals of the settings; at the start and after a reload. */
void	maintenance_schedule(struct parent *, struct mono now);

/* --clean: begins now. */
void	maintenance_begin(struct parent *);

/* Requests of policyctl. They are handled one after the other. */
void	maintenance_request_cleaning(struct parent *);
void	maintenance_request_report(struct parent *);

/* The cleaning ledger or the report is ready; the process of a slot is gone. */
void	maintenance_on_ready(struct parent *, enum slot);
void	maintenance_on_gone(struct parent *, enum slot);

/* Handle a message of a child. 0, or -1 if it is malformed. */
int	maintenance_on_cleaned(struct parent *, enum slot,
	    const struct message *);
int	maintenance_on_reported(struct parent *, enum slot,
	    const struct message *);
int	maintenance_on_forgotten(struct parent *, enum slot,
	    const struct message *);

/*
 * The serving ledger has hits that were not reported (report_immediately), or
 * users to tell (report_user), each by a mail of its own.
 */
int	maintenance_on_news(struct parent *, enum slot, const struct message *);

/* Begins a job that is due, and ends one that makes no progress. */
void	maintenance_timers(struct parent *, struct mono now);

/* Milliseconds until maintenance_timers has something to do; -1: nothing. */
int	maintenance_left(const struct parent *, struct mono now);

#endif
