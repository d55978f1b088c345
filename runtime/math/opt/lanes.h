/*
 * Vectors of MATH_LANES floats in the compilers' vector extension.
 *
 * The kernels are written with them, and not left to the auto-vectoriser, so
 * that the order of every sum is what the source says: lane l of a row sum
 * holds elements l, l + 16, l + 32, ... and lane_sum joins the lanes in one
 * fixed way. The compiler splits a vector where the CPU has narrower ones,
 * which changes no bit.
 *
 * Rows end anywhere: lane_load_part fills missing lanes with a value that is
 * neutral where it is used, lane_store_part writes the real columns alone.
 * An element thus gets the same instructions wherever it is in its row.
 */
#ifndef WEFT_MATH_OPT_LANES_H
#define WEFT_MATH_OPT_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "runtime/math/math.h"

/* All users are static inline: no vector crosses a real call. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef float v16 __attribute__((vector_size(64)));
typedef float v16_any __attribute__((vector_size(64), aligned(4), may_alias));
typedef double v16d __attribute__((vector_size(128)));

#define LANE_INLINE static inline __attribute__((always_inline))

LANE_INLINE v16 lane_all(float x)
{
    return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

LANE_INLINE v16 lane_load(const float *p)
{
    return *(const v16_any *)p;
}

LANE_INLINE void lane_store(float *p, v16 x)
{
    *(v16_any *)p = x;
}

/* The first n < MATH_LANES elements, the others are `rest`. */
LANE_INLINE v16 lane_load_part(const float *p, int64_t n, float rest)
{
    v16 x = lane_all(rest);
    memcpy(&x, p, (size_t)n * sizeof(float));
    return x;
}

LANE_INLINE void lane_store_part(float *p, int64_t n, v16 x)
{
    memcpy(p, &x, (size_t)n * sizeof(float));
}

/* Elements [j, j + 16) of a row of n, as far as it goes. */
LANE_INLINE v16 lane_get(const float *row, int64_t j, int64_t n, float rest)
{
    return j + MATH_LANES <= n ? lane_load(row + j)
                               : lane_load_part(row + j, n - j, rest);
}

LANE_INLINE void lane_put(float *row, int64_t j, int64_t n, v16 x)
{
    if (j + MATH_LANES <= n) {
        lane_store(row + j, x);
    } else {
        lane_store_part(row + j, n - j, x);
    }
}

/* The fixed join of the lanes: halves, quarters, pairs. */
LANE_INLINE float lane_sum(v16 x)
{
    float t[MATH_LANES];
    lane_store(t, x);
    for (int half = MATH_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            t[i] += t[i + half];
        }
    }
    return t[0];
}

/* x > acc ? x : acc; a NaN in x is passed over. */
LANE_INLINE v16 lane_max(v16 x, v16 acc)
{
#if defined(__AVX512F__)
    return (v16)_mm512_max_ps((__m512)x, (__m512)acc);
#else
    for (int i = 0; i < MATH_LANES; i++) {
        acc[i] = x[i] > acc[i] ? x[i] : acc[i];
    }
    return acc;
#endif
}

LANE_INLINE float lane_max_of(v16 x)
{
    float best = x[0];
    for (int i = 1; i < MATH_LANES; i++) {
        best = x[i] > best ? x[i] : best;
    }
    return best;
}

/* Correctly rounded square roots (sqrtf itself would set errno and keep the
 * loop scalar). */
LANE_INLINE v16 lane_sqrt(v16 x)
{
#if defined(__AVX512F__)
    return (v16)_mm512_sqrt_ps((__m512)x);
#else
    for (int i = 0; i < MATH_LANES; i++) {
        x[i] = sqrtf(x[i]);
    }
    return x;
#endif
}

#endif
