/*
 * The element-wise functions exp, tanh and erf over stretches of floats.
 *
 * These files have compiler flags of their own: -O3 -fno-math-errno, so that
 * gcc calls the vector functions of libmvec. They also stand fast-math (with
 * infinities and NaN kept), but do not need it. They hold nothing but
 * element-wise loops, and every loop runs whole vectors of MATH_LANES in a
 * local array, because the remainder of a loop would go through a scalar
 * function with other bits. So an element depends on its input alone, wherever
 * it is. Another compiler may call the scalar functions throughout: slower,
 * and as good.
 *
 * Arguments are clamped to what libmvec handles in its fast path. NaN passes
 * through everything, denormals are kept. Errors are a few units in the last
 * place of the result's natural scale: see tests/unit/test_math_opt.c.
 *
 * Any n; source and destination may be the same. Any thread.
 */
#ifndef WEFT_MATH_OPT_VEC_H
#define WEFT_MATH_OPT_VEC_H

#include <math.h>
#include <stdint.h>

/* <math.h> declares the vector variants only where every part of fast-math is
 * on; we keep NaN and infinity, so we declare those we use. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
__attribute__((simd("notinbranch"))) float expf(float x);
#if __GLIBC_PREREQ(2, 35)
__attribute__((simd("notinbranch"))) float erfcf(float x);
#endif
#endif

/* x[j] = exp(scale * x[j] - sub), 0 where the argument is below -87. */
void vec_exp(int64_t n, float scale, float sub, float *x);

/* g = gelu(u), tanh form: u / (1 + exp(-2 k)), k = sqrt(2/pi) (u + a u^3). */
void vec_gelu_tanh(int64_t n, const float *u, float *g);
/* dg *= gelu'(u). */
void vec_gelu_tanh_bwd(int64_t n, const float *u, float *dg);

/* g = u/2 (1 + erf(u / sqrt 2)). */
void vec_gelu_erf(int64_t n, const float *u, float *g);
void vec_gelu_erf_bwd(int64_t n, const float *u, float *dg);

#endif
