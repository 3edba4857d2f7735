#include <stdint.h>
#include <string.h>

#include "ctl/answer.h"
#include "ctl/json.h"
#include "ctl/openmetrics.h"
#include "ctl/page_html.h"
#include "ctl/show.h"
#include "engine/control/control.h"
#include "fuzz.h"

/*
 * The control socket from both sides: the words of a question as the engine
 * takes them apart, and an answer as policyctl reads and shows it.
 */
static void
control_question_of(const char *bytes, size_t size)
{
	static struct control_word	word[CONTROL_WORDS_MAX];
	size_t				end, n, i, sum = 0;

	if ((end = control_request_end(bytes, size)) == 0)
		return;
	fuzz_require(end <= size && bytes[end - 1] == '\0');
	if (control_words(word, CONTROL_WORDS_MAX, &n, bytes, end) == -1)
		return;
	fuzz_require(n > 0 && n <= CONTROL_WORDS_MAX);
	for (i = 0; i < n; i++) {
		fuzz_require(word[i].len > 0 &&
		    strlen(word[i].bytes) == word[i].len);
		sum += word[i].len + 1;
	}
	fuzz_require(sum + 1 == end);
}

/* Nothing that a terminal acts on but the end of a line. */
static void
control_require_shown(const struct str *out)
{
	size_t	i;

	fuzz_require(out->len == 0 || str_utf8_valid(out->data, out->len));
	for (i = 0; i < out->len; i++)
		fuzz_require(out->data[i] == '\n' || ((unsigned char)
		    out->data[i] >= ' ' && out->data[i] != 0x7f));
}

static void
control_answer_of(const char *bytes, size_t size)
{
	static void	(*const shows[])(struct str *, const struct answer *,
			    size_t) = {
		show_status, show_id, show_top, show_explain, show_text
	};
	static const char *const	 lists[] = { "ids", NULL };
	struct answer			 a;
	struct str			 out;
	size_t				 i;

	if (answer_parse(&a, bytes, size) == 0) {
		str_init(&out);
		for (i = 0; i < sizeof(shows) / sizeof(shows[0]); i++)
			shows[i](&out, &a, 50 + i * 20);
		if (a.failed)
			show_lines(&out, a.error);
		control_require_shown(&out);
		json_add(&out, &a, lists);
		control_require_shown(&out);
		openmetrics_add(&out, &a, false);
		openmetrics_add(&out, &a, true);
		str_clear(&out);
	}
	answer_clear(&a);
}

/* The same answer in each part of the page. */
static void
control_page_of(const char *bytes, size_t size)
{
	struct page	page = { .made = 1, .host = "<host>" };
	struct str	out;
	size_t		i;
	bool		good = true;

	for (i = 0; i < PAGE_PART__MAX; i++)
		good = answer_parse(&page.part[i].answer, bytes, size) == 0 &&
		    good;
	if (good) {
		str_init(&out);
		page_html(&out, &page);
		control_require_shown(&out);
		fuzz_require(strstr(out.data, "<script") == NULL);
		fuzz_require(strstr(out.data, "<host>") == NULL);
		str_clear(&out);
	}
	for (i = 0; i < PAGE_PART__MAX; i++)
		answer_clear(&page.part[i].answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	control_question_of((const char *)data, size);
	control_answer_of((const char *)data, size);
	control_page_of((const char *)data, size);
	return 0;
}
