#include <stdlib.h>
#include <string.h>

#include "engine/policy.h"
#include "lib/alloc.h"

struct policy *
policy_new(struct settings *settings)
{
	struct policy	*h;

	h = alloc_zero(1, sizeof(*h));
	h->settings = settings;
	h->users = 1;
	h->memory = strcmp(settings->db_error_action, "memory") == 0;
	str_addf(&h->success, "action=%s\n\n", settings->success_action);
	/* With "memory" the memory decides, and there is no such action. */
	str_addf(&h->error, "action=%s\n\n", h->memory ?
	    settings->success_action : settings->db_error_action);
	return h;
}

struct policy *
policy_take(struct policy *h)
{
	h->users++;
	return h;
}

void
policy_drop(struct policy *h)
{
	if (h == NULL || --h->users > 0)
		return;
	settings_free(h->settings);
	str_clear(&h->success);
	str_clear(&h->error);
	free(h);
}
