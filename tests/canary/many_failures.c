/* Must be reported as failed: 256 failures, whose count as an exit code would
 * be 0. It shows why main compares with 0 instead of returning the count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_wrong(void **state)
{
    (void)state;
    assert_true(0);
}

int main(void)
{
    struct CMUnitTest tests[256];
    for (size_t i = 0; i < 256; i++) {
        tests[i] = (struct CMUnitTest)cmocka_unit_test(test_wrong);
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%d failures\n", failures);
    return failures != 0;
}
