#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

/*
 * Requests as smtpd of Postfix 3.7 sends them at DATA: all attributes, in its
 * order, 700 to 900 bytes. They are built once; from then on only what differs
 * between mails is written over, in place.
 */
struct traffic {
	uint32_t	 users;
	int		 in_turn;	/* users one by one, not at random */
	uint32_t	 pid;		/* first part of every instance */
	uint64_t	 since;		/* its seconds at the first request */
	uint64_t	 sent;		/* requests made so far */
	uint64_t	 random;	/* state */
};

struct mail {
	const char	*bytes;		/* until the next request is made */
	size_t		 len;
	uint32_t	 user;
	uint32_t	 recipients;
};

/* A user is "user", the number in seven digits, "@" and the domain. */
#define TRAFFIC_USERS_MAX	9999999

/*
 * The same seed makes the same choice of users and mails; the instances are new
 * in every run. `recipients` is that of every mail, 0: one, two or three as
 * mails have them. `domain` is what follows the @ of every user.
 */
void	traffic_init(struct traffic *, uint32_t users, uint64_t seed,
	    uint32_t recipients, const char *domain);

void	traffic_next(struct traffic *, struct mail *);

/* The sasl_username of a user; static. */
const char	*traffic_user(uint32_t);

#endif
