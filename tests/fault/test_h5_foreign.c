/*
 * HDF5 files that others made: a plain one is read, those that lead to other
 * files or need unknown filters are refused before anything of theirs is
 * used. make_hdf5.py made them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/io/h5.h"

static void expect_refused(const char *name, const char *part)
{
    char path[64];
    h5_file *f = NULL;

    snprintf(path, sizeof(path), "tests/fault/hdf5/%s.h5", name);
    assert_int_equal(h5_open(path, &f), ST_BADFILE);
    assert_null(f);
    if (strstr(status_text(), part) == NULL ||
        strstr(status_text(), path) == NULL) {
        fail_msg("%s: \"%s\" is not in \"%s\"", name, part, status_text());
    }
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused("external_link", "weights: is a link to another file");
    expect_refused("external_data", "a: has its data in another file");
    expect_refused("virtual", "a: is a view of other data sets");
    expect_refused("lzf", "a: is packed by a filter other than deflate");
    assert_int_equal(mem_live(), 0);
}

static void test_plain(void **state)
{
    h5_file *f = NULL;
    float values[64];
    char *text = NULL;
    (void)state;

    assert_int_equal(h5_open("tests/fault/hdf5/plain.h5", &f), ST_OK);
    assert_int_equal(h5_data_read_all(f, "/b", H5_F32, 64, values), ST_OK);
    assert_true(values[0] == 0 && values[63] == 63);
    assert_int_equal(h5_text_read(f, "/text", &text), ST_OK);
    assert_string_equal(text, "of variable length");
    mem_free(text);
    assert_int_equal(h5_close(&f), ST_OK);
    assert_int_equal(mem_live(), 0);
}

/* It costs a process, which no usual file should feel: 5 ms, and room for
 * sanitizers and busy machines. */
static void test_quick(void **state)
{
    double best = 1;
    (void)state;

    for (int i = 0; i < 5; i++) {
        h5_file *f = NULL;
        const int64_t start = clock_wall_ns();
        assert_int_equal(h5_open("tests/fault/hdf5/plain.h5", &f), ST_OK);
        const double s = 1e-9 * (double)(clock_wall_ns() - start);
        assert_int_equal(h5_close(&f), ST_OK);
        best = s < best ? s : best;
    }
    printf("opening a foreign file: %.1f ms\n", 1e3 * best);
    assert_true(best < 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
