#include <sys/types.h>
#include <sys/resource.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/log.h"
#include "sandbox/rlimits.h"

#define ENGINE		(1U << SANDBOX_ENGINE)
#define SQLITE		(1U << SANDBOX_LEDGER_SQLITE)
#define SERVER		(1U << SANDBOX_LEDGER_SERVER)
#define REPORT		(1U << SANDBOX_REPORT)
#define CHILDREN	(ENGINE | SQLITE | SERVER | REPORT)

/* A ledger has a few files, and the channels that a restart adds. */
#define FEW_DESCRIPTORS	64

static const struct {
	int		what;
	unsigned int	roles;
	rlim_t		most;
	bool		eased;		/* also in an eased build */
} limits[] = {
	{ RLIMIT_NPROC, CHILDREN, 0, false },
	{ RLIMIT_FSIZE, ENGINE | SERVER | REPORT, 0, false },
	{ RLIMIT_NOFILE, SQLITE | SERVER | REPORT, FEW_DESCRIPTORS, false },
#ifdef RLIMIT_MSGQUEUE
	{ RLIMIT_MSGQUEUE, CHILDREN, 0, true },
#endif
	{ RLIMIT_MEMLOCK, CHILDREN, 0, true }
};

void
rlimits_prepare(void)
{
	struct rlimit	none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) == -1)
		log_fatal("setrlimit: %s", strerror(errno));
}

int
rlimits_enter(enum sandbox_role role, bool eased)
{
	struct rlimit	limit;
	size_t		i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if ((limits[i].roles & 1U << role) == 0 ||
		    (eased && !limits[i].eased))
			continue;
		if (getrlimit(limits[i].what, &limit) == -1)
			return -1;
		/* RLIM_INFINITY is the largest value of its type. */
		if (limit.rlim_max > limits[i].most)
			limit.rlim_max = limits[i].most;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].what, &limit) == -1)
			return -1;
	}
	return 0;
}
