#include <stdlib.h>

#include "outsider.h"

int64_t
outsider_sql(struct outsider *o, const char *path, const char *sql)
{
	char	*s;
	int64_t	 n;

	s = outsider_text(o, path, sql);
	n = strtoll(s, NULL, 10);
	free(s);
	return n;
}
