#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ask.h"
#include "ctl/page.h"
#include "ctl/page_html.h"
#include "ctl/question.h"
#include "lib/alloc.h"

#define PAGE_MODE	0640	/* it names senders and recipients */

/* The words of each question. */
static const char *const	questions[PAGE_PART__MAX][4] = {
	[PAGE_STATUS] = { "status" },
	[PAGE_FILL] = { "top", "20" },
	[PAGE_REFUSED] = { "top", "20", "by=refused" },
	[PAGE_OVERRIDES] = { "list", "50" },
	[PAGE_REFUSALS] = { "why", "n=30" },
};

static enum health
ask_part(const char *path, int64_t patience, enum page_part_name name,
    struct page_part *part)
{
	struct str	question;
	enum health	health;
	size_t		i;

	str_init(&question);
	ask_begin(&question);
	for (i = 0; questions[name][i] != NULL; i++)
		question_word(&question, questions[name][i]);
	str_addc(&question, '\0');
	health = ask_whole(path, patience, &question, &part->answer,
	    &part->fault);
	if (health == HEALTH_WELL && part->answer.failed)
		str_adds(&part->fault, part->answer.error);
	str_clear(&question);
	return health;
}

/*
 * A reader sees the earlier file or the whole new one. The group is that of the
 * directory where the system or the directory's mode says so. -1 with errno.
 */
static int
replace_file(const char *file, const struct str *text)
{
	char	*new = alloc_printf("%s.XXXXXXXX", file);
	int	 fd, error = 0;

	if ((fd = mkstemp(new)) == -1)
		error = errno;
	else if (ask_write(fd, text) == -1 ||
	    fchmod(fd, PAGE_MODE) == -1)
		error = errno;
	if (fd != -1 && close(fd) == -1 && error == 0)
		error = errno;
	if (error == 0 && rename(new, file) == -1)
		error = errno;
	if (fd != -1 && error != 0)
		(void)unlink(new);
	free(new);
	errno = error;
	return error == 0 ? 0 : -1;
}

enum health
page_make(const char *path, int64_t patience, const char *file)
{
	struct page		 page;
	struct page_part	*status = &page.part[PAGE_STATUS];
	struct str		 text;
	size_t			 i;

	memset(&page, 0, sizeof(page));
	if (gethostname(page.host, sizeof(page.host) - 1) == -1)
		page.host[0] = '\0';
	page.health = ask_part(path, patience, PAGE_STATUS, status);
	if (page.health != HEALTH_WELL)
		str_adds(&page.reason, status->fault.data);
	else {
		page.health = health_of(&status->answer, &page.reason);
		for (i = PAGE_STATUS + 1; i < PAGE_PART__MAX; i++)
			(void)ask_part(path, patience, (enum page_part_name)i,
			    &page.part[i]);
	}
	page.made = time(NULL);
	str_init(&text);
	if (page.health != HEALTH_WELL) {
		health_line(&text, page.health, page.reason.data);
		fprintf(stderr, "policyctl: %s", text.data);
		str_clear(&text);
	}
	page_html(&text, &page);
	if (file != NULL ? replace_file(file, &text) == -1 :
	    ask_write(STDOUT_FILENO, &text) == -1) {
		fprintf(stderr, "policyctl: %s: %s\n", file != NULL ? file :
		    "standard output", strerror(errno));
		page.health = HEALTH_UNKNOWN;
	}
	for (i = 0; i < PAGE_PART__MAX; i++) {
		answer_clear(&page.part[i].answer);
		str_clear(&page.part[i].fault);
	}
	str_clear(&page.reason);
	str_clear(&text);
	return page.health;
}
