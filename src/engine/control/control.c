#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/control/control.h"
#include "engine/ledger_link.h"
#include "engine/reply.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"

#define MOST		8		/* connections */
#define GONE_MOST	64		/* closed ones, kept for the log */
#define TALK_MS		10000		/* to send, and to read */
#define TASK_MS		120000		/* for a task of the parent */
#define UNKNOWN_SECONDS	10		/* between two such lines in the log */
#define LEDGER_MS	1000		/* in addition to db_timeout */
#define ENDED_MS	(60 * 60 * 1000)	/* to log how a change ended */
#define NO_TASK		TASK__MAX

struct controls {
	TAILQ_HEAD(, control)	 list;
	size_t			 count;		/* of connections */
	size_t			 gone;		/* closed ones */
	uint64_t		 number;	/* of the last command */
	struct log_limit	 unknown;	/* peers, in the log */
	struct log_limit	 denied;	/* commands, in the log */
	uid_t			 owner;
	struct channel		*parent;
	const struct engine	*engine;
	const struct control_command *(*find)(const struct control_word *);
};

/* --- connections --- */

static void
disconnect(struct control *c)
{
	if (c->state == CONTROL_GONE)
		return;
	c->state = CONTROL_GONE;
	c->controls->count--;
	c->controls->gone++;
	event_del(&c->readable);
	event_del(&c->writable);
	if (c->fd != -1)
		close(c->fd);
}

static void
free_control(struct control *c)
{
	audit_ended(&c->audit, c->failed ? "failed: the database could not "
	    "do it" : "the result is unknown", "");
	disconnect(c);
	c->controls->gone--;
	event_del(&c->timer);
	TAILQ_REMOVE(&c->controls->list, c, entry);
	if (c->policy != NULL)
		policy_drop(c->policy);
	free(c->why);
	str_clear(&c->charge);
	str_clear(&c->word);
	str_clear(&c->what);
	str_clear(&c->event);
	str_clear(&c->in);
	str_clear(&c->answer);
	str_clear(&c->out);
	free(c);
}

int
control_detach(struct control *c)
{
	int	fd = c->fd;

	event_del(&c->readable);
	event_del(&c->writable);
	c->fd = -1;
	free_control(c);
	return fd;
}

static void
set_timer(struct control *c, int64_t ms)
{
	struct timeval	tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&c->timer, &tv);
}

static void
close_control(struct control *c)
{
	if (c->audit.said == NULL || c->failed ||
	    c->controls->gone == GONE_MOST) {
		free_control(c);
		return;
	}
	disconnect(c);
	c->answered = true;
	set_timer(c, ENDED_MS);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct control	*c = arg;
	ssize_t		 n;

	(void)fd;
	(void)what;
	n = write(c->fd, c->out.data + c->written, c->out.len - c->written);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		close_control(c);
		return;
	}
	if (n > 0)
		c->written += (size_t)n;
	if (c->written == c->out.len)
		close_control(c);
	else
		event_add(&c->writable, NULL);
}

/*
 * Writes later, from the loop, so that the caller may still use the connection.
 */
static void
start_writing(struct control *c)
{
	c->state = CONTROL_WRITING;
	if (!c->answered)
		c->task = NO_TASK;
	event_del(&c->readable);
	set_timer(c, TALK_MS);
	event_add(&c->writable, NULL);
}

/*
 * After the answer only the log is written. True: there is nothing more to do.
 */
static bool
finish_answered(struct control *c)
{
	if (!c->answered)
		return false;
	c->task = NO_TASK;
	if (c->state == CONTROL_GONE)
		free_control(c);
	return true;
}

void
control_end(struct control *c)
{
	audit_ended(&c->audit, "done", "");
	if (finish_answered(c))
		return;
	str_adds(&c->out, "ok\n");
	if (c->answer.len > 0)
		str_add(&c->out, c->answer.data, c->answer.len);
	str_adds(&c->out, "end\n");
	start_writing(c);
}

void
control_fail(struct control *c, const char *format, ...)
{
	char		 raw[sizeof(((struct msg_task_done *)NULL)->text)];
	struct str	 text;
	const char	*last;
	va_list		 ap;

	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	/* A reload's faults are in the log already; the last line sums up. */
	last = strrchr(raw, '\n');
	last = last != NULL ? last + 1 : raw;
	str_init(&text);
	str_add_printable(&text, last, strlen(last));
	audit_ended(&c->audit, "failed: ", text.data);
	str_clear(&text);
	if (finish_answered(c))
		return;
	str_adds(&c->out, "error ");
	str_add_printable(&c->out, raw, strlen(raw));
	str_adds(&c->out, "\nend\n");
	start_writing(c);
}

/* --- waiting --- */

void
control_hold(struct control *c, int64_t ms)
{
	c->task = NO_TASK;
	/* One that was answered, or is closed, waits for the log alone. */
	if (!c->answered)
		c->state = CONTROL_WAITING;
	set_timer(c, ms);
}

bool
control_ask(struct control *c, enum message_type type,
    const struct str *payload)
{
	if (!ledger_link_send(c->engine->ledger, type, c->number, payload))
		return false;
	control_hold(c, c->engine->policy->settings->db_timeout + LEDGER_MS);
	return true;
}

bool
control_ask_charge(struct control *c, enum message_type type,
    struct msg_charge *charge)
{
	if (c->policy == NULL)
		c->policy = policy_take(c->engine->policy);
	charge->deadline = clock_after(loop_now(),
	    c->policy->settings->db_timeout).ns;
	c->charge.len = 0;
	msg_charge_put(&c->charge, charge);
	return control_ask(c, type, &c->charge);
}

void
control_sent(const struct control *c, struct msg_charge *charge)
{
	if (msg_charge_get(charge, c->charge.data, c->charge.len) == -1)
		log_fatal("a charge of our own is broken");
}

/* A line that cannot be written at once is left out. */
void
control_progress(struct control *c, int64_t rows)
{
	char	line[48];
	int	len;

	control_hold(c, c->engine->policy->settings->db_timeout + LEDGER_MS);
	len = snprintf(line, sizeof(line), "progress %lld\n", (long long)rows);
	if (!c->answered && write(c->fd, line, (size_t)len) == -1 &&
	    errno != EAGAIN)
		close_control(c);
}

void
control_task(struct control *c, enum parent_task task)
{
	struct str	payload;

	str_init(&payload);
	msg_number_put(&payload, task);
	channel_send(c->controls->parent, MSG_TASK, 0, &payload, -1);
	str_clear(&payload);
	control_hold(c, task == TASK_STATE ? TALK_MS : TASK_MS);
	c->task = task;
}

static void
on_timer(int fd, short what, void *arg)
{
	struct control	*c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONTROL_GONE)
		free_control(c);
	else if (c->state != CONTROL_WAITING)
		close_control(c);
	else if (c->command->on_timeout != NULL)
		c->command->on_timeout(c);
	else {
		/* The change may have been made all the same. */
		audit_log(&c->audit, "not answered in time", "");
		c->answered = c->audit.said != NULL;
		str_addf(&c->out, "error %s\nend\n", c->task != NO_TASK ?
		    "not finished; the log says how it ends" :
		    "the database did not answer in time");
		start_writing(c);
	}
}

static bool
is_waiting(const struct control *c)
{
	return c->state == CONTROL_WAITING ||
	    (c->answered && c->audit.said != NULL);
}

struct control *
control_numbered(const struct controls *controls, uint64_t number)
{
	struct control	*c;

	TAILQ_FOREACH(c, &controls->list, entry)
		if (c->number == number && c->state == CONTROL_WAITING)
			return c;
	return NULL;
}

int
control_on_ledger(struct controls *controls, const struct message *m)
{
	struct control	*c;
	uint64_t	 rows;

	TAILQ_FOREACH(c, &controls->list, entry)
		if (c->number == m->request && is_waiting(c) &&
		    c->task == NO_TASK && c->command->on_answer != NULL)
			break;
	/* The caller is gone. */
	if (c == NULL)
		return 0;
	if (m->type != MSG_PROGRESS)
		return c->command->on_answer(c, m);
	if (msg_number_get(&rows, m->payload, m->len) == -1)
		return -1;
	control_progress(c, (int64_t)(rows & INT64_MAX));
	return 0;
}

int
control_on_parent(struct controls *controls, const struct message *m)
{
	struct msg_task_done	 done;
	struct msg_state	 state;
	struct control		*c, *next;

	if (m->type == MSG_TASK_DONE ?
	    msg_task_done_get(&done, m->payload, m->len) == -1 :
	    msg_state_get(&state, m->payload, m->len) == -1)
		return -1;
	for (c = TAILQ_FIRST(&controls->list); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!is_waiting(c) || c->task == NO_TASK)
			continue;
		if (m->type == MSG_STATE && c->task == TASK_STATE) {
			c->task = NO_TASK;
			c->command->on_state(c, &state);
			continue;
		}
		if (m->type != MSG_TASK_DONE || c->task != done.task)
			continue;
		if (!done.good) {
			control_fail(c, "%s", done.text);
			continue;
		}
		reply_begin(&c->answer, "");
		reply_text(&c->answer, "text", done.text);
		reply_end(&c->answer);
		control_end(c);
	}
	return 0;
}

/* --- questions --- */

static void
deny_command(struct control *c)
{
	const char	*name = c->command->name;
	const char	*group = c->engine->policy->settings->operator_group;

	audit_denied(&c->audit, &c->controls->denied, name);
	if (c->command->access == CONTROL_OWN)
		control_fail(c, "permission denied: %s is for root and the "
		    "owner of the socket", name);
	else if (group == NULL)
		control_fail(c, "permission denied: %s is for root and the "
		    "owner of the socket, since operator_group is not set",
		    name);
	else
		control_fail(c, "permission denied: %s is for root, the owner "
		    "of the socket and the group %s", name, group);
}

static void
run_command(struct control *c, size_t len)
{
	const size_t		sudo = strlen(CONTROL_SUDO);
	struct control_word	words[CONTROL_WORDS_MAX + 1], *word = words;
	int64_t			uid;
	size_t			n;

	event_del(&c->readable);
	if (control_words(words, CONTROL_WORDS_MAX + 1, &n, c->in.data,
	    len) == -1) {
		control_fail(c, "malformed question");
		return;
	}
	if (n > 1 && strncmp(word->bytes, CONTROL_SUDO, sudo) == 0) {
		if (num_parse(word->bytes + sudo, word->len - sudo, 0,
		    UINT32_MAX, &uid) == -1) {
			control_fail(c, "malformed question");
			return;
		}
		c->audit.claims = true;
		c->audit.sudo_uid = (uid_t)uid;
		word++;
		n--;
	}
	if ((c->command = c->controls->find(word)) == NULL) {
		control_fail(c, "unknown command");
		return;
	}
	n--;
	if (n < c->command->min || n > c->command->max) {
		control_fail(c, "%s: wrong number of arguments",
		    c->command->name);
		return;
	}
	if (c->access > c->command->access) {
		deny_command(c);
		return;
	}
	if (c->command->changes)
		audit_said(&c->audit, word, n + 1);
	if (c->command->run != NULL)
		c->command->run(c, word + 1, n);
	else
		control_task(c, c->command->task);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct control	*c = arg;
	char		 bytes[8192];
	ssize_t		 n;
	size_t		 end;

	(void)what;
	n = read(fd, bytes, sizeof(bytes));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_control(c);
		return;
	}
	str_add(&c->in, bytes, (size_t)n);
	if ((end = control_request_end(c->in.data, c->in.len)) > 0)
		run_command(c, end);
	else if (c->in.len > CONTROL_REQUEST_MAX) {
		event_del(&c->readable);
		control_fail(c, "the question is too long");
	}
}

/* --- all of them --- */

/*
 * Makes room for a connection if there are too many: root's closes the oldest,
 * an operator's the oldest that may only look. False: there is no room.
 */
static bool
make_room(struct controls *controls, enum control_access access)
{
	struct control	*c;

	if (controls->count < MOST)
		return true;
	if (access == CONTROL_LOOK)
		return false;
	TAILQ_FOREACH(c, &controls->list, entry)
		if (c->state != CONTROL_GONE && (access == CONTROL_OWN ||
		    c->access == CONTROL_LOOK))
			break;
	if (c == NULL)
		return false;
	close_control(c);
	return true;
}

void
control_accept(struct controls *controls, int fd, bool operator)
{
	struct control		*c;
	enum control_access	 access;
	unsigned int		 suppressed;
	uid_t			 uid;
	gid_t			 gid;

	/* The BSDs cannot tell once the peer has closed its end. */
	if (getpeereid(fd, &uid, &gid) == -1) {
		if (log_allowed(&controls->unknown, UNKNOWN_SECONDS,
		    &suppressed))
			log_warning("policyctl: the peer's user is unknown: "
			    "%s (%u more not shown)", strerror(errno),
			    suppressed);
		close(fd);
		return;
	}
	if (uid == 0 || uid == controls->owner)
		access = CONTROL_OWN;
	else
		access = operator ? CONTROL_OPERATE : CONTROL_LOOK;
	if (!make_room(controls, access)) {
		close(fd);
		return;
	}
	c = alloc_zero(1, sizeof(*c));
	c->engine = controls->engine;
	c->controls = controls;
	c->number = ++controls->number;
	c->fd = fd;
	c->access = access;
	c->audit.uid = uid;
	c->audit.gid = gid;
	c->task = NO_TASK;
	str_init(&c->charge);
	str_init(&c->word);
	str_init(&c->what);
	str_init(&c->event);
	str_init(&c->in);
	str_init(&c->answer);
	str_init(&c->out);
	event_set(&c->readable, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_set(&c->writable, fd, EV_WRITE, on_writable, c);
	evtimer_set(&c->timer, on_timer, c);
	TAILQ_INSERT_TAIL(&controls->list, c, entry);
	controls->count++;
	event_add(&c->readable, NULL);
	set_timer(c, TALK_MS);
}

void
control_stop(struct controls *controls)
{
	struct control	*c;

	while ((c = TAILQ_FIRST(&controls->list)) != NULL) {
		/*
		 * A reload that replaces this process must still get its
		 * answer.
		 */
		if (c->state == CONTROL_WRITING && write(c->fd,
		    c->out.data + c->written, c->out.len - c->written) == -1)
			log_debug("policyctl: %s", strerror(errno));
		free_control(c);
	}
}

struct controls *
control_new(const struct engine *engine, uid_t owner, struct channel *parent,
    const struct control_command *(*find)(const struct control_word *))
{
	struct controls	*controls = alloc_zero(1, sizeof(*controls));

	TAILQ_INIT(&controls->list);
	controls->engine = engine;
	controls->owner = owner;
	controls->parent = parent;
	controls->find = find;
	return controls;
}
