#ifndef TRUST_H
#define TRUST_H

#include <stddef.h>

/*
 * Whether only root can decide what is found at a path: every directory on the
 * way to it, and every symbolic link in one, belongs to root and cannot be
 * written to by others. In a directory with the sticky bit others may make
 * entries, but not replace those of root. A group counts as others unless it
 * is root's. 0, or -1 with the reason. What does not exist is no reason.
 */
int	trust_path(const char *path, char *why, size_t size);

#endif
