/*
 * What the tests of the fast kernels share: buffers, random numbers, and the
 * two comparisons (by tolerance, and bit for bit). Included by one file of
 * each test program, after cmocka.h; everything in it is static.
 */
#ifndef WEFT_TESTS_UNIT_MATH_FIXTURE_H
#define WEFT_TESTS_UNIT_MATH_FIXTURE_H

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/math/math.h"
#include "runtime/math/matmul.h"

enum {
    BUFFERS = 10,
    FLOATS = 1 << 20, /* in each */
    IDS = 4096,
    LONGEST = 1200 /* positions of attention */
};

static const double TOLERANCE = 2e-5;

static float *buf[BUFFERS];
static int32_t ids[IDS];
static math_ctx ctx;
static uint64_t seed = 88172645463325252U;

static inline uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static inline int64_t pick(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(next_random() % (uint64_t)(hi - lo + 1));
}

static inline int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < BUFFERS; i++) {
        if (MEM_NEW(&buf[i], FLOATS, "test") != ST_OK) {
            return -1;
        }
    }
    ctx.work_bytes = math_work_bytes(4, LONGEST, 1 << 20, 16);
    size_t rows = math_rows_work_bytes(IDS);
    ctx.work_bytes = rows > ctx.work_bytes ? rows : ctx.work_bytes;
    return mem_alloc(ctx.work_bytes, 1, "test", &ctx.work) == ST_OK ? 0 : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < BUFFERS; i++) {
        mem_free(buf[i]);
    }
    mem_free(ctx.work);
    return mem_live() == 0 ? 0 : -1;
}

/* 1 to 4 threads. */
static inline const math_ctx *any(void)
{
    ctx.threads = (int)pick(1, 4);
    return &ctx;
}

/* rows x cols of values in [-1, 1]; what lies between the rows is NaN. */
static inline void fill(float *p, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t i = 0; i < rows * ld; i++) {
        float x = (float)((double)(next_random() >> 40) / 8388608.0 - 1.0);
        p[i] = i % ld < cols ? x : NAN;
    }
}

static inline void assert_close(const float *got, int64_t ldg,
                                const float *want, int64_t ldw, int64_t rows,
                                int64_t cols)
{
    double size = 1e-3;
    for (int64_t i = 0; i < rows * cols; i++) {
        size = fmax(size, fabs((double)want[i / cols * ldw + i % cols]));
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        double g = (double)got[i / cols * ldg + i % cols];
        double w = (double)want[i / cols * ldw + i % cols];
        bool ok = fabs(g - w) <= TOLERANCE * size;
        if (!ok) {
            print_error("element %d: got %.9g, want %.9g\n", (int)i, g, w);
        }
        assert_true(ok);
    }
}

static inline void assert_same(const float *x, const float *y, int64_t rows,
                               int64_t cols, int64_t ld)
{
    for (int64_t i = 0; i < rows; i++) {
        assert_memory_equal(x + i * ld, y + i * ld,
                            (size_t)cols * sizeof(float));
    }
}

/* The gaps between rows are as fill() left them. */
static inline void assert_gaps(const float *p, int64_t rows, int64_t cols,
                               int64_t ld)
{
    for (int64_t i = 0; i < rows * ld; i++) {
        assert_true(i % ld < cols || isnan(p[i]));
    }
}

#endif
