/*
 * Figures as ratios: median and range of pairs that were timed in turns, and
 * the line that shows one beside its goal. Pure.
 */
#ifndef WEFT_BENCHMARKS_RATIO_H
#define WEFT_BENCHMARKS_RATIO_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/text.h"

enum {
    RATIO_MAX = 100,  /* values                                            */
    RATIO_VERDICT = 3 /* values that tell how far they spread              */
};

typedef struct ratio {
    double median, least, most;
    int64_t n;
} ratio;

/* Of n >= 1 values, which are sorted. */
ratio ratio_of(double *v, int64_t n);

/* The values lie so far apart that their median says nothing: the greatest is
 * more than 1.5 times the least, as in benchmarks/peers/pytorch_step.py. Ten
 * pairs on two shared cores are within 1.3. */
bool ratio_is_noisy(ratio r);

/* "what   91.2 %  (88.0 to 93.1)  goal 90 %: reached". INVALID in place of a
 * verdict where it is noisy, which it returns; none where there are too few
 * values. */
bool ratio_line(strbuf *out, const char *what, ratio r, double goal);

#endif
