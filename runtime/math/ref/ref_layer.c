/* Norm, activations, residual, rotary positions, and the trivial ones. */
#include <math.h>
#include <string.h>

#include "runtime/math/ref/ref.h"

void ref_norm_fwd(const math_ctx *ctx, int64_t n, int64_t C, float eps,
                  const float *x, int64_t ldx, const float *gamma,
                  const float *beta, float *y, int64_t ldy, float *stats)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        const float *row = x + t * ldx;
        double mean = 0;
        double var = 0;
        for (int64_t c = 0; c < C; c++) {
            mean += (double)row[c] / (double)C;
        }
        for (int64_t c = 0; c < C; c++) {
            var +=
                ((double)row[c] - mean) * ((double)row[c] - mean) / (double)C;
        }
        double rstd = 1.0 / sqrt(var + (double)eps);
        for (int64_t c = 0; c < C; c++) {
            double xhat = ((double)row[c] - mean) * rstd;
            y[t * ldy + c] = (float)(xhat * (double)gamma[c] + (double)beta[c]);
        }
        stats[2 * t] = (float)mean;
        stats[2 * t + 1] = (float)rstd;
    }
}

void ref_norm_bwd(const math_ctx *ctx, int64_t n, int64_t C, const float *dy,
                  int64_t lddy, const float *x, int64_t ldx, const float *gamma,
                  const float *stats, float *dx, int64_t lddx)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        double mean = (double)stats[2 * t];
        double rstd = (double)stats[2 * t + 1];
        double mean_g = 0;
        double mean_gx = 0;
        for (int64_t c = 0; c < C; c++) {
            double g = (double)dy[t * lddy + c] * (double)gamma[c];
            double xhat = ((double)x[t * ldx + c] - mean) * rstd;
            mean_g += g / (double)C;
            mean_gx += g * xhat / (double)C;
        }
        for (int64_t c = 0; c < C; c++) {
            double g = (double)dy[t * lddy + c] * (double)gamma[c];
            double xhat = ((double)x[t * ldx + c] - mean) * rstd;
            double d = rstd * (g - mean_g - xhat * mean_gx);
            dx[t * lddx + c] = (float)((double)dx[t * lddx + c] + d);
        }
    }
}

void ref_bias_add(const math_ctx *ctx, int64_t n, int64_t R, float *y,
                  int64_t ldy, const float *bias)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        for (int64_t j = 0; j < R; j++) {
            y[t * ldy + j] += bias[j];
        }
    }
}

static double gelu(math_act act, double u)
{
    if (act == ACT_GELU_ERF) {
        return 0.5 * u * erfc(-u / M_SQRT2);
    }
    /* u/2 (1 + tanh k) = u / (1 + exp(-2k)), exact in both tails. */
    double k = sqrt(2 / M_PI) * (u + 0.044715 * u * u * u);
    return u / (1 + exp(-2 * k));
}

static double gelu_slope(math_act act, double u)
{
    if (act == ACT_GELU_ERF) {
        return 0.5 * erfc(-u / M_SQRT2) +
               u * exp(-0.5 * u * u) / sqrt(2 * M_PI);
    }
    double k = sqrt(2 / M_PI) * (u + 0.044715 * u * u * u);
    double dk = sqrt(2 / M_PI) * (1 + 3 * 0.044715 * u * u);
    double s = 1 / (1 + exp(-2 * k));
    double rest = 1 / (1 + exp(2 * k)); /* 1 - s */
    return s + u * 2 * dk * s * rest;
}

void ref_act_fwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *g, int64_t ldg)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        for (int64_t j = 0; j < R; j++) {
            g[t * ldg + j] = (float)gelu(act, (double)u[t * ldu + j]);
        }
    }
}

void ref_act_bwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *dg, int64_t lddg)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        for (int64_t j = 0; j < R; j++) {
            double slope = gelu_slope(act, (double)u[t * ldu + j]);
            dg[t * lddg + j] = (float)((double)dg[t * lddg + j] * slope);
        }
    }
}

void ref_residual(const math_ctx *ctx, int64_t n, int64_t C, const float *x,
                  int64_t ldx, const float *y, int64_t ldy, const float *b1,
                  const float *b2, float *out, int64_t ldout)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        for (int64_t c = 0; c < C; c++) {
            float sum = y[t * ldy + c];
            sum = b1 != NULL ? sum + b1[c] : sum;
            sum = b2 != NULL ? sum + b2[c] : sum;
            out[t * ldout + c] = x[t * ldx + c] + sum;
        }
    }
}

void ref_add(const math_ctx *ctx, int64_t rows, int64_t cols, float *into,
             int64_t ldi, const float *from, int64_t ldf)
{
    (void)ctx;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            into[i * ldi + j] += from[i * ldf + j];
        }
    }
}

void ref_copy(const math_ctx *ctx, int64_t rows, int64_t cols, float *to,
              int64_t ldt, const float *from, int64_t ldf)
{
    (void)ctx;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(to + i * ldt, from + i * ldf, (size_t)cols * sizeof(float));
    }
}

void ref_zero(const math_ctx *ctx, int64_t rows, int64_t cols, float *p,
              int64_t ld)
{
    (void)ctx;
    for (int64_t i = 0; i < rows; i++) {
        memset(p + i * ld, 0, (size_t)cols * sizeof(float));
    }
}

/* Turns the pair (x, y) by the angle. */
static void turn(float *x, float *y, double angle)
{
    double x0 = (double)*x;
    double y0 = (double)*y;
    *x = (float)(x0 * cos(angle) - y0 * sin(angle));
    *y = (float)(y0 * cos(angle) + x0 * sin(angle));
}

static void rotate(const math_rope *rope, int64_t pos, bool inverse, float *p)
{
    int pairs = rope->dims / 2;
    for (int i = 0; i < pairs; i++) {
        double angle =
            (double)pos * pow((double)rope->base, -2.0 * i / rope->dims);
        angle = inverse ? -angle : angle;
        if (rope->pairing == PAIR_NEIGHBOURS) {
            turn(&p[2 * i], &p[2 * i + 1], angle);
        } else {
            turn(&p[i], &p[i + pairs], angle);
        }
    }
}

void ref_rope(const math_ctx *ctx, const math_rope *rope, int64_t B, int64_t T,
              bool inverse, float *qkv, int64_t ld)
{
    (void)ctx;
    for (int64_t t = 0; t < B * T; t++) {
        int64_t pos = rope->first + t % T;
        for (int64_t h = 0; h < rope->heads; h++) {
            float *q = qkv + t * ld + h * 3 * rope->head_dim;
            rotate(rope, pos, inverse, q);
            rotate(rope, pos, inverse, q + rope->head_dim);
        }
    }
}
