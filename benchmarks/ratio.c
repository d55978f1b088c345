#include "benchmarks/ratio.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

ratio ratio_of(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
    double mid = n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
    return (ratio){mid, v[0], v[n - 1]};
}

void ratio_line(strbuf *out, const char *what, ratio r, double goal)
{
    strbuf_printf(out, "%-52s %6.1f %%  (%.1f to %.1f)  goal %.0f %%: %s\n",
                  what, 100 * r.median, 100 * r.least, 100 * r.most, 100 * goal,
                  r.median >= goal ? "reached" : "NOT reached");
}
