#include <sys/queue.h>

#include <string.h>

#include "engine/budget.h"
#include "engine/events.h"
#include "engine/reply.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/str.h"

#define KIND_MAX	64	/* with its NUL */
#define ID_MAX		256

/* `key`: the kind, a NUL byte, and the id, both of which may be cut. */
struct subject {
	struct map_node		 node;
	TAILQ_ENTRY(subject)	 entry;
	struct mono		 end;		/* end of its period */
	unsigned int		 lines;
	unsigned int		 suppressed;
	size_t			 len;
	char			 key[KIND_MAX + ID_MAX];
};

/* `subjects` is ordered by last use. */
static struct {
	struct map			*map;		/* NULL: no line yet */
	TAILQ_HEAD(subjects, subject)	 subjects;
	struct mono			 second;	/* end of this second */
	unsigned int			 first;
	unsigned int			 more;
	unsigned int			 sums;
	unsigned int			 ids;		/* not even summed */
	unsigned int			 lines;		/* lines of these */
} budget;

static int
same_subject(const struct map_node *node, const void *key, size_t len)
{
	const struct subject	*s = (const struct subject *)node;

	return s->len == len && memcmp(s->key, key, len) == 0;
}

static void
renew_budget(struct mono now)
{
	if (!clock_passed(budget.second, now))
		return;
	budget.second = clock_after(now, 1000);
	budget.first = budget.more = budget.sums = 0;
}

static void
log_suppressed(struct subject *s)
{
	size_t		kind = strlen(s->key), idlen = s->len - kind - 1;
	char		id[ID_MAX];
	struct str	fields;

	if (s->suppressed == 0)
		return;
	if (budget.sums < BUDGET_MORE) {
		budget.sums++;
		str_init(&fields);
		reply_text(&fields, "kind", s->key);
		reply_bytes(&fields, "id", s->key + kind + 1, idlen);
		reply_number(&fields, "events", s->suppressed);
		reply_number(&fields, "period", BUDGET_SECONDS);
		events_add("omitted", &fields);
		str_clear(&fields);
		log_notice("not shown: kind=\"%s\" id=<%s> lines=%u seconds=%d",
		    s->key, str_printable(id, sizeof(id), s->key + kind + 1,
		    idlen), s->suppressed, BUDGET_SECONDS);
	} else {
		budget.ids++;
		budget.lines += s->suppressed;
	}
	s->suppressed = 0;
}

/* The least recently used subject makes room for a new one. */
static struct subject *
get_subject(const char *kind, const void *id, size_t idlen, struct mono now)
{
	struct subject	*s;
	char		 key[KIND_MAX + ID_MAX];
	size_t		 len;

	if ((len = strlcpy(key, kind, KIND_MAX)) >= KIND_MAX)
		len = KIND_MAX - 1;
	len++;
	if (idlen > ID_MAX)
		idlen = ID_MAX;
	if (idlen > 0)
		memcpy(key + len, id, idlen);
	len += idlen;
	s = (struct subject *)map_find(budget.map, map_hash(key, len), key,
	    len);
	if (s != NULL)
		TAILQ_REMOVE(&budget.subjects, s, entry);
	else {
		if (map_count(budget.map) < BUDGET_SUBJECTS)
			s = alloc_zero(1, sizeof(*s));
		else {
			s = TAILQ_FIRST(&budget.subjects);
			log_suppressed(s);
			TAILQ_REMOVE(&budget.subjects, s, entry);
			map_remove(budget.map, &s->node);
		}
		memcpy(s->key, key, len);
		s->len = len;
		s->end = now;
		s->node.hash = map_hash(key, len);
		map_insert(budget.map, &s->node);
	}
	TAILQ_INSERT_TAIL(&budget.subjects, s, entry);
	return s;
}

bool
budget_line(const char *kind, const void *id, size_t idlen, struct mono now)
{
	struct subject	*s;

	if (budget.map == NULL) {
		budget.map = map_new(same_subject);
		TAILQ_INIT(&budget.subjects);
	}
	renew_budget(now);
	s = get_subject(kind, id, idlen, now);
	if (clock_passed(s->end, now)) {
		log_suppressed(s);
		s->lines = 0;
		s->end = clock_after(now, BUDGET_SECONDS * 1000);
	}
	if (s->lines == 0 ? budget.first < BUDGET_FIRST :
	    s->lines < BUDGET_LINES && budget.more < BUDGET_MORE) {
		budget.first += s->lines == 0;
		budget.more += s->lines > 0;
		s->lines++;
		return true;
	}
	s->suppressed++;
	return false;
}

bool
budget_sum_up(struct mono now)
{
	struct subject	*s;
	bool		 more = false;

	if (budget.map == NULL)
		return false;
	renew_budget(now);
	TAILQ_FOREACH(s, &budget.subjects, entry) {
		if (clock_passed(s->end, now))
			log_suppressed(s);
		more = more || s->suppressed > 0;
	}
	if (budget.ids > 0)
		log_notice("not shown: ids=%u lines=%u seconds=%d", budget.ids,
		    budget.lines, BUDGET_SECONDS);
	budget.ids = budget.lines = 0;
	return more;
}
