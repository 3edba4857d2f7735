#ifndef CONTROL_H
#define CONTROL_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/decide.h"
#include "engine/held.h"
#include "engine/memory.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "lib/str.h"

/*
 * policyctl's socket. One question on each connection: words, each ended by a
 * NUL byte, and an empty one behind the last. The answer is "ok" or "error" and
 * a text in its first line, then records (reply.h), then the line "end", and
 * the connection is closed. Who may connect is told by the socket's mode and
 * owner; changes are only for root and the socket's owner. All of it is
 * bounded: connections, bytes, time.
 */
#define CONTROL_REQUEST_MAX	(128 * 1024)
#define CONTROL_WORDS_MAX	256

struct control;

struct control_word {
	const char	*bytes;		/* NUL-terminated */
	size_t		 len;
};

/* A command of command.c's table. */
struct control_command {
	const char	*name;
	size_t		 min;		/* words behind the name */
	size_t		 max;
	bool		 changes;
	/* Ends the question, or has it wait for what `told` will get. */
	void		(*run)(struct control *, const struct control_word *,
			    size_t);
	/* The parent's answer to WISH_STATE. */
	void		(*state)(struct control *, const struct msg_state *);
	/* The ledger's answer; -1: it cannot be read. */
	int		(*told)(struct control *, const struct message *);
	/* None came in time; NULL: that is an error. */
	void		(*late)(struct control *);
};

/* What a question that waits needs to be answered. */
struct control_question {
	struct held		*held;
	struct str		 charge;	/* as it was sent */
	struct str		 word;		/* what it is about, or what is
						   said when it is done */
	struct str		 what;		/* no longer blocked */
	enum rule_attribute	 identity;
};

/*
 * `owner` owns the socket, and may do what root may. Wishes are sent over the
 * parent's channel, which stays the caller's. `find` finds a command by its
 * name, or returns NULL.
 */
void	control_init(uid_t owner, struct channel *parent,
	    const struct control_command *(*find)(const struct control_word *));

/* The settings, and the memory or NULL, from now on; still the caller's. */
void	control_use(struct held *, struct memory *);

/* Takes over a connected, non-blocking socket. */
void	control_new(int fd);

/* Nobody is answered any more. */
void	control_stop(void);

/* What the ledger, or the parent, says to a question; -1: it cannot be read. */
int	control_on_ledger(const struct message *);
int	control_on_parent(const struct message *);

/* --- for commands --- */

struct control_question	*control_question(struct control *);
struct held		*control_held(void);
struct memory		*control_memory(void);

/* Who asks. */
uid_t		 control_uid(const struct control *);

/* Where records go. */
struct str	*control_answer(struct control *);
void		 control_end(struct control *);
void		 control_fail(struct control *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

/*
 * Asks the ledger, or fails where there is none, which is told by false. The
 * question then waits.
 */
bool		 control_ask(struct control *, enum message_type,
		    const struct str *payload);

/* Asks the parent; MSG_WISHED ends the question by itself. */
void		 control_wish(struct control *, enum wish);

/* One whole request's words; -1: there is something else. Pure. */
int		 control_words(struct control_word *, size_t max, size_t *n,
		    const char *, size_t len);

/*
 * Length of the request that the bytes begin with, 0: it is not whole yet.
 * Pure.
 */
size_t		 control_request_end(const char *, size_t len);

#endif
