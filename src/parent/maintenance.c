#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/children.h"
#include "parent/maintenance.h"

#define STEP_MS		(10 * 60 * 1000)	/* without progress */
/*
 * The report has its own deadlines and sends nothing until the mail is
 * accepted. A mail server may take ten minutes after the end of a mail (RFC
 * 5321, 4.5.3.2.6). If the parent ended the report in that time it would not
 * know whether the mail was sent.
 */
#define SENDING_MS	(60 * 60 * 1000)
#define MAIL_EVERY_MS	(5 * 60 * 1000)		/* of report_immediately */
#define OPERATOR_MAIL_MS	(60 * 1000)	/* by policyctl */
#define OPERATOR_CLEAN_MS	(10 * 1000)
#define RETRY_MS	(60 * 1000)		/* doubled each time */
#define RETRY_MAX_MS	(60 * 60 * 1000)
#define FIRST_CLEAN_MS	(5 * 60 * 1000)		/* after the start */
#define FIRST_MAIL_MS	(60 * 60 * 1000)

static void	finish(struct parent *);
static void	fail(struct parent *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

static bool
report_is_on(const struct settings *settings)
{
	return settings->report && settings->report_to.count > 0;
}

static void
enter(struct job *job, enum job_step step)
{
	job->step = step;
	job->deadline = clock_after(clock_mono(),
	    step == JOB_SENDING ? SENDING_MS : STEP_MS);
}

/* Ends the job: stops both processes, then calls finish(). */
static void
close_job(struct parent *p)
{
	enter(&p->job, JOB_CLOSING);
	children_stop(p, SLOT_REPORT);
	children_stop(p, SLOT_CLEANER);
	if (p->child[SLOT_REPORT].state == CHILD_DOWN &&
	    p->child[SLOT_CLEANER].state == CHILD_DOWN)
		finish(p);
}

/* Appends a sentence to the outcome. */
static void
say(struct job *job, const char *what)
{
	if (job->outcome[0] != '\0')
		(void)strlcat(job->outcome, "\n", sizeof(job->outcome));
	(void)strlcat(job->outcome, what, sizeof(job->outcome));
}

static void
fail(struct parent *p, const char *format, ...)
{
	char	what[WHY_MAX];
	va_list	ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	log_error("%s", what);
	say(&p->job, what);
	p->job.failed = true;
	close_job(p);
}

/* Writes ": " and the fault of a child, made printable; or "". */
static const char *
reason(const char *fault, char *text, size_t size)
{
	(void)strlcpy(text, fault[0] != '\0' ? ": " : "", size);
	(void)str_printable(text + strlen(text), size - strlen(text), fault,
	    strlen(fault));
	return text;
}

/* The ledger that has the hits. */
static enum slot
source(const struct parent *p)
{
	return p->cleaning ? SLOT_CLEANER : SLOT_LEDGER;
}

static void
fail_cleaning(struct parent *p, const char *what)
{
	char	why[WHY_MAX];

	fail(p, "cleaning failed%s", reason(what, why, sizeof(why)));
}

/* --- the steps --- */

static void
open_cleaner(struct parent *p)
{
	char	why[WHY_MAX];

	enter(&p->job, JOB_OPENING);
	p->job.cleaning.done = true;
	p->job.cleaning.last = clock_mono();
	if (children_start(p, SLOT_CLEANER, p->settings, &p->identity,
	    why) == -1)
		fail(p, "%s", why);
	else
		children_begin(p, SLOT_CLEANER);
}

/* The report gets its channel to the ledger before it enters its sandbox. */
static void
open_report(struct parent *p)
{
	char	why[WHY_MAX];
	size_t	i;

	if (p->child[source(p)].state != CHILD_SERVING) {
		(void)reason(p->restart[source(p)].fault, why, sizeof(why));
		if (p->job.notice)
			fail(p, "a user is not told by mail: the database is "
			    "away%s", why);
		else
			fail(p, "no report: the database is away%s", why);
		return;
	}
	enter(&p->job, JOB_CONNECTING);
	if (children_start(p, SLOT_REPORT, p->settings, &p->identity,
	    why) == -1) {
		fail(p, "%s", why);
		return;
	}
	for (i = 0; i < p->job.tried.count; i++)
		child_text(&p->child[SLOT_REPORT], MSG_TRIED,
		    p->job.tried.address[i]);
	children_connect(p, source(p), SLOT_REPORT);
	children_begin(p, SLOT_REPORT);
}

/* Begins a job: cleaning, a report, or neither: a mail to a user. */
static void
open_job(struct parent *p, bool clean, bool report)
{
	p->job.clean = clean;
	p->job.report = report;
	p->job.failed = p->job.again = false;
	p->job.notice = !clean && !report;
	p->job.tried.count = 0;
	p->job.outcome[0] = '\0';
	if (clean)
		open_cleaner(p);
	else
		open_report(p);
}

void
maintenance_on_ready(struct parent *p, enum slot slot)
{
	struct job	*job = &p->job;

	if (slot == SLOT_CLEANER && job->step == JOB_OPENING) {
		p->restart[slot].fault[0] = '\0';
		enter(job, JOB_CLEANING);
		child_signal(&p->child[SLOT_CLEANER], MSG_CLEAN);
	} else if (slot == SLOT_REPORT && job->step == JOB_CONNECTING) {
		enter(job, JOB_SENDING);
		child_signal(&p->child[source(p)], job->notice ?
		    MSG_NOTICE_WANTED : MSG_HITS_WANTED);
	}
}

/*
 * On a terminal the line is updated once a second. The final line must be
 * written.
 */
static void
print_records(struct job *job, const char *what, bool done)
{
	if (done)
		printf("%s%s\n", what, job->shown ? "    " : "");
	else if (isatty(STDOUT_FILENO)) {
		printf("%s ...\r", what);
		job->shown = true;
	}
	if ((fflush(stdout) == 0 && ferror(stdout) == 0) || !done)
		return;
	log_error("standard output: %s", strerror(errno));
	job->failed = true;
}

void
maintenance_on_cleaned(struct parent *p, const struct msg_cleaned *cleaned)
{
	struct job	*job = &p->job;
	char		 what[64];

	if (job->step != JOB_CLEANING)
		return;
	if (cleaned->failed) {
		fail_cleaning(p, cleaned->reason);
		return;
	}
	snprintf(what, sizeof(what), "%" PRId64 " records deleted",
	    cleaned->records);
	if (p->cleaning)
		print_records(job, what, cleaned->done);
	else if (cleaned->done)
		log_notice("%s", what);
	if (!cleaned->done) {
		enter(job, JOB_CLEANING);
		return;
	}
	say(job, what);
	if (!job->report || !report_is_on(p->settings)) {
		close_job(p);
		return;
	}
	if (source(p) != SLOT_CLEANER)
		children_stop(p, SLOT_CLEANER);
	open_report(p);
}

static void
fail_sending(struct parent *p, const char *why)
{
	if (p->job.notice)
		fail(p, "a user was not told by mail%s", why);
	else
		fail(p, "the report was not sent%s", why);
}

/* Another address of the mail server is tried, after the process has ended. */
static void
try_next(struct parent *p, const char *address, const char *why)
{
	struct job		*job = &p->job;
	struct report_tried	*tried = &job->tried;
	char			 what[700], printable[REPORT_ADDRESS_MAX];

	str_printable(printable, sizeof(printable), address, strlen(address));
	if (job->again || tried->count == REPORT_TRIED_MAX) {
		fail(p, "no report to [%s]: %s", printable, why);
		return;
	}
	snprintf(what, sizeof(what), "no report to [%s]: %s", printable, why);
	log_warning("%s; another address is tried", what);
	say(job, what);
	(void)strlcpy(tried->address[tried->count++], address,
	    sizeof(tried->address[0]));
	job->again = true;
}

void
maintenance_on_reported(struct parent *p, const struct msg_reported *reported)
{
	struct job	*job = &p->job;
	char		 why[540] = ": ";

	if (job->step != JOB_SENDING && job->step != JOB_CONNECTING)
		return;
	str_printable(why + 2, sizeof(why) - 2, reported->reason,
	    strlen(reported->reason));
	switch ((enum report_outcome)reported->outcome) {
	case REPORT_SENT:
		if (job->notice) {
			child_number(&p->child[source(p)], MSG_NOTICE_SENT, 1,
			    -1);
			close_job(p);
			break;
		}
		log_notice("the report was sent");
		say(job, "the report was sent");
		job->reporting.done = true;
		job->reporting.last = clock_mono();
		/*
		 * A hit that came during the report waits as long as one that
		 * comes now.
		 */
		if (job->reporting.wanted)
			job->reporting.at = clock_after(job->reporting.last,
			    MAIL_EVERY_MS);
		enter(job, JOB_FORGETTING);
		child_signal(&p->child[source(p)], MSG_HITS_SENT);
		break;
	case REPORT_EMPTY:
		log_debug("nothing to report");
		say(job, "nothing to report");
		close_job(p);
		break;
	case REPORT_NEXT:
		try_next(p, reported->address, why + 2);
		break;
	default:
		if (job->notice)
			child_number(&p->child[source(p)], MSG_NOTICE_SENT, 0,
			    -1);
		fail_sending(p, why);
		break;
	}
}

void
maintenance_on_forgotten(struct parent *p, enum slot slot, bool forgotten)
{
	if (p->job.step != JOB_FORGETTING || slot != source(p))
		return;
	if (forgotten)
		close_job(p);
	else
		fail(p, "the report was sent, but its hits could not be "
		    "removed; they will be reported again");
}

/* A process has ended. A report ends by itself after it has sent its result. */
void
maintenance_on_gone(struct parent *p, enum slot slot)
{
	switch (p->job.step) {
	case JOB_IDLE:
		break;
	case JOB_OPENING:
	case JOB_CLEANING:
		if (slot == SLOT_CLEANER)
			fail_cleaning(p, p->restart[slot].fault);
		break;
	case JOB_CONNECTING:
	case JOB_SENDING:
		if (slot == SLOT_REPORT && p->job.again) {
			p->job.again = false;
			open_report(p);
		} else if (slot == SLOT_REPORT || slot == source(p))
			fail_sending(p, "");
		break;
	case JOB_FORGETTING:
		if (slot == source(p))
			maintenance_on_forgotten(p, slot, false);
		break;
	case JOB_CLOSING:
		close_job(p);
		break;
	}
}

/* --- the timetable --- */

/*
 * The first run comes early, so that it happens where the daemon is restarted
 * every day. A reload does not delay a run.
 */
static void
plan(struct timetable *t, bool regular, int64_t ms, int64_t first,
    struct mono now)
{
	struct mono	latest = clock_after(now, ms);

	if (!t->regular)
		t->next = clock_after(now, ms < first ? ms : first);
	else if (clock_passed(latest, t->next))
		t->next = latest;
	t->regular = regular;
}

void
maintenance_schedule(struct parent *p, struct mono now)
{
	struct job	*job = &p->job;
	int64_t		 ms = p->settings->clean_interval * 1000;

	plan(&job->cleaning, ms > 0, ms, FIRST_CLEAN_MS, now);
	plan(&job->reporting, ms > 0 && report_is_on(p->settings), ms,
	    FIRST_MAIL_MS, now);
	/* The reload may have removed the cause of the failure. */
	if (job->failures > 0) {
		job->failures = 0;
		job->reporting.at = now;
	}
	if (job->mute > 0) {
		job->mute = 0;
		job->telling.at = now;
	}
}

void
maintenance_begin(struct parent *p)
{
	open_job(p, true, report_is_on(p->settings));
}

/* Requests it now, or this long after the last time. */
static void
request(struct timetable *t, int64_t ms, struct mono now)
{
	struct mono	next = clock_after(t->last, ms);

	t->wanted = true;
	t->at = t->done && !clock_passed(next, now) ? next : now;
}

/*
 * What operators ask for comes through the engine. If that is taken over, it
 * must not cause many mails or constant cleaning.
 */
void
maintenance_request_cleaning(struct parent *p, struct mono now)
{
	char	why[600], what[640];

	/* The process that cleans would find the same. */
	if (p->child[SLOT_LEDGER].state != CHILD_SERVING &&
	    p->restart[SLOT_LEDGER].fault[0] != '\0') {
		(void)snprintf(what, sizeof(what), "cleaning failed%s",
		    reason(p->restart[SLOT_LEDGER].fault, why, sizeof(why)));
		parent_task_done(p, TASK_CLEAN, false, what);
		return;
	}
	request(&p->job.cleaning, OPERATOR_CLEAN_MS, now);
}

void
maintenance_request_report(struct parent *p, struct mono now)
{
	if (!p->settings->report) {
		log_notice("no report: the setting report is off");
		parent_task_done(p, TASK_REPORT, false,
		    "no report: the setting report is off");
		return;
	}
	if (!report_is_on(p->settings)) {
		log_notice("no report: report_to names nobody");
		parent_task_done(p, TASK_REPORT, false,
		    "no report: report_to names nobody");
		return;
	}
	/* The report under way is the one that was asked for. */
	if (p->job.step != JOB_IDLE && p->job.report)
		return;
	request(&p->job.reporting, OPERATOR_MAIL_MS, now);
}

void
maintenance_on_hit(struct parent *p, struct mono now)
{
	if (p->settings->report_immediately && report_is_on(p->settings) &&
	    !p->job.reporting.wanted)
		request(&p->job.reporting, MAIL_EVERY_MS, now);
}

void
maintenance_on_notice(struct parent *p, struct mono now)
{
	if (!p->job.telling.wanted)
		request(&p->job.telling, 0, now);
}

/* Plans the next attempt after so many failures; the milliseconds until it. */
static int64_t
retry(struct timetable *t, unsigned int *failures, struct mono now)
{
	int64_t		ms = RETRY_MS;
	unsigned int	i;

	for (i = 0; i < *failures && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	(*failures)++;
	t->wanted = true;
	t->at = clock_after(now, ms);
	return ms;
}

static void
retry_report(struct job *job, struct mono now)
{
	log_notice("the report is tried again in %" PRId64 " s",
	    retry(&job->reporting, &job->failures, now) / 1000);
}

static void
finish_notice(struct job *job)
{
	if (!job->failed)
		job->mute = 0;
	else
		(void)retry(&job->telling, &job->mute, clock_mono());
}

static void
finish(struct parent *p)
{
	struct job	*job = &p->job;

	job->step = JOB_IDLE;
	if (p->cleaning) {
		parent_stop(p, job->failed ? STATUS_CLEAN : STATUS_OK);
		return;
	}
	if (job->notice) {
		finish_notice(job);
		return;
	}
	if (job->clean)
		parent_task_done(p, TASK_CLEAN, !job->failed, job->outcome);
	if (!job->report)
		return;
	parent_task_done(p, TASK_REPORT, !job->failed, job->outcome);
	if (!job->failed)
		job->failures = 0;
	else if (report_is_on(p->settings))
		retry_report(job, clock_mono());
}

/* Whether it is due. Moves a regular time on to the next one. */
static bool
due(struct timetable *t, int64_t interval, struct mono now)
{
	bool	is_due = false;

	if (t->regular && clock_passed(t->next, now)) {
		t->next = clock_after(now, interval * 1000);
		is_due = true;
	}
	if (t->wanted && clock_passed(t->at, now)) {
		t->wanted = false;
		is_due = true;
	}
	return is_due;
}

void
maintenance_timers(struct parent *p, struct mono now)
{
	struct job	*job = &p->job;
	int64_t		 interval = p->settings->clean_interval;
	bool		 clean, report;

	if (job->step != JOB_IDLE) {
		if (job->step != JOB_CLOSING &&
		    clock_passed(job->deadline, now))
			fail(p, "no progress with cleaning or the report: "
			    "given up");
		return;
	}
	if (!p->started)
		return;
	clean = due(&job->cleaning, interval, now);
	/* The report may have been disabled while it waited. */
	report = due(&job->reporting, interval, now) &&
	    report_is_on(p->settings);
	/* The last one opens a job too: that of telling a user. */
	if (clean || report || (due(&job->telling, 0, now) &&
	    p->settings->report_user != NULL))
		open_job(p, clean, report);
}

static int
timetable_left(const struct timetable *t, struct mono now)
{
	return clock_sooner(t->regular ? clock_left(t->next, now) : -1,
	    t->wanted ? clock_left(t->at, now) : -1);
}

int
maintenance_left(const struct parent *p, struct mono now)
{
	const struct job	*job = &p->job;

	if (job->step == JOB_CLOSING)
		return -1;
	if (job->step != JOB_IDLE)
		return clock_left(job->deadline, now);
	if (!p->started)
		return -1;
	return clock_sooner(timetable_left(&job->cleaning, now),
	    clock_sooner(timetable_left(&job->reporting, now),
	    timetable_left(&job->telling, now)));
}

void
maintenance_abandon(struct parent *p)
{
	p->job.step = JOB_IDLE;
}
