#include <err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/apply.h"
#include "ipc/message.h"
#include "../ledger/rig.h"
#include "../unit/settings_text.h"
#include "traffic.h"

/*
 * scenario engine|ledger REQUESTS: a fixed amount of work for one process, in
 * which instructions are counted (instructions.pl). No channel and no clock.
 */
#define USERS	1000
#define BATCH	50

static const char	config[] =
    "rules = [{'name': 'login', 'key': 'sasl_username', "
    "'limits': [[1000000, 60], [2000000, 86400]]}, "
    "{'name': 'client', 'key': 'client_address', 'limits': [[1000000, 60]]}]\n";

/* A request of Postfix, parsed, decided and written as a charge. */
static void
engine(unsigned long requests)
{
	struct settings	*settings;
	struct applied	 applied;
	struct request	 request;
	struct traffic	 traffic;
	struct mail	 mail;
	struct str	 out;
	const char	*reason;
	size_t		 from;

	settings = settings_of(config);
	apply_init(&applied);
	apply_use(&applied, settings);
	str_init(&out);
	traffic_init(&traffic, USERS, 1, 0, "example.org");
	for (; requests > 0; requests--) {
		traffic_next(&traffic, &mail);
		from = 0;
		if (request_end(mail.bytes, mail.len, &from) != mail.len ||
		    request_parse(&request, mail.bytes, mail.len,
		    &reason) == 0)
			errx(1, "a request that is malformed");
		apply_request(&applied, &request, 1);
		if (applied.reason != REASON_CHARGED)
			errx(1, "a request that counts nothing");
		out.len = 0;
		msg_charge_put(&out, &applied.charge);
	}
	str_clear(&out);
	apply_clear(&applied);
	settings_free(settings);
}

/* Charges of known ids, decided and recorded in batches by SQLite's ledger. */
static void
ledger(unsigned long requests)
{
	struct rig		*r;
	struct rig_charge	 c;
	char			 id[64], instance[64];
	unsigned long		 n;

	rig_begin();
	r = rig_new();
	rig_open(r);
	for (n = 0; n < requests; n++) {
		(void)snprintf(id, sizeof(id), "user%04lu@example.org",
		    n * 617 % USERS);
		(void)snprintf(instance, sizeof(instance), "%lx.0", n);
		rig_charge(&c, id, 1, 1000000, 60);
		rig_window(&c, 2000000, 86400);
		rig_instance(&c, instance, 0);
		(void)rig_add(r, &c);
		if ((n + 1) % BATCH == 0)
			rig_run(r);
		if ((n + 1) % (BATCH * 20) == 0)
			r->now++;
	}
	rig_free(r);
	rig_end();
}

int
main(int argc, char *argv[])
{
	unsigned long	requests;

	if (argc != 3 || (requests = strtoul(argv[2], NULL, 10)) == 0)
		errx(1, "usage: scenario engine|ledger requests");
	if (strcmp(argv[1], "engine") == 0)
		engine(requests);
	else if (strcmp(argv[1], "ledger") == 0 && requests <= ANSWERS_MAX)
		ledger(requests);
	else
		errx(1, "no such scenario, or more than %d requests",
		    ANSWERS_MAX);
	return 0;
}
