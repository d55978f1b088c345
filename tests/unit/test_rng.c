/* Random numbers: published vectors, any split, moments, permutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

static void expect_block(uint64_t seed, uint64_t stream, uint64_t counter,
                         const uint32_t want[4])
{
    uint32_t got[4];
    rng_block(seed, stream, counter, got);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(got[i], want[i]);
    }
}

/* Known answers for philox4x32-10 of the Random123 distribution. */
static void test_vectors(void **state)
{
    (void)state;
    static const uint32_t zeros[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
                                     0x9b00dbd8};
    static const uint32_t ones[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6,
                                    0x6d5451fd};
    static const uint32_t pi[] = {0xd16cfe09, 0x94fdcceb, 0x5001e420,
                                  0x24126ea1};
    expect_block(0, 0, 0, zeros);
    expect_block(UINT64_MAX, UINT64_MAX, UINT64_MAX, ones);
    expect_block(0x299f31d0a4093822ULL, 0x0370734413198a2eULL,
                 0x85a308d3243f6a88ULL, pi);
}

enum { N = 100000 };

static void test_normal_any_split(void **state)
{
    (void)state;
    static float whole[1000];
    static float parts[1000];
    rng_normal_fill(7, 3, 5, 1000, 0.5, 2.0, whole);
    for (int64_t first = 0; first < 1000;) {
        int64_t n = 1 + first % 13;
        n = n < 1000 - first ? n : 1000 - first;
        rng_normal_fill(7, 3, 5 + first, n, 0.5, 2.0, parts + first);
        first += n;
    }
    assert_memory_equal(whole, parts, sizeof(whole));
    rng_uniform_fill(7, 3, 5, 1000, -1, 1, whole);
    for (int i = 0; i < 1000; i++) {
        rng_uniform_fill(7, 3, 5 + i, 1, -1, 1, parts + i);
        assert_true(parts[i] >= -1.0f && parts[i] < 1.0f);
    }
    assert_memory_equal(whole, parts, sizeof(whole));
}

static void test_normal_moments(void **state)
{
    (void)state;
    float *z = NULL;
    assert_int_equal(MEM_NEW(&z, N, "test"), ST_OK);
    rng_normal_fill(1234, 0, 0, N, 0.0, 1.0, z);
    double sum = 0;
    double squares = 0;
    double fourth = 0;
    int beyond = 0;
    for (int i = 0; i < N; i++) {
        double v = z[i];
        sum += v;
        squares += v * v;
        fourth += v * v * v * v;
        beyond += fabs(v) > 1.959964 ? 1 : 0;
    }
    /* Four standard errors each. */
    assert_true(fabs(sum / N) <= 4 / sqrt(N));
    assert_true(fabs(squares / N - 1) <= 4 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) <= 4 * sqrt(96.0 / N));
    assert_true(fabs(beyond / (double)N - 0.05) <= 4 * sqrt(0.0475 / N));
    mem_free(z);
}

static void test_streams_differ(void **state)
{
    (void)state;
    assert_true(rng_u64(1, 0, 0) != rng_u64(2, 0, 0));
    assert_true(rng_u64(1, 0, 0) != rng_u64(1, 1, 0));
    assert_true(rng_u64(1, 0, 0) != rng_u64(1, 0, 1));
    double mean = 0;
    int64_t counts[7] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(1, 2, i);
        assert_true(u >= 0 && u < 1);
        mean += u / N;
        int64_t k = rng_below(9, 9, i, 7);
        assert_true(k >= 0 && k < 7);
        counts[k]++;
    }
    assert_true(fabs(mean - 0.5) <= 4 * sqrt(1.0 / 12 / N));
    for (int k = 0; k < 7; k++) {
        double share = (double)counts[k] / N;
        assert_true(fabs(share - 1.0 / 7) <= 4 * sqrt(6.0 / 49 / N));
    }
}

static void test_permutation(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 700; n += 1 + n / 9) {
        static bool seen[700];
        memset(seen, 0, sizeof(seen));
        int64_t fixed = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t j = rng_permute(42, 1, n, i);
            assert_true(j >= 0 && j < n);
            assert_false(seen[j]);
            seen[j] = true;
            fixed += i == j ? 1 : 0;
        }
        /* One fixed point is expected, whatever n is. */
        assert_true(fixed <= 8);
    }
}

static void test_permutation_epochs(void **state)
{
    (void)state;
    int same = 0;
    int same_seed = 0;
    for (int64_t i = 0; i < 1000; i++) {
        int64_t j = rng_permute(42, 1, 1000, i);
        same += j == rng_permute(42, 2, 1000, i) ? 1 : 0;
        same_seed += j == rng_permute(43, 1, 1000, i) ? 1 : 0;
    }
    assert_true(same <= 10);
    assert_true(same_seed <= 10);
    int64_t big = (int64_t)1 << 62;
    int64_t j = rng_permute(1, 1, big, big - 1);
    assert_true(j >= 0 && j < big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_normal_any_split),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_streams_differ),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutation_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
