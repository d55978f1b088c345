/* JSON: what is refused and with which words, getters, writer, round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static json_doc *parse(const char *text)
{
    json_doc *doc = NULL;
    status st = json_parse(text, strlen(text), "t.json", &doc);
    if (st != ST_OK) {
        fail_msg("%s", status_text());
    }
    return doc;
}

static void refuse(const char *text, const char *part)
{
    json_doc *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), "t.json", &doc),
                     ST_BADFILE);
    assert_null(doc);
    if (strstr(status_text(), part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, status_text());
    }
    assert_int_equal(mem_live(), 0);
}

static void test_syntax(void **state)
{
    (void)state;
    refuse("", "t.json:");
    refuse("{\n  \"a\": 1,\n}", "t.json:3:1: ");
    refuse("{\"a\": 1, \"a\": 2}", "duplicate");
    refuse("[1] 2", "t.json:1:");
    refuse("[NaN]", "t.json:1:");
    refuse("[01]", "t.json:1:");
    refuse("['a']", "t.json:1:");
    refuse("[1 // no comments\n]", "t.json:1:");
    refuse("[\"\\u0000\"]", "t.json:1:");
    refuse("[\"\xff\"]", "t.json:1:");
    refuse("[99999999999999999999]", "t.json:1:");
    refuse("[1e999]", "t.json:1:");
    /* Where a text with its length goes on and one without ends. */
    static const char zero[] = "{\"a\": 1\0\n}";
    json_doc *doc = NULL;
    assert_int_equal(json_parse(zero, sizeof(zero) - 1, "t.json", &doc),
                     ST_BADFILE);
    assert_non_null(strstr(status_text(), "t.json:1: has a zero byte"));
}

static void test_depth(void **state)
{
    (void)state;
    static char text[200001];
    memset(text, '[', 100000);
    refuse(text, "nested deeper than 64");
    memset(text, 0, sizeof(text));
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    json_close(parse(text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    refuse(text, "nested deeper than 64");
    /* Brackets in strings do not nest, nor does an escaped quote end one. */
    memset(text, 0, sizeof(text));
    strcpy(text, "[\"\\\\\", \"\\\"");
    memset(text + strlen(text), '[', 100);
    strcat(text, "\"]");
    json_close(parse(text));
    assert_int_equal(mem_live(), 0);
}

static void test_files(void **state)
{
    (void)state;
    json_doc *doc = NULL;
    assert_int_equal(json_open("/nonexistent/x.json", &doc), ST_NOINPUT);
    assert_non_null(strstr(status_text(), "/nonexistent/x.json"));
    assert_int_equal(json_open("/dev/zero", &doc), ST_BADFILE);
    assert_int_equal(json_open("tests/golden/gptj_full_rotary/golden.h5", &doc),
                     ST_BADFILE);
    assert_non_null(
        strstr(status_text(), "golden.h5: is an HDF5 file; JSON is wanted"));
    assert_int_equal(mem_live(), 0);
}

static const char *const SAMPLE =
    "{\"name\": \"gpt\", \"stages\": [{\"layers\": 3}, {\"layers\": 0}],"
    " \"lr\": 6e-4, \"on\": true, \"off\": false, \"nil\": null, \"big\": 1e6,"
    " \"memory\": \"64MiB\", \"rate\": \"10GB/s\", \"delay\": \"20us\","
    " \"nest\": {\"a\": {\"b\": [true, [\"x\"]]}}}";

static void expect_text(const char *want)
{
    assert_string_equal(status_text(), want);
}

static void test_getters(void **state)
{
    (void)state;
    json_doc *doc = parse(SAMPLE);
    json_val root = json_root(doc);
    const char *name = NULL;
    double lr = 0;
    bool flag = false;
    int64_t n = 0;
    int k = 0;
    assert_int_equal(json_get_str(root, "name", &name), ST_OK);
    assert_string_equal(name, "gpt");
    assert_int_equal(json_get_f64(root, "lr", 0, 1, &lr), ST_OK);
    assert_true(lr == 6e-4);
    assert_int_equal(json_get_bool(root, "on", &flag), ST_OK);
    assert_true(flag);
    assert_int_equal(json_get_bool(root, "off", &flag), ST_OK);
    assert_false(flag);
    assert_int_equal(json_get_i64(root, "big", 0, 1000000, &n), ST_OK);
    assert_int_equal(n, 1000000);
    assert_int_equal(json_get_size(root, "memory", 0, INT64_MAX, &n), ST_OK);
    assert_int_equal(n, 64 << 20);
    assert_int_equal(json_get_size(root, "big", 0, INT64_MAX, &n), ST_OK);
    assert_int_equal(n, 1000000);
    assert_int_equal(json_get_rate(root, "rate", 0, 1e12, &lr), ST_OK);
    assert_true(lr == 1e10);
    assert_int_equal(json_get_seconds(root, "delay", 0, 1, &lr), ST_OK);
    assert_true(fabs(lr - 20e-6) <= 1e-18);
    static const char *const models[] = {"bert", "gpt", NULL};
    assert_int_equal(json_get_choice(root, "name", models, &k), ST_OK);
    assert_int_equal(k, 1);
    assert_true(json_has(root, "nil"));
    assert_false(json_has(root, "none"));
    assert_int_equal(json_len(root), 11);
    json_close(doc);
}

static void test_optional(void **state)
{
    (void)state;
    json_doc *doc = parse(SAMPLE);
    json_val root = json_root(doc);
    int64_t n = 5;
    int k = 6;
    const char *name = "default";
    assert_int_equal(json_get_i64_opt(root, "none", 0, 9, &n), ST_OK);
    assert_int_equal(json_get_i64_opt(root, "nil", 0, 9, &n), ST_OK);
    assert_int_equal(n, 5);
    assert_int_equal(json_get_int_opt(root, "nil", 0, 9, &k), ST_OK);
    assert_int_equal(k, 6);
    assert_int_equal(json_get_str_opt(root, "none", &name), ST_OK);
    assert_string_equal(name, "default");
    assert_int_equal(json_get_str_opt(root, "name", &name), ST_OK);
    assert_string_equal(name, "gpt");
    json_val obj = {0};
    assert_int_equal(json_get_obj_opt(root, "none", &obj), ST_OK);
    assert_int_equal(json_kind(obj), JSON_KIND_NONE);
    /* Present but wrong is an error all the same, and *out is untouched. */
    assert_int_equal(json_get_i64_opt(root, "name", 0, 9, &n), ST_CONFIG);
    expect_text("t.json: name: \"gpt\" found, a whole number is needed");
    assert_int_equal(n, 5);
    json_close(doc);
}

static void test_errors(void **state)
{
    (void)state;
    json_doc *doc = parse(SAMPLE);
    json_val root = json_root(doc);
    json_val stages = {0};
    int64_t n = 0;
    double x = 0;
    int k = 0;
    assert_int_equal(json_get_arr(root, "stages", &stages), ST_OK);
    assert_int_equal(json_len(stages), 2);
    json_val second = json_at(stages, 1);
    assert_int_equal(json_get_i64(second, "layers", 1, 48, &n), ST_CONFIG);
    expect_text("t.json: stages[1].layers: 0 is out of range, allowed is 1 "
                "to 48");
    assert_int_equal(json_get_i64(second, "layer", 1, 48, &n), ST_CONFIG);
    expect_text("t.json: stages[1].layer: is missing, it must be given");
    assert_int_equal(json_as_i64(second, 0, 1, &n), ST_CONFIG);
    expect_text("t.json: stages[1]: an object found, a whole number is needed");
    assert_int_equal(json_get_i64(root, "lr", 0, 9, &n), ST_CONFIG);
    expect_text("t.json: lr: 0.0006 found, a whole number is needed");
    assert_int_equal(json_get_f64(root, "lr", 1, 2, &x), ST_CONFIG);
    expect_text("t.json: lr: 0.0006 is out of range, allowed is 1 to 2");
    assert_int_equal(json_get_f64(root, "none", 1, 2, &x), ST_CONFIG);
    expect_text("t.json: none: is missing, it must be given");
    static const char *const models[] = {"gpt2", "gptj", NULL};
    assert_int_equal(json_get_choice(root, "name", models, &k), ST_CONFIG);
    expect_text("t.json: name: \"gpt\" is not known, allowed is one of gpt2, "
                "gptj, did you mean \"gpt2\"?");
    assert_int_equal(json_get_size(root, "memory", 0, 1024, &n), ST_CONFIG);
    expect_text("t.json: memory: \"64MiB\" is out of range, allowed is 0 to "
                "1KiB");
    assert_int_equal(json_get_size(root, "rate", 0, 1024, &n), ST_CONFIG);
    assert_int_equal(strncmp(status_text(), "t.json: rate: '10GB/s' is no", 28),
                     0);
    /* A getter on something that is no object says so. */
    assert_int_equal(json_get_i64(stages, "x", 0, 1, &n), ST_CONFIG);
    expect_text("t.json: stages: an array found, an object is needed");
    json_val none = {0};
    assert_int_equal(json_get_i64(none, "x", 0, 1, &n), ST_CONFIG);
    json_close(doc);
    assert_int_equal(mem_live(), 0);
}

/* true is one shared node in the parser: its place must still be right. */
static void test_shared_nodes(void **state)
{
    (void)state;
    json_doc *doc = parse("{\"x\": [true, true, null], \"y\": true}");
    json_val root = json_root(doc);
    json_val arr = {0};
    int64_t n = 0;
    assert_int_equal(json_get_arr(root, "x", &arr), ST_OK);
    assert_int_equal(json_as_i64(json_at(arr, 1), 0, 1, &n), ST_CONFIG);
    expect_text("t.json: x[1]: true found, a whole number is needed");
    assert_int_equal(json_as_i64(json_at(arr, 2), 0, 1, &n), ST_CONFIG);
    expect_text("t.json: x[2]: null found, a whole number is needed");
    assert_int_equal(json_get_i64(root, "y", 0, 1, &n), ST_CONFIG);
    expect_text("t.json: y: true found, a whole number is needed");
    json_close(doc);
}

static void test_done(void **state)
{
    (void)state;
    json_doc *doc = parse("{\"_comment\": \"x\", \"micro_batchs\": 4}");
    static const char *const known[] = {"micro_batches", "stages", NULL};
    assert_int_equal(json_done(json_root(doc), known), ST_CONFIG);
    expect_text("t.json: micro_batchs: unknown key, did you mean "
                "\"micro_batches\"?");
    static const char *const other[] = {"alpha", "beta", NULL};
    assert_int_equal(json_done(json_root(doc), other), ST_CONFIG);
    expect_text("t.json: micro_batchs: unknown key, known are alpha, beta");
    static const char *const right[] = {"x", "micro_batchs", NULL};
    assert_int_equal(json_done(json_root(doc), right), ST_OK);
    json_close(doc);
}

static void test_iteration(void **state)
{
    (void)state;
    json_doc *doc = parse("{\"b\": 1, \"a\": 2, \"c\": 3}");
    json_iter it = {0};
    const char *key = NULL;
    json_val v;
    char keys[8] = "";
    int64_t sum = 0;
    while (json_next(json_root(doc), &it, &key, &v)) {
        int64_t n = 0;
        assert_int_equal(json_as_i64(v, 0, 9, &n), ST_OK);
        sum = sum * 10 + n;
        strcat(keys, key);
    }
    assert_string_equal(keys, "bac"); /* file order */
    assert_int_equal(sum, 123);
    json_close(doc);
}

static void test_fail_text(void **state)
{
    (void)state;
    json_doc *doc = parse(SAMPLE);
    json_val nest = {0};
    json_val a = {0};
    json_val b = {0};
    assert_int_equal(json_get_obj(json_root(doc), "nest", &nest), ST_OK);
    assert_int_equal(json_get_obj(nest, "a", &a), ST_OK);
    assert_int_equal(json_get_arr(a, "b", &b), ST_OK);
    json_val x = json_at(json_at(b, 1), 0);
    assert_int_equal(json_fail(x, ST_CONFIG, "%d wrong", 3), ST_CONFIG);
    expect_text("t.json: nest.a.b[1][0]: 3 wrong");
    assert_int_equal(json_fail(json_root(doc), ST_CONFIG, "all wrong"),
                     ST_CONFIG);
    expect_text("t.json: all wrong");
    json_close(doc);
}

/* A long value is shown cut, and not within a character. */
static void test_long_value(void **state)
{
    (void)state;
    char text[200] = "{\"a\": \"x";
    json_doc *doc = NULL;
    int64_t n = 0;
    for (int i = 0; i < 40; i++) {
        strcat(text, "\xc3\xbc");
    }
    strcat(text, "\"}");
    doc = parse(text);
    assert_int_equal(json_get_i64(json_root(doc), "a", 0, 9, &n), ST_CONFIG);
    assert_non_null(strstr(status_text(), "\xc3\xbc...\" found"));
    assert_null(strstr(status_text(), "\xc3."));
    json_close(doc);
}

/* A wrong value at the end of some path; the line that the error names. */
static void expect_line(const char *text, const char *want)
{
    static const char path[] = "test_json_line.json";
    json_doc *doc = NULL;
    json_val v = {0};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(json_open(path, &doc), ST_OK);
    remove(path);
    json_val at = json_root(doc);
    while (json_kind(at) == JSON_KIND_OBJ || json_kind(at) == JSON_KIND_ARR) {
        json_iter it = {0};
        const char *key = NULL;
        v = (json_val){0};
        while (json_next(at, &it, &key, &v)) {
            continue; /* to the last member */
        }
        if (json_kind(at) == JSON_KIND_ARR) {
            v = json_at(at, json_len(at) - 1);
        }
        at = v;
    }
    assert_int_equal(json_fail(v, ST_CONFIG, "no"), ST_CONFIG);
    assert_string_equal(status_text(), want);
    json_close(doc);
}

static void test_lines(void **state)
{
    (void)state;
    expect_line("{\"a\": 1}", "test_json_line.json:1: a: no");
    expect_line("\n\n{\n\"a\":\n1}", "test_json_line.json:4: a: no");
    expect_line("{\"x\": [1,\n{\"y\": 2}, [[]],\n\"]\\\"}\"],\n \"a\": {\n"
                "  \"\\\\\": 1, \"b\\\"\"\n:\n [true, true,\n\n true]}}",
                "test_json_line.json:9: a.b\"[2]: no");
    expect_line("[\n1\n,\n2,3,\n[\n[7\n]]]",
                "test_json_line.json:6: [3][0][0]: no");
    expect_line("{\"t\": true,\n\"u\": true}", "test_json_line.json:2: u: no");
}

static void test_line_of_missing(void **state)
{
    static const char path[] = "test_json_line.json";
    json_doc *doc = NULL;
    json_val v = {0};
    int n = 0;
    (void)state;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("{\n\n\"a\": {\n}}", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(json_open(path, &doc), ST_OK);
    remove(path);
    assert_int_equal(json_get_obj(json_root(doc), "a", &v), ST_OK);
    assert_int_equal(json_get_int(v, "n", 0, 1, &n), ST_CONFIG);
    expect_text("test_json_line.json:3: a.n: is missing, it must be given");
    assert_int_equal(json_as_arr(json_root(doc)), ST_CONFIG);
    expect_text("test_json_line.json: an object found, an array is needed");
    json_close(doc);
    assert_int_equal(mem_live(), 0);
}

static void test_writer(void **state)
{
    (void)state;
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    json_write_str(&w, "text", "a\"b\\c\n\x01\xc3\xa4\xff");
    json_write_i64(&w, "least", INT64_MIN);
    json_write_f64(&w, "tenth", 0.1);
    assert_string_equal(w.not_finite, "");
    json_write_f64(&w, "nan", NAN);
    assert_string_equal(w.not_finite, "nan");
    json_write_bool(&w, "yes", true);
    json_write_arr_flat(&w, "row");
    json_write_i64(&w, NULL, 1);
    json_write_obj_flat(&w, NULL);
    json_write_null(&w, "n");
    json_write_end(&w);
    json_write_end(&w);
    json_write_arr(&w, "col");
    json_write_i64(&w, NULL, 2);
    json_write_i64(&w, NULL, 3);
    json_write_end(&w);
    json_write_obj(&w, "empty");
    json_write_end(&w);
    json_write_end(&w);
    char *text = NULL;
    assert_int_equal(json_writer_take(&w, &text), ST_OK);
    assert_string_equal(text,
                        "{\n"
                        "  \"text\": \"a\\\"b\\\\c\\n\\u0001\xc3\xa4?\",\n"
                        "  \"least\": -9223372036854775808,\n"
                        "  \"tenth\": 0.1,\n"
                        "  \"nan\": null,\n"
                        "  \"yes\": true,\n"
                        "  \"row\": [1, {\"n\": null}],\n"
                        "  \"col\": [\n    2,\n    3\n  ],\n"
                        "  \"empty\": {}\n"
                        "}\n");
    json_close(parse(text));
    mem_free(text);
    assert_int_equal(mem_live(), 0);
}

static void test_doubles_round_trip(void **state)
{
    (void)state;
    static const double values[] = {0.1,    1.0 / 3, DBL_MIN, DBL_MAX,
                                    5e-324, 1e22,    -0.0,    123456,
                                    6e-4,   1e-5,    0x1p-40, 1e16};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        json_writer w;
        json_writer_init(&w);
        json_write_arr_flat(&w, NULL);
        json_write_f64(&w, NULL, values[i]);
        json_write_end(&w);
        char *text = NULL;
        assert_int_equal(json_writer_take(&w, &text), ST_OK);
        json_doc *doc = parse(text);
        double back = -1;
        assert_int_equal(
            json_as_f64(json_at(json_root(doc), 0), -DBL_MAX, DBL_MAX, &back),
            ST_OK);
        assert_true(back == values[i]);
        json_close(doc);
        mem_free(text);
    }
}

static char *copy_of(json_doc *doc)
{
    json_writer w;
    json_writer_init(&w);
    json_write_val(&w, NULL, json_root(doc));
    char *text = NULL;
    assert_int_equal(json_writer_take(&w, &text), ST_OK);
    return text;
}

static void test_copy(void **state)
{
    (void)state;
    json_doc *doc = parse(SAMPLE);
    char *once = copy_of(doc);
    json_close(doc);
    doc = parse(once);
    char *twice = copy_of(doc);
    json_close(doc);
    assert_string_equal(once, twice);
    assert_non_null(strstr(once, "\"lr\": 0.0006"));
    /* 1e6 in the sample: still no whole number. */
    assert_non_null(strstr(once, "\"big\": 1000000.0"));
    mem_free(once);
    mem_free(twice);
    assert_int_equal(mem_live(), 0);
}

/* Every allocation of parsing fails once: an error, no leak, no crash. */
static void test_out_of_memory(void **state)
{
    (void)state;
    int failures = 0;
    for (int64_t n = 1;; n++) {
        json_doc *doc = NULL;
        int64_t count = mem_count();
        mem_fail_after(n);
        status st = json_parse(SAMPLE, strlen(SAMPLE), "t.json", &doc);
        mem_fail_after(0);
        bool failed = mem_count() - count >= n;
        json_close(doc);
        assert_int_equal(mem_live(), 0);
        assert_int_equal(st, failed ? ST_SYSTEM : ST_OK);
        if (!failed) {
            break;
        }
        failures++;
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_optional),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_shared_nodes),
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_iteration),
        cmocka_unit_test(test_fail_text),
        cmocka_unit_test(test_long_value),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_line_of_missing),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_doubles_round_trip),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
