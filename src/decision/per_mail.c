#include "decision/per_mail.h"
#include "lib/num.h"

bool
per_mail_exceeded(const struct msg_charge_key *key, int64_t charged,
    int64_t amount)
{
	return num_add_clamp(charged, amount) > key->max_per_mail;
}

bool
per_mail_goes_on(struct msg_verdict *v, const struct msg_charge_key *key,
    size_t n, int64_t charged)
{
	struct limit	limit = { .mails = key->max_per_mail };

	if (key->shadow) {
		v->shadowed |= UINT32_C(1) << n;
		v->full[n].limit = limit;
		v->full[n].used = charged;
		return true;
	}
	v->verdict = VERDICT_REFUSED;
	v->over = 0;
	v->never = v->per_mail = true;
	v->key = (uint16_t)n;
	v->limit = limit;
	v->used = charged;
	return false;
}
