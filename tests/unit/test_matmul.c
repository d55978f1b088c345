/*
 * The matrix product: right numbers, and bits that do not depend on how the
 * work is divided. Everything else about "the same bits" rests on this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/math/matmul.h"
#include "runtime/math/pace.h"

enum { BIG = 1200 * 1200 };

typedef struct arrays {
    float *a, *b, *c, *d, *e;
} arrays;

static uint64_t seed = 88172645463325252U;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* In [lo, hi]. */
static int64_t pick(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(next_random() % (uint64_t)(hi - lo + 1));
}

static float uniform(void)
{
    return (float)((double)(next_random() >> 40) / 8388608.0 - 1.0);
}

static int set_up(void **state)
{
    static arrays ar;
    float **all[] = {&ar.a, &ar.b, &ar.c, &ar.d, &ar.e};
    for (int i = 0; i < 5; i++) {
        if (MEM_NEW(all[i], BIG, "test") != ST_OK) {
            return -1;
        }
        for (int j = 0; j < BIG; j++) {
            (*all[i])[j] = uniform();
        }
    }
    *state = &ar;
    return 0;
}

static int tear_down(void **state)
{
    arrays *ar = *state;
    mem_free(ar->a);
    mem_free(ar->b);
    mem_free(ar->c);
    mem_free(ar->d);
    mem_free(ar->e);
    return mem_live() == 0 ? 0 : -1;
}

/* m x n results with the same bits; leading dimensions may differ. */
static void assert_same(const float *x, int64_t ldx, const float *y,
                        int64_t ldy, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++) {
        assert_memory_equal(x + i * ldx, y + i * ldy,
                            (size_t)n * sizeof(float));
    }
}

static void numbers_are_right(void **state)
{
    arrays *ar = *state;
    for (int round = 0; round < 60; round++) {
        int64_t m = pick(1, 40);
        int64_t n = pick(1, 50);
        int64_t k = pick(0, 600);
        bool ta = round & 1;
        bool tb = round & 2;
        float beta = (float)(round >> 2 & 1);
        int64_t lda = (ta ? m : k) + pick(0, 3);
        int64_t ldb = (tb ? k : n) + pick(0, 3);
        memcpy(ar->d, ar->c, sizeof(float) * (size_t)(m * n));
        matmul_one(ta, tb, m, n, k, ar->a, lda, ar->b, ldb, beta, ar->d, n);
        for (int64_t i = 0; i < m * n; i++) {
            double sum = (double)(beta * ar->c[i]);
            for (int64_t p = 0; p < k; p++) {
                float x = ta ? ar->a[p * lda + i / n] : ar->a[i / n * lda + p];
                float y = tb ? ar->b[i % n * ldb + p] : ar->b[p * ldb + i % n];
                sum += (double)x * (double)y;
            }
            assert_true(fabs(sum - (double)ar->d[i]) <= 2e-5);
        }
    }
}

static void writes_nothing_else(void **state)
{
    arrays *ar = *state;
    memset(ar->d, 0x55, sizeof(float) * 100 * 70);
    matmul(3, false, true, 37, 41, 100, ar->a, 100, ar->b, 100, 0.0F,
           ar->d + 70, 70);
    float mark;
    memset(&mark, 0x55, sizeof mark);
    for (int64_t i = 0; i < 100 * 70; i++) {
        int64_t row = i / 70 - 1;
        bool inside = row >= 0 && row < 37 && i % 70 < 41;
        assert_true((memcmp(&ar->d[i], &mark, sizeof mark) == 0) == !inside);
    }
}

/* What was in c does not matter for beta = 0, not even NaN. */
static void beta_zero_overwrites(void **state)
{
    arrays *ar = *state;
    for (int i = 0; i < 400; i++) {
        ar->d[i] = NAN;
    }
    matmul_one(false, false, 20, 19, 30, ar->a, 30, ar->b, 19, 0.0F, ar->d, 20);
    matmul_one(false, false, 20, 1, 0, ar->a, 30, ar->b, 19, 0.0F, ar->d + 19,
               20);
    for (int i = 0; i < 400; i++) {
        assert_false(isnan(ar->d[i]));
        assert_true(i % 20 < 19 || ar->d[i] == 0.0F);
    }
}

static void parts_cover_once(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        int64_t m = pick(1, 300);
        int64_t n = pick(1, 300);
        int64_t parts = pick(1, 12);
        int64_t area = 0;
        for (int64_t p = 0; p < parts; p++) {
            matmul_box b = matmul_part(parts, p, m, n);
            assert_true(b.i0 >= 0 && b.i0 <= b.i1 && b.i1 <= m);
            assert_true(b.j0 >= 0 && b.j0 <= b.j1 && b.j1 <= n);
            area += (b.i1 - b.i0) * (b.j1 - b.j0);
            for (int64_t q = 0; q < p; q++) {
                matmul_box o = matmul_part(parts, q, m, n);
                assert_true(b.i0 >= o.i1 || o.i0 >= b.i1 || b.j0 >= o.j1 ||
                            o.j0 >= b.j1 || b.i0 == b.i1 || b.j0 == b.j1 ||
                            o.i0 == o.i1 || o.j0 == o.j1);
            }
        }
        assert_int_equal(area, m * n);
    }
}

static void parts_are_equal(void **state)
{
    (void)state;
    int64_t shapes[][2] = {
        {1024, 768}, {3072, 768}, {1024, 50257}, {1024, 3072}};
    for (int s = 0; s < 4; s++) {
        int64_t m = shapes[s][0];
        int64_t n = shapes[s][1];
        for (int p = 0; p < 2; p++) {
            matmul_box b = matmul_part(2, p, m, n);
            double share =
                (double)((b.i1 - b.i0) * (b.j1 - b.j0)) / (double)(m * n);
            assert_true(fabs(share - 0.5) <= 0.01);
        }
    }
}

/* One call against random rectangles of the result, each over threads. */
static void splits_change_no_bit(void **state)
{
    arrays *ar = *state;
    for (int round = 0; round < 120; round++) {
        int64_t m = pick(1, round % 4 == 0 ? 500 : 70);
        int64_t n = pick(1, round % 4 == 1 ? 500 : 70);
        int64_t k = pick(1, round % 4 == 2 ? 1100 : 300);
        bool ta = next_random() & 1;
        bool tb = next_random() & 1;
        float beta = (float)(next_random() & 1);
        int64_t lda = ta ? m : k;
        int64_t ldb = tb ? k : n;
        int64_t ldd = n + pick(0, 5);
        memcpy(ar->c, ar->e, sizeof(float) * (size_t)(m * n));
        for (int64_t i = 0; i < m; i++) {
            memcpy(ar->d + i * ldd, ar->e + i * n, sizeof(float) * (size_t)n);
        }
        matmul_one(ta, tb, m, n, k, ar->a, lda, ar->b, ldb, beta, ar->c, n);
        int64_t i1;
        for (int64_t i0 = 0; i0 < m; i0 = i1) {
            i1 = pick(i0 + 1, m);
            int64_t j1;
            for (int64_t j0 = 0; j0 < n; j0 = j1) {
                j1 = pick(j0 + 1, n);
                matmul((int)pick(1, 4), ta, tb, i1 - i0, j1 - j0, k,
                       ar->a + (ta ? i0 : i0 * lda), lda,
                       ar->b + (tb ? j0 * ldb : j0), ldb, beta,
                       ar->d + i0 * ldd + j0, ldd);
            }
        }
        assert_same(ar->c, n, ar->d, ldd, m, n);
    }
}

static void chains_of_blocks_change_no_bit(void **state)
{
    arrays *ar = *state;
    int64_t kc = matmul_kblock();
    for (int round = 0; round < 60; round++) {
        int64_t m = pick(1, 40);
        int64_t n = pick(1, 60);
        int64_t k = pick(1, 5 * kc);
        bool ta = next_random() & 1;
        int64_t lda = ta ? m : k;
        matmul_one(ta, false, m, n, k, ar->a, lda, ar->b, n, 0.0F, ar->c, n);
        int64_t k1;
        for (int64_t k0 = 0; k0 < k; k0 = k1) {
            k1 = k0 + pick(1, 3) * kc;
            k1 = k1 < k ? k1 : k;
            matmul((int)pick(1, 3), ta, false, m, n, k1 - k0,
                   ar->a + (ta ? k0 * lda : k0), lda, ar->b + k0 * n, n,
                   k0 == 0 ? 0.0F : 1.0F, ar->d, n);
        }
        assert_same(ar->c, n, ar->d, n, m, n);
    }
}

/* The free join: c + a b by beta = 1 has the bits of a product of its own
 * that is added, up to one block of k, also in tiles that are not full. */
static void beta_one_is_a_separate_add(void **state)
{
    arrays *ar = *state;
    int64_t kc = matmul_kblock();
    for (int round = 0; round < 200; round++) {
        int64_t m = round < 40 ? pick(1, 13) : pick(1, 150);
        int64_t n = round < 40 ? pick(1, 33) : pick(1, 150);
        int64_t k = round % 5 == 0 ? kc : pick(1, kc);
        bool ta = next_random() & 1;
        int64_t lda = ta ? m : k;
        memcpy(ar->c, ar->e, sizeof(float) * (size_t)(m * n));
        matmul((int)pick(1, 3), ta, false, m, n, k, ar->a, lda, ar->b, n, 1.0F,
               ar->c, n);
        matmul_one(ta, false, m, n, k, ar->a, lda, ar->b, n, 0.0F, ar->d, n);
        for (int64_t i = 0; i < m * n; i++) {
            ar->d[i] = ar->e[i] + ar->d[i];
        }
        assert_same(ar->c, n, ar->d, n, m, n);
    }
}

/* Calls from several threads at once, each alone with its part. */
static void concurrent_calls(void **state)
{
    arrays *ar = *state;
    enum { M = 61, N = 77, K = 513, CALLS = 32 };
    matmul_one(false, false, M, N, K, ar->a, K, ar->b, N, 0.0F, ar->c, N);
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < CALLS; i++) {
        matmul_one(false, false, M, N, K, ar->a, K, ar->b, N, 0.0F,
                   ar->d + i * M * N, N);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_same(ar->c, N, ar->d + i * M * N, N, M, N);
    }
}

static void library_is_named(void **state)
{
    (void)state;
    assert_int_equal(strncmp(matmul_library(), "BLIS ", 5), 0);
    assert_true(strlen(matmul_library()) > 8);
    assert_true(matmul_kblock() >= 16);
}

/* Seconds, not of another unit: 0.1 to 1,000 GF/s. Taking it allocates
 * nothing. */
static void pace_is_plausible(void **state)
{
    pace *p = NULL;
    const int64_t live = mem_live();
    (void)state;

    assert_int_equal(pace_open(2, &p), ST_OK);
    const int64_t count = mem_count();
    const double s = pace_take(p);
    assert_int_equal(mem_count(), count);
    const double rate = 2.0 * 128 * 128 * 128 / s;
    if (!(rate > 1e8 && rate < 1e12)) {
        fail_msg("a product of 128 cubed takes %g s", s);
    }
    pace_close(p);
    pace_close(NULL);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_right),
        cmocka_unit_test(writes_nothing_else),
        cmocka_unit_test(beta_zero_overwrites),
        cmocka_unit_test(parts_cover_once),
        cmocka_unit_test(parts_are_equal),
        cmocka_unit_test(splits_change_no_bit),
        cmocka_unit_test(chains_of_blocks_change_no_bit),
        cmocka_unit_test(beta_one_is_a_separate_add),
        cmocka_unit_test(concurrent_calls),
        cmocka_unit_test(library_is_named),
        cmocka_unit_test(pace_is_plausible),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
