#ifndef SEARCH_H
#define SEARCH_H

#include <fcntl.h>

/*
 * How a directory is opened that is only passed through: searched and not
 * read, as /home often is. Where the system knows no such way, by reading.
 */
#if defined(O_SEARCH)
#define OPEN_SEARCH	O_SEARCH
#elif defined(O_PATH)
#define OPEN_SEARCH	O_PATH
#else
#define OPEN_SEARCH	O_RDONLY
#endif

#endif
