/* Cross entropy over the vocabulary, and the optimizer's arithmetic. */
#include <math.h>

#include "runtime/base/status.h"
#include "runtime/math/ref/ref.h"
#include "runtime/math/walk.h"

/* {max, sum} over one set of columns joined with that over another. A set
 * without columns is {-infinity, 0}. */
static void join(float *max, float *sum, double max2, double sum2)
{
    double both = fmax((double)*max, max2);
    double a = *sum == 0.0F ? 0 : (double)*sum * exp((double)*max - both);
    double b = sum2 == 0.0 ? 0 : sum2 * exp(max2 - both);
    *max = (float)both;
    *sum = (float)(a + b);
}

void ref_xent_stats(const math_ctx *ctx, int64_t n, int64_t cols, int64_t col0,
                    const float *logits, int64_t ld, float *stats,
                    int64_t ld_stats)
{
    (void)ctx;
    ASSERT(col0 % MATH_XENT_BLOCK == 0);
    for (int64_t t = 0; t < n; t++) {
        float *st = stats + t * ld_stats;
        if (col0 == 0) {
            st[0] = -INFINITY;
            st[1] = 0;
        }
        for (int64_t j0 = 0; j0 < cols; j0 += MATH_XENT_BLOCK) {
            double max = -INFINITY;
            double sum = 0;
            for (int64_t j = j0; j < cols && j < j0 + MATH_XENT_BLOCK; j++) {
                max = fmax(max, (double)logits[t * ld + j]);
            }
            for (int64_t j = j0; j < cols && j < j0 + MATH_XENT_BLOCK; j++) {
                sum += exp((double)logits[t * ld + j] - max);
            }
            join(&st[0], &st[1], max, sum);
        }
    }
}

void ref_xent_pick(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   const int32_t *targets, const float *logits, int64_t ld,
                   float *target)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        int64_t j = targets[t] - v0;
        if (j >= 0 && j < cols) {
            target[t] = logits[t * ld + j];
        }
    }
}

void ref_xent_loss(const math_ctx *ctx, int64_t n, int leaves,
                   const float *stats, const float *target, float *norm,
                   float *loss)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        float max[WALK_ENTRIES];
        float sum[WALK_ENTRIES];
        walk w;
        walk_clear(&w, leaves);
        for (int i = 0; i < leaves; i++) {
            math_seg leaf = {i, 0, 0, 1, 1, 1};
            int top = walk_push(&w, &leaf);
            sum[top] = stats[(t * leaves + i) * 2 + 1];
            max[top] =
                sum[top] == 0.0F ? -INFINITY : stats[(t * leaves + i) * 2];
            while (walk_join(&w) != JOIN_NONE) {
                join(&max[w.depth - 1], &sum[w.depth - 1], (double)max[w.depth],
                     (double)sum[w.depth]);
            }
        }
        norm[t] = (float)(log((double)sum[0]) + (double)max[0]);
        loss[t] = norm[t] - target[t];
    }
}

void ref_xent_grad(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   int64_t valid, const int32_t *targets, const float *norm,
                   float scale, float *logits, int64_t ld)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        for (int64_t j = 0; j < cols; j++) {
            double p = exp((double)logits[t * ld + j] - (double)norm[t]);
            double hit = targets[t] == v0 + j ? 1 : 0;
            double d = (p - hit) * (double)scale;
            logits[t * ld + j] = j < valid ? (float)d : 0.0F;
        }
    }
}

void ref_row_sumsq(const math_ctx *ctx, int64_t rows, int64_t cols,
                   const float *x, int64_t ld, double *out)
{
    (void)ctx;
    for (int64_t i = 0; i < rows; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < cols; j++) {
            out[i] += (double)x[i * ld + j] * (double)x[i * ld + j];
        }
    }
}

void ref_adamw(const math_ctx *ctx, const math_adamw *p, int64_t rows,
               int64_t cols, int64_t ld, float *w, const float *g, float *m,
               float *v)
{
    (void)ctx;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t at = i * ld; at < i * ld + cols; at++) {
            float grad = p->clip * g[at];
            m[at] = p->beta1 * m[at] + (1 - p->beta1) * grad;
            v[at] = p->beta2 * v[at] + (1 - p->beta2) * (grad * grad);
            float root = sqrtf(v[at] / p->bias2) + p->eps;
            w[at] = w[at] * (1 - p->lr * p->weight_decay);
            w[at] -= p->lr / p->bias1 * m[at] / root;
        }
    }
}
