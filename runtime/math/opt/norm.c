/*
 * LayerNorm. Row sums are kept in MATH_LANES lanes and joined in one fixed
 * way; the variance is summed in a second pass over the deviations, which
 * loses no digits where the mean is large.
 */
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"

static float row_mean(const float *x, int64_t C)
{
    v16 sum = lane_all(0);
    for (int64_t j = 0; j < C; j += MATH_LANES) {
        sum += lane_get(x, j, C, 0);
    }
    return lane_sum(sum) / (float)C;
}

static float row_variance(const float *x, int64_t C, float mean)
{
    v16 sum = lane_all(0);
    for (int64_t j = 0; j < C; j += MATH_LANES) {
        v16 d = lane_get(x, j, C, mean) - lane_all(mean);
        sum += d * d;
    }
    return lane_sum(sum) / (float)C;
}

void opt_norm_fwd(const math_ctx *ctx, int64_t n, int64_t C, float eps,
                  const float *x, int64_t ldx, const float *gamma,
                  const float *beta, float *y, int64_t ldy, float *stats)
{
    int threads = opt_threads(ctx, n * C);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        const float *row = x + t * ldx;
        float mean = row_mean(row, C);
        float rstd = 1.0F / sqrtf(row_variance(row, C, mean) + eps);
        for (int64_t j = 0; j < C; j += MATH_LANES) {
            v16 xhat =
                (lane_get(row, j, C, 0) - lane_all(mean)) * lane_all(rstd);
            lane_put(y + t * ldy, j, C,
                     xhat * lane_get(gamma, j, C, 0) + lane_get(beta, j, C, 0));
        }
        stats[2 * t] = mean;
        stats[2 * t + 1] = rstd;
    }
}

/* With g = dy * gamma: dx += rstd * (g - mean(g) - xhat * mean(g * xhat)). */
void opt_norm_bwd(const math_ctx *ctx, int64_t n, int64_t C, const float *dy,
                  int64_t lddy, const float *x, int64_t ldx, const float *gamma,
                  const float *stats, float *dx, int64_t lddx)
{
    int threads = opt_threads(ctx, n * C);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        const float *xr = x + t * ldx;
        const float *dyr = dy + t * lddy;
        float *dxr = dx + t * lddx;
        v16 mean = lane_all(stats[2 * t]);
        v16 rstd = lane_all(stats[2 * t + 1]);
        v16 sum_g = lane_all(0);
        v16 sum_gx = lane_all(0);
        for (int64_t j = 0; j < C; j += MATH_LANES) {
            v16 xhat = (lane_get(xr, j, C, 0) - mean) * rstd;
            v16 g = lane_get(dyr, j, C, 0) * lane_get(gamma, j, C, 0);
            sum_g += g;
            sum_gx += g * xhat;
        }
        v16 mean_g = lane_all(lane_sum(sum_g) / (float)C);
        v16 mean_gx = lane_all(lane_sum(sum_gx) / (float)C);
        for (int64_t j = 0; j < C; j += MATH_LANES) {
            v16 xhat = (lane_get(xr, j, C, 0) - mean) * rstd;
            v16 g = lane_get(dyr, j, C, 0) * lane_get(gamma, j, C, 0);
            v16 d = rstd * (g - mean_g - xhat * mean_gx);
            lane_put(dxr, j, C, lane_get(dxr, j, C, 0) + d);
        }
    }
}
