#ifndef SEEK_H
#define SEEK_H

#include "ipc/channel.h"

/*
 * Questions (inquiry.h) about the refusals: which ones match what is looked
 * for, and which ids or domains had most of them. -1: the message is malformed,
 * or too many questions wait.
 */
struct ledger;

int	seek_on_search(struct ledger *, const struct message *);

/* MSG_TOP by refused mails. */
int	seek_on_top(struct ledger *, const struct message *);

#endif
