#ifndef FAULT_H
#define FAULT_H

#include <stdarg.h>
#include <stddef.h>

/* All faults of a configuration, each with its place. */
enum fault_kind {
	FAULT_ERROR,
	FAULT_UNKNOWN,		/* unknown name: warning; an error for -n */
	FAULT_WARNING
};

struct fault {
	enum fault_kind	 kind;
	unsigned int	 line;		/* 0: the file as a whole */
	unsigned int	 column;
	char		*text;
};

struct faults {
	char		*file;		/* NULL: built-in defaults */
	struct fault	*list;
	size_t		 count;
	size_t		 errors;	/* all; the list may have fewer */
	size_t		 warnings;	/* includes unknown names */
	size_t		 sockets;	/* SOCKET's errors: exit status 4 */
	size_t		 unknown;
};


/* The name of the file, or NULL, is copied. */
void	fault_init(struct faults *, const char *file);
void	fault_clear(struct faults *);
void	fault_error(struct faults *, unsigned int line, unsigned int column,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));
void	fault_warning(struct faults *, unsigned int line, unsigned int column,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));
void	fault_unknown(struct faults *, unsigned int line, unsigned int column,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));

/* The text begins with `name` and a blank, unless that is NULL. */
void	fault_add(struct faults *, enum fault_kind, unsigned int line,
	    unsigned int column, const char *name, const char *, va_list)
	    __attribute__((__format__(printf, 6, 0)));

/* Turns unknown names into errors, for -n. */
void	fault_refuse_unknown(struct faults *);

/* Sorts by place; faults of one place keep their order. */
void	fault_sort(struct faults *);

/*
 * Prints one fault as "file:line:column: error: text" or "file:line:column:
 * warning: text", without line and column if it is about the file as a whole;
 * printable, without newline.
 */
void	fault_print(const struct faults *, size_t, char *, size_t);

#endif
