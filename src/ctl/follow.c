#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/answer.h"
#include "ctl/follow.h"
#include "ctl/json.h"

#define LINE_MAX_BYTES	(1024 * 1024)

/* A value that cannot imitate the field after it. */
static void
add_value(struct str *out, const char *value)
{
	for (; *value != '\0'; value++)
		if (*value == ' ')
			str_adds(out, "\\x20");
		else
			str_addc(out, *value);
}

/*
 * "2026-12-24 06:00:00 block id=bob uid=0": fields that are empty or false are
 * left out.
 */
static void
add_text(struct str *out, const struct answer_record *r)
{
	const struct answer_field	*f;
	time_t				 when;
	struct tm			 tm;
	char				 text[32];
	size_t				 i;

	when = (time_t)answer_number(r, "time");
	if (localtime_r(&when, &tm) != NULL && strftime(text, sizeof(text),
	    "%Y-%m-%d %H:%M:%S ", &tm) > 0)
		str_adds(out, text);
	str_adds(out, answer_get(r, "event"));
	for (i = 0; i < r->nfield; i++) {
		f = &r->field[i];
		if (strcmp(f->name, "time") == 0 ||
		    strcmp(f->name, "event") == 0 || *f->value == '\0' ||
		    (f->type == '?' && strcmp(f->value, "0") == 0))
			continue;
		str_addf(out, " %s=", f->name);
		add_value(out, f->value);
	}
	str_addc(out, '\n');
}

/* False: the line is no record. */
static bool
follow_print(const char *line, size_t len, bool json)
{
	struct answer	a;
	struct str	whole, out;
	bool		good;

	str_init(&whole);
	str_init(&out);
	str_adds(&whole, "ok\n");
	str_add(&whole, line, len);
	str_adds(&whole, "end\n");
	good = answer_parse(&a, whole.data, whole.len) == 0 && a.nrecord == 1;
	if (good && json)
		json_add_record(&out, &a.record[0]);
	else if (good)
		add_text(&out, &a.record[0]);
	if (out.len > 0)
		(void)fwrite(out.data, out.len, 1, stdout);
	answer_clear(&a);
	str_clear(&out);
	str_clear(&whole);
	return good;
}

/* The first line: whether the daemon accepts. */
static enum follow_end
follow_begun(int fd, const char *line, size_t len, struct str *fault)
{
	static const struct timeval	ever = { 0, 0 };
	struct answer			a;
	struct str			whole;
	enum follow_end			end = FOLLOW_LOST;

	if (len == 3 && memcmp(line, "ok\n", len) == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ever,
		    sizeof(ever));
		return FOLLOW_ENDED;
	}
	str_init(&whole);
	str_add(&whole, line, len);
	str_adds(&whole, "end\n");
	if (answer_parse(&a, whole.data, whole.len) == 0 && a.failed) {
		str_adds(fault, a.error);
		end = FOLLOW_FAILED;
	}
	answer_clear(&a);
	str_clear(&whole);
	return end;
}

/* FOLLOW_ENDED while the lines go on; *end: one said that no more comes. */
static enum follow_end
follow_lines(int fd, struct str *in, bool json, bool *begun, bool *end,
    struct str *fault)
{
	const char	*line = in->data, *newline;
	size_t		 len, left = in->len;
	enum follow_end	 how = FOLLOW_ENDED;

	while (!*end && how == FOLLOW_ENDED && left > 0 &&
	    (newline = memchr(line, '\n', left)) != NULL) {
		len = (size_t)(newline - line) + 1;
		if (!*begun)
			how = follow_begun(fd, line, len, fault);
		else if (len == 4 && memcmp(line, "end\n", len) == 0)
			*end = true;
		else if (!follow_print(line, len, json))
			how = FOLLOW_LOST;
		*begun = true;
		line += len;
		left -= len;
	}
	if (left > 0)
		memmove(in->data, line, left);
	in->len = left;
	return how;
}

enum follow_end
follow(int fd, bool json, struct str *fault)
{
	struct str	in;
	char		bytes[16384];
	bool		begun = false, end = false;
	enum follow_end	how = FOLLOW_ENDED;
	ssize_t		n;

	str_init(&in);
	while (!end && how == FOLLOW_ENDED) {
		n = read(fd, bytes, sizeof(bytes));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			str_adds(fault, n == 0 ? "the connection was closed" :
			    errno == EAGAIN ? "no answer in time" :
			    strerror(errno));
			how = FOLLOW_LOST;
			break;
		}
		str_add(&in, bytes, (size_t)n);
		how = follow_lines(fd, &in, json, &begun, &end, fault);
		if (how == FOLLOW_LOST || in.len > LINE_MAX_BYTES) {
			str_adds(fault, "no whole answer came");
			how = FOLLOW_LOST;
		}
		if (fflush(stdout) != 0 || ferror(stdout) != 0)
			how = FOLLOW_UNWRITTEN;
	}
	str_clear(&in);
	return how;
}
