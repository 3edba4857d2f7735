#include <stdlib.h>
#include <string.h>

#include "ledger/server/foreign.h"
#include "ledger/server/sums.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define PAUSE_MS		1000
#define LOG_SECONDS	600

/* Rows that a busy server reads in half a millisecond. */
#define ROWS_PER_MS	25

void
foreign_init(struct foreign *f, const struct settings *settings)
{
	memset(f, 0, sizeof(*f));
	str_init(&f->text);
	f->there = true;
	if (settings->fold_case)
		f->fold = settings->nrules == 0 ? FOREIGN_FOLD :
		    FOREIGN_FOLD_REST;
	f->most = settings->db_timeout < sums_sizes.foreign / ROWS_PER_MS ?
	    settings->db_timeout * ROWS_PER_MS : sums_sizes.foreign;
}

void
foreign_clear(struct foreign *f)
{
	free(f->row);
	str_clear(&f->text);
}

void
foreign_borrow(struct foreign *f, const struct store_row *row)
{
	struct store_row	*last = f->count > 0 ?
				    &f->row[f->count - 1].row : NULL;

	/* There may be thousands without an instance in one second. */
	if (last != NULL && last->id == row->id && last->date == row->date &&
	    last->instancelen == 0 && row->instancelen == 0) {
		last->amount = num_add_clamp(last->amount, row->amount);
		return;
	}
	f->row = alloc_room(f->row, f->count, &f->room, sizeof(f->row[0]));
	f->row[f->count].row = *row;
	/* Giving a row back would add its tag a second time, not remove it. */
	f->row[f->count].row.tag = 0;
	f->row[f->count++].instance = f->text.len;
	str_add(&f->text, row->instance, row->instancelen);
}

void
foreign_cut(struct foreign *f, size_t count)
{
	if (count < f->count) {
		f->text.len = f->row[count].instance;
		f->count = count;
	}
}

void
foreign_tell(struct foreign *f, const struct store_reader *reader)
{
	struct store_row	*row;
	size_t			 i;

	f->reader = *reader;
	f->read_rows = true;
	for (i = 0; i < f->count; i++) {
		row = &f->row[i].row;
		row->instance = row->instancelen == 0 ? "" :
		    f->text.data + f->row[i].instance;
		reader->news(reader->arg, row);
	}
}

void
foreign_give_back(struct foreign *f)
{
	struct store_row	*row;
	size_t			 i;

	for (i = 0; f->read_rows && i < f->count; i++) {
		row = &f->row[i].row;
		row->amount = num_sub_clamp(0, row->amount);
		f->reader.news(f->reader.arg, row);
	}
	f->read_rows = false;
	f->count = 0;
	f->text.len = 0;
}

bool
foreign_due(struct foreign *f, bool idle)
{
	struct mono	now = clock_mono();

	if (!f->there || ((f->took_none || !idle) &&
	    !clock_passed(f->next, now)))
		return false;
	f->begun = now;
	return true;
}

void
foreign_taken(struct foreign *f, bool some)
{
	struct mono	now = clock_mono();

	f->took_none = !some;
	f->next = some ? (struct mono){ now.ns + (now.ns - f->begun.ns) } :
	    clock_after(now, PAUSE_MS);
}

/*
 * A step fails when another session has locked a row, or when daemons are busy:
 * its rows are borrowed until the next step.
 */
void
foreign_failed(struct foreign *f, enum store_result result,
    const char *description, const char *error)
{
	unsigned int	suppressed;

	foreign_taken(f, false);
	if (result == STORE_FAILED &&
	    log_allowed(&f->failed, LOG_SECONDS, &suppressed))
		log_warning("%s: rows of other programs cannot be given"
		    " numbers, they are read with every request: %s",
		    description, error);
}

int
foreign_wait(const struct foreign *f)
{
	if (!f->there)
		return -1;
	return f->took_none ? clock_left(f->next, clock_mono()) : 0;
}
