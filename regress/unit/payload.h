#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "random.h"

/*
 * What the tests of messages share; to be included after cmocka.h.
 *
 * A message_again of ../fuzz/message.c reads a payload as one kind of message
 * and writes what it read. Each message has one encoding, so the bytes are the
 * same; -1 is an errno of EBADMSG.
 */
typedef int	message_again(struct str *, const void *, size_t);

/* In memory of its own size, so that a sanitizer sees a step past the end. */
static inline int
payload_try(message_again *again, const void *src, size_t len)
{
	struct str	 out;
	uint8_t		*copy;
	int		 r;

	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, src, len);
	str_init(&out);
	errno = 0;
	if ((r = again(&out, copy, len)) == 0) {
		assert_int_equal(out.len, len);
		assert_memory_equal(out.data, copy, len);
	} else
		assert_int_equal(errno, EBADMSG);
	str_clear(&out);
	free(copy);
	return r;
}

static inline void
payload_change(struct random *r, uint8_t *bytes, size_t len)
{
	uint8_t	*at = &bytes[random_below(r, len)];

	switch (random_below(r, 3)) {
	case 0:
		*at = (uint8_t)random_next(r);
		break;
	case 1:
		*at ^= (uint8_t)(1 << random_below(r, 8));
		break;
	default:
		*at = random_below(r, 2) == 0 ? 0 : 0xff;
	}
}

/*
 * The payload itself, cut at any place, with one byte more, and with bytes
 * changed.
 */
static inline void
payload_check(message_again *again, const struct str *s)
{
	struct random	 r = { 31 + s->len };
	uint8_t		*copy;
	size_t		 i;
	int		 round;

	assert_int_equal(payload_try(again, s->data, s->len), 0);
	for (i = 0; i < s->len; i++)
		assert_int_equal(payload_try(again, s->data, i), -1);
	copy = malloc(s->len + 1);
	assert_non_null(copy);
	memcpy(copy, s->data, s->len);
	copy[s->len] = 0;
	assert_int_equal(payload_try(again, copy, s->len + 1), -1);
	for (round = 0; round < 3000; round++) {
		memcpy(copy, s->data, s->len);
		for (i = random_below(&r, 3) + 1; i > 0; i--)
			payload_change(&r, copy, s->len);
		payload_try(again, copy, s->len -
		    (random_below(&r, 4) == 0 ? random_below(&r, s->len) : 0));
	}
	free(copy);
}

#endif
