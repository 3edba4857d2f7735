#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * libFuzzer's way in; the unit tests call it too, with what mutate.h makes.
 * Whatever the bytes, it returns: anything else is a fault of what is tested.
 */
int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Something that holds for any input. */
static inline void
fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

#endif
