#include <stdio.h>
#include <string.h>

#include "conf/load.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "ctl/candidate.h"
#include "ctl/show.h"
#include "ipc/message_simulate.h"

/* Without them every id has the limits of the file. */
static const char	sql[] = "sql_limits_by_id";

/* In place of id_sql: it is never asked. */
static const char	mapped[] = "SELECT ?";

static void
add_note(struct str *notes, const char *file, const char *what)
{
	char	text[512];

	str_addf(notes, "%s: %s\n", str_printable(text, sizeof(text), file,
	    strlen(file)), what);
}

/* A copy of the rules without their queries. It still says id_sql is set. */
static struct value *
without_queries(const struct value *rules)
{
	const struct value	*rule;
	struct value		*list, *copy;
	const char		*name;
	size_t			 i, j;

	if (rules->type != VALUE_LIST && rules->type != VALUE_TUPLE)
		return value_copy(rules);
	list = value_new(VALUE_LIST);
	for (i = 0; i < rules->count; i++) {
		rule = rules->items[i];
		copy = value_new(VALUE_DICT);
		for (j = 0; j + 1 < rule->count; j += 2) {
			name = rule->items[j]->bytes;
			if (strcmp(name, sql) == 0)
				continue;
			value_set(copy, value_copy(rule->items[j]),
			    strcmp(name, "id_sql") == 0 ?
			    value_str(mapped, sizeof(mapped) - 1) :
			    value_copy(rule->items[j + 1]));
		}
		value_append(list, copy);
	}
	return list;
}

static void
add_settings(struct str *text, const struct settings *s)
{
	const struct value	*v;
	struct value		*rules;
	const char		*name;
	size_t			 i;

	for (i = 0; i < table_count(); i++) {
		name = table_row(i)->name;
		if ((table_row(i)->flags & TABLE_TRIED) == 0 ||
		    (v = settings_conveyed(s, i)) == NULL)
			continue;
		str_addf(text, "%s = ", name);
		if (strcmp(name, "rules") == 0) {
			rules = without_queries(v);
			value_repr(text, rules);
			value_free(rules);
		} else
			value_repr(text, v);
		str_addc(text, '\n');
	}
	/* A configuration that only has defaults can be tried too. */
	if (text->len == 0)
		str_adds(text, "count_mode = 'auto'\n");
}

bool
candidate_add(struct str *question, const char *file)
{
	struct settings	*s;
	struct faults	 faults;
	struct str	 text, notes, lines;
	char		 line[1024];
	size_t		 i;
	bool		 queries, good = false;

	str_init(&text);
	str_init(&notes);
	str_init(&lines);
	fault_init(&faults, NULL);
	s = load_limits(file, &faults);
	fault_sort(&faults);
	for (i = 0; i < faults.count; i++) {
		fault_print(&faults, i, line, sizeof(line));
		str_addf(&notes, "%s\n", line);
	}
	if (s != NULL) {
		add_settings(&text, s);
		good = text.len <= SIMULATE_TEXT_MAX;
		if (!good)
			add_note(&notes, file, "its limits are longer than a "
			    "MiB, which cannot be tried");
		queries = s->nrules == 0 && s->sql_limits_by_id[0] != '\0';
		for (i = 0; i < s->nrules; i++)
			queries = queries ||
			    (s->rules[i].sql_limits_by_id != NULL &&
			    s->rules[i].sql_limits_by_id[0] != '\0');
		if (queries)
			add_note(&notes, file, "sql_limits_by_id is not asked: "
			    "every id has the other limits of the file");
	}
	if (notes.len > 0) {
		show_lines(&lines, notes.data);
		fputs(lines.data, stderr);
	}
	if (good)
		str_add(question, text.data, text.len + 1);
	settings_free(s);
	fault_clear(&faults);
	str_clear(&lines);
	str_clear(&notes);
	str_clear(&text);
	return good;
}
