#include <string.h>

#include "compat.h"

void
explicit_bzero(void *p, size_t len)
{
	explicit_memset(p, 0, len);
}
