#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H

#include <sys/types.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "ledger/batch/charge_batch.h"
#include "ledger/sqlite/store_sqlite.h"
#include "lib/log.h"

/* An SQLite store in a directory of the process's own, removed at its end. */
#define STORE_NOW	INT64_C(1700000000)

/* In place of the C library's: no input is about the disk. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

struct fuzz_store {
	struct settings		*settings;
	struct store		*store;
	struct cache		*cache;
	struct lookup		*lookup;
	struct lookup		*ids;
	struct charge_batch	*batch;
};

static char	fuzz_directory[] = "/tmp/fuzz-XXXXXX";
static int	fuzz_directory_fd = -1;

/* Removes every file of the directory. */
static inline void
fuzz_store_clear(void)
{
	struct dirent	*entry;
	DIR		*dir;

	dir = opendir(fuzz_directory);
	fuzz_require(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(fuzz_directory_fd, entry->d_name, 0);
	closedir(dir);
}

static inline void
fuzz_store_remove(void)
{
	fuzz_store_clear();
	(void)rmdir(fuzz_directory);
}

static inline void
fuzz_store_init(void)
{
	if (fuzz_directory_fd != -1)
		return;
	log_open("fuzz", LOG_TO_SYSLOG, -1, false);
	fuzz_require(mkdtemp(fuzz_directory) != NULL);
	fuzz_directory_fd = open(fuzz_directory, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	fuzz_require(fuzz_directory_fd != -1 && atexit(fuzz_store_remove) == 0);
	/* A few rows are enough for each kind of table to be used. */
	store_sizes.tail = 25;
	store_sizes.chunk = 60;
	store_sizes.load = 90;
	store_sizes.recent = 40;
}

/* Opens the file that is there, or makes it; false: it is of no use. */
static inline bool
fuzz_store_open(struct fuzz_store *s)
{
	struct store_opening	opening = { .replaces = true };
	char			path[64], reason[256];
	bool			away;

	fuzz_store_init();
	memset(s, 0, sizeof(*s));
	s->settings = settings_new();
	(void)snprintf(path, sizeof(path), "%s/db.sqlite3", fuzz_directory);
	value_set(s->settings->sqlite_config, value_str("database", 8),
	    value_str(path, strlen(path)));
	opening.settings = s->settings;
	opening.directory = fuzz_directory_fd;
	s->store = store_open(&opening, &away, reason, sizeof(reason));
	if (s->store == NULL) {
		settings_free(s->settings);
		return false;
	}
	s->cache = cache_new(16 * 1024 * 1024);
	s->lookup = lookup_new(LOOKUP_LIMITS, s->settings);
	s->ids = lookup_new(LOOKUP_IDS, s->settings);
	s->batch = charge_batch_new(s->cache, s->store, s->lookup, s->ids,
	    s->settings);
	(void)charge_batch_start(s->batch, STORE_NOW);
	return true;
}

static inline void
fuzz_store_close(struct fuzz_store *s)
{
	charge_batch_free(s->batch);
	lookup_free(s->lookup);
	lookup_free(s->ids);
	cache_free(s->cache);
	store_close(s->store);
	settings_free(s->settings);
}

#endif
