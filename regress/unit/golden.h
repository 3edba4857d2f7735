#ifndef GOLDEN_H
#define GOLDEN_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fault.h"
#include "conf/value.h"
#include "lib/str.h"

/*
 * Files of a syntax, and beside each, under its name and ".want", what a parser
 * finds in it: its faults, then each setting and its value as Python prints it.
 *
 * REWRITE=1 writes what comes today; read it before it is committed.
 */

static inline void
golden_read(struct str *s, const char *file)
{
	char	 bytes[4096];
	FILE	*fp;
	size_t	 n;

	str_add(s, "", 0);
	if ((fp = fopen(file, "rb")) == NULL)
		return;
	while ((n = fread(bytes, 1, sizeof(bytes), fp)) > 0)
		str_add(s, bytes, n);
	fclose(fp);
}

static inline void
golden_write(const struct str *s, const char *file)
{
	FILE	*fp;

	if ((fp = fopen(file, "wb")) == NULL)
		return;
	fwrite(s->data, 1, s->len, fp);
	fclose(fp);
}

static inline void
golden_describe(struct str *s, const struct value *dict, struct faults *faults)
{
	char	text[2048];
	size_t	i;

	str_add(s, "", 0);
	fault_sort(faults);
	for (i = 0; i < faults->count; i++) {
		fault_print(faults, i, text, sizeof(text));
		str_addf(s, "%s\n", text);
	}
	for (i = 0; i < dict->count; i += 2) {
		value_print(s, dict->items[i]);
		str_adds(s, " = ");
		value_repr(s, dict->items[i + 1]);
		str_addc(s, '\n');
	}
}

/* Whether the file says what is wanted. */
static inline bool
golden_file(const char *directory, const char *name,
    struct value *(*parse)(const char *, size_t, struct faults *))
{
	char		 path[512], want[520];
	struct str	 bytes, wanted, got;
	struct faults	 faults;
	struct value	*dict;
	bool		 same;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(want, sizeof(want), "%s.want", path);
	str_init(&bytes);
	str_init(&wanted);
	str_init(&got);
	golden_read(&bytes, path);
	fault_init(&faults, name);
	dict = parse(bytes.data, bytes.len, &faults);
	golden_describe(&got, dict, &faults);
	if (getenv("REWRITE") != NULL)
		golden_write(&got, want);
	golden_read(&wanted, want);
	same = got.len == wanted.len &&
	    memcmp(got.data, wanted.data, got.len) == 0;
	if (!same)
		print_error("%s: got\n%s\nwanted\n%s\n", path, got.data,
		    wanted.data);
	value_free(dict);
	fault_clear(&faults);
	str_clear(&bytes);
	str_clear(&wanted);
	str_clear(&got);
	return same;
}

static inline int
golden_is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	    strstr(entry->d_name, ".want") == NULL;
}

/* How many files do not say what is wanted; *count is of how many. */
static inline size_t
golden_directory(const char *directory,
    struct value *(*parse)(const char *, size_t, struct faults *),
    size_t *count)
{
	struct dirent	**entries;
	size_t		  different;
	int		  i, n;

	*count = different = 0;
	if ((n = scandir(directory, &entries, golden_is_file, alphasort)) == -1)
		return 0;
	for (i = 0; i < n; i++) {
		different += !golden_file(directory, entries[i]->d_name, parse);
		free(entries[i]);
	}
	free(entries);
	*count = (size_t)n;
	return different;
}

#endif
