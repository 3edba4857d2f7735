#ifndef CLEAN_H
#define CLEAN_H

#include "parent/parent.h"

/*
 * Cleaning, by a ledger of its own beside the one that serves, so that
 * decisions do not wait; reporting, by a process that lives for one mail and
 * gets the hits from the ledger that serves, with --clean from the one that
 * cleaned. The same steps for --clean, clean_interval, report_immediately and
 * policyctl's wishes.
 */

/* Reads the timetable of the settings; at start and after a reload. */
void	clean_schedule(struct parent *, struct mono now);

/* --clean: begins at once. */
void	clean_begin(struct parent *);

/* Wishes, fulfilled one after the other. */
void	clean_want(struct parent *, struct mono now);
void	clean_want_report(struct parent *, struct mono now);

/* The ledger has hits that nobody was told of: report_immediately. */
void	clean_on_hit(struct parent *, struct mono now);

/* What the two processes say and do. */
void	clean_on_ready(struct parent *, enum slot);
void	clean_on_cleaned(struct parent *, const struct msg_cleaned *);
void	clean_on_reported(struct parent *, const struct msg_reported *);
void	clean_on_forgotten(struct parent *, enum slot, bool forgotten);
void	clean_on_gone(struct parent *, enum slot);

void	clean_timers(struct parent *, struct mono now);
int	clean_left(const struct parent *, struct mono now);

/* The parent stops: so does this. */
void	clean_abandon(struct parent *);

#endif
