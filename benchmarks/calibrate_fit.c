/*
 * Laws from measurements.
 *
 * min over x >= 0 of sum w_i^2 (a_i x - t_i)^2 with w_i = 1 / (t_i + 1 us):
 * relative errors, but nobody cares for those of what takes no time. Columns
 * are scaled, then one unknown after another takes its best value, until
 * nothing moves. Rows whose error is large are given less weight and all is
 * done again (Huber), because now and then a step is disturbed.
 *
 * An item's price is made of steps at the knots that are not below zero, so
 * it never falls with the distance of its bytes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/mem.h"

enum { ROUNDS = 6, SWEEPS = 4000 };

static const double FLOOR_S = 1e-6;
/* Relative error from which a row counts less. */
static const double FAR_OFF = 0.1;

/* Bytes at which an item's price may change: within caches and beyond. */
static const double knots[] = {65536.0, 524288.0, 4194304.0, 33554432.0,
                               268435456.0};
enum { KNOTS = sizeof(knots) / sizeof(knots[0]) };

typedef struct normal {
    double a[FIT_COLS_MAX][FIT_COLS_MAX];
    double b[FIT_COLS_MAX];
} normal;

static double row_times(const double *row, const double *x, int cols)
{
    double sum = 0;
    for (int j = 0; j < cols; j++) {
        sum += row[j] * x[j];
    }
    return sum;
}

static void accumulate(const double *rows, const double *want, int64_t n,
                       int cols, const double *x, bool first, normal *out)
{
    memset(out, 0, sizeof(*out));
    for (int64_t i = 0; i < n; i++) {
        const double *row = rows + i * cols;
        double w = 1 / (want[i] + FLOOR_S);
        double e = fabs(row_times(row, x, cols) - want[i]) * w;
        w *= first || e < FAR_OFF ? 1 : sqrt(FAR_OFF / e);
        for (int j = 0; j < cols; j++) {
            out->b[j] += w * w * row[j] * want[i];
            for (int k = 0; k < cols; k++) {
                out->a[j][k] += w * w * row[j] * row[k];
            }
        }
    }
}

static void descend(const normal *m, int cols, double *x)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double moved = 0;
        for (int j = 0; j < cols; j++) {
            if (m->a[j][j] <= 0) {
                continue;
            }
            double rest = m->b[j] - row_times(m->a[j], x, cols);
            double to = x[j] + rest / m->a[j][j];
            to = to > 0 ? to : 0;
            moved = fmax(moved, fabs(to - x[j]) * sqrt(m->a[j][j]));
            x[j] = to;
        }
        if (moved < 1e-9) {
            break;
        }
    }
}

status calibrate_solve(const double *rows, const double *want, int64_t n,
                       int cols, double *x)
{
    normal *m = NULL;
    ASSERT(cols <= FIT_COLS_MAX);
    TRY(MEM_NEW(&m, 1, "calibrate"));
    memset(x, 0, sizeof(*x) * (size_t)cols);
    for (int round = 0; round < ROUNDS; round++) {
        accumulate(rows, want, n, cols, x, round == 0, m);
        descend(m, cols, x);
    }
    mem_free(m);
    return ST_OK;
}

/* Share of knot k in the price of an item touched `bytes` ago. */
static double share_of(int k, double bytes)
{
    sim_law one = {.points = KNOTS};
    memcpy(one.bytes, knots, sizeof(knots));
    one.item[k] = 1;
    return sim_item_seconds(&one, bytes);
}

static void fill_row(const sim_shape *s, double *row)
{
    memcpy(row, s->count, sizeof(s->count));
    double of[KNOTS] = {0};
    for (int i = 0; i < SIM_AGO; i++) {
        for (int k = 0; s->ago[i] > 0 && k < KNOTS; k++) {
            of[k] += s->ago[i] * share_of(k, sim_ago_bytes(i));
        }
    }
    /* Step k of the price holds for knot k and all beyond. */
    double beyond = 0;
    for (int k = KNOTS - 1; k >= 0; k--) {
        beyond += of[k];
        row[TERM_COUNT + k] = s->items * beyond;
    }
}

static void law_from(const double *x, sim_law *out)
{
    double price = 0;
    bool any = false;
    memcpy(out->term, x, sizeof(out->term));
    for (int k = 0; k < KNOTS; k++) {
        price += x[TERM_COUNT + k];
        any = any || price > 0;
        out->bytes[k] = knots[k];
        out->item[k] = price;
    }
    out->points = any ? KNOTS : 0;
    out->known = true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
    return n > 0 ? v[n / 2] : (double)NAN;
}

static bool is_of(const calibrate_sample *s, sim_kernel k, int threads)
{
    return s->shape.kernel == k && s->shape.threads == threads &&
           s->seconds > 0;
}

status calibrate_fit(const calibrate_sample *s, int64_t n, sim_kernel k,
                     int threads, sim_law *out)
{
    const int cols = TERM_COUNT + KNOTS;
    double *rows = NULL;
    double *want = NULL;
    double *off = NULL;
    double x[FIT_COLS_MAX];
    int64_t m = 0;
    status st = MEM_NEW(&rows, (n + 1) * cols, "calibrate");
    TRY_GOTO(st, done);
    TRY_GOTO(MEM_NEW(&want, n + 1, "calibrate"), done);
    TRY_GOTO(MEM_NEW(&off, n + 1, "calibrate"), done);
    for (int64_t i = 0; i < n; i++) {
        if (is_of(&s[i], k, threads)) {
            fill_row(&s[i].shape, rows + m * cols);
            off[m] = s[i].spread;
            want[m++] = s[i].seconds;
        }
    }
    if (m > 0) {
        TRY_GOTO(calibrate_solve(rows, want, m, cols, x), done);
        *out = (sim_law){.spread = median_of(off, m)};
        law_from(x, out);
        for (int64_t i = 0; i < m; i++) {
            off[i] = fabs(row_times(rows + i * cols, x, cols) / want[i] - 1);
        }
        out->misfit = median_of(off, m);
    }
done:
    mem_free(off);
    mem_free(want);
    mem_free(rows);
    return st;
}
