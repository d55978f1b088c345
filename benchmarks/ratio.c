#include "benchmarks/ratio.h"

#include "runtime/base/sort.h"

ratio ratio_of(double *v, int64_t n)
{
    double mid = sort_median(v, n);
    return (ratio){mid, v[0], v[n - 1], n};
}

bool ratio_is_noisy(ratio r)
{
    return !(r.most <= 1.5 * r.least);
}

static const char *verdict(ratio r, double goal)
{
    return ratio_is_noisy(r)     ? "INVALID, too noisy"
           : r.n < RATIO_VERDICT ? "no verdict, 3 rounds or more give one"
           : r.median >= goal    ? "reached"
                                 : "NOT reached";
}

bool ratio_line(strbuf *out, const char *what, ratio r, double goal)
{
    strbuf_printf(out, "%-52s %6.1f %%  (%.1f to %.1f)  goal %.0f %%: %s\n",
                  what, 100 * r.median, 100 * r.least, 100 * r.most, 100 * goal,
                  verdict(r, goal));
    return ratio_is_noisy(r);
}
