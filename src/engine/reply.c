#include <inttypes.h>
#include <string.h>

#include "engine/reply.h"
#include "ipc/message.h"

void
reply_begin(struct str *out, const char *kind)
{
	str_adds(out, kind);
}

void
reply_end(struct str *out)
{
	str_addc(out, '\n');
}

void
reply_bytes(struct str *out, const char *name, const void *bytes, size_t len)
{
	str_addf(out, "\t%s=", name);
	str_add_printable(out, bytes, len);
}

void
reply_text(struct str *out, const char *name, const char *text)
{
	reply_bytes(out, name, text, strlen(text));
}

void
reply_number(struct str *out, const char *name, int64_t n)
{
	str_addf(out, "\t%s#%" PRId64, name, n);
}

void
reply_bool(struct str *out, const char *name, bool value)
{
	str_addf(out, "\t%s?%d", name, value);
}

void
reply_retry_after(struct str *out, int64_t retry_after,
    const struct limit *limit)
{
	reply_number(out, "retry_after", retry_after == -1 ? limit->seconds :
	    retry_after);
	reply_bool(out, "never", retry_after == -1);
}

void
reply_until(struct str *out, int64_t until)
{
	reply_number(out, "until", until);
	reply_bool(out, "forever", until == OVERRIDE_FOREVER);
}
