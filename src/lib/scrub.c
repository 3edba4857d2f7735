#include <stdlib.h>
#include <string.h>

#include "lib/scrub.h"

#define STEP	16		/* bytes, between sizes */
#define SMALL	1040		/* all sizes up to here, */
#define LARGE	(16 * 1024)	/* then doubled sizes up to here */
#define EACH	16		/* blocks of a size */
#define DEEP	(128 * 1024)	/* of the stack */

/*
 * Allocates all blocks of one size before it frees them, so that each block is
 * another one.
 */
static void
wipe_blocks(size_t size)
{
	void	*block[EACH];
	size_t	 i;

	for (i = 0; i < EACH; i++)
		if ((block[i] = malloc(size)) != NULL)
			explicit_bzero(block[i], size);
	for (i = 0; i < EACH; i++)
		free(block[i]);
}

void
scrub_memory(void)
{
	char	deep[DEEP];
	size_t	size;

	for (size = LARGE; size > SMALL; size /= 2)
		wipe_blocks(size);
	for (size = SMALL; size > 0; size -= STEP)
		wipe_blocks(size);
	explicit_bzero(deep, sizeof(deep));
}
