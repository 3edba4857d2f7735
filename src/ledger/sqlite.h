#ifndef SQLITE_H
#define SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One connection to one SQLite file: the only place that knows the library. The
 * file is reached through the descriptor of its directory and nothing else, so
 * it works after a chroot(2) and where a sandbox has no paths at all. Every
 * fault is an answer: the kind in sqlite_fault(), the words in sqlite_error().
 */
struct sqlite;

enum sqlite_fault {
	SQLITE_NO_FAULT,
	SQLITE_FAULT_BUSY,	/* locked by another process; try again */
	SQLITE_FAULT_READONLY,	/* reading is possible; what was opened so
				   stays so: see sqlite_writable */
	SQLITE_FAULT_FULL,	/* the disk; gone as soon as there is room */
	SQLITE_FAULT_SCHEMA,	/* a statement does not fit the tables */
	SQLITE_FAULT_FILE	/* damaged, or an I/O error: open it anew */
};

/*
 * The file `name` in `directory`, made when missing (mode as umask(2) leaves
 * it). A lock of another's is waited for at most `busy_ms`. Statements are the
 * `count` texts of `list`, prepared at their first use and named by their
 * number from then on. NULL with the kind of fault in `fault` and the reason in
 * `reason`.
 */
struct sqlite	*sqlite_open(int directory, const char *name, int busy_ms,
		    const char *const *list, size_t count,
		    enum sqlite_fault *fault, char *reason, size_t);
void		 sqlite_close(struct sqlite *);

/*
 * Whether an administrator has to mend something before `name` in `directory`,
 * or a file that is to be made there, can be written: 0, or an errno value,
 * with the file in question in *which ("." is the directory).
 */
int		 sqlite_denied(int directory, const char *name, char **which);

/* Whether the names still lead to the files that were opened. */
enum sqlite_files {
	SQLITE_FILES_OURS,
	SQLITE_FILES_OTHER_LOG,	/* the write-ahead log is not, or its index */
	SQLITE_FILES_OTHER	/* the database itself is not */
};
enum sqlite_files	 sqlite_look(struct sqlite *);

/*
 * Before sqlite_close, where the database itself is another file: the log that
 * belongs to ours must not be taken for its log.
 */
void		 sqlite_unlink_log(struct sqlite *);

/*
 * Before sqlite_close, where the file is not to be trusted: what is in the log
 * is checked when it is read again, and is not copied into the file unchecked.
 */
void		 sqlite_distrust(struct sqlite *);

/*
 * Whether we may write to the files and into their directory, so that a file
 * that was opened when we could not is worth opening anew.
 */
bool		 sqlite_writable(const struct sqlite *);

/* One or more statements without results. 0, or -1. */
int		 sqlite_exec(struct sqlite *, const char *sql);

/* The first column of the first row; -1 on a fault or when there is no row. */
int		 sqlite_number(struct sqlite *, const char *sql, int64_t *);

/*
 * Parameters of statement `n`, counted from 1. Bytes must live until it is
 * done.
 */
void		 sqlite_bind(struct sqlite *, size_t n, int at, int64_t);
void		 sqlite_bind_text(struct sqlite *, size_t n, int at,
		    const char *, size_t);
void		 sqlite_bind_blob(struct sqlite *, size_t n, int at,
		    const void *, size_t);

/*
 * 1: a row is there; 0: done; -1: a fault. After 0 and -1 the statement is
 * ready for its next use; one that is left with rows to come needs
 * sqlite_reset.
 */
int		 sqlite_step(struct sqlite *, size_t n);
void		 sqlite_reset(struct sqlite *, size_t n);

/*
 * Columns of the row, counted from 0. Text of any type, whole until the next
 * step.
 */
int64_t		 sqlite_column(struct sqlite *, size_t n, int at);
const char	*sqlite_column_text(struct sqlite *, size_t n, int at,
			    size_t *len);
const void	*sqlite_column_blob(struct sqlite *, size_t n, int at,
			    size_t *len);

bool		 sqlite_in_transaction(struct sqlite *);

/* Rows that the last statement changed. */
int64_t		 sqlite_changes(struct sqlite *);

/*
 * Runs a query of the administrator's with `text` for all its parameters. 1:
 * *result is the first column of the first row as text, the caller's (NULL for
 * NULL); 0: no row;
 * -1.
 */
int		 sqlite_query(struct sqlite *, const char *sql,
		    const char *text, size_t, char **result);

/*
 * Copies what can be copied from the write-ahead log into the file. *frames:
 * pages in the log, *left: of them, not copied. 0 or -1.
 */
int		 sqlite_checkpoint(struct sqlite *, int *frames, int *left);

/*
 * The same, and then gives the log's space back to the disk: only where nobody
 * reads or writes the file now. 0 or -1.
 */
int		 sqlite_shrink_log(struct sqlite *);

/* Pages in the write-ahead log after the last commit. */
int		 sqlite_log_pages(const struct sqlite *);

/* Steps of statements so far: what they cost, whatever the machine. */
uint64_t	 sqlite_steps(const struct sqlite *);

enum sqlite_fault	 sqlite_fault(const struct sqlite *);

/* Printable, until the next call. */
const char	*sqlite_error(const struct sqlite *);

#endif
