#ifndef BACKGROUND_H
#define BACKGROUND_H

#include <stdbool.h>

/*
 * -b: the daemon lives on by itself, but whoever started it waits until it is
 * known how the start went, and gets that as exit status.
 */

/* Returns in the daemon only. Fatal when it fails. */
void	background_begin(void);

/*
 * Tells the starter how it went; the second call and later ones do nothing, nor
 * does any without background_begin. `detach`: stderr too is let go of.
 */
void	background_end(int status, bool detach);

#endif
