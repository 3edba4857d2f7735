#ifndef MUTATE_H
#define MUTATE_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random.h"
#include "fuzz.h"

/*
 * A fuzzer for where there is none: the same inputs in every run, made of seeds
 * that are cut, joined and changed here and there.
 */
#define MUTATE_SEEDS_MAX	256
#define MUTATE_SIZE_MAX		4096

struct mutate {
	struct random	 random;
	const char	*alphabet;	/* what the syntax is made of */
	size_t		 count;
	uint8_t		*seed[MUTATE_SEEDS_MAX];
	size_t		 size[MUTATE_SEEDS_MAX];
	uint8_t		 at[MUTATE_SIZE_MAX];
	size_t		 len;
};

static inline void
mutate_add(struct mutate *m, const void *bytes, size_t size)
{
	fuzz_require(m->count < MUTATE_SEEDS_MAX && size <= MUTATE_SIZE_MAX);
	m->seed[m->count] = malloc(size + 1);
	fuzz_require(m->seed[m->count] != NULL);
	memcpy(m->seed[m->count], bytes, size);
	m->size[m->count++] = size;
}

static inline int
mutate_is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Every file of the directory is a seed. */
static inline void
mutate_add_directory(struct mutate *m, const char *directory)
{
	struct dirent	**entries;
	char		  path[1024];
	uint8_t		  bytes[MUTATE_SIZE_MAX];
	FILE		 *fp;
	size_t		  size;
	int		  i, n;

	n = scandir(directory, &entries, mutate_is_seed, alphasort);
	fuzz_require(n > 0);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory,
		    entries[i]->d_name);
		fp = fopen(path, "rb");
		fuzz_require(fp != NULL);
		size = fread(bytes, 1, sizeof(bytes), fp);
		fclose(fp);
		mutate_add(m, bytes, size);
		free(entries[i]);
	}
	free(entries);
}

/* Replaces `cut` bytes at `from` by others, as far as there is room. */
static inline void
mutate_splice(struct mutate *m, size_t from, size_t cut, const void *bytes,
    size_t size)
{
	if (m->len - cut + size > sizeof(m->at))
		return;
	memmove(m->at + from + size, m->at + from + cut, m->len - from - cut);
	memcpy(m->at + from, bytes, size);
	m->len = m->len - cut + size;
}

static inline void
mutate_once(struct mutate *m)
{
	uint8_t	piece[64];
	size_t	from, cut, size, other;

	from = random_below(&m->random, m->len + 1);
	cut = random_below(&m->random, 8);
	if (cut > m->len - from)
		cut = m->len - from;
	other = random_below(&m->random, m->count);
	size = random_below(&m->random, sizeof(piece));
	switch (random_below(&m->random, 6)) {
	case 0:				/* a bit */
		if (from < m->len)
			m->at[from] ^= (uint8_t)(1 << cut);
		break;
	case 1:				/* any byte */
		piece[0] = (uint8_t)random_next(&m->random);
		mutate_splice(m, from, cut > 0, piece, 1);
		break;
	case 2:				/* a byte that means something */
		piece[0] = (uint8_t)m->alphabet[random_below(&m->random,
		    strlen(m->alphabet))];
		mutate_splice(m, from, cut > 4, piece, 1);
		break;
	case 3:				/* less */
		mutate_splice(m, from, cut, piece, 0);
		break;
	case 4:				/* the same once more */
		if (size > m->len - from)
			size = m->len - from;
		memcpy(piece, m->at + from, size);
		mutate_splice(m, from, 0, piece, size);
		break;
	default:			/* a piece of another seed */
		if (m->size[other] == 0)
			break;
		cut = random_below(&m->random, m->size[other]);
		if (size > m->size[other] - cut)
			size = m->size[other] - cut;
		mutate_splice(m, from, 0, m->seed[other] + cut, size);
		break;
	}
}

/* Tries the seeds as they are, then `rounds` of what can be made of them. */
static inline void
mutate_run(struct mutate *m, unsigned int rounds)
{
	uint8_t	*exact;
	size_t	 i, n;

	for (i = 0; i < m->count + rounds; i++) {
		n = i < m->count ? i : random_below(&m->random, m->count);
		memcpy(m->at, m->seed[n], m->size[n]);
		m->len = m->size[n];
		for (n = 0; i >= m->count && n <= i % 8; n++)
			mutate_once(m);
		/* Of its own size: whoever reads beyond is caught. */
		exact = malloc(m->len + (m->len == 0));
		fuzz_require(exact != NULL);
		memcpy(exact, m->at, m->len);
		LLVMFuzzerTestOneInput(exact, m->len);
		free(exact);
	}
	for (i = 0; i < m->count; i++)
		free(m->seed[i]);
}

#endif
