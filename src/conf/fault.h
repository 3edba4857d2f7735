#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* Every fault of a configuration, not only the first, each with its place. */
struct fault {
	bool		 warning;
	unsigned int	 line;		/* 0: the file as a whole */
	unsigned int	 column;
	char		*text;
};

struct faults {
	char		*file;		/* NULL: built-in defaults */
	struct fault	*list;
	size_t		 count;
	size_t		 errors;	/* of them, no mere warnings */
};

void	fault_init(struct faults *, const char *file);
void	fault_clear(struct faults *);
void	fault_error(struct faults *, unsigned int line, unsigned int column,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));
void	fault_warning(struct faults *, unsigned int line, unsigned int column,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));

/* In the order of their places: "file:line:column: text", no newline, printable. */
void	fault_sort(struct faults *);
void	fault_print(const struct faults *, size_t, char *, size_t);

#endif
