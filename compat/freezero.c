#include <stdlib.h>
#include <string.h>

#include "compat.h"

void
freezero(void *p, size_t len)
{
	if (p == NULL)
		return;
	explicit_bzero(p, len);
	free(p);
}
