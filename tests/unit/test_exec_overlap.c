/*
 * Steps that overlap: updates of one run while the next has begun. They do,
 * nothing changes by it, and who fails is told.
 *
 * timeout: 120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "tests/common/rig.h"

enum { STEPS = 4, LAST = STEPS - 1 };

static comm *world;

static setup_options streamed(void)
{
    setup_options o = rig_options(NULL);
    o.device_memory = 2300 << 10;
    return o;
}

/* --- a store in the way --------------------------------------------------- */

/* The store's own calls, with some of them changed: what happens, when. */
static struct {
    const store_ops *real;
    store_ops ops;
    int last;                         /* parameter */
    atomic_int begun, ended, loading; /* steps; loading: newest with a load */
    bool hold;           /* the last update waits for the next step's load */
    int fails_at;        /* step whose last update fails, or -1            */
    bool end_fails;      /* its end instead                                */
    int64_t first_ns;    /* what a step's first update takes at least       */
    atomic_int overlaps; /* updates that a load of the next step overtook  */
} way;

static void sleep_ns(int64_t ns)
{
    struct timespec t = {.tv_sec = 0, .tv_nsec = ns};
    (void)nanosleep(&t, NULL);
}

static status way_begin(store *s, int64_t step)
{
    atomic_store(&way.begun, (int)step);
    return way.real->begin(s, step);
}

static status way_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                            float *to)
{
    atomic_store(&way.loading, atomic_load(&way.begun));
    return way.real->load_rows(s, par, ids, n, to);
}

/* A step's updates: is the next one's load there before the last? */
static status way_update(store *s, int par, const store_update *u)
{
    int step = atomic_load(&way.ended) + 1;
    if (par == 0) {
        sleep_ns(way.first_ns);
    }
    for (int ms = 0; way.hold && par == way.last && step < LAST && ms < 10000 &&
                     atomic_load(&way.loading) <= step;
         ms++) {
        sleep_ns(1000000);
    }
    if (par == way.last && atomic_load(&way.loading) > step) {
        atomic_fetch_add(&way.overlaps, 1);
    }
    REQUIRE(par != way.last || step != way.fails_at || way.end_fails, ST_IO,
            "the update of step %d burns", step);
    return way.real->update(s, par, u);
}

static status way_end(store *s, int64_t step)
{
    REQUIRE(step != way.fails_at || !way.end_fails, ST_IO,
            "the end of step %d burns", (int)step);
    atomic_store(&way.ended, (int)step);
    return way.real->end(s, step);
}

static status way_drop(store *s, int64_t step)
{
    atomic_store(&way.ended, (int)step);
    return way.real->drop(s, step);
}

static store *get_in_the_way(void *self, store *inner)
{
    (void)self;
    way.real = inner->ops;
    way.ops = *inner->ops;
    way.ops.begin = way_begin;
    way.ops.load_rows = way_load_rows;
    way.ops.update = way_update;
    way.ops.end = way_end;
    way.ops.drop = way_drop;
    inner->ops = &way.ops;
    return inner;
}

static void open_way(const setup_options *o, rig *r)
{
    static const rig_more more = {.wrap = get_in_the_way};
    memset(&way, 0, sizeof(way));
    way.fails_at = -1;
    atomic_store(&way.ended, -1);
    atomic_store(&way.loading, -1);
    assert_int_equal(rig_open(o, &more, world, r), ST_OK);
    way.last = r->s.ps.n - 1;
    r->overlaps = true;
}

/* --- the same with and without -------------------------------------------- */

typedef struct outcome {
    double loss[STEPS], norm[STEPS];
    uint64_t hash;
} outcome;

/* Step 1 meets a weight that is not a number, if `broken`: it is skipped. */
static outcome run_steps(rig *r, bool broken)
{
    outcome out;
    memset(&out, 0, sizeof(out));
    r->skip_broken = true;
    for (int k = 0; k < STEPS; k++) {
        exec_result res;
        if (broken && (k == 1 || k == 2)) {
            assert_int_equal(rig_poke(r, r->s.ps.n / 2, k == 1 ? NAN : 0),
                             ST_OK);
        }
        assert_int_equal(rig_step(r, k, &res), ST_OK);
        assert_true(res.skipped == (broken && k == 1));
        out.loss[k] = res.skipped ? 0 : res.loss;
        out.norm[k] = res.skipped ? 0 : res.grad_norm;
        const exec_ledger *l = &res.ledger;
        assert_int_equal(l->compute + l->load + l->comm + l->bubble +
                             l->optimizer + l->other,
                         l->wall);
    }
    assert_int_equal(rig_hash(r, &out.hash), ST_OK);
    return out;
}

static outcome plain_outcome(bool broken)
{
    rig r;
    setup_options o = rig_options("dp1");
    assert_int_equal(rig_open(&o, NULL, world, &r), ST_OK);
    outcome out = run_steps(&r, broken);
    rig_close(&r);
    return out;
}

/* The last update of a step does not end before the next has loaded, and
 * would wait ten seconds for it. The store checks the order of all calls. */
static void test_overlaps(void **state)
{
    (void)state;
    outcome plain = plain_outcome(false);
    for (int i = 0; i < 2; i++) {
        rig r;
        setup_options o = streamed();
        o.store = i == 0 ? SETUP_STORE_RAM : SETUP_STORE_CHECK;
        open_way(&o, &r);
        way.hold = true;
        outcome got = run_steps(&r, false);
        assert_int_equal(atomic_load(&way.overlaps), STEPS - 1);
        assert_int_equal(atomic_load(&way.ended), LAST);
        assert_memory_equal(&got, &plain, sizeof(got));
        rig_close(&r);
    }
}

/* A step whose guard chooses the other tail, in the middle. */
static void test_skipped(void **state)
{
    (void)state;
    outcome plain = plain_outcome(true);
    rig r;
    setup_options o = streamed();
    o.store = SETUP_STORE_CHECK;
    open_way(&o, &r);
    outcome got = run_steps(&r, true);
    assert_memory_equal(&got, &plain, sizeof(got));
    rig_close(&r);
}

/* Validation needs all weights of the step before it. */
static void test_validation(void **state)
{
    (void)state;
    double loss[2][STEPS];
    for (int i = 0; i < 2; i++) {
        rig r;
        setup_options o = streamed();
        open_way(&o, &r);
        r.overlaps = i == 1;
        way.first_ns = 2000000;
        for (int k = 0; k < STEPS; k++) {
            exec_result res;
            assert_int_equal(rig_step(&r, k, &res), ST_OK);
            assert_int_equal(exec_evaluate(r.e, 50 + k, &loss[i][k]), ST_OK);
        }
        rig_close(&r);
    }
    assert_memory_equal(loss[0], loss[1], sizeof(loss[0]));
}

/* --- who fails is told ---------------------------------------------------- */

/* A step's updates fail after it has returned: the next call says so, and so
 * does who settles. Nothing hangs (the runner's time-out would tell). */
static void test_tail_fails(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        rig r;
        exec_result res;
        setup_options o = streamed();
        bool again = i % 2 != 0;
        open_way(&o, &r);
        way.fails_at = 1;
        way.end_fails = i >= 2;
        assert_int_equal(rig_step(&r, 0, &res), ST_OK);
        assert_int_equal(rig_step(&r, 1, &res), ST_OK);
        status st = again ? rig_step(&r, 2, &res) : exec_settle(r.e, NULL);
        assert_int_equal(st, ST_IO);
        assert_non_null(strstr(status_text(), i < 2 ? "the update of step 1"
                                                    : "the end of step 1"));
        rig_close(&r);
    }
}

/* --- where the time goes -------------------------------------------------- */

/* The first layer's weights are updated late: the next step waits for the
 * optimizer, and says so. Of the 400 ms a busy machine may keep some from who
 * waits; without a wait there would be none. */
static void test_ledger(void **state)
{
    (void)state;
    rig r;
    exec_result res;
    setup_options o = streamed();
    open_way(&o, &r);
    way.first_ns = 400000000;
    assert_int_equal(rig_step(&r, 0, &res), ST_OK);
    assert_int_equal(rig_step(&r, 1, &res), ST_OK);
    assert_true(res.ledger.optimizer > 100000000);
    assert_true(res.ledger.wall > res.ledger.optimizer);
    /* Settling adds what was left, once. */
    exec_ledger l = res.ledger;
    assert_int_equal(exec_settle(r.e, &l), ST_OK);
    assert_true(l.wall - res.ledger.wall > 100000000);
    assert_int_equal(l.wall - res.ledger.wall,
                     l.optimizer - res.ledger.optimizer);
    rig_close(&r);
}

/* The trace of the last step, updates and all. */
static void test_trace(void **state)
{
    (void)state;
    rig r;
    setup_options o = streamed();
    open_way(&o, &r);
    way.first_ns = 20000000;
    (void)run_steps(&r, false); /* settles for the hash */
    const program *p = exec_program(r.e);
    const exec_trace *tr = exec_last_trace(r.e);
    int64_t clip = tr[p->guard].end;
    int updates = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        assert_true(tr[i].start >= 0 && tr[i].end >= tr[i].start);
        if (p->ops[i].kind == OP_UPDATE) {
            assert_true(tr[i].start >= clip);
            updates++;
        }
        if (p->ops[i].kind == OP_UPDATE && p->ops[i].param == 0) {
            assert_true(tr[i].end - tr[i].start >= 20000000);
        }
    }
    assert_int_equal(updates, r.s.ps.n);
    rig_close(&r);
}

/* Updates of a skipped step ended when they started, within that step, and
 * took nothing, though both flights have rows of steps before. */
static void check_skipped_trace(rig *r)
{
    exec_result res;
    r->skip_broken = true;
    assert_int_equal(rig_step(r, 0, &res), ST_OK);
    assert_int_equal(rig_step(r, 1, &res), ST_OK);
    assert_int_equal(rig_poke(r, r->s.ps.n / 2, NAN), ST_OK);
    assert_int_equal(rig_step(r, 2, &res), ST_OK);
    assert_true(res.skipped);
    assert_int_equal(exec_settle(r->e, NULL), ST_OK);
    const program *p = exec_program(r->e);
    const exec_trace *tr = exec_last_trace(r->e);
    int updates = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        const bool passed = p->ops[i].tail == TAIL_SOUND;
        assert_true((tr[i].end == tr[i].start) == passed);
        assert_true(!passed || (tr[i].busy == 0 && tr[i].cpu == 0));
        assert_true(!passed || tr[i].start >= tr[p->guard].end);
        updates += passed;
    }
    assert_true(updates >= r->s.ps.n);
}

static void test_trace_of_skipped(void **state)
{
    (void)state;
    rig r;
    setup_options o = streamed();
    open_way(&o, &r);
    way.first_ns = 5000000;
    check_skipped_trace(&r);
    rig_close(&r);
}

/* The same where the calling thread updates. */
static void test_resident_trace_of_skipped(void **state)
{
    (void)state;
    rig r;
    setup_options o = rig_options("dp1");
    assert_int_equal(rig_open(&o, NULL, world, &r), ST_OK);
    check_skipped_trace(&r);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_validation),
        cmocka_unit_test(test_tail_fails),
        cmocka_unit_test(test_ledger),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_trace_of_skipped),
        cmocka_unit_test(test_resident_trace_of_skipped),
    };
    if (comm_init(&world) != ST_OK) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    comm_fini(world);
    return failed != 0;
}
