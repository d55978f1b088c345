#include <string.h>

#include "runtime/math/math.h"
#include "runtime/math/opt/vec.h"

/* Vectors handled at once: enough to hide the latency of a call. */
enum { CHUNK = 4 * MATH_LANES };

/* 2 sqrt(2/pi) and the cubic coefficient of the tanh form. */
static const float TWO_ROOT = 1.59576912160573071F;
static const float CUBIC = 0.044715F;
static const float ROOT_HALF = 0.70710678118654752F;
/* 1 / sqrt(2 pi): the density of the normal distribution at 0. */
static const float DENSITY = 0.39894228040143268F;
/* (1 + exp)^2 stays finite, in whatever order a compiler multiplies; what is
 * cut off is below 1e-18 of u. */
static const float EXP_MAX = 43.0F;
/* erfc(9) is 4e-37. */
static const float ERFC_MAX = 9.0F;

/* e = exp(-2 k(u)). Both tails come from e without cancellation:
 * sigmoid(2 k) = 1 / (1 + e), and 1 - sigmoid = e / (1 + e). */
static inline void exp_of(const float *restrict u, float *restrict e)
{
    for (int j = 0; j < CHUNK; j++) {
        float z = -TWO_ROOT * (u[j] + CUBIC * (u[j] * u[j] * u[j]));
        z = z > EXP_MAX ? EXP_MAX : z;
        e[j] = z < -EXP_MAX ? -EXP_MAX : z;
    }
    for (int j = 0; j < CHUNK; j++) {
        e[j] = expf(e[j]);
    }
}

static inline void tanh_chunk(const float *restrict u, float *restrict g)
{
    float e[CHUNK];
    exp_of(u, e);
    for (int j = 0; j < CHUNK; j++) {
        g[j] = u[j] / (1.0F + e[j]);
    }
}

/* gelu' = s + u s (1 - s) 2 k'(u). */
static inline void tanh_bwd_chunk(const float *restrict u, float *restrict g)
{
    float e[CHUNK];
    exp_of(u, e);
    for (int j = 0; j < CHUNK; j++) {
        float s = 1.0F / (1.0F + e[j]);
        float slope = TWO_ROOT * (1.0F + 3.0F * CUBIC * (u[j] * u[j]));
        g[j] *= s + u[j] * slope * (s * (e[j] * s));
    }
}

/* c = erfc(-u / sqrt 2) = 1 + erf(u / sqrt 2), exact in the left tail. */
static inline void erfc_of(const float *restrict u, float *restrict c)
{
    for (int j = 0; j < CHUNK; j++) {
        float z = -ROOT_HALF * u[j];
        c[j] = z > ERFC_MAX ? ERFC_MAX : z;
    }
    for (int j = 0; j < CHUNK; j++) {
        c[j] = erfcf(c[j]);
    }
}

static inline void erf_chunk(const float *restrict u, float *restrict g)
{
    float c[CHUNK];
    erfc_of(u, c);
    for (int j = 0; j < CHUNK; j++) {
        g[j] = 0.5F * u[j] * c[j];
    }
}

/* gelu' = Phi(u) + u phi(u). */
static inline void erf_bwd_chunk(const float *restrict u, float *restrict g)
{
    float c[CHUNK];
    float e[CHUNK];
    erfc_of(u, c);
    for (int j = 0; j < CHUNK; j++) {
        float z = -0.5F * (u[j] * u[j]);
        e[j] = z < -EXP_MAX ? -EXP_MAX : z;
    }
    for (int j = 0; j < CHUNK; j++) {
        e[j] = expf(e[j]);
    }
    for (int j = 0; j < CHUNK; j++) {
        g[j] *= 0.5F * c[j] + u[j] * (DENSITY * e[j]);
    }
}

typedef void chunk_fn(const float *restrict u, float *restrict g);

/* Runs `fn` over whole chunks; g is read, too, for the gradients. */
static inline __attribute__((always_inline)) void run(chunk_fn *fn, int64_t n,
                                                      const float *u, float *g)
{
    float tu[CHUNK];
    float tg[CHUNK];
    int64_t j = 0;
    for (; j + CHUNK <= n; j += CHUNK) {
        memcpy(tu, u + j, sizeof tu);
        memcpy(tg, g + j, sizeof tg);
        fn(tu, tg);
        memcpy(g + j, tg, sizeof tg);
    }
    if (j < n) {
        size_t bytes = sizeof(float) * (size_t)(n - j);
        memset(tu, 0, sizeof tu);
        memset(tg, 0, sizeof tg);
        memcpy(tu, u + j, bytes);
        memcpy(tg, g + j, bytes);
        fn(tu, tg);
        memcpy(g + j, tg, bytes);
    }
}

void vec_gelu_tanh(int64_t n, const float *u, float *g)
{
    run(tanh_chunk, n, u, g);
}

void vec_gelu_tanh_bwd(int64_t n, const float *u, float *dg)
{
    run(tanh_bwd_chunk, n, u, dg);
}

void vec_gelu_erf(int64_t n, const float *u, float *g)
{
    run(erf_chunk, n, u, g);
}

void vec_gelu_erf_bwd(int64_t n, const float *u, float *dg)
{
    run(erf_bwd_chunk, n, u, dg);
}
