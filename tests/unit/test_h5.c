/* HDF5 helper: content there and back, tables, scales, wrong files. */
#include "tests/unit/h5_make.h"

/* ---- content ------------------------------------------------------------ */

static void test_types(void **state)
{
    const float f32[6] = {1.5f, -2, 3, 4, 5, 6e30f};
    const double f64[2] = {0.1, -1e300};
    const int64_t i64[2] = {INT64_MIN, INT64_MAX};
    const int32_t i32[3] = {-1, 0, INT32_MAX};
    const uint8_t u8[2] = {0, 255};
    const uint16_t bf16[2] = {0xc049, 0x3f80};
    const int64_t dim[2] = {3, 2};
    const int64_t two = 2, three = 3;
    const int64_t one = 1;
    const double pi = 3.25;
    float out32[6];
    double out64[6];
    int64_t outi[6];
    uint16_t outb[2];
    uint8_t outu[2];
    (void)state;

    h5_file *f = create("types.h5");
    assert_int_equal(h5_data_put(f, "/a/b/f32", H5_F32, 2, dim, f32), ST_OK);
    assert_int_equal(h5_data_put(f, "/f64", H5_F64, 1, &two, f64), ST_OK);
    assert_int_equal(h5_data_put(f, "/i64", H5_I64, 1, &two, i64), ST_OK);
    assert_int_equal(h5_data_put(f, "/i32", H5_I32, 1, &three, i32), ST_OK);
    assert_int_equal(h5_data_put(f, "/u8", H5_U8, 1, &two, u8), ST_OK);
    assert_int_equal(h5_data_put(f, "/bf16", H5_BF16, 1, &two, bf16), ST_OK);
    assert_int_equal(h5_data_put(f, "/one", H5_I64, 0, NULL, &one), ST_OK);
    assert_int_equal(h5_data_put(f, "/pi", H5_F64, 0, NULL, &pi), ST_OK);
    assert_int_equal(h5_data_put(f, "/pi", H5_F64, 0, NULL, &pi), ST_INTERNAL);
    assert_int_equal(h5_commit(&f), ST_OK);
    assert_null(f);

    f = reopen("types.h5");
    assert_string_equal(h5_path(f), path_of("types.h5"));
    assert_int_equal(h5_data_read_all(f, "/a/b/f32", H5_F32, 6, out32), ST_OK);
    assert_memory_equal(out32, f32, sizeof(f32));
    assert_int_equal(h5_data_read(f, "/a/b/f32", H5_F64, 1, 1, out64), ST_OK);
    assert_true(out64[0] == 3 && out64[1] == 4);
    assert_int_equal(h5_data_read_all(f, "/f64", H5_F64, 2, out64), ST_OK);
    assert_memory_equal(out64, f64, sizeof(f64));
    assert_int_equal(h5_data_read_all(f, "/i64", H5_I64, 2, outi), ST_OK);
    assert_memory_equal(outi, i64, sizeof(i64));
    assert_int_equal(h5_data_read_all(f, "/i32", H5_I64, 3, outi), ST_OK);
    assert_true(outi[0] == -1 && outi[2] == INT32_MAX);
    assert_int_equal(h5_data_read_all(f, "/u8", H5_U8, 2, outu), ST_OK);
    assert_memory_equal(outu, u8, sizeof(u8));
    assert_int_equal(h5_data_read_all(f, "/u8", H5_F64, 2, out64), ST_OK);
    assert_true(out64[1] == 255);
    assert_int_equal(h5_data_read_all(f, "/bf16", H5_BF16, 2, outb), ST_OK);
    assert_memory_equal(outb, bf16, sizeof(bf16));
    assert_int_equal(h5_data_read_all(f, "/bf16", H5_F32, 2, out32), ST_OK);
    assert_true(out32[0] == -3.140625f && out32[1] == 1.0f);
    assert_int_equal(h5_data_read_all(f, "/one", H5_I64, 1, outi), ST_OK);
    assert_int_equal(outi[0], 1);
    assert_int_equal(h5_data_read_all(f, "/pi", H5_F64, 1, out64), ST_OK);
    assert_true(out64[0] == 3.25);
    /* Whole numbers never come out of real ones, nor anything out of range. */
    assert_int_equal(h5_data_read(f, "/f64", H5_I64, 0, 1, outi), ST_BADFILE);
    assert_int_equal(h5_data_read(f, "/f64", H5_F64, 1, 2, out64), ST_INTERNAL);
    assert_int_equal(h5_data_read(f, "/f64", H5_F64, -1, 1, out64),
                     ST_INTERNAL);
    assert_int_equal(h5_data_read_all(f, "/f64", H5_F64, 3, out64), ST_BADFILE);
    assert_int_equal(h5_close(&f), ST_OK);
}

static void test_row_writes(void **state)
{
    const int64_t dim[3] = {5, 2, 3};
    float rows[2][2][3], all[5][2][3];
    (void)state;

    h5_file *f = create("rows.h5");
    assert_int_equal(h5_data_create(f, "/w", H5_F32, 3, dim), ST_OK);
    for (int first = 4; first >= 0; first -= 2) {
        const int n = first == 4 ? 1 : 2; /* rows 4, then 2-3, then 0-1 */
        for (int i = 0; i < n * 6; i++) {
            (&rows[0][0][0])[i] = (float)(first * 6 + i);
        }
        assert_int_equal(h5_data_write(f, "/w", H5_F32, first, n, rows), ST_OK);
    }
    assert_int_equal(h5_data_write(f, "/w", H5_F32, 4, 2, rows), ST_INTERNAL);
    assert_int_equal(h5_data_write(f, "/none", H5_F32, 0, 1, rows), ST_BADFILE);
    assert_int_equal(h5_commit(&f), ST_OK);
    f = reopen("rows.h5");
    assert_int_equal(h5_data_read(f, "/w", H5_F32, 0, 5, all), ST_OK);
    for (int i = 0; i < 30; i++) {
        assert_true((&all[0][0][0])[i] == (float)i);
    }
    assert_int_equal(h5_close(&f), ST_OK);
}

static void test_attributes(void **state)
{
    char *text = NULL, *longest = NULL;
    int64_t whole = 0;
    double real = 0;
    (void)state;

    assert_int_equal(mem_alloc(70000, 1, "test", (void **)&longest), ST_OK);
    memset(longest, 'x', 64000);
    h5_file *f = create("attr.h5");
    assert_int_equal(h5_group_create(f, "/run/deep"), ST_OK);
    assert_int_equal(h5_group_create(f, "/run"), ST_OK);
    assert_int_equal(h5_attr_set_text(f, "/", "format", "weft"), ST_OK);
    assert_int_equal(h5_attr_set_text(f, "/", "format", "weft-results"), ST_OK);
    assert_int_equal(h5_attr_set_text(f, "/", "empty", ""), ST_OK);
    assert_int_equal(h5_attr_set_text(f, "/", "utf8", "\xc3\xa9"), ST_OK);
    assert_int_equal(h5_attr_set_text(f, "/run", "long", longest), ST_OK);
    longest[64000] = 'x';
    assert_int_equal(h5_attr_set_text(f, "/run", "long", longest), ST_INTERNAL);
    assert_int_equal(h5_text_write(f, "/config", longest), ST_OK);
    assert_int_equal(h5_attr_set_i64(f, "/run/deep", "step", -7), ST_OK);
    assert_int_equal(h5_attr_set_f64(f, "/run/deep", "lr", 0.1), ST_OK);
    assert_int_equal(h5_describe(f, "/run", "1", "a run"), ST_OK);
    assert_int_equal(h5_attr_set_i64(f, "/none", "step", 1), ST_IO);
    assert_int_equal(h5_commit(&f), ST_OK);

    f = reopen("attr.h5");
    assert_int_equal(h5_attr_get_text(f, "/", "format", NULL, &text), ST_OK);
    assert_string_equal(text, "weft-results");
    mem_free(text);
    assert_int_equal(h5_attr_get_text(f, "/", "empty", NULL, &text), ST_OK);
    assert_string_equal(text, "");
    mem_free(text);
    assert_int_equal(h5_attr_get_text(f, "/", "utf8", NULL, &text), ST_OK);
    assert_string_equal(text, "\xc3\xa9");
    mem_free(text);
    assert_int_equal(h5_attr_get_text(f, "/run", "units", NULL, &text), ST_OK);
    assert_string_equal(text, "1");
    mem_free(text);
    assert_int_equal(h5_attr_get_text(f, "/run", "no", "else", &text), ST_OK);
    assert_string_equal(text, "else");
    mem_free(text);
    assert_int_equal(h5_text_read(f, "/config", &text), ST_OK);
    assert_string_equal(text, longest);
    mem_free(text);
    mem_free(longest);
    assert_int_equal(h5_attr_get_i64(f, "/run/deep", "step", 3, &whole), ST_OK);
    assert_int_equal(whole, -7);
    assert_int_equal(h5_attr_get_i64(f, "/run/deep", "no", 3, &whole), ST_OK);
    assert_int_equal(whole, 3);
    assert_int_equal(h5_attr_need_f64(f, "/run/deep", "lr", &real), ST_OK);
    assert_true(real == 0.1);
    assert_int_equal(h5_attr_need_f64(f, "/run/deep", "step", &real), ST_OK);
    assert_true(real == -7);
    /* Missing or of another type. */
    assert_int_equal(h5_attr_need_i64(f, "/run", "step", &whole), ST_BADFILE);
    assert_non_null(strstr(status_text(), "/run: attribute step is missing"));
    assert_int_equal(h5_attr_get_i64(f, "/run/deep", "lr", 3, &whole),
                     ST_BADFILE);
    assert_int_equal(h5_attr_get_i64(f, "/", "format", 3, &whole), ST_BADFILE);
    assert_int_equal(h5_attr_get_text(f, "/run/deep", "lr", "x", &text),
                     ST_BADFILE);
    assert_int_equal(h5_attr_get_text(f, "/", "none", NULL, &text), ST_BADFILE);
    assert_true(h5_attr_has(f, "/run/deep", "lr"));
    assert_false(h5_attr_has(f, "/run/deep/x", "lr"));
    assert_int_equal(h5_close(&f), ST_OK);
}

static void test_members(void **state)
{
    const char *const made[] = {"zebra", "apple", "mango"};
    char path[32], name[H5_NAME_SIZE];
    int64_t count = 0;
    const double value = 1;
    (void)state;

    h5_file *f = create("list.h5");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "/g/%s", made[i]);
        assert_int_equal(h5_data_put(f, path, H5_F64, 0, NULL, &value), ST_OK);
    }
    assert_int_equal(h5_commit(&f), ST_OK);
    f = reopen("list.h5");
    assert_int_equal(h5_group_count(f, "/g", &count), ST_OK);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(h5_group_member(f, "/g", i, name), ST_OK);
        assert_string_equal(name, made[i]);
    }
    assert_int_equal(h5_group_member(f, "/g", 3, name), ST_INTERNAL);
    assert_int_equal(h5_group_count(f, "/g/apple", &count), ST_BADFILE);
    assert_int_equal(h5_group_count(f, "/x/y", &count), ST_BADFILE);
    assert_true(h5_has(f, "/"));
    assert_true(h5_has(f, "/g/apple"));
    assert_false(h5_has(f, "/g/apple/x"));
    assert_false(h5_has(f, "/x/y/z"));
    assert_true(h5_is_group(f, "/g"));
    assert_true(h5_is_group(f, "/"));
    assert_false(h5_is_group(f, "/g/apple"));
    assert_int_equal(h5_close(&f), ST_OK);
}

static void test_check(void **state)
{
    const int64_t dim[2] = {3, 2}, any[2] = {-1, 2}, other[2] = {3, 4};
    const float values[6] = {0};
    h5_info info;
    (void)state;

    h5_file *f = create("check.h5");
    assert_int_equal(h5_data_put(f, "/w", H5_F32, 2, dim, values), ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);
    f = reopen("check.h5");
    assert_int_equal(h5_data_info(f, "/w", &info), ST_OK);
    assert_int_equal(info.kind, H5_KIND_FLOAT);
    assert_int_equal(info.item_bytes, 4);
    assert_int_equal(info.n_dims, 2);
    assert_int_equal(info.rows, 3);
    assert_int_equal(info.count, 6);
    assert_false(info.columnar);
    assert_int_equal(h5_data_check(f, "/w", H5_KIND_FLOAT, 2, dim), ST_OK);
    assert_int_equal(h5_data_check(f, "/w", H5_KIND_FLOAT, 2, any), ST_OK);
    assert_int_equal(h5_data_check(f, "/w", H5_KIND_FLOAT, 2, other),
                     ST_BADFILE);
    assert_non_null(
        strstr(status_text(), "/w: has shape (3, 2), expected (3, 4)"));
    assert_int_equal(h5_data_check(f, "/w", H5_KIND_FLOAT, 1, dim), ST_BADFILE);
    assert_int_equal(h5_data_check(f, "/w", H5_KIND_INTEGER, 2, dim),
                     ST_BADFILE);
    assert_non_null(strstr(status_text(), "holds real numbers"));
    assert_int_equal(h5_data_check(f, "/v", H5_KIND_FLOAT, 2, dim), ST_BADFILE);
    assert_non_null(strstr(status_text(), "/v: dataset not found"));
    assert_int_equal(h5_data_info(f, "/", &info), ST_BADFILE);
    assert_int_equal(h5_close(&f), ST_OK);
}

/* Files of h5py: text of variable length, no order of creation. */
static void test_other_writers(void **state)
{
    const char *path = "tests/golden/gptj_full_rotary/golden.h5";
    const int64_t ids[3] = {20, -1, -1};
    h5_file *f = NULL;
    char name[H5_NAME_SIZE];
    char *text = NULL;
    (void)state;

    if (access(path, R_OK) != 0) {
        skip(); /* not started in the root of the repository */
    }
    assert_int_equal(h5_open(path, &f), ST_OK);
    assert_int_equal(h5_attr_get_text(f, "/", "case", NULL, &text), ST_OK);
    assert_string_equal(text, "gptj_full_rotary");
    mem_free(text);
    assert_int_equal(h5_group_member(f, "/", 0, name), ST_OK);
    assert_string_equal(name, "grad_norm");
    assert_int_equal(h5_data_check(f, "/input_ids", H5_KIND_INTEGER, 3, ids),
                     ST_OK);
    assert_int_equal(h5_close(&f), ST_OK);
}

/* ---- tables ------------------------------------------------------------- */

typedef struct row {
    int64_t step;
    char name[16];
    double seconds;
    int32_t rank;
} row;

static const h5_field row_fields[] = {
    H5_FIELD(row, step, H5_I64),
    H5_FIELD(row, name, H5_TEXT),
    H5_FIELD(row, seconds, H5_F64),
    H5_FIELD(row, rank, H5_I32),
};
static const h5_layout row_layout = {row_fields, 4, sizeof(row)};

static void test_table(void **state)
{
    static row rows[3000], out[3000];
    static const h5_field less[] = {H5_FIELD(row, seconds, H5_F64)};
    static const h5_field wrong[] = {{"name", H5_I64, 0, 0, false}};
    static const h5_field none[] = {{"nobody", H5_I64, 0, 0, false}};
    (void)state;

    for (int i = 0; i < 3000; i++) {
        rows[i].step = i;
        snprintf(rows[i].name, sizeof(rows[i].name), "op %d", i);
        rows[i].seconds = i * 0.5;
        rows[i].rank = -i;
    }
    h5_file *f = create("table.h5");
    assert_int_equal(h5_table_create(f, "/t", &row_layout), ST_OK);
    assert_int_equal(h5_table_append(f, "/t", &row_layout, 1, rows), ST_OK);
    assert_int_equal(h5_table_append(f, "/t", &row_layout, 0, NULL), ST_OK);
    assert_int_equal(h5_table_append(f, "/t", &row_layout, 2999, rows + 1),
                     ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);

    f = reopen("table.h5");
    assert_int_equal(h5_table_read(f, "/t", &row_layout, 0, 3000, out), ST_OK);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(out[i].step, i);
        assert_string_equal(out[i].name, rows[i].name);
        assert_true(out[i].seconds == i * 0.5);
        assert_int_equal(out[i].rank, -i);
    }
    memset(out, 0, sizeof(out));
    const h5_layout one = {less, 1, sizeof(row)};
    assert_int_equal(h5_table_read(f, "/t", &one, 2000, 1, out), ST_OK);
    assert_true(out[0].seconds == 1000 && out[0].step == 0);
    const h5_layout bad = {wrong, 1, sizeof(row)};
    assert_int_equal(h5_table_read(f, "/t", &bad, 0, 1, out), ST_BADFILE);
    assert_non_null(strstr(status_text(), "column name has another type"));
    const h5_layout gone = {none, 1, sizeof(row)};
    assert_int_equal(h5_table_read(f, "/t", &gone, 0, 1, out), ST_BADFILE);
    assert_non_null(strstr(status_text(), "no column nobody"));
    /* A later column is left as it was; what is there is read. */
    static const h5_field later[] = {
        H5_FIELD(row, step, H5_I64),
        {"nobody", H5_F64, offsetof(row, seconds), 0, true}};
    const h5_layout more = {later, 2, sizeof(row)};
    out[0] = (row){.seconds = 5};
    assert_int_equal(h5_table_read(f, "/t", &more, 7, 1, out), ST_OK);
    assert_true(out[0].step == 7 && out[0].seconds == 5);
    assert_int_equal(h5_table_read(f, "/t", &row_layout, 2999, 2, out),
                     ST_INTERNAL);
    assert_int_equal(h5_close(&f), ST_OK);
}

/* ---- scales ------------------------------------------------------------- */

static void test_scales(void **state)
{
    const int64_t step = 1;
    const double loss = 2;
    (void)state;

    h5_file *f = create("scales.h5");
    assert_int_equal(h5_column_create(f, "/steps/step", H5_I64, 0, NULL),
                     ST_OK);
    assert_int_equal(h5_column_create(f, "/steps/loss", H5_F64, 0, NULL),
                     ST_OK);
    assert_int_equal(h5_scale_set(f, "/steps/step", "step"), ST_OK);
    assert_int_equal(h5_scale_attach(f, "/steps/loss", 0, "/steps/step"),
                     ST_OK);
    assert_int_equal(h5_scale_attach(f, "/steps/loss", 1, "/steps/step"),
                     ST_IO);
    assert_int_equal(h5_scale_attach(f, "/steps/loss", 0, "/steps/none"),
                     ST_BADFILE);
    assert_int_equal(h5_column_append(f, "/steps/step", H5_I64, 1, &step),
                     ST_OK);
    assert_int_equal(h5_column_append(f, "/steps/loss", H5_F64, 1, &loss),
                     ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);
    f = reopen("scales.h5");
    assert_true(h5_attr_has(f, "/steps/loss", "DIMENSION_LIST"));
    assert_true(h5_attr_has(f, "/steps/step", "REFERENCE_LIST"));
    char *class = NULL;
    assert_int_equal(h5_attr_get_text(f, "/steps/step", "CLASS", NULL, &class),
                     ST_OK);
    assert_string_equal(class, "DIMENSION_SCALE");
    mem_free(class);
    assert_int_equal(h5_close(&f), ST_OK);
}

/* ---- wrong files -------------------------------------------------------- */

static void expect_refused(const char *path, status code, const char *text)
{
    h5_file *f = NULL;
    const int64_t live = mem_live();
    const status st = h5_open(path, &f);

    if (st != code || strstr(status_text(), text) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected %d and \"%s\"", path, st,
                 status_text(), code, text);
    }
    assert_null(f);
    assert_null(strchr(status_text(), '\n'));
    assert_int_equal(mem_live(), live);
}

static void test_wrong_files(void **state)
{
    static const float data[5000] = {1};
    const int64_t count = 5000;
    char none[128];
    (void)state;

    snprintf(none, sizeof(none), "%s", path_of("none.h5"));
    expect_refused(none, ST_NOINPUT, "No such file");
    expect_refused(folder, ST_BADFILE, "is a folder");
    expect_refused(put("empty.h5", "", 0), ST_BADFILE, "is empty");
    expect_refused(put("text.h5", "not an HDF5 file at all", 23), ST_BADFILE,
                   "is not an HDF5 file");
    expect_refused(put("sig.h5", "\211HDF\r\n\032\n", 8), ST_BADFILE,
                   "truncated or damaged");
    h5_file *f = create("cut.h5");
    assert_int_equal(h5_data_put(f, "/w", H5_F32, 1, &count, data), ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);
    assert_int_equal(truncate(path_of("cut.h5"), 10000), 0);
    expect_refused(path_of("cut.h5"), ST_BADFILE, "truncated");
    assert_int_equal(h5_live_open(none, &f), ST_NOINPUT);
}

static void test_memory(void **state)
{
    const int64_t live = mem_live();
    h5_file *f = NULL;
    (void)state;

    for (int n = 1; n <= 4; n++) {
        mem_fail_after(n);
        assert_int_equal(h5_create(path_of("mem.h5"), H5_PLAIN, &f), ST_SYSTEM);
        mem_fail_after(0);
        assert_null(f);
        assert_int_equal(mem_live(), live);
    }
    f = create("mem.h5");
    assert_int_equal(h5_commit(&f), ST_OK);
    assert_int_equal(mem_live(), live);
    assert_int_equal(h5_close(&f), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_row_writes),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_other_writers),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
