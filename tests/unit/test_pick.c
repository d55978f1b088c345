/* Choosing tokens: frequencies against softmax, supports, ties, repeats. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/app/pick.h"
#include "runtime/base/status.h"

enum { N = 12, DRAWS = 40000 };

/* Two are equal, one is far out, none in order. */
static const float logits[N] = {0.5F,  -1.0F, 2.0F,  2.0F,  -3.0F, 1.25F,
                                -0.5F, 0.0F,  -9.0F, 0.75F, 1.0F,  -2.0F};
/* Ids by logit, equal ones by id. */
static const int order[N] = {2, 3, 5, 10, 9, 0, 7, 6, 1, 11, 4, 8};

static int32_t draw(const pick_rule *r, int64_t index)
{
    pick_item work[N];
    int32_t id = -1;
    assert_int_equal(pick_token(r, logits, N, index, work, &id), ST_OK);
    assert_in_range(id, 0, N - 1);
    return id;
}

/* Counts of the first DRAWS choices. */
static void count(const pick_rule *r, int64_t counts[N])
{
    memset(counts, 0, N * sizeof(counts[0]));
    for (int64_t i = 0; i < DRAWS; i++) {
        counts[draw(r, i)]++;
    }
}

/* Chi-square of counts against softmax(logits / T) over the first `kept` of
 * order; the others must not occur. */
static double chi_square(const int64_t counts[N], double T, int kept)
{
    double p[N];
    double sum = 0;
    double chi = 0;
    for (int i = 0; i < kept; i++) {
        p[i] = exp((double)logits[order[i]] / T);
        sum += p[i];
    }
    for (int i = 0; i < N; i++) {
        int64_t seen = counts[order[i]];
        if (i >= kept) {
            assert_int_equal(seen, 0);
            continue;
        }
        double want = DRAWS * p[i] / sum;
        chi += ((double)seen - want) * ((double)seen - want) / want;
    }
    return chi;
}

/* 99.9 % of chi-square values with 11 degrees of freedom are below 31.3; with
 * fewer degrees they are smaller. The draws are the same in every run. */
static void test_softmax(void **state)
{
    static const double temperatures[] = {0.5, 1, 2.5};
    (void)state;
    for (int i = 0; i < 3; i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            int64_t counts[N];
            pick_rule r = {temperatures[i], 0, 1, seed};
            count(&r, counts);
            assert_true(chi_square(counts, temperatures[i], N) < 31.3);
            /* The test sees another temperature, and another support. */
            assert_true(chi_square(counts, temperatures[i] * 1.1, N) > 31.3);
        }
    }
}

static void test_top_k(void **state)
{
    (void)state;
    for (int k = 1; k < N; k++) {
        int64_t counts[N];
        pick_rule r = {1.5, k, 1, 9};
        count(&r, counts);
        assert_true(chi_square(counts, 1.5, k) < 31.3);
        for (int i = 0; i < k && i < 10; i++) {
            assert_true(counts[order[i]] > 0);
        }
    }
    pick_rule all = {1, 0, 1, 9};
    pick_rule more = {1, N + 5, 1, 9};
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(draw(&all, i), draw(&more, i));
    }
}

/* Probabilities at temperature 1, largest first: .27 .27 .13 .10 ..., added
 * up .27 .55 .68 .78 ... */
static void test_top_p(void **state)
{
    static const struct {
        double p;
        int kept;
    } cases[] = {{1e-6, 1}, {0.25, 1}, {0.4, 2}, {0.5, 2}, {0.6, 3}, {0.7, 4}};
    double sum = 0;
    double run[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        sum += exp((double)logits[order[i]]);
        run[i] = sum;
    }
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        int kept = cases[c].kept;
        /* The table is right: the smallest set that reaches p. */
        assert_true(run[kept - 1] / sum >= cases[c].p);
        assert_true(kept == 1 || run[kept - 2] / sum < cases[c].p);
        int64_t counts[N];
        pick_rule r = {1, 0, cases[c].p, 5};
        count(&r, counts);
        assert_true(chi_square(counts, 1, kept) < 31.3);
        assert_true(counts[order[kept - 1]] > 0);
    }
}

/* top_p is a share of what top_k has left. */
static void test_both(void **state)
{
    int64_t counts[N];
    (void)state;
    pick_rule r = {1, 2, 0.49, 5};
    count(&r, counts);
    assert_int_equal(counts[2], DRAWS);
    r.top_p = 0.51;
    count(&r, counts);
    assert_true(chi_square(counts, 1, 2) < 31.3);
}

static void test_greedy(void **state)
{
    (void)state;
    pick_rule r = {0, 0, 1, 1};
    assert_int_equal(draw(&r, 0), 2); /* of two equal ones the first */
    assert_int_equal(draw(&r, 99), 2);
    pick_rule cold = {1e-3, 0, 1, 1}; /* but for the equal one */
    for (int64_t i = 0; i < 100; i++) {
        int32_t id = draw(&cold, i);
        assert_true(id == 2 || id == 3);
    }
}

static void test_repeats(void **state)
{
    int same = 0;
    int index = 0;
    (void)state;
    pick_rule a = {1, 0, 1, 7};
    pick_rule b = {1, 0, 1, 8};
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(draw(&a, i), draw(&a, i));
        same += draw(&a, i) == draw(&b, i);
        index += draw(&a, i) == draw(&a, i + 1);
    }
    /* Two independent draws agree in some 19 % of cases. */
    assert_in_range(same, 100, 260);
    assert_in_range(index, 100, 260);
}

static void test_broken(void **state)
{
    float bad[N];
    pick_item work[N];
    int32_t id = -1;
    const float values[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int i = 0; i < 3; i++) {
        for (int greedy = 0; greedy < 2; greedy++) {
            pick_rule r = {greedy ? 0 : 1, 0, 1, 1};
            memcpy(bad, logits, sizeof(bad));
            bad[7] = values[i];
            assert_int_equal(pick_token(&r, bad, N, 0, work, &id), ST_NUMERIC);
            assert_non_null(strstr(status_text(), "logit of token 7"));
            assert_int_equal(id, -1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax), cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_p),   cmocka_unit_test(test_both),
        cmocka_unit_test(test_greedy),  cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
