#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/duration.h"
#include "ctl/question.h"
#include "ctl/rejected.h"

#define REQUEST_MAX	65536

void
question_word(struct str *question, const char *word)
{
	str_add(question, word, strlen(word) + 1);
}

void
question_number(struct str *question, size_t n)
{
	char	word[32];

	snprintf(word, sizeof(word), "%zu", n);
	question_word(question, word);
}

int
question_request(struct str *question)
{
	char	*line = NULL;
	size_t	 size = 0, before = question->len;
	ssize_t	 n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		if (n == 0 || question->len - before > REQUEST_MAX)
			break;
		if (strlen(line) != (size_t)n) {
			fprintf(stderr, "policyctl: a NUL byte in a request\n");
			free(line);
			return -1;
		}
		question_word(question, line);
	}
	free(line);
	if (question->len > before)
		return 0;
	fprintf(stderr, "policyctl: no request on standard input\n");
	return -1;
}

bool
question_since(struct str *question, char **words, int n)
{
	struct str	since;
	int		used;

	str_init(&since);
	if ((used = duration_since(&since, words, n, time(NULL))) == n)
		question_word(question, since.data);
	else
		fprintf(stderr, "policyctl: %s: not a time in the past; write "
		    "2h, 3d (so long ago), 2026-12-24 or 2026-12-24 06:00\n",
		    words[0]);
	str_clear(&since);
	return used == n;
}

bool
question_duration(struct str *question, char **words, int n)
{
	struct str	until, reason;
	int		used, i;

	str_init(&until);
	str_init(&reason);
	if ((used = duration_parse(&until, words, n, time(NULL))) > 0)
		question_word(question, until.data);
	for (i = used; i < n; i++)
		str_addf(&reason, "%s%s", i > used ? " " : "", words[i]);
	if (used > 0 && reason.len > 0)
		question_word(question, reason.data);
	str_clear(&until);
	str_clear(&reason);
	if (used == 0)
		fprintf(stderr, "policyctl: %s: not a duration; write seconds, "
		    "15m, 2h, 3d, until 06:00, until Mon 06:00, until "
		    "2026-12-24, or forever\n", n > 0 ? words[0] : "");
	return used > 0;
}

bool
question_subject(struct str *question, char **words, int n)
{
	struct str	line;
	bool		good;
	int		i;

	if (n > 1 && strcmp(words[0], "-n") == 0) {
		str_adds(question, "n=");
		question_word(question, words[1]);
		words += 2;
		n -= 2;
	}
	str_init(&line);
	for (i = 0; i < n; i++)
		str_addf(&line, "%s%s", i > 0 ? " " : "", words[i]);
	if (line.len > 0 && !rejected_parse(question, line.data)) {
		str_adds(question, "any=");
		question_word(question, line.data);
	}
	good = line.len > 0 || n <= 0;
	str_clear(&line);
	return good;
}
