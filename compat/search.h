#ifndef SEARCH_H
#define SEARCH_H

#include <fcntl.h>

/*
 * The flag to open a directory that is only passed through: searched but not
 * read, since /home, for example, often cannot be read. Systems without such a
 * flag read it.
 */
#if defined(O_SEARCH)
#define OPEN_SEARCH	O_SEARCH
#elif defined(O_PATH)
#define OPEN_SEARCH	O_PATH
#else
#define OPEN_SEARCH	O_RDONLY
#endif

#endif
