#include <string.h>

#include "engine/reply.h"
#include "engine/control/scan_queue.h"
#include "engine/control/try.h"
#include "ipc/message_simulate.h"
#include "lib/num.h"

#define PATIENCE_MS	120000
#define K_USUAL	10
#define K_MAX	1000

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

static int
on_answer(struct control *c, const struct message *m)
{
	struct msg_simulated	answer;
	struct str		*out = &c->answer;
	const char *const	*name;
	size_t			 i;

	if (m->type != MSG_SIMULATED ||
	    msg_simulated_get(&answer, m->payload, m->len) == -1)
		return -1;
	if (answer.kind == SIMULATED_FAILED) {
		control_fail(c, "try: %.*s", (int)(answer.textlen < 1024 ?
		    answer.textlen : 1024),
		    answer.textlen > 0 ? answer.text : "");
		return 0;
	}
	if (answer.kind == SIMULATED_DONE) {
		control_end(c);
		return 0;
	}
	reply_begin(out, records[answer.kind].kind);
	if (answer.kind != SIMULATED_SPAN)
		reply_bytes(out, "rule", answer.rule, answer.rulelen);
	if (records[answer.kind].text != NULL)
		reply_bytes(out, records[answer.kind].text, answer.text,
		    answer.textlen);
	name = records[answer.kind].number;
	for (i = 0; name[i] != NULL; i++)
		reply_number(out, name[i], answer.number[i]);
	reply_end(out);
	return 0;
}

static void
reply_failed(struct control *c, const char *why)
{
	control_fail(c, "try: %s", why);
}

void
try_on_timeout(struct control *c)
{
	scan_queue_leave(c->engine->scan_queue, c);
	reply_failed(c, "the database did not answer in time");
}

/* --- the command --- */

void
try_run(struct control *c, const struct control_word *word, size_t n)
{
	static const struct scan_question	question = {
		MSG_SIMULATE, on_answer, reply_failed, PATIENCE_MS
	};
	struct msg_simulate	wanted = { .text = "" };
	struct str		payload;
	int64_t			k = K_USUAL;
	size_t			i;

	for (i = 0; i < n; i++) {
		if (strncmp(word[i].bytes, "k=", 2) != 0) {
			wanted.text = word[i].bytes;
			wanted.textlen = word[i].len;
		} else if (num_parse(word[i].bytes + 2, word[i].len - 2, 1,
		    K_MAX, &k) == -1) {
			control_fail(c, "try: a number from 1 to %d is "
			    "expected", K_MAX);
			return;
		}
	}
	wanted.most_ids = (uint32_t)k;
	str_init(&payload);
	msg_simulate_put(&payload, &wanted);
	scan_queue_add(c->engine->scan_queue, c, &question, &payload);
	str_clear(&payload);
}
