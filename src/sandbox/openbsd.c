#include <unistd.h>

#include "sandbox/rlimits.h"
#include "sandbox/sandbox.h"

/*
 * pledge(2) for each role. A call outside of the promises ends the process with
 * SIGABRT, and the kernel logs the process and the promise.
 *
 * recvfd: after a restart of the peer the parent sends a new channel. fattr:
 * SQLite gives its journal the mode of the database. The report gets its
 * channels before the lock.
 */
static const char *const	promises[SANDBOX__MAX] = {
	/*
	 * rpath to unix: configuration, pid file, directories, sockets with
	 * mode and owner; proc and exec: children; sendfd: the descriptors sent
	 * to them; getpw and dns: names in the configuration, also on a reload.
	 */
	[SANDBOX_PARENT]	= ("stdio rpath wpath cpath fattr chown flock "
				    "inet unix sendfd proc exec getpw dns"),
	[SANDBOX_ENGINE]	= "stdio inet unix recvfd",
	[SANDBOX_LEDGER_SQLITE]	= "stdio rpath wpath cpath flock fattr recvfd",
	[SANDBOX_LEDGER_SERVER]	= "stdio recvfd",
	[SANDBOX_REPORT]	= "stdio",
	/*
	 * Name services, servers, and the libraries' files and plugins. recvfd
	 * must be there for the ledgers to keep it.
	 */
	[SANDBOX_CONNECTING]	= ("stdio rpath inet unix dns getpw prot_exec "
				    "recvfd")
};

static const char	*entered = "none";

void
sandbox_prepare(enum sandbox_role role)
{
	(void)role;
	rlimits_prepare();
}

int
sandbox_connect(const struct sandbox_needs *needs)
{
	if (rlimits_enter(needs->role, false) == -1)
		return -1;
	return pledge(promises[SANDBOX_CONNECTING], NULL);
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	if (rlimits_enter(needs->role, false) == -1)
		return -1;
	/*
	 * Only SQLite's promises include the file system, here limited to its
	 * directory.
	 */
	if (needs->role == SANDBOX_LEDGER_SQLITE &&
	    (unveil(needs->directory, "rwc") == -1 || unveil(NULL, NULL) == -1))
		return -1;
	if (pledge(promises[needs->role], NULL) == -1)
		return -1;
	entered = needs->role == SANDBOX_LEDGER_SQLITE ? "unveil pledge" :
	    "pledge";
	return 0;
}

const char *
sandbox_description(void)
{
	return entered;
}
