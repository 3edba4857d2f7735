#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

#include "ledger/foreign.h"
#include "ledger/mysqldb.h"
#include "ledger/others.h"
#include "ledger/store.h"
#include "ledger/sums.h"

/* What the parts of the MySQL store share. */
#define STORE_SLOTS	65536		/* rows of mail_lock that ids share; */
#define STORE_HITS_SLOT	STORE_SLOTS	/* and more of them */
#define STORE_ALL_SLOT	(STORE_SLOTS + 1)

enum statement {
	LOCK,
	LOCK_SHARED,
	CHANGES,
	NEWS,
	ENDS,
	FIRST,
	SINGLE,
	LATE,
	KEPT,
	RECENT,
	VALUE,
	FOREIGN,
	FOREIGN_IDS,
	FOREIGN_ANY,
	FOREIGN_OF,
	APPEND,
	SEE,
	HIT,
	WARNING,		/* HIT + HIT_NEAR, as also below */
	SUMS_GONE,
	SUMS_NEW,
	CHANGED,
	NUMBER,
	SET_NUMBER,
	CLEAN_END,
	CLEAN,
	CLEAN_NOTE,
	CLEAN_VALUES,
	CLEAN_SUMS,
	HITS,
	WARNINGS,
	HITS_LESS,
	WARNINGS_LESS,
	HITS_GONE,
	WARNINGS_GONE,
	OVERRIDES,
	OVERRIDE_GONE,
	OVERRIDE_NEW,
	VALUES_GONE,
	TAKE_PICK,
	TAKE_PICK_FREE,
	TAKE_COPY,
	TAKE_DROP,
	STATEMENT__MAX
};

/* An id whose first reading goes on in this batch. */
struct store_end {
	size_t	touch;
	int64_t	from;		/* dates of this piece */
	int64_t	upto;
	int64_t	seq;		/* the newest row */
};

struct store_count {		/* a hit */
	enum hit_kind	 kind;
	const char	*id;
	size_t		 idlen;
	int64_t		 seconds;
};

struct store_name {		/* an id that others inserted, as they did */
	size_t	touch;		/* that its rows count for */
	size_t	at;		/* in the text of all */
	size_t	len;
};

struct store {
	struct mysqldb		*db;
	struct mysqldb		*builder;	/* for what takes long */
	const struct settings	*settings;	/* at the start */
	char			*description;
	char			*each;		/* query, asked id by id */
	/* no trigger tells of changes */
	bool			 blind;
	int64_t			 changes;	/* by the triggers' count; -1 */
	struct others		 others;
	struct foreign		 foreign;
	enum foreign_fold	 fold;
	bool			 hides;		/* columns: INVISIBLE */
	bool			 skips;		/* rows: SKIP LOCKED */
	bool			 narrow;	/* amounts have 32 bits */
	int64_t			 step;		/* auto_increment_increment */
	bool			 told;		/* rows, in this batch */
	bool			 spoilt;	/* open it anew */
	char			 error[256];

	/* --- the running batch --- */
	struct store_touch	*touch;
	size_t			 ntouch;
	size_t			*order;		/* of touches, by their ids */
	uint32_t		*slot;
	struct store_end	*end;
	size_t			 nend;		/* or rows of news */
	size_t			 room;		/* of these three */
	struct store_batch	*batch;
	int64_t			 piece;		/* rows of an id */
	struct store_row	*row;
	size_t			 nrow;
	size_t			 rows;		/* room */
	struct store_value	*see;
	size_t			 nsee;
	size_t			 sees;		/* room */
	int64_t			*seq;		/* rows to be taken in */
	size_t			 nseq;
	struct store_name	*name;
	size_t			 nname;
	size_t			 names;		/* room */
	struct str		 names_text;
	struct store_count	*hit;
	size_t			 nhit;
	size_t			 hits;		/* room */
};

/* --- store_mysql.c --- */

/* What mysqldb_fault() means to the caller, and its words for store_error(). */
enum store_result	store_result(struct store *);

/* Ends the transaction after a fault. */
enum store_result	store_failed(struct store *);

/* Ends it well, or as above. */
enum store_result	store_end(struct store *, bool good);

/* The touch of an id; -1: it is another's. */
int	store_find(const struct store *, const char *id, size_t idlen,
	    size_t *index);

/* Binds one thing; how many that were, 0 or 1. */
typedef size_t	store_binder(struct store *, size_t);

/*
 * Runs the statement for all of `count` things that the binder takes, as many
 * at a time as it can be about; rows go to `take`.
 */
int	store_each(struct store *, enum statement, size_t count,
	    void (*before)(struct store *), store_binder *binder,
	    int (*take)(struct store *, const struct store_reader *),
	    const struct store_reader *);
void	store_bind_nothing(struct store *);

/* Runs what is bound and looks at no row. */
int	store_run(struct store *, size_t items);

/*
 * The last row of mail_lock, for statements that lock ranges of an index: two
 * of them at a time could wait for each other, whatever ids they are about.
 */
int	store_lock_ranges(struct store *);

/* So that no other daemon has a batch. */
int	store_lock_all(struct store *);

/* --- store_mysql_read.c: in the transaction, under the locks --- */

int	store_read_changes(struct store *, const struct store_reader *);
int	store_read_news(struct store *, const struct store_reader *);
int	store_read_kept(struct store *, const struct store_reader *);
int	store_read_first(struct store *, const struct store_reader *);

/* Writes the sums of an id that has many rows. */
int	store_keep_sums(struct store *, const struct store_reader *);
int	store_read_values(struct store *, const struct store_reader *);

/* A row whose columns begin with its id. */
void	store_columns(struct store *, struct store_row *);

/* --- store_mysql_foreign.c --- */

/* The rows of others that this batch borrows: s->foreign. */
int	store_read_foreign(struct store *, const struct store_reader *);

/* Takes some of them in, if it is time to. */
enum store_result	store_take_in(struct store *);

#endif
