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
 * Every function with a `why` writes the reason there when it fails; it has
 * WHY_MAX bytes.
 */
#define WHY_MAX	1536

/*
 * Write a reason into `why`, and return -1. directories_fault: that this call
 * failed on this path, and for a missing permission what to do about it.
 */
int	directories_fail(char *why, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
int	directories_fault(char *why, const char *path, const char *call,
	    int error);

/* How to create a missing directory. */
struct directory_new {
	mode_t	mode;
	bool	give;		/* the last component, to these ids */
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

/* Whether the place has this file; with inode 0 false. */
bool	directories_holds(const struct place *, dev_t, ino_t);

/*
 * Removes the file that was found under this name, whatever its kind; a
 * directory that is not empty is renamed instead. It takes no lock, since
 * another user could hold that lock. 0, also if there is no file any more; or
 * -1 with errno, EEXIST if another start has put a new file there, which stays.
 */
int	directories_remove(const struct place *, const struct stat *);

/* Writes a random name, for a file before it is put in place or removed. */
void	directories_aside(char *name, size_t);

#endif
