#ifndef OVERRIDE_H
#define OVERRIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/addr.h"

/* A lock of this login in networks that are unfamiliar to the lock's rule. */
#define OVERRIDE_UNFAMILIAR	"unfamiliar:"

/*
 * A block, a lock or a grant. An override_list is a hash table of them. Pure.
 *
 * A grant is for an id as it is counted. The id of a block says what it
 * matches: "login:bob@example.org", "domain:example.org" (of logins),
 * "network:192.0.2.0/24" (an address has its full length) or
 * "sender:bob@example.org". Its values are normalised like those of requests.
 * A lock has such an id too, and its rule as `who`: see decision/lock.h.
 */
struct override {
	uint8_t		 kind;		/* enum override_kind */
	int64_t		 amount;	/* OVERRIDE_GRANT: mails; _LOCK: for
					   how many seconds; _LOCKED: when the
					   last lock began, a time_t */
	int64_t		 since;		/* seconds since 1970; _LOCKED: the end
					   of the last lock */
	int64_t		 until;		/* seconds since 1970; in a change 0:
					   end it */
	const char	*id;
	size_t		 idlen;
	const char	*who;
	size_t		 wholen;
	const char	*reason;
	size_t		 reasonlen;
};

struct override_list;

struct override_list	*override_list_new(void);
void			 override_list_free(struct override_list *);

/*
 * Stores a copy in place of the one with the same kind and id; with an `until`
 * of 0 only removes that. At most OVERRIDE_MOST of a kind are kept, more are
 * ignored. Returns whether there was one. The argument may be one of the list.
 */
bool	override_list_set(struct override_list *, const struct override *);
size_t	override_list_count(const struct override_list *,
	    enum override_kind);
void	override_list_each(const struct override_list *,
	    void (*)(void *, const struct override *), void *);

/* A checksum that is equal for lists of the same overrides in any order. */
uint64_t	override_list_sum(const struct override_list *);

/* The mails granted to exactly this id at `now`; 0: none. */
int64_t	override_granted(const struct override_list *, const char *id,
	    size_t idlen, int64_t now);

/*
 * The override of exactly this id that has not ended at `now`, or NULL. This
 * pointer, and those of the functions below, are valid until the next
 * override_list_set.
 */
const struct override	*override_find(const struct override_list *,
			    enum override_kind, const char *id, size_t idlen,
			    int64_t now);

/*
 * Writes the id of a block: a word, such as "login:", and the value. '#' and a
 * hash replace a value that is empty, begins with '#', or cannot be stored in a
 * database: too long, not UTF-8, a NUL, a blank at its end. `id` has room for
 * OVERRIDE_ID_MAX bytes. Returns the length; a NUL need not follow.
 */
size_t	override_id(char *id, const char *word, const char *value, size_t len);

/* The subject of a request, normalised. A length of 0: unknown. */
struct override_subject {
	const char	*login;
	size_t		 loginlen;
	const char	*sender;
	size_t		 senderlen;
	bool		 senders;	/* the block of a login also matches a
					   sender of the same name */
	struct addr	 client;	/* bits 0: unknown */
};

/*
 * The block that matches this subject at `now`, or NULL. If there are several:
 * that of its login, else of its domain, else of its sender, else of the
 * longest network.
 */
const struct override	*override_block(const struct override_list *,
			    const struct override_subject *, int64_t now);

/*
 * The locks that hold for this subject at `now`: at most one of the login, one
 * of the login in unfamiliar networks, and one of the client, the longest
 * network. Returns their number.
 */
#define OVERRIDE_LOCKS	3

size_t	override_locks(const struct override_list *,
	    const struct override_subject *, int64_t now,
	    const struct override *[OVERRIDE_LOCKS]);

#endif
