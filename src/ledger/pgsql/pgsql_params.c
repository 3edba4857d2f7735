#include <stdio.h>
#include <string.h>

#include "ledger/pgsql/pgsql.h"

#define TYPE_BYTEA	17	/* pg_type.oid of array elements */
#define TYPE_INT8	20
#define TYPE_TEXT	25
#define ARRAY_HEADER	20

void
pgsql_array_empty(struct pgsql_array *a)
{
	a->bytes.len = 0;
	a->count = 0;
}

static void
pgsql_put32(char *at, uint32_t n)
{
	at[0] = (char)(n >> 24 & 0xff);
	at[1] = (char)(n >> 16 & 0xff);
	at[2] = (char)(n >> 8 & 0xff);
	at[3] = (char)(n & 0xff);
}

/*
 * Arrays have the server's binary form: number of dimensions, whether there are
 * NULLs, type, length, lower bound, then the length and bytes of each element.
 */
static char *
pgsql_array_extend(struct pgsql_array *a, uint32_t type, uint32_t len)
{
	char	*at;

	if (a->bytes.len == 0) {
		at = str_extend(&a->bytes, ARRAY_HEADER);
		pgsql_put32(at, 1);
		pgsql_put32(at + 4, 0);
		pgsql_put32(at + 8, type);
		pgsql_put32(at + 16, 1);
	}
	at = str_extend(&a->bytes, 4 + (size_t)len);
	pgsql_put32(at, len);
	pgsql_put32(a->bytes.data + 12, ++a->count);
	return at + 4;
}

void
pgsql_array_number(struct pgsql_array *a, int64_t n)
{
	char	*at;

	at = pgsql_array_extend(a, TYPE_INT8, 8);
	pgsql_put32(at, (uint32_t)((uint64_t)n >> 32));
	pgsql_put32(at + 4, (uint32_t)((uint64_t)n & 0xffffffff));
}

static void
pgsql_array_add(struct pgsql_array *a, uint32_t type, const void *bytes,
    size_t len)
{
	char	*at;

	at = pgsql_array_extend(a, type, (uint32_t)len);
	if (len > 0)
		memcpy(at, bytes, len);
}

void
pgsql_array_text(struct pgsql_array *a, const char *text, size_t len)
{
	pgsql_array_add(a, TYPE_TEXT, text, len);
}

void
pgsql_array_bytes(struct pgsql_array *a, const void *bytes, size_t len)
{
	pgsql_array_add(a, TYPE_BYTEA, bytes, len);
}

static void
pgsql_add(struct pgsql_params *p, const char *value, size_t len, int format)
{
	p->value[p->count] = value;
	p->length[p->count] = (int)len;
	p->format[p->count++] = format;
}

void
pgsql_add_array(struct pgsql_params *p, const struct pgsql_array *a)
{
	if (a->count == 0)
		pgsql_add(p, "{}", 2, 0);
	else
		pgsql_add(p, a->bytes.data, a->bytes.len, 1);
}

void
pgsql_add_number(struct pgsql_params *p, int64_t n)
{
	char	*digits = p->digits[p->count];

	(void)snprintf(digits, sizeof(p->digits[0]), "%lld", (long long)n);
	pgsql_add(p, digits, strlen(digits), 0);
}

void
pgsql_add_text(struct pgsql_params *p, const char *text, size_t len)
{
	pgsql_add(p, text, len, 1);
}

void
pgsql_add_literal(struct pgsql_params *p, const char *text)
{
	pgsql_add(p, text, strlen(text), 0);
}
