/* Order, middle, quarters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "runtime/base/sort.h"

static void test_order(void **state)
{
    (void)state;
    double v[] = {3, -1, INFINITY, 3, 0, -INFINITY};
    const double want[] = {-INFINITY, -1, 0, 3, 3, INFINITY};
    sort_f64(v, 6);
    for (int i = 0; i < 6; i++) {
        assert_true(v[i] == want[i]);
    }
    sort_f64(v, 0);
    assert_true(v[0] == -INFINITY);
}

static void test_median(void **state)
{
    (void)state;
    double v[] = {9, 1, 5, 2};
    assert_true(sort_median(v, 3) == 5);
    assert_true(sort_median(v, 4) == 3.5); /* of 1 2 5 9 */
    assert_true(sort_median(v, 1) == 1);
    assert_true(isnan(sort_median(v, 0)));
}

static void test_quantile(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_true(sort_quantile(v, 8, 0) == 1);
    assert_true(sort_quantile(v, 8, 0.25) == 3);
    assert_true(sort_quantile(v, 8, 0.75) == 7);
    assert_true(sort_quantile(v, 8, 1) == 8);
    assert_true(sort_quantile(v, 1, 0.75) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_median),
                                       cmocka_unit_test(test_quantile)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
