#ifndef TRUST_H
#define TRUST_H

#include <stddef.h>

/*
 * Whether only root can decide which file is at a path: every directory on the
 * way, and every symbolic link, belongs to root and others cannot write to it.
 * In a directory with the sticky bit others may create entries, but cannot
 * replace root's. A group counts as others unless it is root's. 0: only root
 * can; -1: others might, and `why` has the reason. The path is judged up to the
 * first component that is missing.
 */
int	trust_path(const char *path, char *why, size_t size);

#endif
