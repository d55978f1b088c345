/*
 * The one matrix product. All products of the house go through matmul().
 *
 * c[m][n] = op(a) op(b) + beta * c, row-major fp32, beta 0 or 1. An element
 * of the result depends on its row of op(a), its column of op(b) and k alone,
 * bit for bit, however m, n and threads are split; and a sum over k in
 * consecutive stretches of matmul_kblock() summands, chained with beta = 1,
 * equals one call. (BLIS with its small-matrix path off has this property;
 * OpenBLAS does not. tests/unit/test_matmul.c splits at random.)
 *
 * BLIS allocates packing buffers of its own; they are its pool's, kept
 * between calls. Local; matmul_one may be called by several threads at once.
 */
#ifndef WEFT_MATH_MATMUL_H
#define WEFT_MATH_MATMUL_H

#include <stdbool.h>
#include <stdint.h>

/* One thread. a is m x k (k x m if ta), b is k x n (n x k if tb). */
void matmul_one(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                const float *a, int64_t lda, const float *b, int64_t ldb,
                float beta, float *c, int64_t ldc);

/* The same over `threads` OpenMP threads, splitting m or n. */
void matmul(int threads, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
            const float *a, int64_t lda, const float *b, int64_t ldb,
            float beta, float *c, int64_t ldc);

/* Rows [i0, i1) and columns [j0, j1) of a result. */
typedef struct matmul_box {
    int64_t i0, i1;
    int64_t j0, j1;
} matmul_box;

/* Part p of `parts` equal ones of an m x n result: a grid of boxes whose
 * inner borders are whole tiles of the micro-kernel and which packs least.
 * Boxes may be empty. Pure. */
matmul_box matmul_part(int64_t parts, int64_t p, int64_t m, int64_t n);

/* Summands in one block of k (KC of the library's kernel on this CPU). */
int64_t matmul_kblock(void);

/* Rows and columns of the micro-kernel's tile of the result. */
void matmul_tile(int64_t *rows, int64_t *cols);

/* "BLIS 0.9.0 zen3": recorded in results, bits are promised for it. */
const char *matmul_library(void);

#endif
