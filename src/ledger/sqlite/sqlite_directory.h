#ifndef SQLITE_DIRECTORY_H
#define SQLITE_DIRECTORY_H

/*
 * Makes SQLite reach files only through the descriptor of a directory, which
 * stays the caller's: the system calls of its "unix" VFS are replaced. 0, or -1:
 * this SQLite has no such VFS.
 */
int	sqlite_directory_use(int directory);

#endif
