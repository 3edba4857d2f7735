#ifndef DIRECTORIES_H
#define DIRECTORIES_H

#include <sys/types.h>
#include <sys/stat.h>

#include <stdbool.h>
#include <stddef.h>

/*
 * Opens and creates directories safely where other users may write. Paths are
 * walked one component at a time. A symbolic link is followed only where only
 * root or we ourselves may write (such as /var/run).
 *
 * Every function that can fail writes a sentence into `why`, of WHY_MAX bytes.
 */
#define WHY_MAX	1536

/*
 * Writes into `why` that this call failed on this path, and for a missing
 * permission what to do about it.
 */
void	directories_fault(char *why, const char *path, const char *call,
	    int error);

/* How to create a missing directory. */
struct directory_new {
	mode_t	mode;
	bool	give;		/* to these ids, the last one only */
	uid_t	uid;
	gid_t	gid;
};

/*
 * A descriptor of the directory, close-on-exec; -1: failed. If `new` is NULL
 * the directory must exist.
 */
int	directories_open(const char *path, const struct directory_new *new,
	    char *why);

/* A file, as its directory and its name there. */
struct place {
	int	dir;		/* -1: none */
	char	name[256];
};

/* 0, or -1. A missing directory is created. */
int	directories_place(struct place *, const char *path,
	    const struct directory_new *, char *why);
void	directories_leave(struct place *);

/* Whether that file is there under its name; inode 0 is none. */
bool	directories_holds(const struct place *, dev_t, ino_t);

/*
 * Removes the file that was found under this name, whatever its kind; a
 * directory that is not empty is renamed instead. It takes no lock, since
 * another user could hold that lock. If another start has put a new file there,
 * that file stays: -1 with errno EEXIST.
 */
int	directories_remove(const struct place *, const struct stat *);

/* A name that no file has, to rename a file to before it is used or removed. */
void	directories_aside(char *name, size_t);

#endif
