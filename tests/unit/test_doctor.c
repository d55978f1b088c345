/* The doctor: its judgements, its words, and the checks that must find this
 * machine well, whatever it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/app/doctor.h"
#include "runtime/base/mem.h"

static void test_binding(void **state)
{
    (void)state;
    static const struct {
        binding b;
        bool tight, crowded;
    } cases[] = {
        /* ranks, threads, usable, together, online */
        {{1, 0, 1, 1, 2}, true, false},  /* mpirun -np 1                    */
        {{1, 1, 1, 1, 2}, false, false}, /* one thread was asked for        */
        {{1, 2, 1, 1, 2}, true, true},   /* two threads on one core         */
        {{1, 0, 2, 2, 2}, false, false}, /* not bound                       */
        {{2, 0, 1, 2, 2}, false, false}, /* a core each, all in use         */
        {{2, 0, 1, 2, 8}, true, false},  /* six cores idle                  */
        {{4, 1, 2, 2, 2}, false, true},  /* more ranks than cores           */
        {{4, 1, 8, 8, 8}, false, false},
        {{2, 4, 4, 8, 8}, false, false}, /* bound by fours                  */
        {{2, 4, 4, 4, 8}, true, true},   /* both to the same four           */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const binding *b = &cases[i].b;
        if (binding_is_tight(b) != cases[i].tight ||
            binding_is_crowded(b) != cases[i].crowded) {
            fail_msg("case %d: tight %d, crowded %d", (int)i,
                     binding_is_tight(b), binding_is_crowded(b));
        }
    }
    strbuf text = {0};
    binding_write_tight(&cases[0].b, BOUND_BY_MPIRUN, &text);
    strbuf_add(&text, "\n");
    binding_write_tight(&cases[9].b, BOUND_FROM_OUTSIDE, &text);
    assert_string_equal(strbuf_view(&text),
                        "this process is bound to 1 of 2 cores; add --bind-to "
                        "none to mpirun\n"
                        "ranks are bound to 4 of 8 cores; start it without "
                        "taskset, or in a job or container with more cores");
    strbuf_fini(&text);
}

static void test_text(void **state)
{
    (void)state;
    doctor d = {.nranks = 1};
    doctor_add(&d, DOCTOR_OK, "one", NULL, "is %d", 1);
    doctor_add(&d, DOCTOR_WARNING, "two", "do it", "is %s", "so");
    doctor_add(&d, DOCTOR_PROBLEM, "three", "mend it", "no");
    strbuf b = {0};
    doctor_write_text(&d, &b);
    assert_string_equal(strbuf_view(&b),
                        "ok       one            is 1\n"
                        "warning  two            is so; repair: do it\n"
                        "problem  three          no; repair: mend it\n"
                        "3 checks: 1 ok, 1 warning, 1 problem\n");
    strbuf_fini(&b);
    assert_int_equal(mem_live(), 0);
}

static void test_json(void **state)
{
    (void)state;
    doctor d = {.nranks = 3};
    json_writer w;
    json_doc *doc = NULL;
    json_val checks;
    const char *text = NULL;
    int64_t n = 0;
    doctor_add(&d, DOCTOR_OK, "one", NULL, "a \"quote\"");
    doctor_add(&d, DOCTOR_PROBLEM, "two", "mend it", "no");
    json_writer_init(&w);
    doctor_write_json(&d, &w);
    assert_int_equal(json_parse(strbuf_view(&w.out), w.out.len, "d", &doc),
                     ST_OK);
    json_val root = json_root(doc);
    assert_int_equal(json_get_i64(root, "problems", 0, 9, &n), ST_OK);
    assert_int_equal(n, 1);
    assert_int_equal(json_get_i64(root, "ranks", 0, 9, &n), ST_OK);
    assert_int_equal(n, 3);
    assert_int_equal(json_get_arr(root, "checks", &checks), ST_OK);
    assert_int_equal(json_len(checks), 2);
    json_val second = json_at(checks, 1);
    assert_int_equal(json_get_str(second, "verdict", &text), ST_OK);
    assert_string_equal(text, "problem");
    assert_int_equal(json_get_str(json_at(checks, 0), "found", &text), ST_OK);
    assert_string_equal(text, "a \"quote\"");
    json_close(doc);
    json_writer_fini(&w);
    assert_int_equal(mem_live(), 0);
}

static const doctor_finding *find(const doctor *d, const char *name)
{
    for (int i = 0; i < d->n; i++) {
        if (strcmp(d->list[i].name, name) == 0) {
            return &d->list[i];
        }
    }
    fail_msg("no check %s", name);
    return NULL;
}

/* The promise of the same bits must hold on the machine of this test. */
static void test_math(void **state)
{
    (void)state;
    doctor d = {.nranks = 1};
    doctor_math(&d);
    const doctor_finding *right = find(&d, "products");
    if (right->verdict != DOCTOR_OK) {
        fail_msg("products: %s", right->found);
    }
    const doctor_finding *bits = find(&d, "same bits");
    if (bits->verdict != DOCTOR_OK) {
        fail_msg("same bits: %s", bits->found);
    }
    assert_non_null(strstr(find(&d, "matmul")->found, "BLIS"));
    assert_non_null(strstr(find(&d, "matmul rate")->found, "GF/s"));
    assert_int_equal(mem_live(), 0);
}

/* No memory is a finding, not a crash. */
static void test_math_memory(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++) {
        doctor d = {.nranks = 1};
        mem_fail_after(n);
        doctor_math(&d);
        mem_fail_after(0);
        const doctor_finding *f = find(&d, "products");
        if (n <= 4) {
            assert_int_equal(f->verdict, DOCTOR_PROBLEM);
            assert_non_null(strstr(f->found, "memory"));
        }
        assert_int_equal(mem_live(), 0);
    }
}

static void test_disk_full(void **state)
{
    (void)state;
    doctor d = {.nranks = 1, .dir = "/proc", .disk_bytes = 1 << 20};
    doctor_disk(&d);
    assert_int_equal(find(&d, "disk")->verdict, DOCTOR_PROBLEM);
    assert_non_null(strstr(find(&d, "disk")->found, "/proc: no file can be"));
    assert_int_equal(find(&d, "io_uring")->verdict, DOCTOR_WARNING);
    assert_int_equal(mem_live(), 0);
}

static void test_path(void **state)
{
    (void)state;
    assert_true(doctor_on_path("sh"));
    assert_false(doctor_on_path("no-such-program-of-weft"));
    assert_false(doctor_on_path("../bin")); /* a folder */
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binding),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),        cmocka_unit_test(test_math),
        cmocka_unit_test(test_math_memory), cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
