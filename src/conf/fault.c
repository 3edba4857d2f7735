#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fault.h"
#include "lib/alloc.h"
#include "lib/str.h"

/*
 * A file of another kind, given by mistake, has a fault on each line; more than
 * these help nobody.
 */
#define FAULT_MAX	200
#define FAULT_TEXT_MAX	1024

void
fault_init(struct faults *f, const char *file)
{
	memset(f, 0, sizeof(*f));
	f->file = file == NULL ? NULL : alloc_string(file);
}

void
fault_clear(struct faults *f)
{
	size_t	i;

	for (i = 0; i < f->count; i++)
		free(f->list[i].text);
	free(f->list);
	free(f->file);
	memset(f, 0, sizeof(*f));
}

void
fault_add(struct faults *f, enum fault_kind kind, unsigned int line,
    unsigned int column, const char *name, const char *fmt, va_list ap)
{
	char		 text[FAULT_TEXT_MAX];
	struct fault	*fault;
	size_t		 n, len = 0;

	f->unknown += kind == FAULT_UNKNOWN;
	n = kind == FAULT_ERROR ? ++f->errors : ++f->warnings;
	if (n > FAULT_MAX + 1)
		return;
	/*
	 * Truncates an endless word of the file; the place is still reported.
	 */
	if (name != NULL) {
		snprintf(text, sizeof(text) / 2, "%s ", name);
		len = strlen(text);
	}
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);

	f->list = alloc_resize(f->list, f->count + 1, sizeof(*f->list));
	fault = &f->list[f->count++];
	fault->kind = kind;
	fault->line = line;
	fault->column = column;
	if (n > FAULT_MAX) {
		fault->line = fault->column = 0;
		snprintf(text, sizeof(text), "too many %s, not all are shown",
		    kind == FAULT_ERROR ? "errors" : "warnings");
	}
	/* Texts quote the file, and are written to logs and terminals. */
	len = strlen(text);
	fault->text = str_printable_again(alloc_zero(len * 4 + 8, 1),
	    len * 4 + 8, text, len);
}

void
fault_error(struct faults *f, unsigned int line, unsigned int column,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(f, FAULT_ERROR, line, column, NULL, fmt, ap);
	va_end(ap);
}

void
fault_warning(struct faults *f, unsigned int line, unsigned int column,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(f, FAULT_WARNING, line, column, NULL, fmt, ap);
	va_end(ap);
}

void
fault_unknown(struct faults *f, unsigned int line, unsigned int column,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(f, FAULT_UNKNOWN, line, column, NULL, fmt, ap);
	va_end(ap);
}

void
fault_refuse_unknown(struct faults *f)
{
	size_t	i;

	for (i = 0; i < f->count; i++)
		if (f->list[i].kind == FAULT_UNKNOWN)
			f->list[i].kind = FAULT_ERROR;
	f->errors += f->unknown;
	f->warnings -= f->unknown;
	f->unknown = 0;
}

/*
 * Insertion sort: the list is short and nearly sorted, and the sort must be
 * stable.
 */
void
fault_sort(struct faults *f)
{
	struct fault	fault;
	size_t		i, j;

	for (i = 1; i < f->count; i++) {
		fault = f->list[i];
		for (j = i; j > 0; j--) {
			if (f->list[j - 1].line < fault.line ||
			    (f->list[j - 1].line == fault.line &&
			    f->list[j - 1].column <= fault.column))
				break;
			f->list[j] = f->list[j - 1];
		}
		f->list[j] = fault;
	}
}

void
fault_print(const struct faults *f, size_t i, char *dst, size_t size)
{
	const struct fault	*fault;
	char			 file[1024], place[32];
	const char		*kind;

	fault = &f->list[i];
	if (f->file == NULL)
		strlcpy(file, "built-in defaults", sizeof(file));
	else
		str_printable(file, sizeof(file), f->file, strlen(f->file));
	place[0] = '\0';
	if (fault->line != 0)
		snprintf(place, sizeof(place), "%u:%u:", fault->line,
		    fault->column);
	kind = fault->kind == FAULT_ERROR ? "error" : "warning";
	snprintf(dst, size, "%s:%s %s: %s", file, place, kind, fault->text);
}
