#include "lib/log.h"
#include "sandbox/sandbox.h"

/*
 * A build with SANDBOX=none: for systems that have nothing, and to look for
 * faults.
 */

void
sandbox_prepare(enum sandbox_role role)
{
	if (role == SANDBOX_PARENT)
		log_warning("sandbox: built with SANDBOX=none, nothing "
		    "confines this program");
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	(void)needs;
	return 0;
}

const char *
sandbox_description(void)
{
	return "none";
}
