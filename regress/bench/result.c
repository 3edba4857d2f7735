#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "result.h"

#define PREFIX		"action="
#define PREFIX_LEN	(sizeof(PREFIX) - 1)

/* Words of access(5) that let a mail pass. */
static int
lets_pass(const char *word)
{
	static const char *const	 good[] = { "dunno", "ok", "permit" };
	size_t				 i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(word, good[i]) == 0)
			return 1;
	return 0;
}

int
result_answer(struct result *r, const char *bytes, size_t len)
{
	char	 word[sizeof(r->kind[0].word)];
	size_t	 i, n;

	if (len < PREFIX_LEN + 3 || memcmp(bytes, PREFIX, PREFIX_LEN) != 0 ||
	    memcmp(bytes + len - 2, "\n\n", 2) != 0 ||
	    memchr(bytes, '\n', len - 2) != NULL)
		return -1;
	bytes += PREFIX_LEN;
	len -= PREFIX_LEN;
	for (n = 0; n < sizeof(word) - 1; n++) {
		if (bytes[n] == ' ' || bytes[n] == '\n')
			break;
		word[n] = bytes[n] >= 'A' && bytes[n] <= 'Z' ?
		    (char)(bytes[n] + 'a' - 'A') : bytes[n];
	}
	word[n] = '\0';
	for (i = 0; i < RESULT_KINDS - 1; i++) {
		if (r->kind[i].count == 0)
			memcpy(r->kind[i].word, word, n + 1);
		if (strcmp(r->kind[i].word, word) == 0)
			break;
	}
	/* The last one holds all that are one too many. */
	if (i == RESULT_KINDS - 1)
		memcpy(r->kind[i].word, "other", sizeof("other"));
	r->kind[i].count++;
	return lets_pass(word);
}

static void
print_times(const struct histogram *h, const char *name, FILE *out)
{
	(void)fprintf(out, ",\n  \"%s\": { \"mean\": %.1f, \"p50\": %.1f, "
	    "\"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f }",
	    name, (double)histogram_mean(h) / 1e3,
	    (double)histogram_at(h, 0.5) / 1e3,
	    (double)histogram_at(h, 0.9) / 1e3,
	    (double)histogram_at(h, 0.99) / 1e3,
	    (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
}

/* A word comes from the server: what could end the string becomes a dot. */
static void
print_word(const char *word, FILE *out)
{
	for (; *word != '\0'; word++)
		(void)putc(*word < ' ' || *word > '~' || *word == '"' ||
		    *word == '\\' ? '.' : *word, out);
}

void
result_print(const struct result *r, const struct result_run *run, FILE *out)
{
	const struct {
		const char	*name;
		uint64_t	 value;
	} counts[] = {
		{ "sent", r->sent },
		{ "unanswered", r->unanswered },
		{ "lost", r->lost },
		{ "closed_idle", r->closed_idle },
		{ "refused", r->refused },
		{ "malformed", r->malformed },
		{ "accepted_recipients", r->accepted_recipients },
		{ "unknown_recipients", r->unknown_recipients },
	};
	size_t	i;

	(void)fprintf(out, "{ \"seconds\": %.3f, \"connections\": %d, "
	    "\"idle\": %d, \"rate\": %.1f,\n  \"answered\": %" PRIu64
	    ", \"per_second\": %.1f, \"generator_cpu\": %.3f",
	    run->seconds, run->connections, run->idle, run->rate, r->answered,
	    run->seconds > 0 ? (double)r->answered / run->seconds : 0,
	    run->cpu_share);
	print_times(&r->latency, "latency_us", out);
	if (run->rate > 0)
		print_times(&r->late, "late_us", out);
	(void)fprintf(out, ",\n  \"answers\": {");
	for (i = 0; i < RESULT_KINDS; i++) {
		if (r->kind[i].count == 0)
			continue;
		(void)fprintf(out, "%s \"", i == 0 ? "" : ",");
		print_word(r->kind[i].word, out);
		(void)fprintf(out, "\": %" PRIu64, r->kind[i].count);
	}
	(void)fprintf(out, " },\n ");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		(void)fprintf(out, "%s \"%s\": %" PRIu64, i == 0 ? "" : ",",
		    counts[i].name, counts[i].value);
	(void)fprintf(out, " }\n");
}
