#ifndef NOTICES_H
#define NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * Who is to be told, by report_user, that a login was limited. Each login is
 * claimed in the database, so that one daemon tells it once a day, and all
 * daemons tell at most STORE_NOTICES_MAX in an hour; the others go into the
 * report. A claimed notice is kept here until it is sent or has failed a few
 * times.
 */
struct notices;

struct notices	*notices_new(void);

/*
 * A hit of a login. Only the first one in a day is looked at, and only if
 * addressee_of knows whom to write to.
 */
void		 notices_add(struct notices *, const struct settings *,
		    const char *login, size_t len, const struct msg_hit *,
		    struct mono now);

/*
 * Claims some logins that were added, if it is time to. *new: there are notices
 * to send. notices_wait: milliseconds until it is, -1: nothing is to be
 * claimed.
 */
enum store_result	 notices_claim(struct notices *, struct store *,
			    int64_t wall, struct mono now, bool *new);
int			 notices_wait(const struct notices *, struct mono now);

/* Whether a notice is to be sent. */
bool		 notices_any(const struct notices *);

/* Sends the oldest notice to the report, and then that this is all. */
void		 notices_send(struct notices *, struct channel *);

/* The notice that was sent last has gone out, or has not. */
void		 notices_sent(struct notices *, bool good);

#endif
