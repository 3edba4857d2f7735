#ifndef SETTINGS_TEXT_H
#define SETTINGS_TEXT_H

#include <string.h>

#include "conf/syntax/literal.h"
#include "conf/settings.h"

/* The settings of the text of a .conf; a fault fails the test. */
static inline struct settings *
settings_of(const char *text)
{
	struct faults	 faults;
	struct settings	*s;
	struct value	*dict;
	char		 line[256];

	fault_init(&faults, "test");
	dict = literal_file(text, strlen(text), &faults);
	s = settings_adopt(dict, &faults);
	if (faults.errors > 0) {
		fault_print(&faults, 0, line, sizeof(line));
		fail_msg("%s", line);
	}
	fault_clear(&faults);
	return s;
}

#endif
