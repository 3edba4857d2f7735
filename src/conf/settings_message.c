#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/settings_message.h"
#include "conf/fault.h"
#include "conf/table.h"
#include "conf/value.h"
#include "ipc/wire.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

/*
 * A MSG_SETTING has the setting's name, whether more of its value follows, and
 * bytes of the value's tree: a limits_by_id of a hundred thousand ids is larger
 * than a message may be.
 */
#define CONVEY_CHUNK	((size_t)128 * 1024)
#define CONVEY_MAX	((size_t)512 * 1024 * 1024)	/* one value */
#define CONVEY_NAME_MAX	64

struct settings_message {
	struct value	*dict;		/* whole values, by name */
	char		 name[CONVEY_NAME_MAX];	/* being received; "": none */
	struct str	 bytes;		/* its bytes so far */
};

/* --- the parent's side --- */

/*
 * Gives the buffer the size that all but the largest values need: growing it
 * would leave copies of a password in freed memory.
 */
static void
init_buffer(struct str *s)
{
	static const char	zeros[4096];

	str_init(s);
	str_add(s, zeros, sizeof(zeros));
	s->len = 0;
}

static void
send_row(struct channel *ch, const char *name, const struct value *v)
{
	struct str	bytes, payload;
	size_t		len, sent;

	init_buffer(&bytes);
	value_put(&bytes, v);
	for (sent = 0; sent < bytes.len; sent += len) {
		len = bytes.len - sent;
		if (len > CONVEY_CHUNK)
			len = CONVEY_CHUNK;
		init_buffer(&payload);
		wire_put_text(&payload, name);
		wire_put_u8(&payload, sent + len < bytes.len);
		wire_put_bytes(&payload, bytes.data + sent, len);
		channel_send(ch, MSG_SETTING, 0, &payload, -1);
		str_wipe(&payload);
	}
	str_wipe(&bytes);
}

void
settings_message_send(struct channel *ch, const struct settings *s,
    enum role to, uint64_t generation)
{
	const struct reader_row		*row;
	const struct value		*v;
	size_t				 i;

	for (i = 0; i < table_count(); i++) {
		row = table_row(i);
		if ((row->roles & 1U << to) == 0)
			continue;
		if ((v = settings_conveyed(s, i)) != NULL)
			send_row(ch, row->name, v);
	}
	channel_send_number(ch, MSG_SETTINGS_END, generation, -1);
}

/* --- the child's side --- */

struct settings_message *
settings_message_new(void)
{
	struct settings_message	*c;

	c = alloc_zero(1, sizeof(*c));
	c->dict = value_new(VALUE_DICT);
	str_init(&c->bytes);
	return c;
}

void
settings_message_free(struct settings_message *c)
{
	if (c == NULL)
		return;
	value_free(c->dict);
	str_wipe(&c->bytes);
	free(c);
}

static int
take_setting(struct settings_message *c, const struct message *m)
{
	struct wire	 w;
	struct value	*v;
	const void	*bytes;
	char		 name[CONVEY_NAME_MAX];
	size_t		 len;
	bool		 more;

	wire_init(&w, m->payload, m->len);
	wire_get_array(&w, name, sizeof(name));
	more = wire_get_bool(&w);
	bytes = wire_get_bytes(&w, CONVEY_CHUNK, &len);
	if (wire_done(&w) == -1 || len == 0)
		return -1;
	if (c->name[0] == '\0') {
		/* Reject an unknown name, and one that was sent already. */
		if (table_find(name) == SIZE_MAX ||
		    value_get(c->dict, name) != NULL)
			return -1;
		strlcpy(c->name, name, sizeof(c->name));
		init_buffer(&c->bytes);
	} else if (strcmp(c->name, name) != 0 ||
	    c->bytes.len + len > CONVEY_MAX)
		return -1;
	str_add(&c->bytes, bytes, len);
	if (more)
		return 0;
	c->name[0] = '\0';
	v = value_take(c->bytes.data, c->bytes.len);
	str_wipe(&c->bytes);
	if (v == NULL)
		return -1;
	value_set(c->dict, value_str(name, strlen(name)), v);
	return 0;
}

/*
 * The parent checked this with the same readers and logged every warning. An
 * error here means that parent and child are not from one build, or worse.
 */
static struct settings *
read_settings(struct value *dict)
{
	struct settings	*s;
	struct faults	 faults;
	char		 text[512];
	size_t		 i;

	fault_init(&faults, NULL);
	s = settings_adopt(dict, &faults);
	if (faults.errors > 0) {
		for (i = 0; i < faults.count; i++) {
			fault_print(&faults, i, text, sizeof(text));
			log_error("settings of the parent: %s", text);
		}
		settings_free(s);
		s = NULL;
	}
	fault_clear(&faults);
	if (s != NULL)
		settings_forget(s);
	return s;
}

int
settings_message_receive(struct settings_message *c, const struct message *m,
    struct settings **out)
{
	uint64_t	generation;

	if (m->type == MSG_SETTING)
		return take_setting(c, m);
	if (m->type != MSG_SETTINGS_END)
		return 0;
	if (msg_number_get(&generation, m->payload, m->len) == -1 ||
	    c->name[0] != '\0')
		return -1;
	*out = read_settings(c->dict);
	c->dict = value_new(VALUE_DICT);
	return *out == NULL ? -1 : 1;
}
