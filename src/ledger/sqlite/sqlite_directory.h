#ifndef SQLITE_DIRECTORY_H
#define SQLITE_DIRECTORY_H

#include <sqlite3.h>

/*
 * Replaces the system calls of SQLite's "unix" VFS, so that files are reached
 * only through the descriptor of a directory, which stays the caller's. 0 or
 * -1.
 */
int	sqlite_directory_use(int directory);

#endif
