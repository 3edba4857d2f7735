#include "conf/paths.h"

/* The build sets all of these; here are the defaults. */
#ifndef SYSCONFDIR
#define SYSCONFDIR	"/etc"
#endif
#ifndef LIBEXECDIR
#define LIBEXECDIR	"/usr/local/libexec/policyd-rate-limit"
#endif
#ifndef RUNDIR
#define RUNDIR		"/var/run/policyd-rate-limit"
#endif
#ifndef STATEDIR
#define STATEDIR	"/var/lib/policyd-rate-limit"
#endif

const char	paths_sysconfdir[] = SYSCONFDIR;
const char	paths_libexecdir[] = LIBEXECDIR;
const char	paths_rundir[] = RUNDIR;
const char	paths_statedir[] = STATEDIR;
