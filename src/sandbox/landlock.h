#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>

/*
 * The running kernel's Landlock ABI, landlock(7); 0 with errno when it has
 * none, or when something around us (a container) does not let us ask.
 */
int	landlock_abi(void);

/*
 * Takes away everything that ABI `abi` (1 or more) knows of: files, TCP,
 * abstract sockets and signals outside. `directory` is a descriptor of the one
 * directory in which files may be read, written, made and removed, or -1.
 * `eased`: all files may still be read. Needs no_new_privs. 0 or -1 with errno.
 */
int	landlock_enter(int abi, int directory, bool eased);

/*
 * The first step of a process that resolves and connects: files may be read and
 * nothing else, no TCP port may be bound, no signal goes outside. Needs
 * no_new_privs. 0 or -1 with errno.
 */
int	landlock_enter_connecting(int abi);

#endif
