/*
 * Laws from measurements.
 *
 * min over x >= 0 of sum w_i^2 (a_i x - t_i)^2 with w_i = 1 / (s_i + 1 us),
 * s_i the whole of what was measured, t_i it or the part to be explained:
 * relative errors, but nobody cares for those of what takes no time. Columns
 * are scaled, then one unknown after another takes its best value, until
 * nothing moves. Rows whose error is large are given less weight and all is
 * done again (Huber), because now and then a step is disturbed.
 *
 * An item's price is made of steps at the knots that are not below zero, so
 * it never falls with the distance of its bytes.
 */
#include <math.h>
#include <string.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"

enum { ROUNDS = 6, SWEEPS = 4000 };

static const double FLOOR_S = 1e-6;
/* Relative error from which a row counts less. */
static const double FAR_OFF = 0.1;

/* Bytes at which an item's price may change: within caches and beyond. */
static const double knots[CALIBRATE_KNOTS] = {65536.0, 524288.0, 4194304.0,
                                              33554432.0, 268435456.0};
enum { KNOTS = CALIBRATE_KNOTS };

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

static void accumulate(const double *rows, const double *want,
                       const double *whole, int64_t n, int cols,
                       const double *x, bool first, normal *out)
{
    memset(out, 0, sizeof(*out));
    for (int64_t i = 0; i < n; i++) {
        const double *row = rows + i * cols;
        double w = 1 / (whole[i] + FLOOR_S);
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

status calibrate_solve(const double *rows, const double *want,
                       const double *whole, int64_t n, int cols, double *x)
{
    normal *m = NULL;
    ASSERT(cols <= FIT_COLS_MAX);
    TRY(MEM_NEW(&m, 1, "calibrate"));
    memset(x, 0, sizeof(*x) * (size_t)cols);
    for (int round = 0; round < ROUNDS; round++) {
        accumulate(rows, want, whole, n, cols, x, round == 0, m);
        descend(m, cols, x);
    }
    mem_free(m);
    return ST_OK;
}

/* Share of knot k in the price of an item touched `bytes` ago. */
static double share_of(int k, double bytes)
{
    sim_curve one = {.points = KNOTS};
    memcpy(one.x, knots, sizeof(knots));
    one.y[k] = 1;
    return sim_curve_at(&one, bytes);
}

void calibrate_steps(const double ago[SIM_AGO], double row[KNOTS])
{
    double of[KNOTS] = {0};
    for (int i = 0; i < SIM_AGO; i++) {
        for (int k = 0; ago[i] > 0 && k < KNOTS; k++) {
            of[k] += ago[i] * share_of(k, sim_ago_bytes(i));
        }
    }
    /* Step k of the price holds for knot k and all beyond. */
    double beyond = 0;
    for (int k = KNOTS - 1; k >= 0; k--) {
        beyond += of[k];
        row[k] = beyond;
    }
}

static void fill_steps(const sim_shape *s, double row[KNOTS])
{
    calibrate_steps(s->ago, row);
    for (int k = 0; k < KNOTS; k++) {
        row[k] *= s->items;
    }
}

void calibrate_curve(const double x[KNOTS], sim_curve *out)
{
    double price = 0;
    bool any = false;
    for (int k = 0; k < KNOTS; k++) {
        price += x[k];
        any = any || price > 0;
        out->x[k] = knots[k];
        out->y[k] = price;
    }
    out->points = any ? KNOTS : 0;
}

static bool is_of(const calibrate_sample *s, sim_kernel k, int threads)
{
    return s->shape.kernel == k && s->shape.threads == threads &&
           s->seconds > 0;
}

/* Rows of a fit; `off` and `want` have room for as many numbers. */
typedef struct table {
    double *rows, *want, *whole, *off;
    int64_t n;
    int cols;
} table;

static status table_init(int64_t n, int cols, table *t)
{
    *t = (table){.cols = cols};
    TRY(MEM_NEW(&t->rows, (n + 1) * cols, "calibrate"));
    TRY(MEM_NEW(&t->want, n + 1, "calibrate"));
    TRY(MEM_NEW(&t->whole, n + 1, "calibrate"));
    return MEM_NEW(&t->off, n + 1, "calibrate");
}

static void table_fini(table *t)
{
    mem_free(t->off);
    mem_free(t->whole);
    mem_free(t->want);
    mem_free(t->rows);
}

static status table_solve(const table *t, double *x)
{
    return calibrate_solve(t->rows, t->want, t->whole, t->n, t->cols, x);
}

/* The law's relative errors, the median of them. */
static double misfit_of(const table *t, const double *x)
{
    for (int64_t i = 0; i < t->n; i++) {
        double off = row_times(t->rows + i * t->cols, x, t->cols) - t->want[i];
        t->off[i] = fabs(off / t->whole[i]);
    }
    return sort_median(t->off, t->n);
}

status calibrate_fit(const calibrate_sample *s, int64_t n, sim_kernel k,
                     int threads, sim_law *out)
{
    double x[FIT_COLS_MAX];
    table t;
    status st = table_init(n, TERM_COUNT + KNOTS, &t);
    for (int64_t i = 0; st == ST_OK && i < n; i++) {
        if (is_of(&s[i], k, threads)) {
            double *row = t.rows + t.n * t.cols;
            memcpy(row, s[i].shape.count, sizeof(s[i].shape.count));
            fill_steps(&s[i].shape, row + TERM_COUNT);
            t.off[t.n] = s[i].spread;
            t.want[t.n] = t.whole[t.n] = s[i].seconds;
            t.n++;
        }
    }
    if (st == ST_OK && t.n > 0) {
        TRY_GOTO(table_solve(&t, x), done);
        *out = (sim_law){.known = true, .spread = sort_median(t.off, t.n)};
        memcpy(out->term, x, sizeof(out->term));
        calibrate_curve(x + TERM_COUNT, &out->items);
        out->misfit = misfit_of(&t, x);
    }
done:
    table_fini(&t);
    return st;
}

status calibrate_fit_more(const calibrate_sample *s, int64_t n, sim_kernel k,
                          const sim_law *alone, sim_law *out)
{
    double x[FIT_COLS_MAX];
    sim_curve more = {0};
    table t;
    status st = table_init(n, 1 + KNOTS, &t);
    for (int64_t i = 0; st == ST_OK && i < n; i++) {
        if (is_of(&s[i], k, 1)) {
            double *row = t.rows + t.n * t.cols;
            row[0] = sim_law_seconds(alone, s[i].shape.count, 0, 0);
            fill_steps(&s[i].shape, row + 1);
            t.off[t.n] = s[i].spread;
            double law_s = sim_shape_seconds(alone, &s[i].shape);
            t.whole[t.n] = law_s * s[i].times;
            t.want[t.n] = law_s * (s[i].times - 1);
            t.n++;
        }
    }
    *out = *alone;
    if (st == ST_OK && t.n > 0) {
        TRY_GOTO(table_solve(&t, x), done);
        out->spread = sort_median(t.off, t.n);
        for (int i = 0; i < TERM_COUNT; i++) {
            out->term[i] *= 1 + x[0];
        }
        calibrate_curve(x + 1, &more);
        for (int i = 0; i < more.points; i++) {
            more.y[i] += sim_curve_at(&alone->items, more.x[i]);
        }
        out->items = more.points > 0 ? more : alone->items;
        out->misfit = misfit_of(&t, x);
    }
done:
    table_fini(&t);
    return st;
}
