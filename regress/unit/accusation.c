#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "ends.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/messages.h"
#include "parent/reload.h"
#include "parent/tasks.h"

/* The children that the parent kills after MSG_PEER_BROKEN. */

/* --- what messages.c calls --- */

const char *
children_name(const struct parent *p, enum slot slot)
{
	(void)p;
	(void)slot;
	return "child";
}

void
children_on_ready(struct parent *p, enum slot slot)
{
	(void)p;
	(void)slot;
}

void
child_kill(struct child *child)
{
	child->killed = true;
}

void
child_disconnect(struct child *child)
{
	channel_free(child->channel);
	child->channel = NULL;
}

void
reload_on_ready(struct parent *p)
{
	(void)p;
}

void
tasks_on_scanner_ready(struct parent *p)
{
	(void)p;
}

void
maintenance_on_ready(struct parent *p, enum slot slot)
{
	(void)p;
	(void)slot;
}

/* No message of these types is sent here. */
static int
unexpected(void)
{
	fail();
	return -1;
}

int
maintenance_on_cleaned(struct parent *p, enum slot slot,
    const struct message *m)
{
	(void)p;
	(void)slot;
	(void)m;
	return unexpected();
}

int
maintenance_on_forgotten(struct parent *p, enum slot slot,
    const struct message *m)
{
	(void)p;
	(void)slot;
	(void)m;
	return unexpected();
}

int
maintenance_on_reported(struct parent *p, enum slot slot,
    const struct message *m)
{
	(void)p;
	(void)slot;
	(void)m;
	return unexpected();
}

int
maintenance_on_news(struct parent *p, enum slot slot, const struct message *m)
{
	(void)p;
	(void)slot;
	(void)m;
	return unexpected();
}

int
tasks_on_request(struct parent *p, enum slot slot, const struct message *m)
{
	(void)p;
	(void)slot;
	(void)m;
	return unexpected();
}

/* --- the tests --- */

/* Each child serves but the replaced ledger, which finishes. */
static void
start(struct parent *p, struct channel *peer[SLOT__MAX])
{
	struct child	*child;
	enum slot	 i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		child->role = i == SLOT_ENGINE ? ROLE_ENGINE :
		    i == SLOT_REPORT ? ROLE_REPORT : ROLE_LEDGER;
		child->state = i == SLOT_OLD_LEDGER ? CHILD_LEAVING :
		    CHILD_SERVING;
		ends(&child->channel, ROLE_PARENT, &peer[i], child->role);
	}
}

static void
end(struct parent *p, struct channel *peer[SLOT__MAX])
{
	enum slot	i;

	for (i = 0; i < SLOT__MAX; i++) {
		channel_free(p->child[i].channel);
		channel_free(peer[i]);
	}
}

/* `killed`: SLOT__MAX if no child is to be killed. */
static void
accuse(struct parent *p, struct channel *peer[SLOT__MAX], enum slot slot,
    enum slot killed)
{
	enum slot	i;

	channel_signal(peer[slot], MSG_PEER_BROKEN, 0);
	assert_int_equal(channel_flush(peer[slot]), 1);
	messages_take(p, slot);
	for (i = 0; i < SLOT__MAX; i++)
		assert_int_equal(p->child[i].killed, i == killed);
}

static void
engine_and_ledger_are_believed(void **state)
{
	struct channel	*peer[SLOT__MAX];
	struct parent	 p;

	(void)state;
	start(&p, peer);
	accuse(&p, peer, SLOT_ENGINE, SLOT_LEDGER);
	end(&p, peer);
	start(&p, peer);
	accuse(&p, peer, SLOT_LEDGER, SLOT_ENGINE);
	end(&p, peer);
}

static void
other_ledgers_are_killed_themselves(void **state)
{
	static const enum slot	 others[] = {
		SLOT_NEXT_LEDGER, SLOT_CLEANER, SLOT_SCANNER
	};
	struct channel		*peer[SLOT__MAX];
	struct parent		 p;
	size_t			 i;

	(void)state;
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		start(&p, peer);
		accuse(&p, peer, others[i], others[i]);
		end(&p, peer);
	}
}

/* Its channel to the engine has been replaced already. */
static void
replaced_ledger_is_ignored(void **state)
{
	struct channel	*peer[SLOT__MAX];
	struct parent	 p;

	(void)state;
	start(&p, peer);
	accuse(&p, peer, SLOT_OLD_LEDGER, SLOT__MAX);
	end(&p, peer);
}

static void
leaving_peer_is_left_alone(void **state)
{
	struct channel	*peer[SLOT__MAX];
	struct parent	 p;

	(void)state;
	start(&p, peer);
	p.child[SLOT_LEDGER].state = CHILD_LEAVING;
	accuse(&p, peer, SLOT_ENGINE, SLOT__MAX);
	end(&p, peer);
}

static void
payload_is_refused(void **state)
{
	struct channel	*peer[SLOT__MAX];
	struct parent	 p;

	(void)state;
	start(&p, peer);
	channel_send_number(peer[SLOT_ENGINE], MSG_PEER_BROKEN, 1, -1);
	assert_int_equal(channel_flush(peer[SLOT_ENGINE]), 1);
	messages_take(&p, SLOT_ENGINE);
	assert_true(p.child[SLOT_ENGINE].killed);
	assert_false(p.child[SLOT_LEDGER].killed);
	end(&p, peer);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(engine_and_ledger_are_believed,
		    quiet, nothing_open),
		cmocka_unit_test_setup_teardown(
		    other_ledgers_are_killed_themselves, quiet, nothing_open),
		cmocka_unit_test_setup_teardown(replaced_ledger_is_ignored,
		    quiet, nothing_open),
		cmocka_unit_test_setup_teardown(leaving_peer_is_left_alone,
		    quiet, nothing_open),
		cmocka_unit_test_setup_teardown(payload_is_refused, quiet,
		    nothing_open)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
