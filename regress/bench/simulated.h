#ifndef SIMULATED_H
#define SIMULATED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One login of the simulation, with what is recorded for it: decides each
 * recipient with the decision engine of the daemon, under one of three sets of
 * rules, and records as the ledger does.
 */
enum simulated_rules {
	POLICY_VOLUME,		/* [[10, 60], [150, 86400]] */
	POLICY_HABIT,		/* the rule "habit" of the sample */
	POLICY_BACKSTOP,	/* with the sample's rule "backstop" */
	POLICY__MAX
};

struct simulated;

/* `since`: when the rules were first seen. */
struct simulated	*simulated_new(enum simulated_rules, int64_t since);
void			 simulated_free(struct simulated *);

/*
 * A request at RCPT for one recipient from one network, each a number; returns
 * whether it is accepted.
 */
bool	simulated_send(struct simulated *, uint64_t network,
	    uint64_t recipient, int64_t now);

/* How many recipients and networks are stored. */
void	simulated_stored(const struct simulated *, int64_t *recipients,
	    int64_t *networks);

#endif
