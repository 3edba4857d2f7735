#include <errno.h>

#include "lib/log.h"
#include "sandbox/sandbox.h"

/*
 * A build with SANDBOX=none: for systems without any sandbox, and for
 * debugging.
 */

void
sandbox_prepare(enum sandbox_role role)
{
	if (role == SANDBOX_PARENT)
		log_warning("sandbox: built with SANDBOX=none, nothing "
		    "confines this program");
}

int
sandbox_connect(const struct sandbox_needs *needs)
{
	(void)needs;
	return 0;
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	if (!needs->required)
		return 0;
	log_error("sandbox: sandbox_required is set, and this build has none");
	errno = ENOTSUP;
	return -1;
}

const char *
sandbox_description(void)
{
	return "none";
}
