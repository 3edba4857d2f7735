#include "decision/habit.h"
#include "engine/control/explain_habit.h"
#include "engine/reply.h"
#include "lib/clock.h"
#include "lib/num.h"

static const char *
network_why(const struct msg_charge_key *key, const struct habit_pair *network,
    const struct habit_terms *terms, int64_t now)
{
	if (habit_familiar(network, terms, now))
		return "it has been used for long enough";
	if (terms->unfamiliar == 0)
		return "to this rule every network is";
	if (key->networklen == 0)
		return "the client's address is unknown";
	if (!habit_known(network, terms, now))
		return "no mail from it was accepted recently";
	return "its first mail, or the last that was refused, is too recent";
}

void
explain_habit(struct str *out, const struct msg_charge_key *key,
    const struct msg_weighed_key *answer)
{
	const int64_t			now = clock_wall();
	const struct habit_terms	terms = { key->unfamiliar, key->learn };
	const struct habit_pair		network = { answer->network[0],
					    answer->network[1] };
	const struct habit_pair		recipient = { answer->recipient[0],
					    answer->recipient[1] };

	if (!answer->habit)
		return;
	reply_bytes(out, "network", key->network, key->networklen);
	reply_bool(out, "familiar", habit_familiar(&network, &terms, now));
	reply_text(out, "network_why", network_why(key, &network, &terms, now));
	if (terms.unfamiliar > 0 && habit_known(&network, &terms, now) &&
	    !habit_familiar(&network, &terms, now))
		reply_number(out, "familiar_in", num_sub_clamp(num_add_clamp(
		    network.first, terms.unfamiliar), now));
	reply_text(out, "recipient", key->valuelen == 0 ? "not named" :
	    habit_known(&recipient, &terms, now) ? "known" : "new");
	if (answer->learning > now)
		reply_number(out, "learning_for", answer->learning - now);
}
