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

static void
add_family(struct str *out, const struct answer_record *r)
{
	const char	*name = answer_get(r, "name");

	str_addf(out, "# TYPE %s %s\n", name, answer_get(r, "type"));
	if (answer_get(r, "unit")[0] != '\0')
		str_addf(out, "# UNIT %s %s\n", name, answer_get(r, "unit"));
	str_addf(out, "# HELP %s ", name);
	add_escaped(out, answer_get(r, "help"));
	str_addc(out, '\n');
}

static void
add_sample(struct str *out, const struct answer_record *r)
{
	str_adds(out, answer_get(r, "name"));
	if (answer_get(r, "label")[0] != '\0') {
		str_addf(out, "{%s=\"", answer_get(r, "label"));
		add_escaped(out, answer_get(r, "label_value"));
		str_adds(out, "\"}");
	}
	str_addf(out, " %s\n", answer_get(r, "value"));
}

void
openmetrics_add(struct str *out, const struct answer *a)
{
	size_t	i;

	for (i = 0; i < a->nrecord; i++)
		if (strcmp(a->record[i].kind, "metrics") == 0)
			add_family(out, &a->record[i]);
		else if (strcmp(a->record[i].kind, "samples") == 0)
			add_sample(out, &a->record[i]);
	str_adds(out, "# EOF\n");
}
