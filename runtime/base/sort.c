#include "runtime/base/sort.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_f64(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
}

double sort_median(double *v, int64_t n)
{
    sort_f64(v, n);
    return n > 0 ? 0.5 * (v[(n - 1) / 2] + v[n / 2]) : (double)NAN;
}

double sort_quantile(const double *v, int64_t n, double q)
{
    int64_t i = (int64_t)(q * (double)n);
    return v[i < n ? i : n - 1];
}
