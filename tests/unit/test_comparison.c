/*
 * Comparisons: rows of finished and of refused set-ups, and the run files
 * copied into the file with their dimension scales.
 */
#include "runtime/results/comparison.h"
#include "tests/unit/runfile_make.h"

/* ---- comparisons --------------------------------------------------------- */

/* As others read it: whole fields, with what is behind the end. */
static void check_raw_name(const char *path, int64_t row, const char *want)
{
    static const h5_field name[] = {
        {"name", H5_TEXT, 0, COMPARISON_NAME_SIZE, false}};
    static const h5_layout raw = {name, 1, COMPARISON_NAME_SIZE};
    char have[COMPARISON_NAME_SIZE], all[COMPARISON_NAME_SIZE] = {0};
    h5_file *f = NULL;

    OK(h5_open(path, &f));
    OK(h5_table_read(f, "/runs", &raw, row, 1, have));
    OK(h5_close(&f));
    memcpy(all, want, strlen(want));
    assert_memory_equal(have, all, sizeof(all));
}

static void check_comparison(const char *path)
{
    comparison_row *rows = NULL;
    int64_t n = 0;
    run_summary s;
    run_trace *trace = NULL;

    OK(comparison_read(path, &rows, &n));
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].name, "streamed:64 MiB/ram");
    assert_string_equal(rows[0].group, "/gpt-neo-tiny/streamed_64_MiB_ram");
    assert_string_equal(rows[0].status, "ok");
    assert_string_equal(rows[0].agreement, "bitwise");
    assert_true(rows[0].loss_difference == 0 && rows[0].devices == 1);
    assert_true(isnan(rows[0].tokens_per_s) && rows[0].peak_bytes == -1);
    assert_true(rows[0].predicted_tokens_per_s == 11);
    assert_true(isnan(rows[0].prediction_error));
    assert_string_equal(rows[1].group, "");
    assert_string_equal(rows[1].name, "tp5");
    check_raw_name(path, 1, "tp5");
    assert_string_equal(rows[1].reasons, "12 heads do not divide by 5");
    assert_string_equal(rows[2].group, "/gpt-neo-tiny/dp2.tp2");
    for (int i = 0; i < 3; i += 2) {
        OK(runfile_read_at(path, rows[i].group, &s));
        check_info(&s.info);
        check_steps(&s, 3);
        check_ends(&s);
        run_summary_fini(&s);
        int64_t ntrace = 0;
        OK(runfile_read_trace(path, rows[i].group, &trace, &ntrace));
        assert_int_equal(ntrace, 4);
        mem_free(trace);
    }
    mem_free(rows);
}

static void test_groups(void **state)
{
    static const char *const groups[][2] = {{"gpt-neo-tiny", "gpt-neo-tiny"},
                                            {"a/b c.json", "a_b_c.json"},
                                            {".a.b", "_a.b"},
                                            {"..", "_."},
                                            {"", "_"},
                                            {"a+\xc3\xa4", "a+_"},
                                            {"\xe2\x82\xact", "_t"},
                                            {"\x82\xac.", "_."}};
    char out[COMPARISON_GROUP_SIZE];
    (void)state;

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        comparison_group(groups[i][0], out, sizeof(out));
        assert_string_equal(out, groups[i][1]);
    }
    comparison_group("abc", out, 3);
    assert_string_equal(out, "ab");
    assert_true(comparison_reserved("runs"));
    assert_true(comparison_reserved("config"));
    assert_false(comparison_reserved("./runs"));
    assert_false(comparison_reserved("run"));
}

static void test_comparison(void **state)
{
    comparison_row row;
    comparison *c = NULL;
    (void)state;

    make_run("run.h5");
    OK(comparison_create(path_of("cmp.h5"), "weft compare demo.json", NULL,
                         "{}", &c));
    comparison_row_init(&row);
    snprintf(row.model, sizeof(row.model), "gpt-neo-tiny");
    snprintf(row.name, sizeof(row.name), "streamed:64 MiB/ram");
    snprintf(row.status, sizeof(row.status), "ok");
    snprintf(row.agreement, sizeof(row.agreement), "bitwise");
    row.loss_difference = 0;
    row.devices = 1;
    row.predicted_tokens_per_s = 11;
    OK(comparison_add(c, &row, path_of("run.h5")));
    assert_string_equal(row.group, "/gpt-neo-tiny/streamed_64_MiB_ram");
    snprintf(row.name, sizeof(row.name), "tp5");
    snprintf(row.status, sizeof(row.status), "refused");
    snprintf(row.reasons, sizeof(row.reasons), "12 heads do not divide by 5");
    OK(comparison_add(c, &row, NULL));
    snprintf(row.name, sizeof(row.name), "dp2.tp2");
    OK(comparison_add(c, &row, path_of("run.h5")));
    /* A set-up that is there, a file that is not: no row is added. */
    assert_int_equal(comparison_add(c, &row, path_of("run.h5")), ST_INTERNAL);
    snprintf(row.name, sizeof(row.name), "other");
    assert_int_equal(comparison_add(c, &row, path_of("none.h5")), ST_NOINPUT);
    OK(comparison_close(&c, true));
    OK(comparison_close(&c, true));
    check_comparison(path_of("cmp.h5"));
}

/* Scales of the copy are the copy's own: h5py and xarray follow them. */
static void test_copied_scales(void **state)
{
    h5_file *f = NULL, *to = NULL;
    const int64_t dim[2] = {2, 3};
    const int64_t x[2] = {10, 20};
    const float data[6] = {1, 2, 3, 4, 5, 6};
    char *text = NULL;
    (void)state;

    OK(h5_create(path_of("from.h5"), H5_PLAIN, &f));
    OK(h5_data_put(f, "/g/x", H5_I64, 1, dim, x));
    OK(h5_data_put(f, "/g/deep/data", H5_F32, 2, dim, data));
    OK(h5_data_put(f, "/outside", H5_I64, 1, dim + 1, (int64_t[]){7, 8, 9}));
    OK(h5_scale_set(f, "/g/x", "x"));
    OK(h5_scale_set(f, "/outside", "y"));
    OK(h5_scale_attach(f, "/g/deep/data", 0, "/g/x"));
    OK(h5_scale_attach(f, "/g/deep/data", 1, "/outside"));
    OK(h5_attr_set_text(f, "/g", "note", "kept"));
    OK(h5_create(path_of("to.h5"), H5_PLAIN, &to));
    /* Moves addresses, so that stale references would lead elsewhere. */
    OK(h5_data_put(to, "/first", H5_F32, 2, dim, data));
    OK(h5_copy(f, "/g", to, "/a/b"));
    assert_int_equal(h5_copy(f, "/g", to, "/a/b"), ST_INTERNAL);
    assert_int_equal(h5_copy(f, "/none", to, "/c"), ST_BADFILE);
    OK(h5_commit(&f));
    OK(h5_commit(&to));

    float out[6] = {0};
    OK(h5_open(path_of("to.h5"), &to));
    OK(h5_data_read_all(to, "/a/b/deep/data", H5_F32, 6, out));
    assert_memory_equal(out, data, sizeof(data));
    OK(h5_attr_get_text(to, "/a/b", "note", NULL, &text));
    assert_string_equal(text, "kept");
    mem_free(text);
    assert_true(h5_attr_has(to, "/a/b/x", "REFERENCE_LIST"));
    assert_true(h5_attr_has(to, "/a/b/deep/data", "DIMENSION_LIST"));
    /* A copy of the copy follows its scales: they lead somewhere. */
    OK(h5_create(path_of("again.h5"), H5_PLAIN, &f));
    OK(h5_copy(to, "/", f, "/all"));
    OK(h5_close(&to));
    assert_true(h5_attr_has(f, "/all/a/b/deep/data", "DIMENSION_LIST"));
    OK(h5_commit(&f));
}

/* ---- frame --------------------------------------------------------------- */

static int drop_files(void **state)
{
    static const char *const names[] = {"run.h5", "cmp.h5", "from.h5", "to.h5",
                                        "again.h5"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_comparison, no_leak),
        cmocka_unit_test(test_groups),
        cmocka_unit_test_teardown(test_copied_scales, no_leak),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_files) != 0;
}
