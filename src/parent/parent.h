#ifndef PARENT_H
#define PARENT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "parent/activation.h"
#include "parent/child.h"
#include "parent/notify.h"
#include "parent/pidlock.h"
#include "parent/sockets.h"

/* The state of the parent. One loop (serve.c) calls the other files. */

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

/* The processes under the parent, by purpose. */
enum slot {
	SLOT_ENGINE,
	SLOT_LEDGER,		/* the serving ledger */
	SLOT_NEXT_LEDGER,	/* replaces the serving one at a reload */
	SLOT_OLD_LEDGER,	/* the replaced one, which finishes */
	SLOT_CLEANER,		/* cleans, and sends hits for --clean */
	SLOT_REPORT,
	SLOT_SCANNER,		/* a ledger for `try` and `top` */
	SLOT__MAX
};

/* Restarting a process: children.c. */
struct restart {
	bool		wanted;		/* restart it when it ends */
	bool		due;		/* start it at `at` */
	struct mono	at;
	unsigned int	quick;		/* ends in quick succession */
	char		fault[512];	/* why it last failed to start */
};

enum job_step {
	JOB_IDLE,
	JOB_OPENING,		/* the cleaner starts */
	JOB_CLEANING,
	JOB_CONNECTING,		/* the report starts and connects */
	JOB_SENDING,
	JOB_FORGETTING,		/* the report was sent: deletes its hits */
	JOB_CLOSING
};

/* When something is done next. */
struct timetable {
	bool		planned;	/* at `at` */
	bool		asked;		/* not by clean_interval alone */
	struct mono	at;
	bool		done;		/* since the start, at `last` */
	struct mono	last;
};

/* Cleaning and reporting: maintenance.c. */
struct job {
	enum job_step	step;
	bool		report;		/* alone, or after the cleaning */
	bool		failed;
	struct mono	deadline;	/* of the step */
	struct timetable cleaning;
	struct timetable reporting;
	unsigned int	failures;	/* failed reports in succession */
	struct timetable telling;	/* of report_user */
	unsigned int	notice_failures;	/* the same of notices */
	bool		notice;		/* the job is a mail of report_user */
	/* The job under way. */
	bool		clean;
	bool		again;		/* report to another address */
	bool		reloaded;	/* settings were reloaded during it */
	struct report_tried tried;
	char		outcome[1024];	/* text for policyctl */
	bool		shown;		/* its progress, on a terminal */
};

/* A reload: reload.c. */
struct reload {
	bool			 wanted;
	bool			 active;	/* with a next ledger */
	bool			 offered;	/* settings sent to children */
	struct mono		 deadline;	/* to accept the settings */
	struct mono		 not_before;
	bool			 failed;	/* the last reload failed */
	int64_t			 done;		/* when settings were last put
						   in force, a time_t */
	struct settings		*settings;
	struct msg_identity	 identity;
	struct listeners	 listeners;
	struct str		 faults;	/* as they were logged */
};

/* Requests of policyctl, which come through the engine: tasks.c. */
struct tasks {
	bool		waited[TASK__MAX];	/* for the result */
	bool		log;		/* the level was set, to `debug` */
	bool		debug;
	unsigned int	unread;		/* answers sent since the engine had
					   last read all of them */
	struct log_limit level_set[2];	/* TASK_LOG_BRIEF, TASK_LOG_DEBUG */
	struct log_limit logged;	/* requests, in the log */
};


struct parent {
	const char		*file;		/* -f, NULL: the search path */
	bool			 debug;		/* -d */
	bool			 background;	/* -b */
	bool			 cleaning;	/* --clean: no daemon */
	int			 signals;	/* to poll: signals.h */
	struct settings		*settings;
	uint64_t		 generation;
	struct msg_identity	 identity;
	struct pidlock		 pidlock;
	struct activation	 activation;	/* sockets not yet claimed */
	struct listeners	 listeners;
	struct child		 child[SLOT__MAX];
	struct restart		 restart[SLOT__MAX];
	struct job		 job;
	struct reload		 reload;
	struct tasks		 tasks;
	struct notify		 notify;	/* the service manager */
	struct mono		 since;		/* start of the daemon */
	bool			 scan_next;	/* a scanner is to be started
						   when the last one is gone */
	bool			 no_syslog;	/* no syslogd is reachable */
	bool			 served;	/* the engine was ready once */
	bool			 started;	/* the daemon was ready once */
	bool			 database_away;	/* and the engine serves */
	bool			 database_idle;	/* the last ledger ended by
						   ROLE_IDLE */
	bool			 stopping;
	bool			 closed;	/* all were told to stop */
	int			 status;	/* to exit with */
};

/* --- serve.c --- */

/* Starts the children and runs until the end: the exit status. */
int	serve(struct parent *);

/* --- parent.c --- */

/* Makes serve() end with this exit status. Further calls have no effect. */
void	parent_stop(struct parent *, int status);

/*
 * Sends policyctl the result of its request, if a caller waits for it. The
 * engine gets the result of every reload.
 */
void	parent_task_done(struct parent *, enum parent_task, bool good,
	    const char *text);

/*
 * Opens the log as the settings and options say; `starting`: on stderr, where a
 * failed start is seen.
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
