/* Status: texts, macros, and that threads do not see each other's errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "runtime/base/status.h"

static status fails(int n)
{
    REQUIRE(n < 3, ST_CONFIG, "n is %d, allowed is 0 to 2", n);
    return ST_OK;
}

static status passes_on(int n)
{
    TRY(fails(n));
    return ST_OK;
}

static status cleans_up(int n, int *cleaned)
{
    status st = ST_OK;
    TRY_GOTO(fails(n), undo);
undo:
    *cleaned += 1;
    return st;
}

static void test_macros(void **state)
{
    (void)state;
    assert_int_equal(passes_on(2), ST_OK);
    assert_int_equal(passes_on(3), ST_CONFIG);
    assert_string_equal(status_text(), "n is 3, allowed is 0 to 2");
    assert_non_null(strstr(status_where(), "test_status.c:"));
    int cleaned = 0;
    assert_int_equal(cleans_up(0, &cleaned), ST_OK);
    assert_int_equal(cleans_up(9, &cleaned), ST_CONFIG);
    assert_int_equal(cleaned, 2);
    ASSERT(cleaned == 2);
    DASSERT(cleaned == 2);
}

static void test_own_text_as_argument(void **state)
{
    (void)state;
    assert_int_equal(FAIL(ST_IO, "inner"), ST_IO);
    assert_int_equal(FAIL(ST_IO, "outer: %s", status_text()), ST_IO);
    assert_string_equal(status_text(), "outer: inner");
    assert_int_equal(status_set(ST_PEER, status_text()), ST_PEER);
    assert_string_equal(status_text(), "outer: inner");
}

static void test_one_line_cut(void **state)
{
    (void)state;
    (void)FAIL(ST_IO, "a\nb\033[2Jc");
    assert_string_equal(status_text(), "a b [2Jc");
    static char big[STATUS_TEXT_MAX * 2];
    memset(big, 'x', sizeof(big) - 1);
    (void)FAIL(ST_IO, "%s", big);
    assert_int_equal(strlen(status_text()), STATUS_TEXT_MAX - 1);
    (void)status_set(ST_IO, big);
    assert_int_equal(strlen(status_text()), STATUS_TEXT_MAX - 1);
    /* Not within a character: reasons go to files that others read. */
    for (size_t i = 0; i + 1 < sizeof(big); i++) {
        big[i] = i % 2 == 0 ? '\xc3' : '\xbc';
    }
    for (int shift = 0; shift < 2; shift++) {
        (void)FAIL(ST_IO, "%s", big + shift);
        size_t n = strlen(status_text());
        assert_true(n >= STATUS_TEXT_MAX - 2 && (n + shift) % 2 == 0);
        (void)status_set(ST_IO, big + shift);
        assert_int_equal(strlen(status_text()), n);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(status_name(ST_CONFIG), "bad configuration");
    assert_string_equal(status_name((status)12345), "unknown status");
    assert_true(status_known(0) && status_known(ST_SIGNAL));
    assert_false(status_known(1) || status_known(137) || status_known(-1));
    for (int code = 0; code < 256; code++) {
        assert_non_null(status_name((status)code));
    }
}

static void *other_thread(void *arg)
{
    (void)arg;
    (void)FAIL(ST_NUMERIC, "from the thread");
    return NULL;
}

static void test_threads_apart(void **state)
{
    (void)state;
    (void)FAIL(ST_IO, "mine");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(status_text(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_macros),
        cmocka_unit_test(test_own_text_as_argument),
        cmocka_unit_test(test_one_line_cut),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_threads_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
