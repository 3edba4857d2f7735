#include <sys/queue.h>

#include <string.h>

#include "engine/budget.h"
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
struct budget {
	struct map			*map;
	TAILQ_HEAD(subjects, subject)	 subjects;
	struct followers		*followers;
	struct mono			 second;	/* end of this second */
	unsigned int			 first;
	unsigned int			 more;
	unsigned int			 sums;
	unsigned int			 ids;		/* not even summed */
	unsigned int			 lines;		/* lines of these */
};

static int
same_subject(const struct map_node *node, const void *key, size_t len)
{
	const struct subject	*s = (const struct subject *)node;

	return s->len == len && memcmp(s->key, key, len) == 0;
}

static void
begin_second(struct budget *b, struct mono now)
{
	if (!clock_passed(b->second, now))
		return;
	b->second = clock_after(now, 1000);
	b->first = b->more = b->sums = 0;
}

static void
log_suppressed(struct budget *b, struct subject *s)
{
	size_t		kind = strlen(s->key), idlen = s->len - kind - 1;
	char		id[ID_MAX];
	struct str	fields;

	if (s->suppressed == 0)
		return;
	if (b->sums < BUDGET_MORE) {
		b->sums++;
		str_init(&fields);
		reply_text(&fields, "kind", s->key);
		reply_bytes(&fields, "id", s->key + kind + 1, idlen);
		reply_number(&fields, "events", s->suppressed);
		reply_number(&fields, "period", BUDGET_SECONDS);
		events_add(b->followers, "omitted", &fields);
		str_clear(&fields);
		log_notice("not shown: kind=\"%s\" id=<%s> lines=%u seconds=%d",
		    s->key, str_printable(id, sizeof(id), s->key + kind + 1,
		    idlen), s->suppressed, BUDGET_SECONDS);
	} else {
		b->ids++;
		b->lines += s->suppressed;
	}
	s->suppressed = 0;
}

/* The least recently used subject makes room for a new one. */
static struct subject *
get_subject(struct budget *b, const char *kind, const void *id, size_t idlen,
    struct mono now)
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
	s = (struct subject *)map_find(b->map, map_hash(key, len), key, len);
	if (s != NULL)
		TAILQ_REMOVE(&b->subjects, s, entry);
	else {
		if (map_count(b->map) < BUDGET_SUBJECTS)
			s = alloc_zero(1, sizeof(*s));
		else {
			s = TAILQ_FIRST(&b->subjects);
			log_suppressed(b, s);
			TAILQ_REMOVE(&b->subjects, s, entry);
			map_remove(b->map, &s->node);
		}
		memcpy(s->key, key, len);
		s->len = len;
		s->end = now;
		s->node.hash = map_hash(key, len);
		map_insert(b->map, &s->node);
	}
	TAILQ_INSERT_TAIL(&b->subjects, s, entry);
	return s;
}

bool
budget_line(struct budget *b, const char *kind, const void *id, size_t idlen,
    struct mono now)
{
	struct subject	*s;

	begin_second(b, now);
	s = get_subject(b, kind, id, idlen, now);
	if (clock_passed(s->end, now)) {
		log_suppressed(b, s);
		s->lines = 0;
		s->end = clock_after(now, BUDGET_SECONDS * 1000);
	}
	if (s->lines == 0 ? b->first < BUDGET_FIRST :
	    s->lines < BUDGET_LINES && b->more < BUDGET_MORE) {
		b->first += s->lines == 0;
		b->more += s->lines > 0;
		s->lines++;
		return true;
	}
	s->suppressed++;
	return false;
}

bool
budget_sum_up(struct budget *b, struct mono now)
{
	struct subject	*s;
	bool		 more = false;

	begin_second(b, now);
	TAILQ_FOREACH(s, &b->subjects, entry) {
		if (clock_passed(s->end, now))
			log_suppressed(b, s);
		more = more || s->suppressed > 0;
	}
	if (b->ids > 0)
		log_notice("not shown: ids=%u lines=%u seconds=%d", b->ids,
		    b->lines, BUDGET_SECONDS);
	b->ids = b->lines = 0;
	return more;
}

struct budget *
budget_new(struct followers *followers)
{
	struct budget	*b = alloc_zero(1, sizeof(*b));

	b->map = map_new(same_subject);
	TAILQ_INIT(&b->subjects);
	b->followers = followers;
	return b;
}
