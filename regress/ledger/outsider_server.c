#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ledger/server/sums.h"
#include "lib/alloc.h"
#include "outsider_server.h"

static void
outsider_about(struct outsider *o, const char *format, const char *path)
{
	const char	*at = strstr(format, "%s");
	char		*sql;

	assert_non_null(at);
	sql = alloc_printf("%.*s%s%s", (int)(at - format), format, path,
	    at + 2);
	(void)outsider_sql(o, outsider_first, sql);
	free(sql);
}

char *
outsider_make(struct outsider *o, const char *dir)
{
	static int	 made;
	char		*path;

	(void)dir;
	path = alloc_printf("rig_%d_%d", (int)getpid(), made++);
	outsider_about(o, outsider_create, path);
	return path;
}

void
outsider_drop(struct outsider *o, const char *path)
{
	outsider_about(o, "DROP DATABASE %s", path);
}

void
outsider_server_config(struct value *config, const char *password_key,
    const char *database_key, const char *path)
{
	const char	*text[][2] = {
		{ "host", "127.0.0.1" },
		{ "port", getenv("RIG_PORT") },
		{ "user", getenv("RIG_USER") },
		{ password_key, getenv("RIG_PASSWORD") },
		{ database_key, path }
	};
	size_t		 i;

	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		assert_non_null(text[i][1]);
		value_set(config, value_str(text[i][0], strlen(text[i][0])),
		    value_str(text[i][1], strlen(text[i][1])));
	}
}

/* --- for the model --- */

void
outsider_make_small(void)
{
	sums_sizes.rows = 15;
	sums_sizes.part = 4;
	sums_sizes.piece = sums_sizes.least = 20;
	sums_sizes.recent = 20;
	sums_sizes.news = 25;
	sums_sizes.foreign = 12;
	sums_sizes.step = 10;
}

bool
outsider_all_happened(struct outsider *o, const char *path)
{
	return outsider_sql(o, path, "SELECT max(part) FROM mail_sums") > 0 &&
	    outsider_sql(o, path, outsider_changes) > 20;
}
