/*
 * Figures as ratios: median and range of pairs that were timed in turns, and
 * the line that shows one beside its goal. Pure.
 */
#ifndef WEFT_BENCHMARKS_RATIO_H
#define WEFT_BENCHMARKS_RATIO_H

#include <stdint.h>

#include "runtime/base/text.h"

enum { RATIO_MAX = 100 }; /* values */

typedef struct ratio {
    double median, least, most;
} ratio;

/* Of n >= 1 values, which are sorted. */
ratio ratio_of(double *v, int64_t n);

/* "what   91.2 %  (88.0 to 93.1)  goal 90 %: reached". */
void ratio_line(strbuf *out, const char *what, ratio r, double goal);

#endif
