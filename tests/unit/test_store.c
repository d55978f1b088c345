/* Stores: ram keeps its contract, null takes its time, check finds misuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/device/link.h"
#include "runtime/device/store.h"
#include "ws/store/ram.h"

/* An embedding that does not decay, a matrix that does, a vector. */
enum { EMB, MAT, VEC, PARAMS, COLS = 32, MOST = 64 * COLS };

static const store_param shapes[PARAMS] = {
    [EMB] = {10, COLS, 0}, [MAT] = {6, COLS, 1}, [VEC] = {1, COLS, 0}};

static const store_update adam = {.lr = 0.5F,
                                  .beta1 = 0.5F,
                                  .beta2 = 0.75F,
                                  .eps = 1e-6F,
                                  .weight_decay = 0.25F,
                                  .bias1 = 0.5F,
                                  .bias2 = 0.25F,
                                  .clip = 0.5F};

static store *make_ram(void)
{
    store *s = NULL;
    assert_int_equal(store_ram_create(shapes, PARAMS, &math_ref, 1, &s), ST_OK);
    return s;
}

static store *make_check(store *inner)
{
    store *s = NULL;
    assert_int_equal(store_check_create(inner, shapes, PARAMS, &s), ST_OK);
    return s;
}

static void fill(float *p, int64_t n, float from)
{
    for (int64_t i = 0; i < n; i++) {
        p[i] = from + (float)i * 0.125F;
    }
}

static void write_weights(store *s, int par, float from)
{
    float w[MOST];
    int64_t n = shapes[par].rows * COLS;
    fill(w, n, from);
    assert_int_equal(
        s->ops->write(s, par, STORE_WEIGHT, 0, shapes[par].rows, w), ST_OK);
}

static void drain_ok(store *s, int par, int64_t row0, int64_t rows, float from)
{
    float g[MOST];
    fill(g, rows * COLS, from);
    assert_int_equal(s->ops->drain(s, par, row0, rows, g), ST_OK);
}

static void norm_ok(store *s, int par)
{
    double sums[64];
    assert_int_equal(s->ops->norm(s, par, sums), ST_OK);
}

/* Norms and updates of all parameters, then the end. */
static void finish_ok(store *s, int64_t step)
{
    for (int i = 0; i < PARAMS; i++) {
        norm_ok(s, i);
    }
    for (int i = 0; i < PARAMS; i++) {
        assert_int_equal(s->ops->update(s, i, &adam), ST_OK);
    }
    assert_int_equal(s->ops->end(s, step), ST_OK);
}

static void expect(status got, status want, const char *part)
{
    assert_int_equal(got, want);
    if (strstr(status_text(), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, status_text());
    }
}

/* --- ram ------------------------------------------------------------------ */

static void test_ram_moves(void **state)
{
    (void)state;
    store *s = make_ram();
    float got[MOST];
    write_weights(s, EMB, 1.0F);
    write_weights(s, MAT, 100.0F);
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    assert_int_equal(s->ops->load(s, MAT, 2, 3, got), ST_OK);
    for (int i = 0; i < 3 * COLS; i++) {
        assert_true(got[i] == 100.0F + (float)(2 * COLS + i) * 0.125F);
    }
    const int32_t ids[3] = {7, 0, 9};
    assert_int_equal(s->ops->load_rows(s, EMB, ids, 3, got), ST_OK);
    for (int i = 0; i < 3 * COLS; i++) {
        int64_t at = ids[i / COLS] * COLS + i % COLS;
        assert_true(got[i] == 1.0F + (float)at * 0.125F);
    }
    assert_int_equal(s->ops->bytes(s), 16 * (10 + 6 + 1) * COLS);
    s->ops->destroy(s);
}

/* Sums of squares of gradient rows, in plain double arithmetic. */
static void assert_norms(store *s, int par, const float *rows_from)
{
    double sums[64];
    assert_int_equal(s->ops->norm(s, par, sums), ST_OK);
    for (int64_t r = 0; r < shapes[par].rows; r++) {
        double want = 0;
        for (int c = 0; c < COLS && rows_from[r] != 0; c++) {
            double x = (double)(rows_from[r] + (float)c * 0.125F);
            want += x * x;
        }
        assert_true(fabs(sums[r] - want) <= 1e-9 * want);
    }
}

static void test_ram_gradients(void **state)
{
    (void)state;
    store *s = make_ram();
    float g[MOST];
    /* Step 1: rows 2 and 5 of the embedding are added to, others stay 0. */
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    fill(g, COLS, 3.0F);
    fill(g + COLS, COLS, 4.0F);
    assert_int_equal(s->ops->drain_rows(s, EMB, (const int32_t[]){5, 2}, 2, g),
                     ST_OK);
    const float sparse[10] = {[5] = 3.0F, [2] = 4.0F};
    assert_norms(s, EMB, sparse);
    assert_int_equal(s->ops->end(s, 1), ST_OK);
    /* Step 2: what step 1 added is gone. */
    assert_int_equal(s->ops->begin(s, 2), ST_OK);
    fill(g, COLS, 2.0F);
    assert_int_equal(s->ops->drain_rows(s, EMB, (const int32_t[]){1}, 1, g),
                     ST_OK);
    const float again[10] = {[1] = 2.0F};
    assert_norms(s, EMB, again);
    /* A drain replaces; drain_rows adds to it. */
    drain_ok(s, MAT, 0, 6, 1.0F);
    double sums[64];
    assert_int_equal(s->ops->norm(s, MAT, sums), ST_OK);
    double once = sums[3];
    fill(g, COLS, 1.0F + 3 * COLS * 0.125F);
    assert_int_equal(s->ops->drain_rows(s, MAT, (const int32_t[]){3}, 1, g),
                     ST_OK);
    assert_int_equal(s->ops->norm(s, MAT, sums), ST_OK);
    assert_true(sums[3] == 4 * once);
    s->ops->destroy(s);
}

/* AdamW in double, one element. */
static double adam_once(double w, double g, double decay)
{
    g *= 0.5;
    double m = 0.5 * g;
    double v = 0.25 * g * g;
    w *= 1 - 0.5 * decay;
    return w - 0.5 / 0.5 * m / (sqrt(v / 0.25) + 1e-6);
}

static void test_ram_update(void **state)
{
    (void)state;
    store *s = make_ram();
    write_weights(s, MAT, 8.0F);
    write_weights(s, VEC, 8.0F);
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    drain_ok(s, MAT, 0, 6, 1.0F);
    drain_ok(s, VEC, 0, 1, 1.0F);
    finish_ok(s, 1);
    for (int par = MAT; par <= VEC; par++) {
        float got[MOST];
        int64_t n = shapes[par].rows * COLS;
        assert_int_equal(
            s->ops->read(s, par, STORE_WEIGHT, 0, shapes[par].rows, got),
            ST_OK);
        for (int64_t i = 0; i < n; i++) {
            double want =
                adam_once(8.0 + (double)i * 0.125, 1.0 + (double)i * 0.125,
                          par == MAT ? 0.25 : 0);
            assert_true(fabs((double)got[i] - want) <= 1e-5 * fabs(want));
        }
        assert_int_equal(
            s->ops->read(s, par, STORE_M, 0, shapes[par].rows, got), ST_OK);
        assert_true(got[2] == 0.25F * 1.25F); /* (1 - beta1) clip g */
    }
    s->ops->destroy(s);
}

/* --- null ----------------------------------------------------------------- */

/* Weights alone: they move as ever, the rest is refused. */
static void test_ram_weights(void **state)
{
    store *s = NULL;
    float w[MOST];
    float have[MOST];
    const int32_t ids[2] = {7, 3};
    (void)state;
    assert_int_equal(store_ram_weights(shapes, PARAMS, &s), ST_OK);
    assert_int_equal(s->ops->bytes(s), 4 * (10 + 6 + 1) * COLS);
    fill(w, 10 * COLS, 3.0F);
    write_weights(s, EMB, 3.0F);
    assert_int_equal(s->ops->load(s, EMB, 2, 5, have), ST_OK);
    assert_memory_equal(have, w + 2 * COLS, 5 * COLS * sizeof(float));
    assert_int_equal(s->ops->load_rows(s, EMB, ids, 2, have), ST_OK);
    assert_memory_equal(have, w + 7 * COLS, COLS * sizeof(float));
    assert_memory_equal(have + COLS, w + 3 * COLS, COLS * sizeof(float));
    assert_int_equal(s->ops->read(s, EMB, STORE_WEIGHT, 9, 1, have), ST_OK);
    assert_memory_equal(have, w + 9 * COLS, COLS * sizeof(float));
    assert_int_equal(s->ops->begin(s, 0), ST_INTERNAL);
    assert_int_equal(s->ops->read(s, EMB, STORE_M, 0, 1, have), ST_INTERNAL);
    assert_int_equal(s->ops->write(s, EMB, STORE_V, 0, 1, w), ST_INTERNAL);
    s->ops->destroy(s);
    assert_int_equal(mem_live(), 0);
}

static void test_null(void **state)
{
    (void)state;
    store *s = NULL;
    const store_param one = {1024, 256, 1}; /* 1 MiB */
    assert_int_equal(store_null_create(&one, 1, &s), ST_OK);
    float *w = NULL;
    assert_int_equal(MEM_NEW(&w, 1024 * 256, "test"), ST_OK);
    w[0] = w[1024 * 256 - 1] = 7;
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    assert_int_equal(s->ops->load(s, 0, 0, 1024, w), ST_OK);
    assert_true(w[0] == 0 && w[1024 * 256 - 1] == 0);
    assert_int_equal(s->ops->drain(s, 0, 0, 512, w), ST_OK);
    double sums[1024];
    sums[1023] = 1;
    assert_int_equal(s->ops->norm(s, 0, sums), ST_OK);
    assert_true(sums[1023] == 0);
    assert_int_equal(s->ops->update(s, 0, &adam), ST_OK);
    assert_int_equal(s->ops->end(s, 1), ST_OK);
    assert_int_equal(s->ops->bytes(s), 0);
    s->ops->destroy(s);
    mem_free(w);
}

/* The time of a transfer is the link's: with the null store that is all. */
static void test_link(void **state)
{
    (void)state;
    link_dir l = {.bytes_per_s = 50e6, .latency_s = 0.005};
    int64_t begin = clock_wall_ns();
    int64_t first = link_book(&l, 1000000); /* 5 ms + 20 ms */
    int64_t second = link_book(&l, 500000); /* behind it: 5 ms + 10 ms */
    assert_true(first - begin >= 25000000);
    assert_int_equal(second - first, 15000000);
    link_wait(second);
    assert_true(clock_wall_ns() >= second);
    link_dir none = {0};
    begin = clock_wall_ns();
    assert_true(link_book(&none, INT64_C(1) << 40) - begin < 1000000000);
}

/* --- check ---------------------------------------------------------------- */

/* Two right steps, with everything a caller may do. */
static void test_check_passes(void **state)
{
    (void)state;
    store *s = make_check(make_ram());
    float got[MOST];
    const int32_t ids[2] = {3, 1};
    write_weights(s, EMB, 1.0F);
    write_weights(s, MAT, 2.0F);
    for (int64_t step = 1; step <= 2; step++) {
        assert_int_equal(s->ops->load(s, MAT, 0, 6, got), ST_OK);
        assert_int_equal(s->ops->begin(s, step), ST_OK);
        assert_int_equal(s->ops->load_rows(s, EMB, ids, 2, got), ST_OK);
        assert_int_equal(s->ops->load(s, MAT, 0, 4, got), ST_OK);
        assert_int_equal(s->ops->load(s, MAT, 4, 2, got), ST_OK);
        drain_ok(s, MAT, 4, 2, 1.0F);
        drain_ok(s, MAT, 0, 4, 1.0F);
        drain_ok(s, EMB, 0, 10, 1.0F);
        assert_int_equal(s->ops->drain_rows(s, EMB, ids, 2, got), ST_OK);
        finish_ok(s, step);
        assert_int_equal(s->ops->read(s, MAT, STORE_WEIGHT, 1, 2, got), ST_OK);
        assert_int_equal(s->ops->read(s, MAT, STORE_V, 1, 2, got), ST_OK);
    }
    assert_int_equal(s->ops->bytes(s), 16 * 17 * COLS);
    s->ops->destroy(s);
}

static void test_check_rows(void **state)
{
    (void)state;
    store *s = make_check(make_ram());
    float g[MOST] = {0};
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    expect(s->ops->load(s, MAT, 4, 3, g), ST_INTERNAL,
           "load: rows [4, 7) of parameter 1, which has 6");
    expect(s->ops->load(s, MAT, -1, 1, g), ST_INTERNAL, "rows [-1, 0)");
    expect(s->ops->load(s, PARAMS, 0, 1, g), ST_INTERNAL, "parameter 3");
    expect(s->ops->drain(s, VEC, 0, 2, g), ST_INTERNAL, "drain: rows [0, 2)");
    expect(s->ops->load_rows(s, EMB, (const int32_t[]){1, 10}, 2, g),
           ST_INTERNAL, "row 10 of parameter 0, which has 10");
    expect(s->ops->load_rows(s, EMB, (const int32_t[]){4, 1, 4}, 3, g),
           ST_INTERNAL, "row 4 of parameter 0 is named twice");
    expect(s->ops->drain_rows(s, EMB, (const int32_t[]){2, 2}, 2, g),
           ST_INTERNAL, "named twice");
    s->ops->destroy(s);
}

static void test_check_order(void **state)
{
    (void)state;
    store *s = make_check(make_ram());
    float g[MOST] = {0};
    double sums[64];
    expect(s->ops->drain(s, MAT, 0, 1, g), ST_INTERNAL, "no step has begun");
    expect(s->ops->norm(s, MAT, sums), ST_INTERNAL, "no step has begun");
    expect(s->ops->update(s, MAT, &adam), ST_INTERNAL, "no step has begun");
    expect(s->ops->end(s, 1), ST_INTERNAL, "no step runs");
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    expect(s->ops->read(s, MAT, STORE_M, 0, 1, g), ST_INTERNAL,
           "a step is running");
    expect(s->ops->write(s, MAT, STORE_M, 0, 1, g), ST_INTERNAL,
           "a step is running");
    drain_ok(s, MAT, 0, 2, 1.0F);
    expect(s->ops->drain(s, MAT, 1, 2, g), ST_INTERNAL,
           "row 1 of parameter 1 comes twice");
    norm_ok(s, MAT);
    expect(s->ops->norm(s, MAT, sums), ST_INTERNAL, "comes twice");
    expect(s->ops->drain(s, MAT, 3, 1, g), ST_INTERNAL, "after its norm");
    assert_int_equal(s->ops->drain_rows(s, EMB, (const int32_t[]){0}, 1, g),
                     ST_OK);
    expect(s->ops->drain(s, EMB, 1, 1, g), ST_INTERNAL,
           "would replace what drain_rows added");
    expect(s->ops->update(s, MAT, &adam), ST_INTERNAL,
           "only 1 of 3 parameters have had their norm");
    norm_ok(s, EMB);
    expect(s->ops->drain_rows(s, EMB, (const int32_t[]){1}, 1, g), ST_INTERNAL,
           "after its norm");
    norm_ok(s, VEC);
    assert_int_equal(s->ops->update(s, MAT, &adam), ST_OK);
    expect(s->ops->update(s, MAT, &adam), ST_INTERNAL, "comes twice");
    expect(s->ops->load(s, MAT, 0, 1, g), ST_INTERNAL,
           "was updated in this step already");
    assert_int_equal(s->ops->load(s, VEC, 0, 1, g), ST_OK);
    expect(s->ops->drop(s, 1), ST_INTERNAL, "has updated parameter 1");
    expect(s->ops->end(s, 1), ST_INTERNAL, "has not updated parameter 0");
    assert_int_equal(s->ops->update(s, EMB, &adam), ST_OK);
    assert_int_equal(s->ops->update(s, VEC, &adam), ST_OK);
    expect(s->ops->end(s, 2), ST_INTERNAL, "the running step is 1");
    assert_int_equal(s->ops->end(s, 1), ST_OK);
    s->ops->destroy(s);
}

/* A step that failed before it changed anything is dropped. */
static void test_check_drop(void **state)
{
    (void)state;
    store *s = make_check(make_ram());
    expect(s->ops->drop(s, 1), ST_INTERNAL, "no step runs");
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    drain_ok(s, MAT, 0, 6, 1.0F);
    norm_ok(s, MAT);
    expect(s->ops->begin(s, 2), ST_INTERNAL,
           "step 1 has taken 1 of 3 norms, was not dropped");
    expect(s->ops->drop(s, 2), ST_INTERNAL, "the running step is 1");
    assert_int_equal(s->ops->drop(s, 1), ST_OK);
    assert_int_equal(s->ops->begin(s, 2), ST_OK);
    drain_ok(s, MAT, 0, 6, 1.0F);
    finish_ok(s, 2);
    s->ops->destroy(s);
}

/* The next step begins while updates of this one are still to come. */
static void test_check_overlap(void **state)
{
    (void)state;
    store *s = make_check(make_ram());
    float g[MOST] = {0};
    double sums[64];
    const int32_t ids[1] = {0};
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    for (int i = 0; i < PARAMS; i++) {
        norm_ok(s, i);
    }
    assert_int_equal(s->ops->update(s, EMB, &adam), ST_OK);
    assert_int_equal(s->ops->begin(s, 2), ST_OK);
    expect(s->ops->begin(s, 3), ST_INTERNAL, "step 1 has not ended");
    assert_int_equal(s->ops->load_rows(s, EMB, ids, 1, g), ST_OK);
    assert_int_equal(s->ops->drain_rows(s, EMB, ids, 1, g), ST_OK);
    expect(s->ops->load(s, MAT, 0, 1, g), ST_INTERNAL,
           "parameter 1 is not updated in step 1 yet");
    expect(s->ops->drain(s, MAT, 0, 1, g), ST_INTERNAL, "not updated");
    expect(s->ops->norm(s, MAT, sums), ST_INTERNAL, "not updated");
    expect(s->ops->update(s, EMB, &adam), ST_INTERNAL, "twice in step 1");
    expect(s->ops->end(s, 2), ST_INTERNAL, "the running step is 1");
    expect(s->ops->drop(s, 2), ST_INTERNAL, "the running step is 1");
    expect(s->ops->read(s, EMB, STORE_M, 0, 1, g), ST_INTERNAL,
           "a step is running");
    assert_int_equal(s->ops->update(s, MAT, &adam), ST_OK);
    assert_int_equal(s->ops->load(s, MAT, 0, 1, g), ST_OK);
    expect(s->ops->end(s, 1), ST_INTERNAL, "has not updated parameter 2");
    assert_int_equal(s->ops->update(s, VEC, &adam), ST_OK);
    assert_int_equal(s->ops->end(s, 1), ST_OK);
    expect(s->ops->end(s, 1), ST_INTERNAL, "the running step is 2");
    finish_ok(s, 2);
    assert_int_equal(s->ops->read(s, MAT, STORE_M, 0, 1, g), ST_OK);
    s->ops->destroy(s);
}

/* What the inner store loses between calls is found by the next load. */
static void test_check_corrupt(void **state)
{
    (void)state;
    store *ram = make_ram();
    store *s = make_check(ram);
    float w[MOST];
    write_weights(s, EMB, 1.0F);
    write_weights(s, MAT, 2.0F);
    assert_int_equal(s->ops->begin(s, 1), ST_OK);
    drain_ok(s, MAT, 0, 6, 1.0F);
    finish_ok(s, 1);
    assert_int_equal(s->ops->load(s, MAT, 0, 6, w), ST_OK);
    w[2 * COLS + 5] += 1.0F;
    assert_int_equal(ram->ops->write(ram, MAT, STORE_WEIGHT, 0, 6, w), ST_OK);
    assert_int_equal(s->ops->load(s, MAT, 0, 2, w), ST_OK);
    expect(s->ops->load(s, MAT, 1, 3, w), ST_CORRUPT, "row 2 of parameter 1");
    expect(s->ops->read(s, MAT, STORE_WEIGHT, 2, 1, w), ST_CORRUPT, "row 2");
    assert_int_equal(s->ops->load(s, EMB, 0, 10, w), ST_OK);
    w[9 * COLS] = -1.0F;
    assert_int_equal(
        ram->ops->write(ram, EMB, STORE_WEIGHT, 9, 1, w + 9 * COLS), ST_OK);
    expect(s->ops->load_rows(s, EMB, (const int32_t[]){1, 9}, 2, w), ST_CORRUPT,
           "row 9 of parameter 0");
    s->ops->destroy(s);
}

/* --- memory --------------------------------------------------------------- */

static void test_allocation_fails(void **state)
{
    (void)state;
    int64_t live = mem_live();
    for (int64_t n = 1;; n++) {
        store *inner = NULL;
        store *s = NULL;
        mem_fail_after(n);
        status st =
            n % 2 == 0 ? store_null_create(shapes, PARAMS, &inner)
                       : store_ram_create(shapes, PARAMS, &math_ref, 1, &inner);
        if (st == ST_OK) {
            st = store_check_create(inner, shapes, PARAMS, &s);
        }
        mem_fail_after(0);
        if (st == ST_OK) {
            s->ops->destroy(s);
        } else if (inner != NULL) {
            inner->ops->destroy(inner);
        }
        assert_int_equal(mem_live(), live);
        if (n > 40) {
            assert_int_equal(st, ST_OK);
            break;
        }
        assert_true(st == ST_OK || st == ST_SYSTEM);
        assert_true(n > 1 || st == ST_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ram_moves),
        cmocka_unit_test(test_ram_gradients),
        cmocka_unit_test(test_ram_update),
        cmocka_unit_test(test_ram_weights),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_check_passes),
        cmocka_unit_test(test_check_rows),
        cmocka_unit_test(test_check_order),
        cmocka_unit_test(test_check_drop),
        cmocka_unit_test(test_check_overlap),
        cmocka_unit_test(test_check_corrupt),
        cmocka_unit_test(test_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
