#ifndef STORE_SHARED_H
#define STORE_SHARED_H

#include "ledger/store.h"

/*
 * The functions of store.h that do not count mails, and that differ only in
 * their SQL from one database to the other: store_shared.c has them for all
 * backends. A backend has the text of each statement below, and the functions
 * below.
 */
enum store_statement {
	NUMBER,
	SET_NUMBER,
	FIRST_NUMBER,
	HITS,
	WARNINGS,		/* HITS + HIT_NEAR, and so the next ones */
	SHADOWS,
	LOCKS_SET,
	HITS_LESS,
	WARNINGS_LESS,
	SHADOWS_LESS,
	LOCKS_SET_LESS,
	HITS_GONE,
	WARNINGS_GONE,
	SHADOWS_GONE,
	LOCKS_SET_GONE,
	OVERRIDES,
	OVERRIDE_NEW,
	OVERRIDE_GONE,
	OVERRIDE_CLEAN,
	VALUES_GONE,
	NOTICE_CLEAN,
	NOTICE_CLAIM,
	NOTICE_OF,
	NOTICES_LEFT,
	NOTICES_DONE,
	REFUSAL_NEW,
	REFUSALS,
	REFUSALS_OF,
	REFUSALS_COUNT,
	REFUSALS_OLD,
	TRIM_REFUSALS,
	TRIM_OLDEST,
	PAIRS,
	LEARN,
	PAIR_GONE,
	PAIRS_FORGOTTEN,
	CLEAN_PAIRS_END,
	CLEAN_PAIRS,
	STORE_STATEMENT__MAX	/* the first of the backend's own */
};

/*
 * The texts of the statements about hits. The backend defines the three macros,
 * each of which takes the name of a table.
 */
#define STORE_HIT_STATEMENTS						\
	[HITS] = HIT_ALL("limit_report"),				\
	[WARNINGS] = HIT_ALL("limit_warning"),				\
	[SHADOWS] = HIT_ALL("limit_shadow"),				\
	[LOCKS_SET] = HIT_ALL("limit_lock"),				\
	[HITS_LESS] = HIT_LESS("limit_report"),				\
	[WARNINGS_LESS] = HIT_LESS("limit_warning"),			\
	[SHADOWS_LESS] = HIT_LESS("limit_shadow"),			\
	[LOCKS_SET_LESS] = HIT_LESS("limit_lock"),			\
	[HITS_GONE] = HIT_GONE("limit_report"),				\
	[WARNINGS_GONE] = HIT_GONE("limit_warning"),			\
	[SHADOWS_GONE] = HIT_GONE("limit_shadow"),			\
	[LOCKS_SET_GONE] = HIT_GONE("limit_lock")

/* Parameters are in the order of the texts, the same for all databases. */
#define STORE_PARAMS	(STORE_REFUSAL_NUMBERS + STORE_REFUSAL_TEXTS)
struct store_param {
	const char	*text;		/* NULL: the number */
	size_t		 len;
	int64_t		 number;
};

/* A row of a result, for the functions below. */
struct store_line {
	struct store	*store;
	size_t		 place;		/* the backend's */
};
int64_t		 store_line_number(const struct store_line *, int column);

/* NULL for NULL. Valid until `each` returns. */
const char	*store_line_text(const struct store_line *, int column,
		    size_t *len);

/*
 * A row of mail_count, without its id and its state: the date, amount, instance
 * and tag in the columns from `column` on. The instance is valid as long as
 * store_line_text.
 */
void		 store_line_row(const struct store_line *, int column,
		    struct store_row *);

struct store_call {
	enum store_statement	 statement;
	struct store_param	 param[STORE_PARAMS];
	size_t			 nparam;
	/* Called for each row; NULL: the statement has no result. */
	void			(*each)(const struct store_line *, void *);
	void			*arg;
	int64_t			*changes;	/* unless NULL: the number of
						   changed rows is added */
};

enum store_frame {
	STORE_READS,		/* a transaction of its own */
	STORE_WRITES,
	STORE_WRITES_LIGHTLY,	/* a crash of the server may undo it */
	STORE_BATCH_READS,	/* part of the running batch */
	STORE_BATCH_WRITES
};

/*
 * Runs the calls one after the other. A transaction of its own is rolled back
 * unless STORE_OK.
 */
enum store_result	 store_execute(struct store *, enum store_frame,
			    const struct store_call *, size_t);

#endif
