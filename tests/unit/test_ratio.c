/* Ratios: median, range, and a verdict only where the values allow one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "benchmarks/ratio.h"

typedef struct one {
    double v[5];
    int n;
    double goal;
    const char *line; /* its end */
} one;

static void test_line(void **state)
{
    (void)state;
    one all[] = {
        /* As README has them, and as a tiny model gave them. */
        {{0.90, 0.868, 0.84},
         3,
         0.70,
         "86.8 %  (84.0 to 90.0)  goal 70 %: "
         "reached\n"},
        {{0.999, 1.191, 0.915},
         3,
         0.85,
         "(91.5 to 119.1)  goal 85 %: "
         "reached\n"},
        {{0.83, 0.89, 1.0}, 3, 0.90, "goal 90 %: NOT reached\n"},
        {{0.868, 2.071, 0.415},
         3,
         0.91,
         "86.8 %  (41.5 to 207.1)  goal 91 %: "
         "INVALID, too noisy\n"},
        {{1.0, 1.0, 1.0, 1.0, 1.51}, 5, 0.9, "goal 90 %: INVALID, too noisy\n"},
        {{1.0, 1.0, 1.0, 1.0, 1.49}, 5, 0.9, "goal 90 %: reached\n"},
        {{0.5, 0.6},
         2,
         0.9,
         "goal 90 %: no verdict, 3 rounds or more give "
         "one\n"},
        {{2.0}, 1, 0.9, "goal 90 %: no verdict, 3 rounds or more give one\n"},
        {{0.5, 1.6}, 2, 0.9, "INVALID, too noisy\n"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        strbuf b = {0};
        ratio r = ratio_of(all[i].v, all[i].n);
        ratio_line(&b, "what", r, all[i].goal);
        assert_int_equal(ratio_is_noisy(r),
                         strstr(all[i].line, "INVALID") != NULL);
        if (!text_ends(strbuf_view(&b), all[i].line)) {
            fail_msg("%s, not %s", strbuf_view(&b), all[i].line);
        }
        strbuf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
