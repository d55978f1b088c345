/*
 * Optimizer arithmetic: the sum of squares that clipping needs, and AdamW.
 * Divisions and square roots are correctly rounded and nothing is contracted,
 * so the update has the same bits on every CPU.
 */
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"

void opt_row_sumsq(const math_ctx *ctx, int64_t rows, int64_t cols,
                   const float *x, int64_t ld, double *out)
{
    int threads = opt_threads(ctx, rows * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        v16d sum = {0};
        for (int64_t j = 0; j < cols; j += MATH_LANES) {
            v16d d =
                __builtin_convertvector(lane_get(x + i * ld, j, cols, 0), v16d);
            sum += d * d;
        }
        for (int half = MATH_LANES / 2; half > 0; half /= 2) {
            for (int l = 0; l < half; l++) {
                sum[l] += sum[l + half];
            }
        }
        out[i] = sum[0];
    }
}

static void adamw_row(const math_adamw *p, int64_t cols, float *w,
                      const float *g, float *m, float *v)
{
    v16 b1 = lane_all(p->beta1);
    v16 b2 = lane_all(p->beta2);
    v16 rest1 = lane_all(1.0F - p->beta1);
    v16 rest2 = lane_all(1.0F - p->beta2);
    v16 keep = lane_all(1.0F - p->lr * p->weight_decay);
    v16 step = lane_all(p->lr / p->bias1);
    for (int64_t j = 0; j < cols; j += MATH_LANES) {
        v16 gj = lane_get(g, j, cols, 0) * lane_all(p->clip);
        v16 mj = b1 * lane_get(m, j, cols, 0) + rest1 * gj;
        v16 vj = b2 * lane_get(v, j, cols, 0) + rest2 * (gj * gj);
        v16 root = lane_sqrt(vj / lane_all(p->bias2)) + lane_all(p->eps);
        v16 wj = lane_get(w, j, cols, 0) * keep;
        lane_put(m, j, cols, mj);
        lane_put(v, j, cols, vj);
        lane_put(w, j, cols, wj - step * mj / root);
    }
}

void opt_adamw(const math_ctx *ctx, const math_adamw *p, int64_t rows,
               int64_t cols, int64_t ld, float *w, const float *g, float *m,
               float *v)
{
    int threads = opt_threads(ctx, rows * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = i * ld;
        adamw_row(p, cols, w + at, g + at, m + at, v + at);
    }
}
