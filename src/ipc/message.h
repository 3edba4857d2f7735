#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/override_kind.h"
#include "lib/str.h"
#include "lib/window.h"

/*
 * Every message between our processes: its type, its struct, and a pair of
 * functions. put appends the payload to a str. get fills the struct from a
 * payload; it returns 0, or -1 with errno EBADMSG for a wrong length, a value
 * out of range or bytes left over. Pointers set by get point into the payload
 * unless stated otherwise.
 */
enum role {
	ROLE_PARENT,
	ROLE_ENGINE,
	ROLE_LEDGER,
	ROLE_REPORT,
	ROLE__MAX
};

const char	*message_role_name(enum role);

enum message_type {
	/* parent to children, at start and later; to which: message.c */
	MSG_LOG,		/* number: 1 to log in detail, else 0 */
	MSG_IDENTITY,		/* struct msg_identity */
	MSG_SETTING,		/* one setting: conf/settings_message.h */
	MSG_SETTINGS_END,	/* number: generation, now complete */
	MSG_LISTENER,		/* struct msg_listener, with the socket */
	MSG_LISTENER_END,	/* number of a listener to close */
	MSG_DIRECTORY,		/* descriptor 4 is the SQLite directory */
	MSG_PEER,		/* number: role of the peer, with our end */
	MSG_START,		/* the end of the start messages */
	MSG_STOP,		/* answer what was read, then exit */
	MSG_ALIVE_WANTED,	/* asks for MSG_ALIVE */
	/* child to parent */
	MSG_READY,		/* text: the sandbox, for the log */
	MSG_ALIVE,		/* the answer */
	MSG_SETTINGS_TAKEN,	/* number: generation now in force */
	MSG_FAULT,		/* text: why it cannot start; it exits */
	MSG_PEER_BROKEN,	/* engine or serving ledger: the other one
				   broke the rules of their channel */
	/* between engine and ledger */
	MSG_CHARGE,		/* struct msg_charge, answered by number */
	MSG_VERDICT,		/* struct msg_verdict */
	MSG_SERVING,		/* ledger to engine: it has its database */
	MSG_REFUSAL,		/* engine, ledger: struct msg_refusal */
	MSG_REFUSALS_KEPT,	/* ledger, engine: number of the last one */
	/* cleaning and reporting: sender, receiver: contents */
	MSG_CLEAN,		/* parent, ledger: begin */
	MSG_CLEANED,		/* ledger, parent: struct msg_cleaned */
	MSG_HITS_WANTED,	/* parent, ledger: send them to the report */
	MSG_HIT,		/* ledger, report: struct msg_hit */
	MSG_EVIDENCE,		/* ledger, report: struct msg_evidence */
	MSG_HITS_END,		/* ledger, report: number: time of the last */
	MSG_HITS_SENT,		/* parent, ledger: mailed, delete them */
	MSG_HITS_FORGOTTEN,	/* ledger, parent: number: 1 if it could */
	MSG_HIT_NEW,		/* ledger, parent: report_immediately */
	MSG_NOTICE_NEW,		/* ledger, parent: report_user, one waits */
	MSG_NOTICE_WANTED,	/* parent, ledger: send it to the report */
	MSG_NOTICE,		/* ledger, report: struct msg_hit of a login:
				   one to tell, or one for the report */
	MSG_NOTICE_END,		/* ledger, report: there is no more to tell */
	MSG_NOTICE_SENT,	/* parent, ledger: number: 1 if it was mailed */
	MSG_REPORTED,		/* report, parent: struct msg_reported */
	MSG_TRIED,		/* parent, report: text: an address that failed,
				   for struct report_tried */
	/* requests of policyctl, engine to parent, and their results */
	MSG_TASK,		/* number: enum parent_task */
	MSG_TASK_DONE,		/* struct msg_task_done */
	MSG_STATE,		/* struct msg_state: of TASK_STATE */
	/* questions of policyctl, engine to ledger and back */
	MSG_WEIGH,		/* struct msg_charge: nothing is recorded */
	MSG_WEIGHED,		/* struct msg_weighed */
	MSG_TOP,		/* struct msg_top */
	MSG_TOPPED,		/* struct msg_topped */
	MSG_FIGURES_WANTED,
	MSG_FIGURES,		/* struct msg_figures */
	MSG_SEARCH,		/* struct msg_search: the refusals it matches */
	MSG_FOUND,		/* struct msg_refusal: one of them */
	MSG_SEARCHED,		/* struct msg_searched: that is all */
	MSG_PROGRESS,		/* number: rows that were looked at so far */
	MSG_RESET,		/* struct msg_charge; answer MSG_WEIGHED */
	MSG_EXTERNAL,		/* the same with a charge of CHARGE_ADD */
	MSG_OVERRIDE,		/* struct msg_override */
	MSG_TRUST,		/* struct msg_charge: of CHARGE_HABIT keys */
	MSG_FORGET,		/* the same: what was learned since its date */
	MSG_OVERRIDDEN,		/* struct msg_overridden: the answer to
				   MSG_OVERRIDE, MSG_TRUST and MSG_FORGET */
	/* policyctl try and top, by a ledger that reads all rows */
	MSG_SCAN,		/* parent to engine and ledger: number: role of
				   the peer, with our end of a channel */
	MSG_SIMULATE,		/* engine, ledger: message_simulate.h */
	MSG_SIMULATED,		/* ledger, engine: the same */
	/* the blocks and grants, for the engine's list */
	MSG_OVERRIDES_WANTED,	/* engine, ledger */
	MSG_OVERRIDES_BEGIN,	/* ledger, engine: forget the list */
	MSG_OVERRIDES_PART,	/* struct msg_override, one in each */
	MSG_OVERRIDES_END,	/* the list is complete and current; in answer
				   to _WANTED: text: why it is not, or "" */
	MSG__MAX
};

enum parent_task {
	TASK_RELOAD,
	TASK_CLEAN,
	TASK_REPORT,
	TASK_LOG_DEBUG,
	TASK_LOG_BRIEF,
	TASK_STATE,
	TASK_SCAN,
	TASK__MAX
};

struct message_rule {
	const char	*name;
	unsigned int	 from;		/* bits 1 << enum role */
	unsigned int	 to;
	bool		 fd;		/* may carry a descriptor */
};

/* NULL: the number is no type. */
const struct message_rule	*message_rule(unsigned int type);

/* --- start --- */

/* Ids to take and the directory to chroot to; drop is false if not root. */
#define IDENTITY_GROUPS_MAX	64
struct msg_identity {
	bool		 drop;
	bool		 replaces;	/* the daemon had such a process before
					   this one */
	uint32_t	 uid;
	uint32_t	 gid;
	size_t		 ngroups;
	uint32_t	 groups[IDENTITY_GROUPS_MAX];
	char		 jail[1024];	/* empty directory to chroot to */
	char		 user[64];
	char		 home[1024];	/* for ~/.pgpass, ~/.my.cnf */
};
void	msg_identity_put(struct str *, const struct msg_identity *);
int	msg_identity_get(struct msg_identity *, const void *, size_t);

enum listener_kind {
	LISTENER_UNIX,
	LISTENER_TCP,
	LISTENER_CONTROL,	/* of policyctl */
	LISTENER_OPERATOR,	/* the same, for operator_group */
	LISTENER__MAX
};
struct msg_listener {
	uint32_t	number;
	uint8_t		kind;
	char		name[256];	/* path or [address]:port, for logs */
};
void	msg_listener_put(struct str *, const struct msg_listener *);
int	msg_listener_get(struct msg_listener *, const void *, size_t);

/* A payload that is one number. */
void	msg_number_put(struct str *, uint64_t);
int	msg_number_get(uint64_t *, const void *, size_t);

/* A payload that is one text; the copy is cut to `size` and NUL-terminated. */
void	msg_text_put(struct str *, const char *);
int	msg_text_get(char *, size_t size, const void *, size_t);

/* --- charges --- */

#define CHARGE_KEYS_MAX		32	/* rules that one request can touch */
#define CHARGE_ID_MAX		16384	/* longest id in bytes */
#define CHARGE_INSTANCE_MAX	1024
#define CHARGE_STATE_MAX	64
/* Names of rules, with up to four earlier ones of each. */
#define CHARGE_PASSES_MAX	(CHARGE_KEYS_MAX * 5 * 65)
#define CHARGE_PASS_MAX		3	/* all of LOCK_PASS_* */
#define CHARGE_AMOUNT_MAX	(INT64_C(1) << 50)
/*
 * Seconds for which a rule that counts new recipients only learns after its
 * name was first seen; `unfamiliar` is shorter.
 */
#define CHARGE_LEARNING		(INT64_C(14) * 86400)

struct wire;

/*
 * Parts of several messages: at most CHARGE_KEYS_MAX ids, whose number
 * msg_ids_get returns; a limit.
 */
void	msg_ids_put(struct str *, const char *const *id, const size_t *idlen,
	    size_t n);
size_t	msg_ids_get(struct wire *, const char **id, size_t *idlen);
void	msg_limit_put(struct str *, const struct limit *);
void	msg_limit_get(struct wire *, struct limit *, int64_t min_seconds);

enum charge_mode {
	CHARGE_ONCE,	/* an instance's total: only what is new is charged */
	CHARGE_EACH,	/* charge the whole amount; a refusal takes back what
			   the instance was charged before */
	CHARGE_REPLAY,	/* was answered: record what is new, never refuse */
	CHARGE_ADD,	/* of policyctl: record CHARGE_EXTERNAL, never refuse */
	CHARGE_BACK,	/* take back the amounts, once for the tag: the charge
			   was recorded, and its client got a refusal */
	CHARGE__MAX
};

/* The mail is not answered yet. In the other modes it is never refused. */
#define CHARGE_MAY_REFUSE(mode)						\
	((mode) == CHARGE_ONCE || (mode) == CHARGE_EACH)

/* Kinds that record each value once (CHARGE_HABIT does not record values). */
#define CHARGE_HAS_VALUE(kind)						\
	((kind) == CHARGE_DISTINCT || (kind) == CHARGE_EXTERNAL)

/* How the amount of a key adds up. */
enum charge_kind {
	CHARGE_SUM,
	CHARGE_DISTINCT,	/* 1 when `value` was not seen in the window */
	CHARGE_EXTERNAL,	/* a mail needs room for 1 and records nothing;
				   CHARGE_ADD records its amount, but only once
				   for each `value` */
	CHARGE_TOTAL,		/* the instance's total, as if tag were 0 */
	CHARGE_HABIT,		/* 1 when `value` is new and `network` not
				   familiar; without a value the instance's
				   total */
	CHARGE_KIND__MAX
};

/*
 * One id that is charged, and its windows. In a charge the members before
 * `lock.id` are sent as they are in memory: numbers without padding. A flag is
 * 0 or 1.
 */
struct msg_charge_key {
	int64_t		 amount;	/* 0 to CHARGE_AMOUNT_MAX */
	int64_t		 max_per_mail;	/* amount of one instance; 0: any */
	uint32_t	 rule;		/* index in the settings' rules */
	uint32_t	 reported;	/* bit i: limits.list[i]'s hits are
					   reported */
	uint8_t		 report;	/* flag; 0: no hits are reported */
	uint8_t		 kind;		/* enum charge_kind */
	uint8_t		 shadow;	/* flag: never refuses, but is logged */
	uint8_t		 soft;		/* flag: over a limit it is accepted */
	uint8_t		 sql;		/* flag: SQL may replace limits */
	uint8_t		 map;		/* flag: id_sql may replace the id */
	uint8_t		 warn_at;	/* percent; 0: never */
	uint8_t		 pass;		/* LOCK_PASS_*: see decision_counts */
	struct msg_charge_lock	 lock;
	const char	*id;
	size_t		 idlen;
	const char	*value;		/* if CHARGE_HAS_VALUE, CHARGE_HABIT */
	size_t		 valuelen;
	/* CHARGE_HABIT only. */
	const char	*network;	/* empty: the address is unknown */
	size_t		 networklen;
	int64_t		 unfamiliar;	/* seconds; 0: every network is */
	int64_t		 learn;		/* seconds */
	struct limits	 limits;	/* get: in the msg_charge's store */
};

/* The members before `instance` are sent as they are in memory, too. */
struct msg_charge {
	int64_t		 deadline;	/* struct mono's ns; expires then */
	int64_t		 date;		/* _REPLAY, _BACK: time_t; else 0 */
	/*
	 * Tells charges of one instance apart, each of which is charged once.
	 * At RCPT it is a hash of instance and recipient, the same in every
	 * engine and after every restart. Without an instance, and with
	 * CHARGE_EACH, it is a random number of the engine, so that a charge
	 * that is sent again to the next ledger is recognised. 0: there is only
	 * one charge, and `amount` is the instance's total so far.
	 */
	int64_t		 tag;
	uint32_t	 nkeys;		/* 0: only blocks are checked */
	uint8_t		 mode;		/* enum charge_mode */
	uint8_t		 subject;	/* flag: the subject below is set */
	uint8_t		 senders;	/* flag: a login's block is a
					   sender's too */
	uint8_t		 exempt;	/* flag: no lock holds for it */
	const char	*instance;	/* empty: the request had none */
	size_t		 instancelen;
	const char	*state;		/* protocol_state */
	size_t		 statelen;
	/*
	 * The request's subject, for blocks that the engine may not know yet.
	 * `client` is an address as text.
	 */
	const char	*login;
	size_t		 loginlen;
	const char	*sender;
	size_t		 senderlen;
	const char	*client;
	size_t		 clientlen;
	const char	*passes;	/* rules whose locks it may pass */
	size_t		 passeslen;
	uint8_t		 pass;		/* by lock_closed; not conveyed */
	struct msg_charge_key	 keys[CHARGE_KEYS_MAX];
	struct limit	 store[CHARGE_KEYS_MAX * LIMITS_MAX];	/* get's own */
};
void	msg_charge_put(struct str *, const struct msg_charge *);
int	msg_charge_get(struct msg_charge *, const void *, size_t);

enum verdict {
	VERDICT_ACCEPTED,	/* committed */
	VERDICT_REFUSED,	/* nothing charged; see the fields */
	VERDICT_UNAVAILABLE,	/* no verdict; nothing recorded */
	VERDICT_BLOCKED,	/* a block matches; nothing recorded */
	VERDICT__MAX
};

/* The members before `charged` are sent as they are in memory. */
struct msg_verdict {
	struct limit	limit;		/* the full window, or the nearest; with
					   per_mail its seconds are 0 */
	int64_t		used;		/* its sum; if it is the nearest,
					   including this mail */
	int64_t		retry_after;	/* seconds until it is accepted; where
					   it never is, the window's length */
	uint32_t	over;		/* bit per soft key that is over */
	uint32_t	shadowed;	/* bit per key: would be refused */
	uint32_t	warned;		/* bit per key: warn_at was reached */
	uint32_t	locked;		/* bit per key: its rule locked */
	uint32_t	would_lock;	/* bit per key: it is in shadow */
	uint32_t	unlocked;	/* bit per key: LOCK_MOST reached */
	uint32_t	mapped;		/* bit per key: SQL replaced its id */
	uint32_t	ncharged;	/* accepted: recorded, for each key */
	uint32_t	key;		/* the refused one, the first that is
					   over, or the nearest */
	uint8_t		verdict;
	uint8_t		passed;		/* LOCK_PASS_*: only these keys count */
	uint8_t		never;		/* flag: the mail alone exceeds it */
	uint8_t		per_mail;	/* flag: max_per_mail, no window */
	int64_t		charged[CHARGE_KEYS_MAX];
	int64_t		locked_until[CHARGE_KEYS_MAX];	/* per bit in locked */
	struct {
		struct limit	limit;	/* no seconds: max_per_mail */
		int64_t		used;	/* including this mail if warned, and
					   for CHARGE_ADD */
		int64_t		retry_after;	/* the same for this key alone;
					   0 if shadowed or warned */
	} full[CHARGE_KEYS_MAX];	/* per key with a bit in over, shadowed
					   or warned, and of the one refused */
	struct {
		const char	*id;	/* that is counted instead */
		size_t		 idlen;
	} map[CHARGE_KEYS_MAX];		/* per key with a bit in `mapped` */
};
void	msg_verdict_put(struct str *, const struct msg_verdict *);
int	msg_verdict_get(struct msg_verdict *, const void *, size_t);

/* --- cleaning and reporting --- */

struct msg_cleaned {
	bool	done;			/* false: progress */
	bool	failed;
	int64_t	records;
	char	reason[512];		/* of the failure */
};
void	msg_cleaned_put(struct str *, const struct msg_cleaned *);
int	msg_cleaned_get(struct msg_cleaned *, const void *, size_t);

/* The kind of a hit. */
enum hit_kind {
	HIT_FULL,		/* the limit was hit */
	HIT_NEAR,		/* warn_at of the rule was reached */
	HIT_SHADOW,		/* a rule in shadow would have refused */
	HIT_LOCK,		/* the rule locked a login or an address */
	HIT_KIND__MAX
};
struct msg_hit {
	uint8_t		 kind;		/* enum hit_kind */
	const char	*id;
	size_t		 idlen;
	const char	*rule;		/* its name; empty: plain settings */
	size_t		 rulelen;
	int64_t		 mails;		/* limit at the last hit; 0: unknown */
	int64_t		 seconds;
	int64_t		 hits;
};
void	msg_hit_put(struct str *, const struct msg_hit *);
int	msg_hit_get(struct msg_hit *, const void *, size_t);

/*
 * How many hits fit into one report, so that mail servers accept it: at most
 * eight megabytes as sent. Report and ledger count in the same way, from the
 * first hit on, since hits that did not fit must not be deleted. msg_hits_fit
 * returns false for the first one that does not fit, and for all after it.
 */
#define HITS_MAX	50000
#define HITS_BYTES_MAX	(1536 * 1024)	/* of names */

struct msg_hits_room {
	size_t	hits;
	size_t	bytes;
	bool	full;
};
bool	msg_hits_fit(struct msg_hits_room *, const struct msg_hit *);

/* Where refused mail of an id came from. */
enum evidence_kind {
	EVIDENCE_CLIENT,	/* a client address */
	EVIDENCE_SENDER,
	EVIDENCE__MAX
};
struct msg_evidence {
	uint8_t		 kind;		/* enum evidence_kind */
	const char	*id;		/* as in the msg_hit of the id */
	size_t		 idlen;
	const char	*rule;
	size_t		 rulelen;
	const char	*value;
	size_t		 valuelen;
	int64_t		 times;
};
void	msg_evidence_put(struct str *, const struct msg_evidence *);
int	msg_evidence_get(struct msg_evidence *, const void *, size_t);

enum report_outcome {
	REPORT_SENT,
	REPORT_EMPTY,		/* report_only_if_needed and no hits */
	REPORT_FAILED,
	REPORT_NEXT,			/* failed; another address may work */
	REPORT__MAX
};

#define REPORT_ADDRESS_MAX	64

struct msg_reported {
	uint8_t	outcome;
	char	reason[512];		/* printable */
	char	address[REPORT_ADDRESS_MAX];	/* REPORT_NEXT: what to leave */
};
void	msg_reported_put(struct str *, const struct msg_reported *);
int	msg_reported_get(struct msg_reported *, const void *, size_t);

/* Addresses of the server, as text, that have failed already. */
#define REPORT_TRIED_MAX	8

struct report_tried {
	size_t	count;
	char	address[REPORT_TRIED_MAX][REPORT_ADDRESS_MAX];
};

/* --- policyctl --- */

struct msg_task_done {
	uint8_t	task;			/* enum parent_task */
	bool	good;
	char	text[8192];		/* lines, printable */
};
void	msg_task_done_put(struct str *, const struct msg_task_done *);
int	msg_task_done_get(struct msg_task_done *, const void *, size_t);

#define STATE_PROCESSES_MAX	8
struct msg_state_process {
	char	 name[32];
	uint32_t pid;
	int64_t	 since;			/* struct mono's ns */
	bool	 serving;
	char	 sandbox[256];
};
struct msg_state {
	int64_t	since;			/* of the daemon, struct mono's ns */
	uint64_t generation;		/* of the settings */
	int64_t	read;			/* when those were read, a time_t */
	bool	reload_failed;		/* the last one */
	char	fault[512];		/* why the ledger is not there */
	char	file[1024];		/* of the settings; "": defaults */
	size_t	nprocesses;
	struct msg_state_process	 process[STATE_PROCESSES_MAX];
};
void	msg_state_put(struct str *, const struct msg_state *);
int	msg_state_get(struct msg_state *, const void *, size_t);

/* The sum of a window, and what a charge would add to it. */
struct msg_window {
	struct limit	limit;
	int64_t		used;
	int64_t		amount;
	int64_t		retry_after;	/* seconds; -1: the mail alone exceeds
					   the limit */
};

struct msg_weighed_key {
	int64_t			 amount;	/* the part that is new */
	bool			 sql;		/* limits from the database */
	int64_t			 granted;	/* in each window's limit */
	int64_t			 granted_for;	/* seconds from now */
	/* CHARGE_HABIT; what is known, see decision/habit.h: first and last. */
	bool			 habit;
	int64_t			 network[2];
	int64_t			 recipient[2];
	int64_t			 learning;	/* the rule only does, until
						   then; a time_t, or 0 */
	size_t			 nwindows;
	struct msg_window	*windows;	/* get: in the store */
};

/* The verdict that a charge would get, and the windows behind it. */
struct msg_weighed {
	struct msg_verdict	 verdict;
	size_t			 nkeys;
	struct msg_weighed_key	 keys[CHARGE_KEYS_MAX];
	struct msg_window	 store[CHARGE_KEYS_MAX * LIMITS_MAX];
};
void	msg_weighed_put(struct str *, const struct msg_weighed *);
int	msg_weighed_get(struct msg_weighed *, const void *, size_t);

struct msg_override {
	uint8_t		 kind;		/* enum override_kind */
	int64_t		 amount;
	int64_t		 since;		/* seconds since 1970 */
	int64_t		 until;		/* the same; 0: end it */
	const char	*who;
	size_t		 wholen;
	const char	*reason;
	size_t		 reasonlen;
	size_t		 nids;
	const char	*id[CHARGE_KEYS_MAX];
	size_t		 idlen[CHARGE_KEYS_MAX];
};
void	msg_override_put(struct str *, const struct msg_override *);
int	msg_override_get(struct msg_override *, const void *, size_t);

/* The answer MSG_OVERRIDDEN. */
enum override_result {
	OVERRIDE_FAILED,
	OVERRIDE_DONE,
	OVERRIDE_WAS_NONE,		/* there was none to end */
	OVERRIDE_FULL,			/* there are OVERRIDE_MOST already */
	OVERRIDE_RESULT__MAX
};
struct msg_overridden {
	uint8_t		 result;	/* enum override_result */
	size_t		 nids;		/* ids that id_sql gave */
	const char	*id[CHARGE_KEYS_MAX];
	size_t		 idlen[CHARGE_KEYS_MAX];
};
void	msg_overridden_put(struct str *, const struct msg_overridden *);
int	msg_overridden_get(struct msg_overridden *, const void *, size_t);

/*
 * The questions of policyctl and the locks that the ledger reads at once; it
 * gives up an engine that sends more.
 */
#define QUESTIONS_MAX	256

#define TOP_MAX		1000	/* ids in an answer */
/* What `top` is to list: the ids, and which of their windows. */
enum top_order {
	TOP_BY_FILL,		/* nearest to a limit first */
	TOP_BY_USED,
	TOP_BY_REFUSED,		/* of the refusals that are kept */
	TOP_ORDER__MAX
};
struct msg_top {
	uint32_t	 n;
	uint8_t		 by;		/* enum top_order */
	bool		 domain;	/* sums of the domains in the ids */
	int64_t		 seconds;	/* windows of this length; 0: all */
	const char	*rule;		/* of this rule; empty: all */
	size_t		 rulelen;
};
void	msg_top_put(struct str *, const struct msg_top *);
int	msg_top_get(struct msg_top *, const void *, size_t);

struct msg_top_id {
	const char	*id;		/* as it is stored */
	size_t		 idlen;
	struct limit	 limit;		/* of the first window in the order */
	bool		 shadow;
	int64_t		 used;
	int64_t		 retry_after;
};
/* By refusals, `used` is their number. Sums have no limit, only its seconds. */
struct msg_topped {
	uint8_t		 by;	/* as in msg_top */
	bool		 domain;
	uint32_t		 total;	/* ids that could be listed */
	size_t			 count;
	struct msg_top_id	 ids[TOP_MAX];
};
void	msg_topped_put(struct str *, const struct msg_topped *);
int	msg_topped_get(struct msg_topped *, const void *, size_t);

/* Counters of the ledger since its start, and its memory. */
enum figure {
	FIGURE_CHARGES,
	FIGURE_BATCHES,
	FIGURE_LARGEST_BATCH,
	FIGURE_BUSY,		/* batches that had to be begun again */
	FIGURE_ERRORS,		/* batches that failed */
	FIGURE_HITS,
	FIGURE_LEARNED,		/* pairs that were new to a habit */
	FIGURE_CACHE_IDS,
	FIGURE_CACHE_BYTES,
	FIGURE__MAX
};
struct msg_figures {
	char		database[512];	/* its description */
	char		fault[512];	/* ""; or its current fault */
	uint64_t	figure[FIGURE__MAX];
};
void	msg_figures_put(struct str *, const struct msg_figures *);
int	msg_figures_get(struct msg_figures *, const void *, size_t);

#endif
