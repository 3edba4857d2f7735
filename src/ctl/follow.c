#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/answer.h"
#include "ctl/follow.h"
#include "ctl/json.h"
#include "ctl/show.h"

#define LINE_MAX_BYTES	(1024 * 1024)

/*
 * "2026-12-24 06:00:00 block id=bob uid=0": fields that are empty or false are
 * left out.
 */
static void
add_text(struct str *out, const struct answer_record *r)
{
	const struct answer_field	*f;
	const char			*p;
	size_t				 i;

	show_time(out, answer_number(r, "time"), SHOW_SECOND);
	str_addf(out, " %s", answer_get(r, "event"));
	for (i = 0; i < r->nfield; i++) {
		f = &r->field[i];
		if (strcmp(f->name, "time") == 0 ||
		    strcmp(f->name, "event") == 0 || *f->value == '\0' ||
		    (f->type == '?' && strcmp(f->value, "0") == 0))
			continue;
		str_addf(out, " %s=", f->name);
		/* A value cannot imitate the field after it. */
		for (p = f->value; *p != '\0'; p++)
			if (*p == ' ')
				str_adds(out, "\\x20");
			else
				str_addc(out, *p);
	}
	str_addc(out, '\n');
}

/* The first line: whether the daemon accepts. */
static enum follow_end
take_first_line(int fd, const char *line, size_t len, struct str *fault)
{
	static const struct timeval	ever = { 0, 0 };
	struct answer			a;
	struct str			whole;
	enum follow_end			end = FOLLOW_LOST;

	if (len == 3 && memcmp(line, "ok\n", len) == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ever,
		    sizeof(ever));
		return FOLLOW_ON;
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

/* A line after the first: an event, or the end. */
static enum follow_end
print_line(const char *line, size_t len, bool json)
{
	struct answer	a;
	struct str	whole, out;
	enum follow_end	end = FOLLOW_LOST;

	if (len == 4 && memcmp(line, "end\n", len) == 0)
		return FOLLOW_ENDED;
	str_init(&whole);
	str_init(&out);
	str_adds(&whole, "ok\n");
	str_add(&whole, line, len);
	str_adds(&whole, "end\n");
	if (answer_parse(&a, whole.data, whole.len) == 0 && a.nrecord == 1) {
		end = FOLLOW_ON;
		if (json)
			json_add_record(&out, &a.record[0]);
		else
			add_text(&out, &a.record[0]);
		(void)fwrite(out.data, out.len, 1, stdout);
	}
	answer_clear(&a);
	str_clear(&out);
	str_clear(&whole);
	return end;
}

enum follow_end
follow(int fd, bool json, struct str *fault)
{
	struct str	in;
	char		bytes[16384];
	const char	*line, *newline;
	size_t		len, left;
	bool		begun = false;
	enum follow_end	how = FOLLOW_ON;
	ssize_t		n;

	str_init(&in);
	while (how == FOLLOW_ON) {
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
		line = in.data;
		left = in.len;
		while (how == FOLLOW_ON && left > 0 &&
		    (newline = memchr(line, '\n', left)) != NULL) {
			len = (size_t)(newline - line) + 1;
			how = begun ? print_line(line, len, json) :
			    take_first_line(fd, line, len, fault);
			begun = true;
			line += len;
			left -= len;
		}
		memmove(in.data, line, left);
		in.len = left;
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
