#include <sys/types.h>
#include <sys/time.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/reply.h"
#include "engine/try.h"
#include "ipc/channel.h"
#include "ipc/message_simulate.h"
#include "lib/num.h"

#define K_USUAL	10
#define K_MAX	1000

static struct {
	uint64_t	 number;	/* of the command; 0: none */
	uint32_t	 k;
	struct str	 text;
	struct channel	*channel;	/* NULL: not connected */
	struct event	 readable;
	struct event	 writable;
} try;

static void
try_end(void)
{
	try.number = 0;
	str_clear(&try.text);
	if (try.channel == NULL)
		return;
	event_del(&try.readable);
	event_del(&try.writable);
	channel_free(try.channel);
	try.channel = NULL;
}

/* --- results --- */

/* How each kind is written: what the text is, and the names of the numbers. */
static const struct {
	const char	*kind;
	const char	*text;		/* NULL: it has none */
	const char	*number[SIMULATED_NUMBERS + 1];
} records[SIMULATED__MAX] = {
	[SIMULATED_SPAN] = { "", NULL,
	    { "rows", "ids", "first", "last", NULL } },
	[SIMULATED_RULE] = { "rules", NULL,
	    { "ids", "refused_ids", "refused", "first", NULL } },
	[SIMULATED_ID] = { "refused", "id",
	    { "refused", "total", "first", "limit", "seconds", NULL } },
	[SIMULATED_WINDOW] = { "windows", NULL,
	    { "seconds", "limit", "p50", "p99", "max", "suggested", "over",
	    "ids", NULL } },
	[SIMULATED_SKIPPED] = { "skipped", "reason", { NULL } },
};

static void
try_record(struct str *out, const struct msg_simulated *m)
{
	size_t	i;

	reply_begin(out, records[m->kind].kind);
	if (m->kind != SIMULATED_SPAN)
		reply_bytes(out, "rule", m->rule, m->rulelen);
	if (records[m->kind].text != NULL)
		reply_bytes(out, records[m->kind].text, m->text, m->textlen);
	for (i = 0; records[m->kind].number[i] != NULL; i++)
		reply_number(out, records[m->kind].number[i], m->number[i]);
	reply_end(out);
}

/* -1: malformed. */
static int
try_on_message(struct control *c, const struct message *m)
{
	struct msg_simulated	told;

	if (m->type != MSG_SIMULATED ||
	    msg_simulated_get(&told, m->payload, m->len) == -1)
		return -1;
	switch (told.kind) {
	case SIMULATED_PROGRESS:
		/* It may find that the caller is gone. */
		control_progress(c, told.number[0] > 0 ? told.number[0] : 0);
		if ((c = control_numbered(try.number)) != NULL)
			control_hold(c);
		break;
	case SIMULATED_FAILED:
		/* The text is in the buffer of the channel. */
		control_fail(c, "try: %.*s", (int)(told.textlen < 1024 ?
		    told.textlen : 1024), told.textlen > 0 ? told.text : "");
		try_end();
		break;
	case SIMULATED_DONE:
		try_end();
		control_end(c);
		break;
	default:
		try_record(control_answer(c), &told);
	}
	return 0;
}

static void
try_on_readable(int fd, short what, void *arg)
{
	struct control	*c = NULL;
	struct message	 m;
	int		 read, more = 0;

	(void)fd;
	(void)what;
	(void)arg;
	read = channel_read(try.channel);
	while (try.channel != NULL &&
	    (c = control_numbered(try.number)) != NULL &&
	    (more = channel_next(try.channel, &m)) == 1)
		if (try_on_message(c, &m) == -1)
			more = -1;
	if (try.channel == NULL)
		return;
	/* The caller is gone, or the ledger. */
	if (c == NULL)
		try_end();
	else if (read == -1 || more == -1) {
		try_end();
		control_fail(c, "try: the process that reads the rows ended; "
		    "the log has the reason");
	}
}

static void
try_flush(void)
{
	/* A broken channel is noticed when it is read. */
	if (channel_flush(try.channel) == 0)
		event_add(&try.writable, NULL);
}

static void
try_on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	try_flush();
}

void
try_channel(int fd)
{
	struct control		*c = control_numbered(try.number);
	struct msg_simulate	 wanted = { .k = try.k, .text = "" };
	struct str		 payload;

	if (c == NULL || try.channel != NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	try.channel = channel_new(fd, ROLE_ENGINE, ROLE_LEDGER);
	event_set(&try.readable, channel_fd(try.channel),
	    EV_READ | EV_PERSIST, try_on_readable, NULL);
	event_set(&try.writable, channel_fd(try.channel), EV_WRITE,
	    try_on_writable, NULL);
	event_add(&try.readable, NULL);
	if (try.text.len > 0) {
		wanted.text = try.text.data;
		wanted.textlen = try.text.len;
	}
	str_init(&payload);
	msg_simulate_put(&payload, &wanted);
	channel_send(try.channel, MSG_SIMULATE, 0, &payload, -1);
	str_clear(&payload);
	control_hold(c);
	try_flush();
}

/* --- the command --- */

void
try_run(struct control *c, const struct control_word *word, size_t n)
{
	int64_t	k = K_USUAL;
	size_t	i;

	if (try.number != 0 && control_numbered(try.number) != NULL) {
		control_fail(c, "try: another one is under way");
		return;
	}
	try_end();
	for (i = 0; i < n; i++) {
		if (strncmp(word[i].bytes, "k=", 2) != 0)
			str_add(&try.text, word[i].bytes, word[i].len);
		else if (num_parse(word[i].bytes + 2, word[i].len - 2, 1,
		    K_MAX, &k) == -1) {
			control_fail(c, "try: a number from 1 to %d is "
			    "expected", K_MAX);
			return;
		}
	}
	try.k = (uint32_t)k;
	try.number = control_number(c);
	control_wish(c, WISH_SIMULATION);
}

void
try_init(void)
{
	str_init(&try.text);
}
