#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/cache.h"
#include "ledger/batch/charge_batch.h"
#include "ledger/lookup.h"
#include "ledger/store.h"
#include "outsider.h"

/*
 * A ledger without its channels: what the loop of main.c does with one batch.
 */
#define RIG_NOW		INT64_C(1700000000)
#define ANSWERS_MAX	20000

struct rig {
	char			*dir;		/* for SQLite's file */
	char			*path;		/* that, or a name */
	bool			 owner;		/* of the directory */
	int			 directory;
	struct settings		*settings;
	struct store		*store;
	struct cache		*cache;
	struct lookup		*lookup;
	struct lookup		*ids;		/* id_sql */
	struct charge_batch	*batch;
	struct outsider		*outsider;
	int64_t			 now;
	int64_t			 mono;		/* ns added to the clock */
	int64_t			 timeout;	/* of charges, ms */
	uint64_t		 next;		/* request number */
	struct msg_verdict	*answer;	/* by request number */
	bool			*answered;
	size_t			 hits;		/* told */
	char			 mapped[256];	/* the last id of a verdict */
};

/* A charge that has what most tests need; keys may be added. */
struct rig_charge {
	struct msg_charge	 m;
	struct limit		 limit[LIMITS_MAX];
};

/* Before the first rig of the process, and at its end. */
void	rig_begin(void);
void	rig_end(void);

/* With an empty database; its tables are made by rig_open. */
struct rig	*rig_new(void);

/* A second one on the same database. */
struct rig	*rig_beside(const struct rig *);
void		 rig_free(struct rig *);

/* A test's own, opened: cmocka's setup and teardown. */
int	rig_setup(void **state);
int	rig_teardown(void **state);

void	rig_open(struct rig *);
void	rig_close(struct rig *);	/* cache and all */
void	rig_reopen(struct rig *);

/* One key, one window, CHARGE_ONCE without instance. */
void	rig_charge(struct rig_charge *, const char *id, int64_t amount,
	    int64_t mails, int64_t seconds);
void	rig_window(struct rig_charge *, int64_t mails, int64_t seconds);
void	rig_instance(struct rig_charge *, const char *instance, int64_t tag);
struct msg_charge_key	*rig_key(struct rig_charge *, const char *id,
			    int64_t amount, const struct limit *, size_t);

/* Queues it; its request number. */
uint64_t	rig_add(struct rig *, const struct rig_charge *);

/*
 * Runs until all are answered; a store that is lost is opened anew, as by the
 * next process.
 */
void	rig_run(struct rig *);

/* One run, whatever is left; its result. */
enum store_result	rig_run_once(struct rig *);

/* Both, for one charge: enum verdict. */
int	rig_ask(struct rig *, const struct rig_charge *);

/* One charge of `amount` under [[mails, seconds]]. */
int	rig_one(struct rig *, const char *id, int64_t amount, int64_t mails,
	    int64_t seconds);

/* As many of 1 as are accepted. */
int64_t	rig_room(struct rig *, const char *id, int64_t mails, int64_t seconds);

const struct msg_verdict	*rig_answer(const struct rig *,
				    uint64_t request);

int64_t	rig_sql(struct rig *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/* Inserts rows of one id, `step` seconds between them, the newest now. */
void	rig_fill(struct rig *, const char *id, int64_t rows, int64_t step);

/* Cleans as --clean does; the number of deleted records. */
int64_t	rig_clean(struct rig *);

/* Sum of an id in the table. */
int64_t	rig_sum(struct rig *, const char *id);

/* Quiet work until there is none left. */
void	rig_idle(struct rig *);

#endif
