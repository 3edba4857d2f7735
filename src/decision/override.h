#ifndef OVERRIDE_H
#define OVERRIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "lib/addr.h"

/*
 * What an administrator grants and blocks, in memory, found by a hash. Pure.
 *
 * A grant is for an id as it is counted. A block is for what it matches, by its
 * id: "login:bob@example.org", "domain:example.org" (of logins),
 * "network:192.0.2.0/24" (an address has its whole length) or
 * "sender:bob@example.org", the values normalised as those of requests are.
 */
struct override {
	uint8_t		 kind;		/* enum override_kind */
	int64_t		 amount;	/* OVERRIDE_GRANT: mails */
	int64_t		 since;		/* seconds since 1970 */
	int64_t		 until;		/* the same; 0: no longer */
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
 * Copies it in the place of one of the same kind and id, or, with an `until` of
 * 0, takes that away. OVERRIDE_MOST of a kind are kept; others are ignored.
 * Returns whether there was one.
 */
bool	override_list_set(struct override_list *, const struct override *);
size_t	override_list_count(const struct override_list *,
	    enum override_kind);
void	override_list_each(const struct override_list *,
	    void (*)(void *, const struct override *), void *);

/* The same for lists of the same overrides in any order. */
uint64_t	override_list_sum(const struct override_list *);

/* That which holds at `now` for exactly this id, or NULL. */
const struct override	*override_find(const struct override_list *,
			    enum override_kind, const char *id, size_t idlen,
			    int64_t now);

/*
 * Writes the id of a block: the word, such as "login:", and the value. One that
 * no database takes as it is, because it is too long, not UTF-8 or ends in a
 * blank, is '#' and a hash. `id` has room for OVERRIDE_ID_MAX bytes; the length
 * is returned.
 */
size_t	override_id(char *id, const char *word, const char *value, size_t len);

/* Whom a request is of, normalised; a length of 0: unknown. */
struct override_subject {
	const char	*login;
	size_t		 loginlen;
	const char	*sender;
	size_t		 senderlen;
	bool		 senders;	/* a login's block is also a sender's */
	struct addr	 client;	/* bits 0: unknown */
};

/* The block that holds at `now` for this subject, or NULL. */
const struct override	*override_block(const struct override_list *,
			    const struct override_subject *, int64_t now);

#endif
