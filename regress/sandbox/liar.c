#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "liar.h"
#include "lib/log.h"

/*
 * An engine that somebody took over, in the place of the real one: it starts
 * and locks itself in as the engine does, asks the ledger one honest question,
 * and then lies to the parent or to the ledger. Which lie it is stands in its
 * settings, fail_action = "reject lie NAME NUMBER". What must come of each is
 * in liar.t.
 */
struct role_start	liar_start;
unsigned int		liar_number;
static bool		liar_refuses;	/* new settings, and dies of them */

/* What an honest engine asks is still answered, whatever came before. */
static void
ask_honestly(void)
{
	struct msg_verdict	verdict;
	struct mono		deadline = clock_after(clock_mono(),
				    LIAR_WAIT_MS);
	struct message		m;
	struct str		payload;
	int			result;

	liar_charge(&payload, "probe");
	channel_send(liar_start.peer, MSG_CHARGE, 7, &payload, -1);
	str_clear(&payload);
	/* First it says that it serves, and what is blocked. */
	while ((result = channel_wait(liar_start.peer, &m, deadline)) == 0 &&
	    m.type != MSG_VERDICT)
		;
	if (result == -1 || m.type != MSG_VERDICT || m.request != 7 ||
	    msg_verdict_get(&verdict, m.payload, m.len) == -1)
		log_error("liar: an honest charge has no answer");
	else
		log_notice("liar: an honest charge has its answer");
}

/* Takes what the parent says, up to new settings: that is the test's reload. */
static bool
take_messages(void)
{
	struct settings	*fresh = NULL;
	struct message	 m;
	bool		 reloaded;
	int		 result;

	if ((result = channel_read(liar_start.parent)) == -1)
		exit(0);
	while (result == 1 && fresh == NULL &&
	    (result = channel_next(liar_start.parent, &m)) == 1) {
		if (m.type == MSG_STOP)
			exit(0);
		(void)role_message(&liar_start, &m, &fresh);
	}
	reloaded = fresh != NULL;
	if (reloaded && liar_refuses)
		exit(6);
	if (reloaded)
		role_taken(&liar_start);
	settings_free(fresh);
	return reloaded;
}

/* The lie is for a daemon that has started: the test reloads it then. */
static void
wait_reload(void)
{
	struct pollfd	pfd = {
		.fd = channel_fd(liar_start.parent), .events = POLLIN
	};

	while (!take_messages())
		(void)poll(&pfd, 1, -1);
}

/* Who was lied to may close the channel, kill this process, or bear it. */
static void
wait_end(int fd)
{
	int		parent = channel_fd(liar_start.parent);
	struct pollfd	pfd[2] = {
		{ .fd = parent, .events = POLLIN },
		{ .fd = fd == parent ? -1 : fd, .events = 0 }
	};

	do
		(void)take_messages();
	while (poll(pfd, 2, -1) != -1 && pfd[1].revents == 0);
}

int
main(void)
{
	struct sandbox_needs	 needs;
	const struct lie	*lie;
	char			 name[64] = "";
	int			 fd;

	role_begin(&liar_start, ROLE_ENGINE, "engine");
	if (sscanf(liar_start.settings->fail_action, "reject lie %63s %u", name,
	    &liar_number) != 2)
		role_fault(&liar_start, ROLE_FAULT, "fail_action names no lie");
	if ((lie = lie_find(name)) == NULL)
		role_fault(&liar_start, ROLE_FAULT, "%s is no lie", name);
	liar_refuses = strcmp(name, "parent-refuse") == 0;
	memset(&needs, 0, sizeof(needs));
	needs.role = SANDBOX_ENGINE;
	if (!lie->unlocked)
		role_lock(&liar_start, &needs);
	role_ready(&liar_start);
	ask_honestly();
	wait_reload();
	fd = lie->to();
	if (lie->lie(fd) == -1)
		log_notice("liar: %s came to an end", name);
	else
		log_notice("liar: %s was told", name);
	wait_end(fd);
	return 0;
}
