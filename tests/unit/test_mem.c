/* Memory: alignment, zeroing, counters, overflow and the failing hook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/mem.h"

static void test_aligned_and_zero(void **state)
{
    (void)state;
    int64_t live = mem_live();
    int64_t bytes = mem_live_bytes();
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = NULL;
        assert_int_equal(MEM_NEW(&p, n, "test"), ST_OK);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], 0);
        }
        if (n > 0) {
            memset(p, 0xff, n); /* the next one must be zeroed again */
        }
        assert_int_equal(mem_live(), live + 1);
        assert_int_equal(mem_live_bytes(), bytes + (int64_t)n);
        mem_free(p);
    }
    assert_int_equal(mem_live(), live);
    assert_int_equal(mem_live_bytes(), bytes);
    mem_free(NULL);
}

static void test_resize(void **state)
{
    (void)state;
    int64_t *p = NULL;
    int64_t count = mem_count();
    assert_int_equal(mem_resize(4, 8, "test", (void **)&p), ST_OK);
    p[3] = 42;
    assert_int_equal(mem_resize(100, 8, "test", (void **)&p), ST_OK);
    assert_int_equal(p[3], 42);
    for (int i = 4; i < 100; i++) {
        assert_int_equal(p[i], 0);
    }
    assert_int_equal(mem_resize(2, 8, "test", (void **)&p), ST_OK);
    assert_int_equal(mem_count(), count + 3);
    mem_free(p);
    assert_int_equal(mem_live(), 0);
}

/* Small blocks and those that the C library keeps on pages of their own. */
static void test_extend(void **state)
{
    (void)state;
    for (size_t most = 100; most <= 10000000; most *= 10) {
        int32_t *p = NULL;
        char *between = NULL;
        int64_t bytes = mem_live_bytes();
        size_t done = 0;
        for (size_t n = 1; n <= most; n = n * 3 + 1) {
            assert_int_equal(mem_extend(n, 4, "test", (void **)&p), ST_OK);
            assert_int_equal((uintptr_t)p % 64, 0);
            assert_int_equal(mem_live_bytes(),
                             bytes + 4 * (int64_t)n + (between ? 40 : 0));
            for (size_t i = 0; i < n; i++) {
                assert_true(i >= done || p[i] == (int32_t)i);
                p[i] = (int32_t)i;
            }
            done = n;
            if (between == NULL) { /* so that p cannot grow where it is */
                assert_int_equal(MEM_NEW(&between, 40, "test"), ST_OK);
            }
        }
        mem_fail_after(1);
        assert_int_equal(mem_extend(2 * most, 4, "test", (void **)&p),
                         ST_SYSTEM);
        assert_int_equal(p[done - 1], (int32_t)done - 1);
        assert_int_equal(mem_extend(SIZE_MAX, 4, "big", (void **)&p),
                         ST_SYSTEM);
        assert_int_equal(p[0], 0);
        mem_free(p);
        mem_free(between);
        assert_int_equal(mem_live_bytes(), bytes);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_overflow(void **state)
{
    (void)state;
    void *p = &p;
    assert_int_equal(mem_alloc(SIZE_MAX / 2, 4, "big", &p), ST_SYSTEM);
    assert_int_equal(mem_alloc(SIZE_MAX, 1, "big", &p), ST_SYSTEM);
    assert_ptr_equal(p, &p);
    assert_non_null(strstr(status_text(), "'big'"));
    assert_int_equal(mem_live(), 0);
}

static void test_fail_after(void **state)
{
    (void)state;
    char *a = NULL;
    char *b = NULL;
    mem_fail_after(2);
    assert_int_equal(mem_strdup("one", &a), ST_OK);
    assert_int_equal(mem_strdup("two", &b), ST_SYSTEM);
    assert_null(b);
    assert_int_equal(mem_strdup("three", &b), ST_OK);
    assert_string_equal(a, "one");
    assert_string_equal(b, "three");
    mem_fail_after(1);
    assert_int_equal(mem_resize(9, 1, "r", (void **)&a), ST_SYSTEM);
    assert_string_equal(a, "one"); /* untouched on failure */
    mem_fail_after(1);
    mem_fail_after(0);
    mem_free(a);
    assert_int_equal(mem_strdup("off", &a), ST_OK);
    mem_free(a);
    mem_free(b);
    assert_int_equal(mem_live(), 0);
    assert_int_equal(mem_live_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_zero),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_extend),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_fail_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
