/*
 * HDF5 files that others made: a plain one is read, those that lead to other
 * files or need unknown filters are refused before anything of theirs is
 * used, and so are those which the library itself does not survive.
 * make_hdf5.py made them.
 */
#include "runtime/base/clock.h"
#include "runtime/base/text.h"
#include "runtime/io/h5.h"
#include "tests/common/scratch.h"

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

/* The plain file with one byte changed, the words of its refusal. */
static void expect_deadly(size_t at, char byte, const char *part)
{
    char *bytes = NULL;
    size_t n = 0;
    h5_file *f = NULL;

    OK(text_read_file("tests/fault/hdf5/plain.h5", 1 << 20, &bytes, &n));
    assert_true(at < n && bytes[at] != byte);
    bytes[at] = byte;
    assert_int_equal(h5_open(put("deadly.h5", bytes, n), &f), ST_BADFILE);
    assert_null(f);
    has_text(part);
    unlink(path_of("deadly.h5"));
    mem_free(bytes);
}

/* Two that do not depend on what memory holds: a chunk of no elements, which
 * is divided by, and a heap that is walked for ever. Other versions may be
 * mended. */
static void test_deadly(void **state)
{
    (void)state;
    if (strcmp(h5_library(), "1.10.8") != 0) {
        print_message("known for HDF5 1.10.8 only, this is %s\n", h5_library());
        skip();
    }
    expect_deadly(1088, 1, "would crash the HDF5 library (Floating point");
    expect_deadly(2073, 8, "library does not come to an end with it");
    assert_int_equal(mem_live(), 0);
}

/* It costs a process, which no usual file should feel: 5 ms, and room for
 * sanitizers; on a busy machine one good attempt of many will do. */
static void test_quick(void **state)
{
    double best = 1;
    (void)state;

    for (int i = 0; i < 5 || (best >= 0.25 && i < 50); i++) {
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
        cmocka_unit_test(test_deadly),
        cmocka_unit_test(test_quick),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
