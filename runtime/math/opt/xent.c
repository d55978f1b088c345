/*
 * Softmax cross entropy over the vocabulary, which may be cut into tensor
 * leaves, and each leaf into calls.
 *
 * A leaf is folded in blocks of MATH_XENT_BLOCK columns: each block gives its
 * maximum and its sum of exponentials, which are then joined with what the
 * leaf has so far. Leaves are joined in the same way, by the tree.
 */
#include <math.h>

#include "runtime/base/status.h"
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/opt/vec.h"
#include "runtime/math/walk.h"

/* Sum of exp(l - max) over some columns, and their maximum. */
typedef struct part {
    float max;
    float sum;
} part;

static part part_join(part a, part b)
{
    float max = b.max > a.max ? b.max : a.max;
    float sum = a.sum * expf(a.max - max) + b.sum * expf(b.max - max);
    return (part){max, sum};
}

/* At most MATH_XENT_BLOCK columns. */
static part part_of(const float *l, int64_t cols)
{
    float t[MATH_XENT_BLOCK];
    v16 most = lane_all(-INFINITY);
    for (int64_t j = 0; j < cols; j += MATH_LANES) {
        v16 x = lane_get(l, j, cols, -INFINITY);
        lane_store(t + j, x);
        most = lane_max(x, most);
    }
    float max = lane_max_of(most);
    vec_exp(math_pad(cols), 1.0F, max, t);
    v16 sum = lane_all(0);
    for (int64_t j = 0; j < cols; j += MATH_LANES) {
        sum += lane_load(t + j);
    }
    return (part){max, lane_sum(sum)};
}

void opt_xent_stats(const math_ctx *ctx, int64_t n, int64_t cols, int64_t col0,
                    const float *logits, int64_t ld, float *stats,
                    int64_t ld_stats)
{
    ASSERT(col0 % MATH_XENT_BLOCK == 0);
    int threads = opt_threads(ctx, n * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        float *st = stats + t * ld_stats;
        part all = {-INFINITY, 0};
        if (col0 > 0) {
            all = (part){st[0], st[1]};
        }
        for (int64_t j = 0; j < cols; j += MATH_XENT_BLOCK) {
            int64_t left = cols - j;
            part p = part_of(logits + t * ld + j,
                             left < MATH_XENT_BLOCK ? left : MATH_XENT_BLOCK);
            all = col0 + j == 0 ? p : part_join(all, p);
        }
        st[0] = all.max;
        st[1] = all.sum;
    }
}

void opt_xent_pick(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   const int32_t *targets, const float *logits, int64_t ld,
                   float *target)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        if (targets[t] >= v0 && targets[t] < v0 + cols) {
            target[t] = logits[t * ld + targets[t] - v0];
        }
    }
}

static part join_leaves(int leaves, const float *stats)
{
    part at[WALK_ENTRIES];
    walk w;
    walk_clear(&w, leaves);
    for (int i = 0; i < leaves; i++) {
        part p = {stats[2 * i], stats[2 * i + 1]};
        math_seg leaf = {i, 0, 0, 1, 1, 1};
        at[walk_push(&w, &leaf)] = p;
        if (p.sum != 0.0F) { /* also true for NaN, which must be seen */
            walk_fill(&w);
        }
        walk_how how = walk_join(&w);
        while (how != JOIN_NONE) {
            part *into = &at[w.depth - 1];
            if (how == JOIN_ADD) {
                *into = part_join(*into, at[w.depth]);
            } else if (how == JOIN_MOVE) {
                *into = at[w.depth];
            }
            how = walk_join(&w);
        }
    }
    return at[0];
}

void opt_xent_loss(const math_ctx *ctx, int64_t n, int leaves,
                   const float *stats, const float *target, float *norm,
                   float *loss)
{
    int threads = opt_threads(ctx, n * leaves * MATH_LANES);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        part all = join_leaves(leaves, stats + t * leaves * 2);
        norm[t] = logf(all.sum) + all.max;
        loss[t] = norm[t] - target[t];
    }
}

/* One row: columns in blocks, so that each stays in the first cache between
 * the exponential and the scaling. */
static void grad_row(int64_t cols, int64_t target, float norm, float scale,
                     float *l)
{
    for (int64_t j0 = 0; j0 < cols; j0 += MATH_XENT_BLOCK) {
        int64_t left = cols - j0;
        int64_t width = left < MATH_XENT_BLOCK ? left : MATH_XENT_BLOCK;
        float *p = l + j0;
        vec_exp(width, 1.0F, norm, p);
        if (target >= j0 && target < j0 + width) {
            l[target] -= 1.0F;
        }
        for (int64_t j = 0; j < width; j += MATH_LANES) {
            v16 d = lane_get(p, j, width, 0) * lane_all(scale);
            lane_put(p, j, width, d);
        }
    }
}

void opt_xent_grad(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   int64_t valid, const int32_t *targets, const float *norm,
                   float scale, float *logits, int64_t ld)
{
    int64_t real = valid < cols ? valid : cols;
    real = real > 0 ? real : 0;
    int threads = opt_threads(ctx, n * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        float *row = logits + t * ld;
        grad_row(real, targets[t] - v0, norm[t], scale, row);
        memset(row + real, 0, (size_t)(cols - real) * sizeof(float));
    }
}
