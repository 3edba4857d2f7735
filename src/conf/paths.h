#ifndef PATHS_H
#define PATHS_H

/*
 * Installation directories, set by the build. Absolute, without a slash at the
 * end.
 */
const char	*paths_sysconfdir(void);	/* policyd-rate-limit.conf */
const char	*paths_libexecdir(void);	/* engine, ledger-sqlite, … */
const char	*paths_rundir(void);		/* pid file, control socket */
const char	*paths_statedir(void);		/* the SQLite file */

#endif
