/*
 * The executor on one rank: what it must never do in a step (allocate, go
 * past its budget, hang, change weights when it fails), and that its ledger,
 * its trace and its validation tell the truth.
 *
 * timeout: 240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "tests/common/rig.h"

enum { STEPS = 3 };

static comm *world;
static int64_t of_world; /* its blocks */

static void open_ok(const setup_options *o, const rig_more *more, rig *r)
{
    status st = rig_open(o, more, world, r);
    if (st != ST_OK) {
        print_error("%s\n", status_text());
    }
    assert_int_equal(st, ST_OK);
}

static exec_result step_ok(rig *r, int64_t step)
{
    exec_result res;
    status st = rig_step(r, step, &res);
    if (st != ST_OK) {
        print_error("step %lld: %s\n", (long long)step, status_text());
    }
    assert_int_equal(st, ST_OK);
    return res;
}

static uint64_t hash_of(rig *r)
{
    uint64_t hash = 0;
    assert_int_equal(rig_hash(r, &hash), ST_OK);
    return hash;
}

static double evaluate_ok(rig *r, int64_t step)
{
    double loss = 0;
    assert_int_equal(exec_evaluate(r->e, step, &loss), ST_OK);
    return loss;
}

/* The set-ups that tests go through: resident; streamed, tight; streamed
 * with everything that makes programs long. */
enum { SETUPS = 3 };

static setup_options option_of(int i)
{
    setup_options o = rig_options(i == 0 ? "dp1" : NULL);
    if (i == 1) {
        o.device_memory = 2300 << 10;
    }
    if (i == 2) {
        o.micro_batch = 1;
        o.recompute = SETUP_RECOMPUTE_FULL;
        o.threads = 2;
    }
    return o;
}

/* Loss bits and weights after STEPS steps, the same for all set-ups. */
typedef struct outcome {
    double loss[STEPS], norm[STEPS];
    uint64_t hash;
} outcome;

static outcome plain_outcome(void)
{
    rig r;
    outcome out;
    memset(&out, 0, sizeof(out));
    setup_options o = option_of(0);
    open_ok(&o, NULL, &r);
    for (int i = 0; i < STEPS; i++) {
        exec_result res = step_ok(&r, i);
        out.loss[i] = res.loss;
        out.norm[i] = res.grad_norm;
    }
    out.hash = hash_of(&r);
    rig_close(&r);
    return out;
}

/* --- memory --------------------------------------------------------------- */

static void test_no_allocation(void **state)
{
    (void)state;
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        setup_options o = option_of(i);
        open_ok(&o, NULL, &r);
        int64_t before = mem_count();
        for (int k = 0; k < STEPS; k++) {
            (void)step_ok(&r, k);
            (void)evaluate_ok(&r, 100 + k);
        }
        assert_int_equal(mem_count(), before);
        rig_close(&r);
    }
    assert_int_equal(mem_live(), of_world);
}

/* --- who looks in --------------------------------------------------------- */

/* How often an operation of a kind was about to run. */
typedef struct looks {
    int of[OP_KIND_COUNT];
} looks;

static void look(void *self, const prog_op *o)
{
    looks *l = self;
    l->of[o->kind]++;
}

/* Once before each operation of a training step that the calling thread has:
 * all computing ones. Validation is not looked at. */
static void test_between(void **state)
{
    (void)state;
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        looks seen = {{0}};
        looks want = {{0}};
        const rig_more more = {.between = look, .between_self = &seen};
        setup_options o = option_of(i);
        open_ok(&o, &more, &r);
        const program *p = exec_program(r.e);
        for (int32_t k = 0; k < p->nops; k++) {
            if (p->ops[k].stream == STREAM_COMPUTE) {
                want.of[p->ops[k].kind] += STEPS;
            }
        }
        (void)evaluate_ok(&r, 100);
        assert_int_equal(seen.of[OP_FORWARD], 0);
        for (int k = 0; k < STEPS; k++) {
            (void)step_ok(&r, k);
        }
        assert_true(seen.of[OP_FORWARD] > 0 && seen.of[OP_LOAD] == 0);
        assert_int_equal(seen.of[OP_FORWARD], want.of[OP_FORWARD]);
        assert_int_equal(seen.of[OP_DINPUT], want.of[OP_DINPUT]);
        assert_int_equal(seen.of[OP_DWEIGHT], want.of[OP_DWEIGHT]);
        rig_close(&r);
    }
}

static void test_budget(void **state)
{
    (void)state;
    rig r;
    setup_options o = option_of(1);
    open_ok(&o, NULL, &r);
    assert_int_equal(exec_arena_bytes(r.e), o.device_memory);
    assert_true(exec_program(r.e)->peak_bytes <= o.device_memory);
    (void)step_ok(&r, 0);
    rig_close(&r);

    /* Without a limit: what the plan needs, not more. */
    o = option_of(0);
    open_ok(&o, NULL, &r);
    assert_int_equal(exec_arena_bytes(r.e), exec_program(r.e)->peak_bytes);
    rig_close(&r);
}

/* A program compiled for more memory than the device has. */
static void test_too_little(void **state)
{
    (void)state;
    setup s;
    exec *e = NULL;
    setup_options o = option_of(0);
    assert_int_equal(setup_open(&o, 1, &s), ST_OK);
    exec_config c = {.a = &s.a,
                     .ps = &s.ps,
                     .set = &s.set,
                     .sh = s.sh,
                     .math = s.math,
                     .threads = 1,
                     .world = world,
                     .device_memory = s.set.classes[0].peak_bytes - 1};
    assert_int_equal(exec_create(&c, &e), ST_BUDGET);
    assert_non_null(strstr(status_text(), "--device-memory"));
    assert_null(e);
    setup_close(&s);
    assert_int_equal(mem_live(), of_world);
}

static const math_ops *honest; /* what the wild kernels are but for one */
static int64_t wild_by;        /* floats                                */

/* Also writes one number far behind what it was given. */
static void wild_norm(const math_ctx *c, int64_t n, int64_t C, float eps,
                      const float *x, int64_t ldx, const float *gamma,
                      const float *beta, float *y, int64_t ldy, float *stats)
{
    honest->norm_fwd(c, n, C, eps, x, ldx, gamma, beta, y, ldy, stats);
    y[wild_by] = 1;
}

static int64_t touched_with(const math_ops *math, const setup_options *o,
                            int64_t *planned)
{
    rig r;
    const rig_more more = {.math = math};
    open_ok(o, &more, &r);
    honest = r.s.math;
    (void)step_ok(&r, 0);
    int64_t touched = exec_arena_touched(r.e);
    *planned = exec_program(r.e)->peak_bytes;
    rig_close(&r);
    return touched;
}

/* A step touches what its plan says and no more; and an operation that writes
 * behind its plan is seen, where the arena has room for it. */
static void test_plan_is_what_is_touched(void **state)
{
    (void)state;
    int64_t page = sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 2; i++) {
        int64_t planned = 0;
        setup_options o = option_of(i);
        o.device_memory = 64 << 20; /* room behind the plan */
        int64_t touched = touched_with(NULL, &o, &planned);
        assert_in_range(touched, planned - page + 1, planned + page - 1);
        math_ops wild = *honest;
        wild.norm_fwd = wild_norm;
        wild_by = planned / (int64_t)sizeof(float);
        assert_true(2 * planned < o.device_memory);
        touched = touched_with(&wild, &o, &planned);
        assert_in_range(touched, planned + page, 2 * planned + page);
    }
}

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

/* --- numbers that are none ------------------------------------------------ */

static void test_nan_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        exec_result res;
        setup_options o = option_of(i);
        open_ok(&o, NULL, &r);
        (void)step_ok(&r, 0);
        assert_int_equal(rig_poke(&r, r.s.ps.n / 2, NAN), ST_OK);
        uint64_t before = hash_of(&r);
        assert_int_equal(rig_step(&r, 1, &res), ST_NUMERIC);
        assert_non_null(strstr(status_text(), "no weight was changed"));
        assert_true(hash_of(&r) == before);
        assert_int_equal(rig_poke(&r, r.s.ps.n / 2, 0), ST_OK);
        (void)step_ok(&r, 1);
        assert_true(hash_of(&r) != before);
        rig_close(&r);
    }
}

/* The guard chooses the tail without updates; the run goes on. */
static void test_nan_is_skipped(void **state)
{
    (void)state;
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        exec_result res;
        setup_options o = option_of(i);
        open_ok(&o, NULL, &r);
        r.skip_broken = true;
        exec_result first = step_ok(&r, 0);
        assert_false(first.skipped);
        assert_int_equal(rig_poke(&r, r.s.ps.n / 2, NAN), ST_OK);
        uint64_t before = hash_of(&r);
        assert_int_equal(rig_step(&r, 1, &res), ST_OK);
        assert_true(res.skipped && !isfinite(res.grad_norm));
        assert_true(hash_of(&r) == before);
        const program *p = exec_program(r.e);
        assert_int_equal(p->ops[p->guard].kind, OP_CLIP);
        assert_int_equal(rig_poke(&r, r.s.ps.n / 2, 0), ST_OK);
        assert_false(step_ok(&r, 1).skipped);
        assert_true(hash_of(&r) != before);
        rig_close(&r);
    }
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

static int list_shapes(const setup *s, store_param *out)
{
    for (int i = 0; i < s->ps.n; i++) {
        out[i] = (store_param){s->ps.list[i].rows, s->ps.list[i].cols,
                               s->ps.list[i].decay};
    }
    return s->ps.n;
}

typedef struct checked_bad {
    bad_store b;
    const setup *s;
} checked_bad;

static store *wrap_checked_bad(void *self, store *inner)
{
    checked_bad *c = self;
    store_param shapes[64];
    store *out = NULL;
    int n = list_shapes(c->s, shapes);
    store *b = wrap_bad(&c->b, inner);
    assert_int_equal(store_check_create(b, shapes, n, &out), ST_OK);
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

/* --- the link ------------------------------------------------------------- */

static double bytes_on(const program *p, op_stream stream, int64_t *transfers)
{
    double bytes = 0;
    *transfers = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        if (o->stream == stream &&
            (o->kind == OP_LOAD || o->kind == OP_DRAIN)) {
            bytes += o->bytes;
            (*transfers)++;
        }
    }
    return bytes;
}

static void test_link_rate(void **state)
{
    (void)state;
    outcome plain = plain_outcome();
    rig r;
    int64_t loads;
    int64_t drains;
    setup_options o = option_of(1);
    open_ok(&o, NULL, &r);
    double down = bytes_on(exec_program(r.e), STREAM_LOAD, &loads);
    double up = bytes_on(exec_program(r.e), STREAM_DRAIN, &drains);
    rig_close(&r);
    assert_true(down > 0 && up > 0 && down > up);

    /* So slow that the loads of a step take 0.6 s. */
    rig_more more = {.link_rate = down / 0.6};
    open_ok(&o, &more, &r);
    exec_result res = step_ok(&r, 0);
    assert_true((double)res.ledger.wall * 1e-9 >= 0.6);
    assert_true((double)res.ledger.load * 1e-9 >= 0.2);
    assert_memory_equal(&res.loss, &plain.loss[0], sizeof(double));
    assert_memory_equal(&res.grad_norm, &plain.norm[0], sizeof(double));
    rig_close(&r);

    more = (rig_more){.link_latency = 0.5 / (double)loads};
    open_ok(&o, &more, &r);
    res = step_ok(&r, 0);
    assert_true((double)res.ledger.wall * 1e-9 >= 0.5);
    assert_true((double)res.ledger.load * 1e-9 >= 0.1);
    assert_memory_equal(&res.loss, &plain.loss[0], sizeof(double));
    rig_close(&r);
}

/* --- what it tells -------------------------------------------------------- */

static void test_evaluate(void **state)
{
    (void)state;
    outcome plain = plain_outcome();
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        setup_options o = option_of(i);
        open_ok(&o, NULL, &r);
        for (int k = 0; k < STEPS; k++) {
            uint64_t before = hash_of(&r);
            double loss = evaluate_ok(&r, k);
            assert_memory_equal(&loss, &plain.loss[k], sizeof(double));
            assert_true(evaluate_ok(&r, k + 1) != loss);
            assert_true(hash_of(&r) == before);
            exec_result res = step_ok(&r, k);
            assert_memory_equal(&loss, &res.loss, sizeof(double));
        }
        assert_true(hash_of(&r) == plain.hash);
        rig_close(&r);
    }
}

static void check_ledger(const exec_ledger *l, bool streamed)
{
    assert_true(l->compute > 0 && l->load >= 0 && l->optimizer > 0);
    assert_true(l->bubble == 0 && l->comm >= 0); /* one rank */
    assert_true(l->comm == 0 || !streamed);
    assert_true(l->other >= 0);
    assert_true(l->wall > 0 && l->cpu > 0);
    assert_int_equal(l->compute + l->load + l->comm + l->bubble + l->optimizer +
                         l->other,
                     l->wall);
}

/* Nothing runs before what it waits for has ended, nor beside an operation of
 * its own stream, nor out of the step. */
static void check_trace(const rig *r, int64_t wall)
{
    const program *p = exec_program(r->e);
    const exec_trace *tr = exec_last_trace(r->e);
    int64_t last[16] = {0};
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        assert_true(tr[i].start >= 0 && tr[i].end >= tr[i].start);
        assert_true(tr[i].end <= wall && tr[i].cpu >= 0);
        assert_true(o->stream < 16 && tr[i].start >= last[o->stream]);
        last[o->stream] = tr[i].end;
        for (int32_t d = 0; d < o->deps; d++) {
            const prog_dep *dep = &p->dep[o->dep0 + d];
            if (dep->distance == 0) {
                assert_true(tr[i].start >= tr[dep->op].end);
            }
        }
    }
}

static void test_ledger_and_trace(void **state)
{
    (void)state;
    for (int i = 0; i < SETUPS; i++) {
        rig r;
        setup_options o = option_of(i);
        int64_t least = INT64_MAX;
        open_ok(&o, NULL, &r);
        for (int k = 0; k < STEPS; k++) {
            exec_result res = step_ok(&r, k);
            check_ledger(&res.ledger, i > 0);
            check_trace(&r, res.ledger.wall);
            least = res.ledger.comm < least ? res.ledger.comm : least;
        }
        assert_true(least <
                    1000000); /* but where another process had the core */
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_plan_is_what_is_touched),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_step_again),
        cmocka_unit_test(test_nan_changes_nothing),
        cmocka_unit_test(test_nan_is_skipped),
        cmocka_unit_test(test_check_store),
        cmocka_unit_test(test_check_store_sees_a_flip),
        cmocka_unit_test(test_null_store),
        cmocka_unit_test(test_link_rate),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_ledger_and_trace),
    };
    if (comm_init(&world) != ST_OK) {
        fprintf(stderr, "%s\n", status_text());
        return 1;
    }
    of_world = mem_live();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    comm_fini(world);
    return failed != 0;
}
