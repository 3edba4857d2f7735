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

static bool
report_is_on(const struct settings *settings)
{
	return settings->report && settings->report_to.count > 0;
}

/* --- the timetable --- */

/* Plans the next run, unless an earlier one is planned. */
static void
plan(struct timetable *t, struct mono at, bool asked)
{
	if (!t->planned || !clock_passed(t->at, at))
		t->at = at;
	t->planned = true;
	t->asked = t->asked || asked;
}

/* Asks for a run now, or this long after the last one. */
static void
ask(struct timetable *t, int64_t ms, struct mono now)
{
	struct mono	next = clock_after(t->last, ms);

	plan(t, t->done && !clock_passed(next, now) ? next : now, true);
}

/*
 * The first run comes early, so that it happens where the daemon is restarted
 * every day. A reload does not delay a run.
 */
static void
plan_regular(struct timetable *t, int64_t ms, int64_t first, struct mono now)
{
	if (ms > 0)
		plan(t, clock_after(now, t->planned || ms < first ? ms :
		    first), false);
	else if (!t->asked)
		t->planned = false;
}

/*
 * Plans the next attempt after so many failures: at once if there was a reload
 * during this one. Returns the milliseconds until then.
 */
static int64_t
retry(const struct job *job, struct timetable *t, unsigned int *failures)
{
	int64_t		ms = job->reloaded ? 0 : RETRY_MS;
	unsigned int	i;

	for (i = 0; i < *failures && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	(*failures)++;
	plan(t, clock_after(clock_mono(), ms), true);
	return ms;
}

/* Whether it is due; then plans the next regular run. */
static bool
due(struct timetable *t, int64_t interval, struct mono now)
{
	if (!t->planned || !clock_passed(t->at, now))
		return false;
	t->planned = t->asked = false;
	if (interval > 0)
		plan(t, clock_after(now, interval * 1000), false);
	return true;
}

void
maintenance_schedule(struct parent *p, struct mono now)
{
	struct job	*job = &p->job;
	int64_t		 ms = p->settings->clean_interval * 1000;

	plan_regular(&job->cleaning, ms, FIRST_CLEAN_MS, now);
	plan_regular(&job->reporting, report_is_on(p->settings) ? ms : 0,
	    FIRST_MAIL_MS, now);
	/*
	 * The reload may have removed the cause of the failure. A job under
	 * way is itself the next attempt, or plans it (retry).
	 */
	if (job->failures > 0 && !(job->step != JOB_IDLE && job->report))
		plan(&job->reporting, now, true);
	if (job->notice_failures > 0 && !(job->step != JOB_IDLE && job->notice))
		plan(&job->telling, now, true);
	job->failures = job->notice_failures = 0;
	job->reloaded = job->step != JOB_IDLE;
}

/* --- the end of a job --- */

static void
enter(struct job *job, enum job_step step)
{
	job->step = step;
	job->deadline = clock_after(clock_mono(),
	    step == JOB_SENDING ? SENDING_MS : STEP_MS);
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
		if (!job->failed)
			job->notice_failures = 0;
		else
			(void)retry(job, &job->telling, &job->notice_failures);
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
		log_notice("the report is tried again in %" PRId64 " s",
		    retry(job, &job->reporting, &job->failures) / 1000);
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

static void	fail(struct parent *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

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

static void
fail_cleaning(struct parent *p, const char *what)
{
	char	why[WHY_MAX];

	fail(p, "cleaning failed%s", reason(what, why, sizeof(why)));
}

static void
fail_sending(struct parent *p, const char *why)
{
	if (p->job.notice)
		fail(p, "a user was not told by mail%s", why);
	else
		fail(p, "the report was not sent%s", why);
}

/* --- the steps --- */

/* The ledger that has the hits. */
static enum slot
source(const struct parent *p)
{
	return p->cleaning ? SLOT_CLEANER : SLOT_LEDGER;
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
	(void)children_connect(p, source(p), SLOT_REPORT, MSG_PEER);
	child_signal(&p->child[SLOT_REPORT], MSG_START);
}

/* Begins a job: cleaning, a report, or neither: a mail to a user. */
static void
open_job(struct parent *p, bool clean, bool report)
{
	struct job	*job = &p->job;
	char		 why[WHY_MAX];

	job->clean = clean;
	job->report = report;
	job->failed = job->again = job->reloaded = false;
	job->notice = !clean && !report;
	job->tried.count = 0;
	job->outcome[0] = '\0';
	if (!clean) {
		open_report(p);
		return;
	}
	enter(job, JOB_OPENING);
	job->cleaning.done = true;
	job->cleaning.last = clock_mono();
	if (children_start(p, SLOT_CLEANER, p->settings, &p->identity,
	    why) == -1)
		fail(p, "%s", why);
	else
		child_signal(&p->child[SLOT_CLEANER], MSG_START);
}

void
maintenance_begin(struct parent *p)
{
	open_job(p, true, report_is_on(p->settings));
}

void
maintenance_on_ready(struct parent *p, enum slot slot)
{
	struct job	*job = &p->job;

	if (slot == SLOT_CLEANER && job->step == JOB_OPENING) {
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

int
maintenance_on_cleaned(struct parent *p, enum slot slot,
    const struct message *m)
{
	struct job		*job = &p->job;
	struct msg_cleaned	 cleaned;
	char			 what[64];

	if (slot != SLOT_CLEANER ||
	    msg_cleaned_get(&cleaned, m->payload, m->len) == -1)
		return -1;
	if (job->step != JOB_CLEANING)
		return 0;
	if (cleaned.failed) {
		fail_cleaning(p, cleaned.reason);
		return 0;
	}
	snprintf(what, sizeof(what), "%" PRId64 " records deleted",
	    cleaned.records);
	if (p->cleaning)
		print_records(job, what, cleaned.done);
	else if (cleaned.done)
		log_notice("%s", what);
	if (!cleaned.done) {
		enter(job, JOB_CLEANING);
		return 0;
	}
	say(job, what);
	if (!job->report || !report_is_on(p->settings)) {
		close_job(p);
		return 0;
	}
	if (source(p) != SLOT_CLEANER)
		children_stop(p, SLOT_CLEANER);
	open_report(p);
	return 0;
}

/* The mail server has accepted the mail. */
static void
sent(struct parent *p)
{
	struct job		*job = &p->job;
	struct timetable	*t = &job->reporting;

	if (job->notice) {
		child_number(&p->child[source(p)], MSG_NOTICE_SENT, 1, -1);
		close_job(p);
		return;
	}
	log_notice("the report was sent");
	say(job, "the report was sent");
	t->done = true;
	t->last = clock_mono();
	/*
	 * A hit that came during the report is reported MAIL_EVERY_MS after
	 * this report.
	 */
	if (t->asked) {
		t->at = clock_after(t->last, MAIL_EVERY_MS);
		plan_regular(t, p->settings->clean_interval * 1000,
		    FIRST_MAIL_MS, t->last);
	}
	enter(job, JOB_FORGETTING);
	child_signal(&p->child[source(p)], MSG_HITS_SENT);
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
		if (job->notice)
			child_number(&p->child[source(p)], MSG_NOTICE_SENT, 0,
			    -1);
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

int
maintenance_on_reported(struct parent *p, enum slot slot,
    const struct message *m)
{
	struct job		*job = &p->job;
	struct msg_reported	 reported;
	char			 why[540] = ": ";

	(void)slot;
	if (msg_reported_get(&reported, m->payload, m->len) == -1)
		return -1;
	if (job->step != JOB_SENDING && job->step != JOB_CONNECTING)
		return 0;
	str_printable(why + 2, sizeof(why) - 2, reported.reason,
	    strlen(reported.reason));
	switch ((enum report_outcome)reported.outcome) {
	case REPORT_SENT:
		sent(p);
		break;
	case REPORT_EMPTY:
		log_debug("nothing to report");
		say(job, "nothing to report");
		close_job(p);
		break;
	case REPORT_NEXT:
		try_next(p, reported.address, why + 2);
		break;
	default:
		if (job->notice)
			child_number(&p->child[source(p)], MSG_NOTICE_SENT, 0,
			    -1);
		fail_sending(p, why);
		break;
	}
	return 0;
}

static void
forgotten(struct parent *p, bool good)
{
	if (good)
		close_job(p);
	else
		fail(p, "the report was sent, but its hits could not be "
		    "removed; they will be reported again");
}

int
maintenance_on_forgotten(struct parent *p, enum slot slot,
    const struct message *m)
{
	uint64_t	good;

	if (msg_number_get(&good, m->payload, m->len) == -1 || good > 1)
		return -1;
	if (p->job.step == JOB_FORGETTING && slot == source(p))
		forgotten(p, good == 1);
	return 0;
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
			forgotten(p, false);
		break;
	case JOB_CLOSING:
		close_job(p);
		break;
	}
}

/* --- requests --- */

/*
 * What operators ask for comes through the engine. If that is taken over, it
 * must not cause many mails or constant cleaning.
 */
void
maintenance_request_cleaning(struct parent *p)
{
	char	why[600], what[640];

	/* A process that cleans would fail for the same reason. */
	if (p->child[SLOT_LEDGER].state != CHILD_SERVING &&
	    p->restart[SLOT_LEDGER].fault[0] != '\0') {
		(void)snprintf(what, sizeof(what), "cleaning failed%s",
		    reason(p->restart[SLOT_LEDGER].fault, why, sizeof(why)));
		parent_task_done(p, TASK_CLEAN, false, what);
		return;
	}
	ask(&p->job.cleaning, OPERATOR_CLEAN_MS, clock_mono());
}

void
maintenance_request_report(struct parent *p)
{
	const char	*why = p->settings->report ?
			    "report_to names nobody" :
			    "the setting report is off";
	char		 what[64];

	if (!report_is_on(p->settings)) {
		log_notice("no report: %s", why);
		(void)snprintf(what, sizeof(what), "no report: %s", why);
		parent_task_done(p, TASK_REPORT, false, what);
		return;
	}
	/* The report under way is the one that was asked for. */
	if (p->job.step == JOB_IDLE || !p->job.report)
		ask(&p->job.reporting, OPERATOR_MAIL_MS, clock_mono());
}

int
maintenance_on_news(struct parent *p, enum slot slot, const struct message *m)
{
	struct job	*job = &p->job;

	if (m->len != 0)
		return -1;
	if (slot != SLOT_LEDGER)
		return 0;
	if (m->type == MSG_NOTICE_NEW && !job->telling.asked)
		ask(&job->telling, 0, clock_mono());
	if (m->type == MSG_HIT_NEW && !job->reporting.asked &&
	    p->settings->report_immediately && report_is_on(p->settings))
		ask(&job->reporting, MAIL_EVERY_MS, clock_mono());
	return 0;
}

/* --- time --- */

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
	/*
	 * A user who is to be told needs a job too. Without report_user a
	 * notice waits for a reload.
	 */
	if (clean || report || (p->settings->report_user != NULL &&
	    due(&job->telling, 0, now)))
		open_job(p, clean, report);
}

int
maintenance_left(const struct parent *p, struct mono now)
{
	const struct job	*job = &p->job;
	const struct timetable	*all[] = {
		&job->cleaning, &job->reporting, &job->telling
	};
	int			 left = -1;
	size_t			 i;

	if (job->step != JOB_IDLE)
		return job->step == JOB_CLOSING ? -1 :
		    clock_left(job->deadline, now);
	for (i = 0; i < sizeof(all) / sizeof(all[0]) && p->started; i++)
		if (all[i]->planned && (all[i] != &job->telling ||
		    p->settings->report_user != NULL))
			left = clock_sooner(left, clock_left(all[i]->at, now));
	return left;
}
