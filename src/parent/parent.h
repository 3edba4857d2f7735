#ifndef PARENT_H
#define PARENT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "parent/child.h"
#include "parent/pidlock.h"
#include "parent/sockets.h"

/*
 * The whole of what the parent knows. Everything happens in one loop (serve.c);
 * the other files are told what came and do their part.
 */

/* policyd-rate-limit(8), EXIT STATUS. */
enum {
	STATUS_OK = 0,
	STATUS_USAGE = 1,
	STATUS_NO_USER = 2,
	STATUS_RUNNING = 3,
	STATUS_SOCKET = 4,
	STATUS_CONFIG = 5,
	STATUS_FATAL = 6,
	STATUS_CLEAN = 8
};

/* What the processes under the parent are there for. */
enum slot {
	SLOT_ENGINE,
	SLOT_LEDGER,		/* the one that serves */
	SLOT_NEXT_LEDGER,	/* comes up to take its place, after a reload */
	SLOT_OLD_LEDGER,	/* had its place and finishes */
	SLOT_CLEANER,		/* a ledger that cleans and hands out hits */
	SLOT_REPORT,
	SLOT__MAX
};

/* Starting again what died: children.c. */
struct restart {
	bool		wanted;		/* never to be empty for long */
	bool		due;		/* starts at `at` */
	struct mono	at;
	unsigned int	quick;		/* deaths in quick succession */
	char		fault[512];	/* said last, to be logged once */
};

enum job_step {
	JOB_IDLE,
	JOB_OPENING,		/* the cleaner starts */
	JOB_CLEANING,
	JOB_CONNECTING,		/* the report starts and connects */
	JOB_SENDING,
	JOB_FORGETTING,		/* the mail was taken: its hits are removed */
	JOB_CLOSING
};

/* Cleaning and reporting: clean.c. */
struct job {
	enum job_step	step;
	bool		report;		/* after the cleaning */
	bool		failed;
	struct mono	deadline;	/* of the step */
	/* What waits for its time. */
	bool		clean_due, report_due;
	struct mono	clean_at, report_at;
	bool		clean_timed, report_timed;	/* by clean_interval */
	struct mono	clean_next, report_next;
	bool		cleaned, mailed;	/* since the start, at: */
	struct mono	cleaned_at, mailed_at;
	unsigned int	failures;	/* of reports, in a row */
	/* Of the one that is under way. */
	bool		clean;
	bool		again;		/* the report, to another address */
	struct report_tried tried;
	char		outcome[1024];	/* as it is told to policyctl */
};

/* A new configuration on its way in: reload.c. */
struct reload {
	bool			 wanted;
	bool			 active;	/* the next ledger starts */
	bool			 ready;		/* it serves */
	bool			 offered;	/* to the children that serve */
	struct mono		 deadline;	/* for them to take it */
	struct mono		 not_before;
	bool			 failed;	/* the last one */
	int64_t			 done;		/* when settings were last put
						   in force, a time_t */
	struct settings		*settings;
	struct msg_identity	 identity;
	struct listeners	 listeners;
	struct str		 faults;	/* lines, as they were logged */
};

/* policyctl's, which come through the engine: wishes.c. */
struct wishes {
	bool		waited[WISH__MAX];	/* somebody wants to know */
	bool		log;		/* `debug` instead of the settings' */
	bool		debug;
	unsigned int	unread;		/* answers since all were read */
};

struct parent;

/* Who is told what becomes of a child; children.c knows no file above it. */
struct child_events {
	/* The process has ended: handles the messages that it left. */
	void	(*last_words)(struct parent *, enum slot);
	/*
	 * An engine or ledger ended unasked. `was`: its state before; `away`:
	 * its database cannot be reached.
	 */
	void	(*lost)(struct parent *, enum slot, const struct child *was,
		    bool away);
	/* The slot is empty, whatever the reason. */
	void	(*gone)(struct parent *, enum slot);
};

struct parent {
	const char		*file;		/* -f, NULL: the search path */
	bool			 debug;		/* -d */
	bool			 background;	/* -b */
	bool			 cleaning;	/* --clean: no daemon at all */
	int			 signals;	/* to poll: signals.h */
	struct settings		*settings;
	uint64_t		 generation;
	struct msg_identity	 identity;
	struct pidlock		 pidlock;
	struct listeners	 listeners;
	struct child		 child[SLOT__MAX];
	struct restart		 restart[SLOT__MAX];
	struct job		 job;
	struct reload		 reload;
	struct wishes		 wishes;
	struct mono		 since;		/* the daemon was started */
	bool			 no_syslog;	/* none could be reached */
	bool			 served;	/* the engine was ready once */
	bool			 started;	/* ready once */
	bool			 database_away;	/* the engine does without */
	bool			 stopping;
	bool			 closed;	/* all were told to stop */
	int			 status;	/* to exit with */
	const struct child_events *events;
};

/* --- serve.c --- */

/* Starts the children and runs until the end: the exit status. */
int	serve(struct parent *);

/* --- parent.c --- */

/*
 * Asks for the end, with this exit status; serve() brings it about. The first
 * call counts.
 */
void	parent_stop(struct parent *, int status);

/* Tells policyctl how its wish went, if somebody waits for it. */
void	parent_wished(struct parent *, enum wish, bool good, const char *text);

/*
 * Opens the log as the settings and options say. `starting`: faults go to
 * stderr even so.
 */
void	parent_log(struct parent *, bool starting);
bool	parent_in_syslog(const struct parent *);

/* Tells a child how much to log. */
void	parent_log_message(const struct parent *, struct child *);

/*
 * After a change of how much is logged: opens the log, and tells the children.
 */
void	parent_log_again(struct parent *);

#endif
