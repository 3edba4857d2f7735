#include <string.h>

#include "ctl/openmetrics.h"

static void
add_escaped(struct str *out, const char *printable)
{
	struct str	bytes;
	size_t		i;

	str_init(&bytes);
	answer_text(&bytes, printable);
	for (i = 0; i < bytes.len; i++)
		if (bytes.data[i] == '\n')
			str_adds(out, "\\n");
		else {
			if (bytes.data[i] == '"' || bytes.data[i] == '\\')
				str_addc(out, '\\');
			str_addc(out, bytes.data[i]);
		}
	str_clear(&bytes);
}

void
openmetrics_add(struct str *out, const struct answer *a, bool prometheus)
{
	const struct answer_record	*r;
	const char			*name, *type, *suffix;
	size_t				 i;

	for (i = 0; i < a->nrecord; i++) {
		r = &a->record[i];
		name = answer_get(r, "name");
		if (strcmp(r->kind, "metrics") == 0) {
			/*
			 * The older format has no units, and names the family
			 * of a counter like its sample.
			 */
			type = answer_get(r, "type");
			suffix = prometheus && strcmp(type, "counter") == 0 ?
			    "_total" : "";
			str_addf(out, "# TYPE %s%s %s\n", name, suffix, type);
			if (!prometheus && answer_get(r, "unit")[0] != '\0')
				str_addf(out, "# UNIT %s %s\n", name,
				    answer_get(r, "unit"));
			str_addf(out, "# HELP %s%s ", name, suffix);
			add_escaped(out, answer_get(r, "help"));
			str_addc(out, '\n');
		} else if (strcmp(r->kind, "samples") == 0) {
			str_adds(out, name);
			if (answer_get(r, "label")[0] != '\0') {
				str_addf(out, "{%s=\"", answer_get(r,
				    "label"));
				add_escaped(out, answer_get(r, "label_value"));
				str_adds(out, "\"}");
			}
			str_addf(out, " %s\n", answer_get(r, "value"));
		}
	}
	if (!prometheus)
		str_adds(out, "# EOF\n");
}
