#ifndef CONTROL_H
#define CONTROL_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "engine/control/audit.h"
#include "engine/control/control_words.h"
#include "engine/engine.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "ipc/message_simulate.h"
#include "lib/str.h"

/*
 * The socket of policyctl. A connection carries one command: words, each ended
 * by a NUL byte, and an empty word at the end. The answer is a line with "ok"
 * or with "error" and a text, then records (reply.h), then the line "end"; then
 * the connection is closed. A word CONTROL_SUDO with a number may come first:
 * the user who has called sudo, as policyctl claims. The mode and owner of a
 * socket decide who may connect. The user, and which of the two sockets it is,
 * decide which commands are permitted. Connections, bytes and time are bounded.
 */
/* `try` brings the limits of a whole configuration. */
#define CONTROL_REQUEST_MAX	(SIMULATE_TEXT_MAX + 4096)
#define CONTROL_WORDS_MAX	256

struct why;
struct control;

/* Who may use a command, in the order of privileges, the highest first. */
enum control_access {
	CONTROL_OWN,		/* root and the owner of the socket */
	CONTROL_OPERATE,	/* and users of the operators' socket */
	CONTROL_LOOK		/* and every other connection */
};

/* A command of command.c's table. */
struct control_command {
	const char	*name;
	size_t		 min;		/* words after the name */
	size_t		 max;
	enum control_access access;
	bool		 changes;	/* it is logged */
	enum parent_task task;		/* if `run` is NULL */
	/*
	 * Ends the command, or makes it wait for the answer that `on_answer`
	 * takes. NULL: the parent does `task`.
	 */
	void		(*run)(struct control *, const struct control_word *,
			    size_t);
	/* Takes the parent's answer to TASK_STATE. */
	void		(*on_state)(struct control *, const struct msg_state *);
	/* Takes the ledger's answer, no MSG_PROGRESS; -1: it is malformed. */
	int		(*on_answer)(struct control *, const struct message *);
	/* No answer came in time; NULL: that is an error. */
	void		(*on_timeout)(struct control *);
};

enum control_state {
	CONTROL_READING,
	CONTROL_WAITING,	/* for the ledger or the parent */
	CONTROL_WRITING,
	CONTROL_GONE		/* closed; only the log waits for its end */
};

/* All connections. */
struct controls;

/* A connection and its command. */
struct control {
	const struct engine		*engine;
	uint64_t			 number;	/* of the command */
	const struct control_command	*command;
	struct audit			 audit;	/* who the caller is */
	struct str			 answer;	/* records so far */

	/* --- the state of a waiting command --- */
	struct policy		*policy;
	struct str		 charge;	/* as it was sent */
	struct str		 word;		/* what it is about, or what is
						   said when it is done */
	struct str		 what;		/* what is to be unblocked */
	struct str		 event;		/* fields of the event that says
						   that it is done */
	enum rule_attribute	 identity;
	bool			 exempt;
	bool			 known;		/* the id has a history */
	bool			 failed;	/* only the reason is awaited */
	uint32_t		 most;		/* records of a kind; 0: all */
	struct why		*why;		/* why.c's; freed with free() */

	/* --- of control.c alone --- */
	struct controls		*controls;
	TAILQ_ENTRY(control)	 entry;
	int			 fd;
	enum control_access	 access;
	enum control_state	 state;
	enum parent_task	 task;		/* TASK__MAX: none */
	bool			 answered;	/* or closed; the log waits for
						   the end of its change */
	struct str		 in;
	struct str		 out;
	size_t			 written;
	struct event		 readable;
	struct event		 writable;
	struct event		 timer;
};

/*
 * `owner` owns the socket, and may do what root may. Tasks are sent over the
 * parent's channel, which stays the caller's. `find` finds a command by its
 * name, or returns NULL.
 */
struct controls	*control_new(const struct engine *, uid_t owner,
		    struct channel *parent, const struct control_command *
		    (*find)(const struct control_word *));

/*
 * Takes over a connected, non-blocking socket; `operator`: it came by the
 * socket of operator_group.
 */
void	control_accept(struct controls *, int fd, bool operator);

/* Closes all connections, after one write of the answers that are ready. */
void	control_stop(struct controls *);

/* Takes answers of the ledger and of the parent; -1: malformed. */
int	control_on_ledger(struct controls *, const struct message *);
int	control_on_parent(struct controls *, const struct message *);

/* --- for commands --- */

/*
 * The waiting command of this number; NULL: the caller is gone, or was
 * answered.
 */
struct control	*control_numbered(const struct controls *, uint64_t);

/*
 * Lets the command wait for an answer other than that of a task of the parent.
 * After `ms` milliseconds its on_timeout is called.
 */
void		 control_hold(struct control *, int64_t ms);

/*
 * End the command, with the records in `answer` or with an error. The control
 * may be gone afterwards.
 */
void		 control_end(struct control *);
void		 control_fail(struct control *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

/*
 * Ends the command, and hands over its socket: the caller answers. The control
 * is gone.
 */
int		 control_detach(struct control *);

/*
 * Sends a message to the ledger, and lets the command wait. False, and the
 * command goes on, if no ledger has its database.
 */
bool		 control_ask(struct control *, enum message_type,
		    const struct str *payload);

/*
 * The same for a charge, whose deadline it sets. The settings and the charge
 * are kept; control_sent fills a charge with it.
 */
bool		 control_ask_charge(struct control *, enum message_type,
		    struct msg_charge *);
void		 control_sent(const struct control *, struct msg_charge *);

/*
 * The ledger is still looking, and has seen so many rows: tells policyctl, and
 * waits longer. If policyctl has left, the control may be gone afterwards.
 */
void		 control_progress(struct control *, int64_t rows);

/*
 * Has the parent do a task, and lets the command wait. MSG_TASK_DONE ends it;
 * TASK_STATE is answered by MSG_STATE, which on_state takes.
 */
void		 control_task(struct control *, enum parent_task);

/*
 * away.c: asks the ledger or the parent why the database does not work, and
 * fails the command with an error and that reason after it. The error is
 * `what`, or with NULL a text that says in which state the database is.
 */
void	away_fail(struct control *, const char *what);

#endif
