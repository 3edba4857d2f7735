#ifndef DIRECTORIES_H
#define DIRECTORIES_H

#include <sys/types.h>
#include <sys/stat.h>

#include <stdbool.h>
#include <stddef.h>

/*
 * Directories found and made without being led astray. Paths are walked a
 * component at a time; a symbolic link is followed where only root or we
 * ourselves may write (such as /var/run), and refused elsewhere.
 *
 * Every function that can fail leaves a sentence in `why`, which is of WHY_MAX
 * bytes.
 */
#define WHY_MAX	1536

/*
 * Writes into `why` which call on which path failed of what, and for a missing
 * right what to do about it.
 */
void	directories_fault(char *why, const char *path, const char *call,
	    int error);

/* What becomes of a directory that is missing. */
struct directory_new {
	mode_t	mode;
	bool	give;		/* to these ids; those above it stay ours */
	uid_t	uid;
	gid_t	gid;
};

/*
 * A descriptor of the directory, close-on-exec; -1. `new` NULL: must be there.
 */
int	directories_open(const char *path, const struct directory_new *new,
	    char *why);

/* A file by the directory that holds it. */
struct place {
	int	dir;		/* -1: none */
	char	name[256];
};

/* 0, or -1. The directory is made when missing. */
int	directories_place(struct place *, const char *path,
	    const struct directory_new *, char *why);
void	directories_leave(struct place *);

/*
 * Removes what was found at the name, of whatever kind; a directory that is not
 * empty gets another name. Nobody is kept out meanwhile, for a lock that others
 * could take is one that they could hold: what another start put there since
 * is left, which is -1 with errno EEXIST.
 */
int	directories_remove(const struct place *, const struct stat *);

/* A name that no file has, for what is then renamed or removed. */
void	directories_aside(char *name, size_t);

#endif
