#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/messages.h"
#include "parent/tasks.h"
#include "parent/reload.h"

#define GONE_MS		2000	/* from the end of its channel */
#define READS_MAX	64

/* 0, or -1 for a malformed message. */
typedef int	handler(struct parent *, enum slot, const struct message *);

static int
on_ready(struct parent *p, enum slot slot, const struct message *m)
{
	struct child	*child = &p->child[slot];
	char		 raw[sizeof(child->sandbox)];

	if (msg_text_get(raw, sizeof(raw), m->payload, m->len) == -1)
		return -1;
	/* It may have been told to stop meanwhile. */
	if (child->state != CHILD_STARTING)
		return child->state == CHILD_LEAVING ? 0 : -1;
	child->state = CHILD_SERVING;
	str_printable(child->sandbox, sizeof(child->sandbox), raw, strlen(raw));
	log_debug("%s (process %ld) is ready: %s", children_name(p, slot),
	    (long)child->pid, child->sandbox);
	/* A fault is logged once, until there was none. */
	p->restart[slot].fault[0] = '\0';
	if (slot == SLOT_ENGINE || slot == SLOT_LEDGER)
		children_on_ready(p, slot);
	else if (slot == SLOT_NEXT_LEDGER)
		reload_on_ready(p);
	else if (slot == SLOT_SCANNER)
		tasks_on_scanner_ready(p);
	else
		maintenance_on_ready(p, slot);
	return 0;
}

static int
on_alive(struct parent *p, enum slot slot, const struct message *m)
{
	p->child[slot].unanswered = 0;
	return m->len == 0 ? 0 : -1;
}

static int
on_settings_taken(struct parent *p, enum slot slot, const struct message *m)
{
	uint64_t	generation;

	if (msg_number_get(&generation, m->payload, m->len) == -1)
		return -1;
	p->child[slot].taken = generation;
	return 0;
}

static int
on_fault(struct parent *p, enum slot slot, const struct message *m)
{
	struct child	*child = &p->child[slot];
	struct restart	*restart = &p->restart[slot];
	char		 raw[512], text[1024];

	if (msg_text_get(raw, sizeof(raw), m->payload, m->len) == -1)
		return -1;
	/* Only a child that starts may send a fault. */
	if (child->state == CHILD_SERVING)
		return -1;
	str_printable(text, sizeof(text), raw, strlen(raw));
	child->faulted = true;
	/* The same fault after every start is logged once. */
	if (strcmp(raw, restart->fault) != 0)
		log_error("%s: %s", children_name(p, slot), text);
	strlcpy(restart->fault, raw, sizeof(restart->fault));
	return 0;
}

/*
 * The engine and the serving ledger are useless without a channel to each
 * other, and start_again makes the next one. The replaced ledger needs none,
 * and other ledgers may not accuse the engine. An accusation may be about the
 * process before, if that ended at once; then its successor is killed, and
 * started again too.
 */
static int
on_peer_broken(struct parent *p, enum slot slot, const struct message *m)
{
	enum slot	 other = slot == SLOT_ENGINE ? SLOT_LEDGER :
			    SLOT_ENGINE;
	struct child	*peer = &p->child[other];

	if (m->len != 0 || (slot != SLOT_ENGINE && slot != SLOT_LEDGER &&
	    slot != SLOT_OLD_LEDGER))
		return -1;
	if (slot == SLOT_OLD_LEDGER)
		return 0;
	if (peer->channel == NULL || peer->killed ||
	    peer->state == CHILD_LEAVING)
		return 0;
	log_error("%s (process %ld) broke the rules of its channel to %s and "
	    "is killed", children_name(p, other), (long)peer->pid,
	    children_name(p, slot));
	child_kill(peer);
	return 0;
}

static handler *const	handlers[MSG__MAX] = {
	[MSG_READY]		= on_ready,
	[MSG_ALIVE]		= on_alive,
	[MSG_SETTINGS_TAKEN]	= on_settings_taken,
	[MSG_FAULT]		= on_fault,
	[MSG_PEER_BROKEN]	= on_peer_broken,
	[MSG_CLEANED]		= maintenance_on_cleaned,
	[MSG_HITS_FORGOTTEN]	= maintenance_on_forgotten,
	[MSG_HIT_NEW]		= maintenance_on_news,
	[MSG_NOTICE_NEW]	= maintenance_on_news,
	[MSG_REPORTED]		= maintenance_on_reported,
	[MSG_TASK]		= tasks_on_request
};

static void
handle(struct parent *p, enum slot slot, const struct message *m)
{
	/* channel.c has refused messages that this role may not send. */
	if (m->fd != -1)
		close(m->fd);
	if (handlers[m->type] == NULL || handlers[m->type](p, slot, m) == -1) {
		log_error("%s (process %ld) sent a malformed %s message",
		    children_name(p, slot), (long)p->child[slot].pid,
		    message_rule(m->type)->name);
		child_kill(&p->child[slot]);
	}
}

void
messages_take(struct parent *p, enum slot slot)
{
	struct child	*child = &p->child[slot];
	struct message	 m;
	int		 result, reads;

	/* A child that sends without end must not delay the others. */
	for (reads = 0; reads < READS_MAX; reads++) {
		if (child->channel == NULL || child->killed)
			return;
		if ((result = channel_read(child->channel)) == 0)
			return;
		while (result == 1 && !child->killed &&
		    (result = channel_next(child->channel, &m)) == 1)
			handle(p, slot, &m);
		if (result != -1)
			continue;
		if (errno == EBADMSG)
			child_kill(child);
		child_disconnect(child);
		if (child->state == CHILD_LEAVING)
			return;
		/* It has closed its channel: it ends, or is killed. */
		child->state = CHILD_LEAVING;
		child->deadline = clock_after(clock_mono(), GONE_MS);
	}
}
