#ifndef SQLITE_H
#define SQLITE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/store_shared.h"

/*
 * One connection to one SQLite file; only sqlite.c and sqlite_directory.c call
 * the library. The file is reached only through the descriptor of its
 * directory, so this works after chroot(2) and where a sandbox allows no paths.
 * Every fault is returned; its kind and text are in the struct.
 */
enum sqlite_fault {
	SQLITE_NO_FAULT,
	SQLITE_FAULT_BUSY,	/* locked by another process; retry */
	SQLITE_FAULT_READONLY,	/* no writing until it is opened again;
				   sqlite_denied says why */
	SQLITE_FAULT_FULL,	/* the disk is full; retry */
	SQLITE_FAULT_SCHEMA,	/* a statement does not fit the tables */
	SQLITE_FAULT_FILE	/* damaged, or an I/O error: reopen it */
};

/* The database, its write-ahead log and the log's index. */
#define SQLITE_FILES	3

struct sqlite {
	/* For others to read. */
	enum sqlite_fault	  fault;	/* the last one */
	char			  error[256];	/* its text, printable */
	int			  log_pages;	/* after the last commit */
	uint64_t		  steps;	/* of statements: a measure of
						   cost on any machine */
	/* The rest is of sqlite.c. */
	struct sqlite3		 *db;
	int			  directory;
	struct sqlite_place {
		char		*name;
		dev_t		 dev;
		ino_t		 ino;
		bool		 known;	/* dev and ino are set; SQLite creates
					   the log and its index later */
	}			  file[SQLITE_FILES];
	const char *const	 *list;
	size_t			  count;
	struct sqlite3_stmt	**statement;
	struct sqlite3_stmt	 *query;	/* of sqlite_query */
	char			 *query_text;
	int			  busy_ms;
	int64_t			  busy_since;	/* ns */
	int64_t			  query_until;	/* ns */
};

/*
 * Opens the file `name` in `directory`, created if missing (mode by umask(2)).
 * Here and later a statement waits at most `busy_ms` for another process's
 * lock. The statements are the `count` texts of `list`, which must stay valid;
 * they are prepared at their first use and named by their index. `directory`
 * stays the caller's. NULL with the kind of fault in `fault` and a printable
 * reason.
 */
struct sqlite	*sqlite_open(int directory, const char *name, int busy_ms,
		    const char *const *list, size_t count,
		    enum sqlite_fault *fault, char *reason, size_t);
void		 sqlite_close(struct sqlite *);

/*
 * Whether permissions prevent writing to the file, or creating it: 0, or an
 * errno value with the file in question in `which` ("." is the directory).
 */
int		 sqlite_denied(int directory, const char *name, char *which,
		    size_t);

/* Whether the names still refer to the files that are open. */
enum sqlite_files {
	SQLITE_FILES_OURS,
	SQLITE_FILES_OTHER_LOG,	/* the log or its index was replaced */
	SQLITE_FILES_OTHER	/* the database was replaced */
};
enum sqlite_files	 sqlite_look(struct sqlite *);

/*
 * Call before sqlite_close when the database was replaced: removes our log, so
 * that it is not taken for the log of the new file.
 */
void		 sqlite_unlink_log(struct sqlite *);

/*
 * Call before sqlite_close when the file may be damaged: the log is not copied
 * into the file unchecked, but read and checked by the next process.
 */
void		 sqlite_distrust(struct sqlite *);

/*
 * Whether the file was opened for reading only, which is then the last fault.
 * BEGIN IMMEDIATE succeeds on such a file.
 */
bool		 sqlite_is_readonly(struct sqlite *);

/* One or more statements without results. 0, or -1. */
int		 sqlite_exec(struct sqlite *, const char *sql);

/* The first column of the first row; -1 on a fault or when there is no row. */
int		 sqlite_number(struct sqlite *, const char *sql, int64_t *);

/*
 * Binds parameter `at`, counted from 1, of statement `n`. The bytes must stay
 * valid until the statement is done. NULL is the empty text.
 */
void		 sqlite_bind(struct sqlite *, size_t n, int at, int64_t);
void		 sqlite_bind_text(struct sqlite *, size_t n, int at,
		    const char *, size_t);
void		 sqlite_bind_blob(struct sqlite *, size_t n, int at,
		    const void *, size_t);

/* Binds all parameters of the statement. */
void		 sqlite_bind_list(struct sqlite *, size_t n,
		    const struct store_param *, size_t);

/*
 * 1: a row; 0: done; -1: a fault. After 0 and -1 the statement is ready for its
 * next use; one with rows left needs sqlite_reset.
 */
int		 sqlite_step(struct sqlite *, size_t n);
void		 sqlite_reset(struct sqlite *, size_t n);

/*
 * Columns of the row, counted from 0. A text is converted from any type. Text
 * and blob are valid until the next step.
 */
int64_t		 sqlite_column(struct sqlite *, size_t n, int at);
const char	*sqlite_column_text(struct sqlite *, size_t n, int at,
			    size_t *len);
const void	*sqlite_column_blob(struct sqlite *, size_t n, int at,
			    size_t *len);

bool		 sqlite_in_transaction(struct sqlite *);

/* The number of rows that the last statement changed. */
int64_t		 sqlite_changes(struct sqlite *);

/*
 * Runs an administrator's query with `text` for all its parameters. 1: *result
 * is the first column of the first row as text, owned by the caller (NULL for
 * NULL); 0: no row; -1: a fault, also if it is not done at `until`
 * (clock_mono, ns; INT64_MAX: no such time).
 */
int		 sqlite_query(struct sqlite *, const char *sql, int64_t until,
		    const char *text, size_t, char **result);

/*
 * Checkpoint: copies as much of the write-ahead log into the file as possible.
 * With `truncate` it then truncates the log, which works only while no process
 * reads or writes the file. 0 or -1.
 */
int		 sqlite_checkpoint(struct sqlite *, bool truncate);

#endif
