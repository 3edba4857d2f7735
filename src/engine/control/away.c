#include "engine/control/control.h"

static void
fail_command(struct control *c, const char *state, const char *why)
{
	const struct str	*what = &c->word;

	control_fail(c, "%s%s%s", what->len > 0 ? what->data : state,
	    why[0] != '\0' ? ": " : "", why);
}

/* Why no ledger serves. */
static void
on_state(struct control *c, const struct msg_state *m)
{
	fail_command(c, "the database is away", m->fault);
}

/* What hinders a ledger that serves. */
static int
on_answer(struct control *c, const struct message *m)
{
	struct msg_figures	figures;

	/* An answer to the command's own question may still come. */
	if (m->type != MSG_FIGURES)
		return 0;
	if (msg_figures_get(&figures, m->payload, m->len) == -1)
		return -1;
	fail_command(c, "the database gives no verdict", figures.fault);
	return 0;
}

static void
on_timeout(struct control *c)
{
	fail_command(c, "the database did not answer in time", "");
}

void
away_fail(struct control *c, const char *what)
{
	static const struct control_command	reason = {
		.name = "", .on_state = on_state,
		.on_answer = on_answer, .on_timeout = on_timeout
	};

	c->word.len = 0;
	if (what != NULL)
		str_adds(&c->word, what);
	c->command = &reason;
	c->failed = true;
	if (!control_ask(c, MSG_FIGURES_WANTED, NULL))
		control_task(c, TASK_STATE);
}
