#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>

/*
 * The Landlock ABI of the running kernel, landlock(7); 0 with errno if it has
 * none, or if the environment (a container) denies the question.
 */
int	landlock_abi(void);

/*
 * Denies everything that ABI `abi` (1 or more) can: files, TCP, abstract
 * sockets and signals to other processes. `directory` is a descriptor of the
 * only directory in which files may be read, written, created and removed, or
 * -1. `eased`: all files may still be read. Needs no_new_privs. 0 or -1 with
 * errno.
 */
int	landlock_enter(int abi, int directory, bool eased);

/*
 * The first step of a process that resolves names and connects: it may only
 * read files, may not bind a TCP port, and may not signal other processes.
 * Needs no_new_privs. 0 or -1 with errno.
 */
int	landlock_enter_connecting(int abi);

#endif
