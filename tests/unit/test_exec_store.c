/*
 * The executor on one rank and its store: one that fails ends the step and
 * changes nothing, one that checks sees a flipped bit, and one that is not
 * there gives weights of zero.
 *
 * timeout: 240
 */
#include "runtime/base/mem.h"
#include "tests/unit/exec_make.h"
#include "ws/store/ram.h"

#include <math.h>

/* --- stores that fail ----------------------------------------------------- */

typedef enum fault { FAULT_STATUS, FAULT_NAN, FAULT_FLIP } fault;

/* Passes calls on; call number `at` of kind `kind` goes wrong. */
typedef struct bad_store {
    store base;
    store *inner;
    int kind;
    int at;
    fault what;
    int calls; /* of that kind so far; one thread makes them */
} bad_store;

enum kind {
    K_BEGIN,
    K_LOAD,
    K_LOAD_ROWS,
    K_DRAIN,
    K_DRAIN_ROWS,
    K_NORM,
    K_UPDATE,
    K_END,
    KINDS
};

static status bad(store *s, int kind)
{
    bad_store *b = (bad_store *)s;
    if (b->kind != kind || b->calls++ != b->at || b->what != FAULT_STATUS) {
        return ST_OK;
    }
    return FAIL(ST_IO, "the disk of call %d of kind %d is on fire", b->at,
                kind);
}

static void spoil(store *s, int kind, float *data)
{
    bad_store *b = (bad_store *)s;
    if (b->kind == kind && b->calls == b->at + 1 && b->what == FAULT_NAN) {
        data[0] = NAN;
    }
    if (b->kind == kind && b->calls == b->at + 1 && b->what == FAULT_FLIP) {
        ((uint32_t *)data)[0] ^= 1;
    }
}

static store *in(store *s)
{
    return ((bad_store *)s)->inner;
}

static status bad_begin(store *s, int64_t step)
{
    TRY(bad(s, K_BEGIN));
    return in(s)->ops->begin(in(s), step);
}

static status bad_load(store *s, int par, int64_t row0, int64_t rows, float *to)
{
    TRY(bad(s, K_LOAD));
    TRY(in(s)->ops->load(in(s), par, row0, rows, to));
    spoil(s, K_LOAD, to);
    return ST_OK;
}

static status bad_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                            float *to)
{
    TRY(bad(s, K_LOAD_ROWS));
    TRY(in(s)->ops->load_rows(in(s), par, ids, n, to));
    spoil(s, K_LOAD_ROWS, to);
    return ST_OK;
}

static status bad_drain(store *s, int par, int64_t row0, int64_t rows,
                        const float *from)
{
    TRY(bad(s, K_DRAIN));
    return in(s)->ops->drain(in(s), par, row0, rows, from);
}

static status bad_drain_rows(store *s, int par, const int32_t *ids, int64_t n,
                             const float *from)
{
    TRY(bad(s, K_DRAIN_ROWS));
    return in(s)->ops->drain_rows(in(s), par, ids, n, from);
}

static status bad_norm(store *s, int par, double *rows)
{
    TRY(bad(s, K_NORM));
    return in(s)->ops->norm(in(s), par, rows);
}

static status bad_update(store *s, int par, const store_update *u)
{
    TRY(bad(s, K_UPDATE));
    return in(s)->ops->update(in(s), par, u);
}

static status bad_end(store *s, int64_t step)
{
    TRY(bad(s, K_END));
    return in(s)->ops->end(in(s), step);
}

static status bad_drop(store *s, int64_t step)
{
    return in(s)->ops->drop(in(s), step);
}

static status bad_read(store *s, int par, store_state which, int64_t row0,
                       int64_t rows, float *to)
{
    return in(s)->ops->read(in(s), par, which, row0, rows, to);
}

static status bad_write(store *s, int par, store_state which, int64_t row0,
                        int64_t rows, const float *from)
{
    return in(s)->ops->write(in(s), par, which, row0, rows, from);
}

static int64_t bad_bytes(const store *s)
{
    const bad_store *b = (const bad_store *)s;
    return b->inner->ops->bytes(b->inner);
}

static void bad_destroy(store *s)
{
    in(s)->ops->destroy(in(s));
}

static const store_ops bad_ops = {
    .name = "bad",
    .begin = bad_begin,
    .load = bad_load,
    .load_rows = bad_load_rows,
    .drain = bad_drain,
    .drain_rows = bad_drain_rows,
    .norm = bad_norm,
    .update = bad_update,
    .end = bad_end,
    .drop = bad_drop,
    .read = bad_read,
    .write = bad_write,
    .bytes = bad_bytes,
    .destroy = bad_destroy,
};

static store *wrap_bad(void *self, store *inner)
{
    bad_store *b = self;
    b->base.ops = &bad_ops;
    b->inner = inner;
    return &b->base;
}

/* How often a step makes a call of this kind. */
static int calls_of(rig *r, bad_store *b, int kind)
{
    b->kind = kind;
    b->calls = 0;
    b->at = -1;
    (void)step_ok(r, 0);
    return b->calls;
}

/* Every kind of call, its first, middle and last: the step says so, and
 * neither it nor the end hangs (the runner's time-out would tell). */
static void test_store_fails(void **state)
{
    (void)state;
    bad_store b = {.kind = KINDS};
    rig_more more = {.wrap = wrap_bad, .wrap_self = &b};
    setup_options o = option_of(1);
    rig r;
    open_ok(&o, &more, &r);
    for (int kind = 0; kind < KINDS; kind++) {
        int n = calls_of(&r, &b, kind);
        assert_true(n >= 1);
        const int at[] = {0, n / 2, n - 1};
        for (int i = 0; i < 3; i++) {
            exec_result res;
            char want[64];
            b.at = at[i];
            b.calls = 0;
            (void)snprintf(want, sizeof(want), "call %d of kind %d", b.at,
                           kind);
            assert_int_equal(rig_step(&r, 1, &res), ST_IO);
            assert_non_null(strstr(status_text(), want));
        }
    }
    rig_close(&r);
}

/* A step that failed before its updates has changed nothing: tried again, it
 * goes on as if nothing had been. */
static void test_step_again(void **state)
{
    (void)state;
    outcome plain = plain_outcome();
    bad_store b = {.kind = KINDS};
    rig_more more = {.wrap = wrap_bad, .wrap_self = &b};
    setup_options o = option_of(1);
    rig r;
    open_ok(&o, &more, &r);
    for (int k = 0; k < STEPS; k++) {
        for (int kind = K_BEGIN; kind < K_UPDATE; kind++) {
            exec_result res;
            b.kind = kind;
            b.at = k < 1 ? 0 : kind == K_LOAD || kind == K_DRAIN ? 3 : 0;
            b.calls = 0;
            assert_int_equal(rig_step(&r, k, &res), ST_IO);
        }
        exec_result res = step_ok(&r, k);
        assert_memory_equal(&res.loss, &plain.loss[k], sizeof(double));
        assert_memory_equal(&res.grad_norm, &plain.norm[k], sizeof(double));
    }
    assert_true(hash_of(&r) == plain.hash);
    rig_close(&r);
}

/* --- stores that check, or are not there ---------------------------------- */

static void test_check_store(void **state)
{
    (void)state;
    outcome plain = plain_outcome();
    for (int i = 1; i < SETUPS; i++) {
        rig r;
        setup_options o = option_of(i);
        o.store = SETUP_STORE_CHECK;
        open_ok(&o, NULL, &r);
        for (int k = 0; k < STEPS; k++) {
            (void)evaluate_ok(&r, 50 + k);
            exec_result res = step_ok(&r, k);
            assert_memory_equal(&res.loss, &plain.loss[k], sizeof(double));
        }
        assert_true(hash_of(&r) == plain.hash);
        rig_close(&r);
    }
}

typedef struct checked_bad {
    bad_store b;
    const setup *s;
} checked_bad;

static store *wrap_checked_bad(void *self, store *inner)
{
    checked_bad *c = self;
    store_param *shapes = NULL;
    store *out = NULL;
    assert_int_equal(store_list_params(&c->s->ps, &shapes), ST_OK);
    store *b = wrap_bad(&c->b, inner);
    assert_int_equal(store_check_create(b, shapes, c->s->ps.n, &out), ST_OK);
    mem_free(shapes);
    return out;
}

/* One flipped bit in one panel on its way to the device. */
static void test_check_store_sees_a_flip(void **state)
{
    (void)state;
    rig r;
    checked_bad c = {.b = {.kind = KINDS, .what = FAULT_FLIP}, .s = &r.s};
    rig_more more = {.wrap = wrap_checked_bad, .wrap_self = &c};
    setup_options o = option_of(1);
    open_ok(&o, &more, &r);
    (void)step_ok(&r, 0);
    static const int kinds[] = {K_LOAD, K_LOAD_ROWS};
    for (int i = 0; i < 2; i++) {
        exec_result res;
        c.b.kind = kinds[i];
        c.b.at = kinds[i] == K_LOAD ? 5 : 0;
        c.b.calls = 0;
        assert_int_equal(rig_step(&r, 1, &res), ST_CORRUPT);
        assert_non_null(strstr(status_text(), "checksum"));
    }
    c.b.kind = KINDS;
    (void)step_ok(&r, 1);
    rig_close(&r);
}

/* Weights of zero: every token has the same probability. */
static void test_null_store(void **state)
{
    (void)state;
    rig r;
    setup_options o = option_of(1);
    o.store = SETUP_STORE_NULL;
    open_ok(&o, NULL, &r);
    /* Nothing is kept, so nothing is asked of the machine's memory. */
    assert_int_equal(setup_host_bytes(&r.s, 1), exec_program(r.e)->peak_bytes);
    for (int k = 0; k < STEPS; k++) {
        exec_result res = step_ok(&r, k);
        assert_true(fabs(res.loss - log((double)r.s.a.V)) <= 1e-5);
        assert_true(res.grad_norm == 0);
    }
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_step_again),
        cmocka_unit_test(test_check_store),
        cmocka_unit_test(test_check_store_sees_a_flip),
        cmocka_unit_test(test_null_store),
    };
    if (!open_world()) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    comm_fini(world);
    return failed != 0;
}
