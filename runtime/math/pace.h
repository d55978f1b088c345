/*
 * The pace of products: how long a small one takes at the moment.
 *
 * Cores change speed for seconds and minutes: a laptop's get hot, a virtual
 * machine's share their units with a neighbour's (here 100 to 330 GF/s within
 * minutes, while copies kept their rate). A prediction can know only what its
 * machine was like when it was described, so both note the pace.
 *
 * It is CPU seconds, so a core that is taken away does not count, of a product
 * that fits a core's own cache, so that neither memory nor other ranks do.
 * Means over 1.3 s of products of 1200 cubed spread by 5.6 % here, of their
 * ratio to the pace by 2.4 %.
 *
 * Local. One caller at a time.
 */
#ifndef WEFT_MATH_PACE_H
#define WEFT_MATH_PACE_H

#include "runtime/base/status.h"

typedef struct pace pace;

/* Owns: *out, pace_close. Fails when memory is out. */
MUST_USE status pace_open(int threads, pace **out);
void pace_close(pace *p); /* NULL: nothing */

/* CPU seconds of a product of 128 cubed on each of the threads at once, the
 * mean over threads. Takes a quarter of a millisecond, so it may be taken in
 * the steps that are measured. Allocates nothing. */
double pace_take(pace *p);

#endif
