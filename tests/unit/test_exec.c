/*
 * The executor on one rank: what it must never do in a step (allocate, go
 * past its budget, hang, change weights when it fails), and that its ledger,
 * its trace and its validation tell the truth.
 *
 * timeout: 240
 */
#include "tests/unit/exec_make.h"

#include <math.h>
#include <unistd.h>

#include "runtime/base/mem.h"

static int64_t of_world; /* blocks that the world keeps */

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
        cmocka_unit_test(test_nan_changes_nothing),
        cmocka_unit_test(test_nan_is_skipped),
        cmocka_unit_test(test_link_rate),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_ledger_and_trace),
    };
    if (!open_world()) {
        return 1;
    }
    of_world = mem_live();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    comm_fini(world);
    return failed != 0;
}
