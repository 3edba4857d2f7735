#ifndef PATHS_H
#define PATHS_H

/*
 * Where things are, as installed: what the packager set when paths.c was
 * compiled. Absolute, without a slash at the end.
 */
const char	*paths_sysconfdir(void);	/* policyd-rate-limit.conf */
const char	*paths_libexecdir(void);	/* engine, ledger-sqlite, … */
const char	*paths_rundir(void);		/* pid file, control socket */
const char	*paths_statedir(void);		/* the SQLite file */

#endif
