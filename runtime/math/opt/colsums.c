/*
 * Sums over tokens of columns: bias gradients (col_sum) and the gradients of
 * a norm's two vectors (norm_grad).
 *
 * A thread takes a strip of columns, walks all segments for it, and keeps the
 * whole stack of the strip in local memory. A leaf is a left fold over its
 * tokens that starts from +0, so it may be cut between any two tokens.
 */
#include "runtime/base/status.h"
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/walk.h"

enum {
    VECS = 4,                  /* vectors in a strip: a cache line each    */
    STRIP = VECS * MATH_LANES, /* floats in a strip                        */
    MIN_TOKENS = 64            /* below, threads are not worth waking      */
};

/* What is summed: x, or dy and dy * (x - mean) * rstd. */
typedef struct terms {
    const float *x;
    int64_t ldx;
    const float *dy; /* NULL: x itself */
    int64_t lddy;
    const float *stats;
} terms;

/* The stack of one strip. */
typedef struct strip {
    v16 at[WALK_ENTRIES][VECS];
} strip;

/* A column sum of `width` columns from j0 over [k0, k1), added to acc. */
static void fold_x(const terms *t, int64_t k0, int64_t k1, int64_t j0,
                   int64_t width, v16 acc[VECS])
{
    for (int64_t k = k0; k < k1; k++) {
        const float *row = t->x + k * t->ldx + j0;
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            acc[v] += lane_get(row, v * MATH_LANES, width, 0);
        }
    }
}

static void fold_dy(const terms *t, int64_t k0, int64_t k1, int64_t j0,
                    int64_t width, v16 acc[VECS])
{
    terms dy = {t->dy, t->lddy, NULL, 0, NULL};
    fold_x(&dy, k0, k1, j0, width, acc);
}

static void fold_dy_xhat(const terms *t, int64_t k0, int64_t k1, int64_t j0,
                         int64_t width, v16 acc[VECS])
{
    for (int64_t k = k0; k < k1; k++) {
        const float *row = t->x + k * t->ldx + j0;
        const float *dy = t->dy + k * t->lddy + j0;
        v16 mean = lane_all(t->stats[2 * k]);
        v16 rstd = lane_all(t->stats[2 * k + 1]);
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            v16 xhat = (lane_get(row, v * MATH_LANES, width, 0) - mean) * rstd;
            acc[v] += lane_get(dy, v * MATH_LANES, width, 0) * xhat;
        }
    }
}

typedef void fold_fn(const terms *t, int64_t k0, int64_t k1, int64_t j0,
                     int64_t width, v16 acc[VECS]);

static void load_strip(strip *s, const math_stack *stack, int64_t j0,
                       int64_t width)
{
    for (int e = 0; e < stack->depth; e++) {
        const float *p = stack->plane0 + e * stack->plane_stride + j0;
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            s->at[e][v] = lane_get(p, v * MATH_LANES, width, 0);
        }
    }
}

static void store_strip(strip *s, const math_stack *stack, const walk *w,
                        int64_t j0, int64_t width)
{
    for (int e = 0; e < w->depth; e++) {
        float *p = stack->plane0 + e * stack->plane_stride + j0;
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            lane_put(p, v * MATH_LANES, width,
                     w->empty[e] ? lane_all(0) : s->at[e][v]);
        }
    }
}

static void sum_strip(const terms *t, fold_fn *fold, const math_seg *segs,
                      int nsegs, const math_stack *stack, int64_t j0,
                      int64_t width)
{
    strip s;
    walk w;
    walk_begin(&w, stack);
    load_strip(&s, stack, j0, width);
    for (int i = 0; i < nsegs; i++) {
        int top = walk_push(&w, &segs[i]);
        if (segs[i].k1 > segs[i].k0) {
            if (walk_fill(&w) == 0.0F) {
                memset(s.at[top], 0, sizeof s.at[top]);
            }
            fold(t, segs[i].k0, segs[i].k1, j0, width, s.at[top]);
        }
        walk_how how = segs[i].last ? walk_join(&w) : JOIN_NONE;
        while (how != JOIN_NONE) {
            for (int v = 0; v < VECS && how != JOIN_KEEP; v++) {
                v16 from = s.at[w.depth][v];
                v16 *into = &s.at[w.depth - 1][v];
                *into = how == JOIN_MOVE ? from : *into + from;
            }
            how = walk_join(&w);
        }
    }
    ASSERT(w.depth <= stack->planes);
    store_strip(&s, stack, &w, j0, width);
}

static void sum_columns(const math_ctx *ctx, const terms *t, fold_fn *fold,
                        int64_t R, const math_seg *segs, int nsegs,
                        const math_stack *stack)
{
    int threads = opt_threads(ctx, R * MIN_TOKENS);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t j0 = 0; j0 < R; j0 += STRIP) {
        sum_strip(t, fold, segs, nsegs, stack, j0,
                  R - j0 < STRIP ? R - j0 : STRIP);
    }
}

void opt_col_sum(const math_ctx *ctx, int64_t R, const float *x, int64_t ldx,
                 const math_seg *segs, int nsegs, const math_stack *stack)
{
    terms t = {x, ldx, NULL, 0, NULL};
    sum_columns(ctx, &t, fold_x, R, segs, nsegs, stack);
}

void opt_norm_grad(const math_ctx *ctx, int64_t C, const float *dy,
                   int64_t lddy, const float *x, int64_t ldx,
                   const float *stats, const math_seg *segs, int nsegs,
                   const math_stack *dg, const math_stack *db)
{
    terms t = {x, ldx, dy, lddy, stats};
    sum_columns(ctx, &t, fold_dy_xhat, C, segs, nsegs, dg);
    sum_columns(ctx, &t, fold_dy, C, segs, nsegs, db);
}
