#include <stdint.h>
#include <string.h>

#include "conf/fault.h"
#include "conf/limits.h"
#include "conf/syntax/literal.h"
#include "conf/settings.h"
#include "fuzz.h"
#include "ledger/pack.h"
#include "lib/log.h"

/*
 * What a hostile database server tells: the first byte says whether the rest is
 * a packed row of counts, or the text of an id's limits.
 */

/* What could be read is in order and can be packed again. */
static void
rows_pack(const uint8_t *data, size_t size)
{
	static struct pack_count	counts[4096];
	struct pack			p;
	struct str			out;
	const char			*id;
	size_t				 idlen, n;
	int				 r;

	pack_open(&p, data, size);
	while (pack_next(&p, &id, &idlen) == 1) {
		fuzz_require(idlen <= size);
		for (n = 0; (r = pack_count(&p, &counts[n])) == 1;)
			if (++n == sizeof(counts) / sizeof(counts[0]))
				break;
		if (r == -1)
			return;
		n = pack_sort(counts, n);
		str_init(&out);
		pack_id(&out, id, idlen, counts, n);
		str_clear(&out);
	}
}

/* As an administrator's query returns limits, or as anybody else did. */
static void
rows_limits(const uint8_t *data, size_t size)
{
	struct limits	 limits = { 0, NULL };
	struct faults	 faults;
	struct value	*value;
	char		 reason[256];
	size_t		 i;

	fault_init(&faults, NULL);
	value = literal_value((const char *)data, size, &faults);
	if (value != NULL && limits_parse(&limits, value, reason,
	    sizeof(reason)) == 0) {
		fuzz_require(limits.count <= LIMITS_MAX);
		for (i = 0; i < limits.count; i++)
			fuzz_require(limits.list[i].mails >= 0 &&
			    limits.list[i].seconds > 0);
	}
	window_limits_clear(&limits);
	value_free(value);
	fault_clear(&faults);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_open("fuzz", LOG_TO_SYSLOG, -1, false);
	if (size < 1)
		return 0;
	if (data[0] % 2 == 0)
		rows_pack(data + 1, size - 1);
	else
		rows_limits(data + 1, size - 1);
	return 0;
}
