#ifndef MESSAGE_REFUSAL_H
#define MESSAGE_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

/* Refusals, which are kept for policyctl; as in message.h. */

enum refusal_kind {
	REFUSAL_LIMIT,
	REFUSAL_MAX_PER_MAIL,
	REFUSAL_BLOCK,
	REFUSAL_LOCK,
	REFUSAL_OVER,			/* over a limit, and Postfix takes it */
	REFUSAL_KIND__MAX
};

/* Fields of the request, printable. */
enum refusal_text {
	REFUSAL_LOGIN,
	REFUSAL_SENDER,
	REFUSAL_RECIPIENT,		/* the first; empty at DATA for more */
	REFUSAL_CLIENT,			/* its address */
	REFUSAL_CLIENT_NAME,
	REFUSAL_STATE,
	REFUSAL_QUEUE_ID,
	REFUSAL_INSTANCE,
	REFUSAL_TEXT__MAX
};
/* Their names, in the database and for policyctl. */
extern const char	*const msg_refusal_kinds[REFUSAL_KIND__MAX];
extern const char	*const msg_refusal_texts[REFUSAL_TEXT__MAX];

#define REFUSAL_TEXT_MAX	255	/* bytes of one */

/* `seconds` is 0 for max_per_mail. */
struct refusal_window {
	struct limit	limit;
	int64_t		used;
};

struct msg_refusal {
	int64_t		 number;	/* no other refusal has it */
	int64_t		 date;		/* seconds since 1970 */
	bool		 first;		/* of its id, kind and shadow in this
					   minute */
	uint8_t		 kind;		/* enum refusal_kind */
	bool		 shadow;	/* nothing was refused */
	const char	*id;		/* the key's, or the block's */
	size_t		 idlen;
	const char	*rule;		/* its name; empty: none */
	size_t		 rulelen;
	int64_t		 n;		/* what the mail counts */
	int64_t		 recipients;	/* of the mail */
	size_t		 full;		/* index of the window without room */
	size_t		 nwindows;
	struct refusal_window	 window[LIMITS_MAX];
	const char	*text[REFUSAL_TEXT__MAX];
	size_t		 textlen[REFUSAL_TEXT__MAX];
	int64_t		 times;		/* refusals that this one stands for */
};
void	msg_refusal_put(struct str *, const struct msg_refusal *);
int	msg_refusal_get(struct msg_refusal *, const void *, size_t);

/*
 * Which refusals to find, the newest first. Those of one of the ids; those with
 * `any` as their login, sender, recipient, client, queue id, or id, with or
 * without its rule ("@domain": an address in that domain); and those that have
 * all fields of `text` that are not empty. Letter case does not matter, except
 * in the ids, and in a queue id that `any` names. If nothing is named, all
 * refusals are found, but the search ends after `n` of them.
 */
struct msg_search {
	uint32_t	 n;		/* at most so many; 0: only counts */
	int64_t		 since;		/* seconds since 1970 */
	bool		 only_ids;	/* `any` and `text` are not looked at */
	const char	*any;
	size_t		 anylen;
	const char	*text[REFUSAL_TEXT__MAX];
	size_t		 textlen[REFUSAL_TEXT__MAX];
	size_t		 nids;
	const char	*id[CHARGE_KEYS_MAX];
	size_t		 idlen[CHARGE_KEYS_MAX];
};
void	msg_search_put(struct str *, const struct msg_search *);
int	msg_search_get(struct msg_search *, const void *, size_t);

struct msg_searched {
	bool	failed;			/* the database cannot be read */
	int64_t	refused;		/* how many were refused */
	int64_t	shadow;			/* how many would have been */
	char	reason[512];		/* of the failure, printable */
};
void	msg_searched_put(struct str *, const struct msg_searched *);
int	msg_searched_get(struct msg_searched *, const void *, size_t);

#endif
