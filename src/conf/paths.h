#ifndef PATHS_H
#define PATHS_H

/*
 * Installation directories, set by the build. Absolute, without a slash at the
 * end.
 */
extern const char	paths_sysconfdir[];	/* policyd-rate-limit.conf */
extern const char	paths_libexecdir[];	/* engine, ledger-sqlite, … */
extern const char	paths_rundir[];		/* pid file, control socket */
extern const char	paths_statedir[];	/* the SQLite file */

#endif
