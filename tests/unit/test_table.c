/* The tables on the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "benchmarks/experiment.h"
#include "benchmarks/table.h"
#include "runtime/base/mem.h"

static const char *const heads[] = {"set-up", "n", NULL};

/* The longest names that an experiment may have, apart in the last letter. */
static void test_names(void **state)
{
    char a[EXPERIMENT_NAME_SIZE];
    char b[EXPERIMENT_NAME_SIZE];
    table t;
    strbuf out = {0};
    (void)state;
    memset(a, 'x', sizeof(a));
    a[sizeof(a) - 1] = '\0';
    memcpy(b, a, sizeof(b));
    b[sizeof(b) - 2] = 'y';
    assert_int_equal(table_init(&t, heads), ST_OK);
    table_row(&t);
    table_set(&t, 0, "%s", a);
    table_row(&t);
    table_set(&t, 0, "%s", b);
    table_print(&t, &out);
    assert_non_null(strstr(strbuf_view(&out), a));
    assert_non_null(strstr(strbuf_view(&out), b));
    strbuf_fini(&out);
    table_fini(&t);
}

static void test_print(void **state)
{
    table t;
    strbuf out = {0};
    (void)state;
    assert_int_equal(table_init(&t, heads), ST_OK);
    table_row(&t);
    table_set(&t, 0, "\xc3\xa4\xc3\xb6\xc3\xbc longer");
    table_set(&t, 1, "%d", 7);
    table_row(&t);
    table_set(&t, 0, "b");
    table_set(&t, 1, "%d %%", 1234);
    table_print(&t, &out);
    assert_string_equal(strbuf_view(&out),
                        "set-up           n\n"
                        "------------------\n"
                        "\xc3\xa4\xc3\xb6\xc3\xbc longer       7\n"
                        "b           1234 %\n");
    strbuf_fini(&out);
    table_fini(&t);
}

static int no_leak(void **state)
{
    (void)state;
    return mem_live() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_names, no_leak),
        cmocka_unit_test_teardown(test_print, no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
