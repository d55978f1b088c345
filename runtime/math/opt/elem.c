/*
 * Element-wise kernels: bound by memory, so one pass each, rows over threads.
 */
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/opt/vec.h"

void opt_bias_add(const math_ctx *ctx, int64_t n, int64_t R, float *y,
                  int64_t ldy, const float *bias)
{
    int threads = opt_threads(ctx, n * R);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        float *row = y + t * ldy;
        for (int64_t j = 0; j < R; j += MATH_LANES) {
            v16 sum = lane_get(row, j, R, 0) + lane_get(bias, j, R, 0);
            lane_put(row, j, R, sum);
        }
    }
}

void opt_act_fwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *g, int64_t ldg)
{
    int threads = opt_threads(ctx, n * R);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        if (act == ACT_GELU_TANH) {
            vec_gelu_tanh(R, u + t * ldu, g + t * ldg);
        } else {
            vec_gelu_erf(R, u + t * ldu, g + t * ldg);
        }
    }
}

void opt_act_bwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *dg, int64_t lddg)
{
    int threads = opt_threads(ctx, n * R);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        if (act == ACT_GELU_TANH) {
            vec_gelu_tanh_bwd(R, u + t * ldu, dg + t * lddg);
        } else {
            vec_gelu_erf_bwd(R, u + t * ldu, dg + t * lddg);
        }
    }
}

void opt_residual(const math_ctx *ctx, int64_t n, int64_t C, const float *x,
                  int64_t ldx, const float *y, int64_t ldy, const float *b1,
                  const float *b2, float *out, int64_t ldout)
{
    int threads = opt_threads(ctx, n * C);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        for (int64_t j = 0; j < C; j += MATH_LANES) {
            v16 sum = lane_get(y + t * ldy, j, C, 0);
            if (b1 != NULL) {
                sum += lane_get(b1, j, C, 0);
            }
            if (b2 != NULL) {
                sum += lane_get(b2, j, C, 0);
            }
            sum = lane_get(x + t * ldx, j, C, 0) + sum;
            lane_put(out + t * ldout, j, C, sum);
        }
    }
}

void opt_add(const math_ctx *ctx, int64_t rows, int64_t cols, float *into,
             int64_t ldi, const float *from, int64_t ldf)
{
    int threads = opt_threads(ctx, rows * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        float *a = into + i * ldi;
        const float *b = from + i * ldf;
        for (int64_t j = 0; j < cols; j += MATH_LANES) {
            v16 sum = lane_get(a, j, cols, 0) + lane_get(b, j, cols, 0);
            lane_put(a, j, cols, sum);
        }
    }
}

void opt_copy(const math_ctx *ctx, int64_t rows, int64_t cols, float *to,
              int64_t ldt, const float *from, int64_t ldf)
{
    int threads = opt_threads(ctx, rows * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        memcpy(to + i * ldt, from + i * ldf, (size_t)cols * sizeof(float));
    }
}

void opt_zero(const math_ctx *ctx, int64_t rows, int64_t cols, float *p,
              int64_t ld)
{
    int threads = opt_threads(ctx, rows * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        memset(p + i * ld, 0, (size_t)cols * sizeof(float));
    }
}
