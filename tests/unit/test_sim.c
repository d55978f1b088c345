/*
 * The virtual clock on hand-made programs whose times are known, and its
 * properties on programs that compilers make.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "benchmarks/setup.h"
#include "runtime/base/mem.h"
#include "runtime/sim/clock.h"

enum { N = 64, RANKS_MAX = 8, OPS_MAX = 256 };

static void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

#define CLOSE(a, b)                                                            \
    do {                                                                       \
        if (!(fabs((a) - (b)) <= 1e-9)) {                                      \
            fail_msg("line %d: %.12g, expected %.12g", __LINE__, (double)(a),  \
                     (double)(b));                                             \
        }                                                                      \
    } while (0)

/* A machine on which nothing costs anything by itself. */
static machine free_machine(void)
{
    machine m;
    machine_init(&m);
    m.overlap_store =
        1U << STREAM_LOAD | 1U << STREAM_DRAIN | 1U << STREAM_HOST;
    m.nlinks = 1;
    m.link[0].ranks = 2;
    return m;
}

/* Costs given by the test: class, operation. */
typedef struct costs {
    sim_work work[RANKS_MAX][OPS_MAX];
    sim_work *list[RANKS_MAX];
} costs;

static sim_work *const *costs_of(costs *c)
{
    for (int i = 0; i < RANKS_MAX; i++) {
        c->list[i] = c->work[i];
    }
    return c->list;
}

/* --- programs ------------------------------------------------------------- */

static int32_t buffer(program *p)
{
    return prog_buffer(p, "x", BUF_WORKING, -1, N, false);
}

static void use(program *p, int32_t buf, view_mode mode)
{
    prog_use(p, prog_whole(p, buf, 1, N, N), mode);
}

/* An operation of `kind` that writes `out` and takes `seconds`. */
static int32_t work(program *p, costs *c, int cls, op_kind kind,
                    op_stream stream, int32_t out, view_mode mode, double s)
{
    int32_t i = prog_add(p, kind, stream, -1);
    use(p, out, mode);
    assert_true(i < OPS_MAX);
    c->work[cls][i].s = s;
    c->work[cls][i].cpu_s = s;
    return i;
}

static int32_t message(program *p, costs *c, int cls, op_kind kind, int peer,
                       int64_t tag, int32_t buf, double s)
{
    bool send = kind == OP_SEND;
    int32_t i = work(p, c, cls, kind, send ? STREAM_PIPE_OUT : STREAM_PIPE_IN,
                     buf, send ? VIEW_R : VIEW_W, s);
    prog_last(p)->peer = peer;
    prog_last(p)->arg = tag;
    prog_last(p)->bytes = 4.0 * N;
    return i;
}

static void clip(program *p, costs *c, int cls, double s)
{
    p->phase = PHASE_UPDATE;
    int32_t i = prog_add(p, OP_CLIP, STREAM_HOST, -1);
    prog_last(p)->group = GROUP_WORLD;
    c->work[cls][i].s = s;
}

static program_set set_of(program *p, prog_place *places, int ranks)
{
    return (program_set){
        .classes = p, .nclasses = ranks, .places = places, .nranks = ranks};
}

static void run(const machine *m, bool streamed, const program_set *set,
                costs *c, sim_result *out)
{
    sim_setup in = {
        .m = m, .ranks = set->nranks, .threads = 1, .store = streamed};
    OK(sim_run_costs(&in, set, costs_of(c), out));
}

static double sum_of(const sim_ledger *l)
{
    return l->compute + l->load + l->comm + l->bubble + l->optimizer + l->other;
}

/* --- one rank ------------------------------------------------------------- */

static void test_chain(void **state)
{
    static costs c;
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    prog_init(&p);
    for (int i = 0; i < 3; i++) {
        work(&p, &c, 0, OP_ZERO, STREAM_COMPUTE, buffer(&p), VIEW_W, i + 1);
    }
    OK(prog_finish(&p));
    program_set set = set_of(&p, &place, 1);
    run(&m, false, &set, &c, &r);
    CLOSE(r.step_s, 6);
    CLOSE(r.cpu_s, 6);
    CLOSE(r.rank[0].op[1].start, 1);
    CLOSE(r.rank[0].op[2].end, 6);
    CLOSE(r.rank[0].ledger.compute, 6);
    CLOSE(sum_of(&r.rank[0].ledger), 6);
    assert_true(r.peak_bytes == p.peak_bytes && p.peak_bytes > 0);
    sim_result_fini(&r);
    /* Time between operations is nobody's. */
    m.dispatch_s = 0.25;
    m.step_s = 0.125;
    run(&m, false, &set, &c, &r);
    CLOSE(r.step_s, 6.875);
    CLOSE(r.rank[0].op[0].start, 0.25);
    CLOSE(r.rank[0].ledger.other, 0.875);
    sim_result_fini(&r);
    prog_fini(&p);
}

/* Loads of 2 s, each followed by compute of 3 s on what it brought. */
static void loads(program *p, costs *c, int n, double load_s, double compute_s)
{
    int32_t buf[OPS_MAX];
    prog_init(p);
    for (int i = 0; i < n; i++) {
        buf[i] = buffer(p);
        work(p, c, 0, OP_LOAD, STREAM_LOAD, buf[i], VIEW_W, load_s);
    }
    for (int i = 0; i < n; i++) {
        work(p, c, 0, OP_ZERO, STREAM_COMPUTE, buf[i], VIEW_RW, compute_s);
    }
    OK(prog_finish(p));
}

static void test_two_streams(void **state)
{
    static costs c;
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    loads(&p, &c, 3, 2, 3);
    program_set set = set_of(&p, &place, 1);
    run(&m, true, &set, &c, &r);
    CLOSE(r.step_s, 2 + 3 * 3);
    CLOSE(r.rank[0].ledger.load, 2);
    CLOSE(r.rank[0].ledger.compute, 9);
    CLOSE(r.rank[0].op[2].start, 4);
    sim_result_fini(&r);
    /* Without a store's threads all of it is in issue order. */
    run(&m, false, &set, &c, &r);
    CLOSE(r.step_s, 15);
    sim_result_fini(&r);
    /* A load beside compute takes half of its own time from it: the two
     * loads that are left cost compute 2 s. */
    m.side_loss = 0.5;
    run(&m, true, &set, &c, &r);
    CLOSE(r.step_s, 2 + 9 + 2);
    sim_result_fini(&r);
    /* Woken compute begins later. */
    m.side_loss = 0;
    m.wake_s = 0.5;
    run(&m, true, &set, &c, &r);
    CLOSE(r.step_s, 11.5);
    sim_result_fini(&r);
    prog_fini(&p);
}

/* T tokens hide the link if T >= (b / 3) P / BW: a weight of b bytes crosses
 * twice a step and takes 6 flops a token. Here a panel is 2 passes of 3. */
static double exposed(double tokens)
{
    static costs c;
    const double P = 1e12, BW = 1e9, b = 4, weights = 1e6;
    enum { PANELS = 20 };
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    loads(&p, &c, PANELS, 1e-7, 3 * tokens * weights / P);
    for (int i = 0; i < PANELS; i++) {
        c.work[0][i].link_bytes = b * weights;
    }
    m.store_bytes_per_s = BW;
    program_set set = set_of(&p, &place, 1);
    run(&m, true, &set, &c, &r);
    double first = b * weights / BW;
    double late = r.rank[0].ledger.load - first; /* the first cannot hide */
    CLOSE(r.step_s, first + late + PANELS * 3 * tokens * weights / P);
    sim_result_fini(&r);
    prog_fini(&p);
    return late / ((PANELS - 1) * first);
}

static void test_link_hides(void **state)
{
    const double enough = 4.0 / 3 * 1e12 / 1e9;
    (void)state;
    CLOSE(exposed(1.0001 * enough), 0);
    CLOSE(exposed(2 * enough), 0);
    CLOSE(exposed(0.75 * enough), 0.25);
    CLOSE(exposed(0.5 * enough), 0.5);
}

static void test_link_latency(void **state)
{
    static costs c;
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    loads(&p, &c, 2, 0.5, 1);
    c.work[0][0].link_bytes = c.work[0][1].link_bytes = 10;
    sim_setup in = {.m = &m,
                    .ranks = 1,
                    .threads = 1,
                    .store = true,
                    .link_rate = 5,
                    .link_latency = 0.25};
    m.store_bytes_per_s = 100; /* the slower one counts */
    m.store_latency_s = 0.5;
    program_set set = set_of(&p, &place, 1);
    OK(sim_run_costs(&in, &set, costs_of(&c), &r));
    CLOSE(r.rank[0].op[0].end, 2.75);
    CLOSE(r.rank[0].op[1].end, 5.5);
    CLOSE(r.step_s, 6.5);
    sim_result_fini(&r);
    m.late_s = 0.25; /* of each sleep */
    OK(sim_run_costs(&in, &set, costs_of(&c), &r));
    CLOSE(r.step_s, 7);
    sim_result_fini(&r);
    prog_fini(&p);
}

/* What is in the broken tail does not run; the sound one waits for its
 * guard. */
static void test_tails(void **state)
{
    static costs c;
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    prog_init(&p);
    int32_t w = buffer(&p);
    work(&p, &c, 0, OP_ZERO, STREAM_COMPUTE, w, VIEW_W, 1);
    clip(&p, &c, 0, 9); /* alone it meets nobody: its cost is its own */
    prog_guard(&p, TAIL_SOUND);
    work(&p, &c, 0, OP_ZERO, STREAM_COMPUTE, buffer(&p), VIEW_W, 2);
    p.tail = TAIL_BROKEN;
    work(&p, &c, 0, OP_ZERO, STREAM_COMPUTE, buffer(&p), VIEW_W, 100);
    OK(prog_finish(&p));
    program_set set = set_of(&p, &place, 1);
    run(&m, true, &set, &c, &r);
    CLOSE(r.rank[0].op[2].start, 9);
    CLOSE(r.step_s, 11);
    CLOSE(r.rank[0].op[3].end, 0);
    sim_result_fini(&r);
    prog_fini(&p);
}

/* Shares its bytes with no other: a step may write it while another reads. */
static int32_t lasting(program *p)
{
    return prog_buffer(p, "w", BUF_WEIGHT, -1, N, true);
}

/* The next step's compute needs what the host made of this step's. */
static void test_steps_overlap(void **state)
{
    static costs c;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    for (int needs = 0; needs < 2; needs++) {
        machine m = free_machine();
        program p;
        m.steps_overlap = true;
        prog_init(&p);
        int32_t x =
            work(&p, &c, 0, OP_ZERO, STREAM_COMPUTE, lasting(&p), VIEW_W, 2);
        int32_t h =
            work(&p, &c, 0, OP_ZERO, STREAM_HOST, lasting(&p), VIEW_W, 1.5);
        prog_wait(&p, h, x, 0);
        if (needs) {
            prog_wait(&p, x, h, 1);
        }
        OK(prog_finish(&p));
        program_set set = set_of(&p, &place, 1);
        run(&m, true, &set, &c, &r);
        CLOSE(r.step_s, needs ? 3.5 : 2);
        sim_result_fini(&r);
        /* Where steps do not overlap one is as long as it is alone. */
        m.steps_overlap = false;
        run(&m, true, &set, &c, &r);
        CLOSE(r.step_s, 3.5);
        CLOSE(r.rank[0].ledger.optimizer, 1.5);
        sim_result_fini(&r);
        prog_fini(&p);
    }
}

/* Updates run beside the next step, which waits for the one that it needs
 * first, and at its end for the guard behind all of them:
 *
 *     load     . L .             L waits for u, the first update: 1 s
 *     compute  . . C C . . .     C takes 2 s, then waits for the guard
 *     host     u U U U U U g     U takes 5 s
 */
static void test_updates_overlap(void **state)
{
    static costs c;
    machine m = free_machine();
    program p;
    prog_place place = {.prev = -1, .next = -1};
    sim_result r;
    (void)state;
    m.cores = 2;
    prog_init(&p);
    int32_t w = buffer(&p);
    int32_t l = work(&p, &c, 0, OP_LOAD, STREAM_LOAD, w, VIEW_W, 1);
    int32_t x = work(&p, &c, 0, OP_ACT, STREAM_COMPUTE, w, VIEW_R, 2);
    clip(&p, &c, 0, 0);
    prog_last(&p)->group = GROUP_NONE;
    prog_wait(&p, p.nops - 1, x, 0);
    prog_guard(&p, TAIL_SOUND);
    for (int i = 0; i < 2; i++) {
        int32_t u = prog_add(&p, OP_UPDATE, STREAM_HOST, -1);
        c.work[0][u].s = i == 0 ? 1 : 5;
        if (i == 0) {
            prog_wait(&p, l, u, 1);
        }
    }
    OK(prog_finish(&p));
    program_set set = set_of(&p, &place, 1);
    run(&m, true, &set, &c, &r);
    const sim_ledger *g = &r.rank[0].ledger;
    CLOSE(r.step_s, 6);
    CLOSE(g->compute, 2);
    CLOSE(g->load, 1);
    CLOSE(g->optimizer, 3);
    CLOSE(r.rank[0].op[l].start, 1);
    CLOSE(r.rank[0].op[3].start, 6); /* of this step, behind its guard */
    CLOSE(r.rank[0].op[4].end, 12);
    sim_result_fini(&r);
    /* Compute and updates share one core: while both work, each is half as
     * fast. C takes 4 s, in which 2 of U's 5 are done. */
    m.cores = 1;
    run(&m, true, &set, &c, &r);
    CLOSE(r.step_s, 8);
    CLOSE(r.rank[0].ledger.compute, 4);
    CLOSE(r.rank[0].ledger.optimizer, 3);
    sim_result_fini(&r);
    prog_fini(&p);
}

/* --- several ranks -------------------------------------------------------- */

static void test_meeting(void **state)
{
    static costs c;
    machine m = free_machine();
    program p[2];
    prog_place places[2] = {
        {.class_index = 0, .prev = -1, .next = -1},
        {.class_index = 1, .data = 1, .prev = -1, .next = -1}};
    sim_result r;
    (void)state;
    for (int i = 0; i < 2; i++) {
        prog_init(&p[i]);
        work(&p[i], &c, i, OP_ZERO, STREAM_COMPUTE, buffer(&p[i]), VIEW_W,
             i == 0 ? 1 : 3);
        clip(&p[i], &c, i, 0.5);
        OK(prog_finish(&p[i]));
    }
    program_set set = set_of(p, places, 2);
    run(&m, false, &set, &c, &r);
    CLOSE(r.step_s, 3.5);
    CLOSE(r.rank[0].ledger.bubble, 2);
    CLOSE(r.rank[0].ledger.comm, 0.5);
    CLOSE(r.rank[1].ledger.bubble, 0);
    CLOSE(r.rank[1].ledger.comm, 0.5);
    CLOSE(r.rank[0].op[1].start, 1);
    CLOSE(r.rank[0].op[1].end, 3.5);
    sim_result_fini(&r);
    /* Waiting burns CPU time: all of it by polling where ranks have cores.
     * Where two share one, rank 0 polls 0.5 s of its 2 and then burns a tenth;
     * and meeting after 1 s of work costs 0.25, after 3 s 0.5. */
    m.link[0].waiting = 1;
    m.dispatch_s = 0.25; /* before each operation, also before meeting */
    run(&m, false, &set, &c, &r);
    CLOSE(r.step_s, 3.5 + 2 * 0.25);
    CLOSE(r.rank[0].op[1].start, 1.5);
    sim_result_fini(&r);
    m.dispatch_s = 0;
    run(&m, false, &set, &c, &r);
    CLOSE(r.cpu_s, 1 + 3 + 2);
    sim_result_fini(&r);
    m.link[0].waiting = 0.1;
    m.link[0].spin = 0.5;
    m.link[0].at_work = (sim_curve){2, {1, 3}, {0.25, 0.5}};
    sim_setup shared = {
        .m = &m, .ranks = 2, .threads = 1, .shared_cores = true};
    OK(sim_run_costs(&shared, &set, costs_of(&c), &r));
    CLOSE(r.cpu_s, 1 + 3 + 0.5 + 0.1 * 1.5 + 0.25 + 0.5);
    CLOSE(r.step_s, 3.5);
    sim_result_fini(&r);
    prog_fini(&p[0]);
    prog_fini(&p[1]);
}

/* Rank 0 sends after 1 s; rank 1 has 4 s of its own first. */
static void test_message(void **state)
{
    static costs c;
    machine m = free_machine();
    program p[2];
    prog_place places[2] = {
        {.class_index = 0, .prev = -1, .next = 1},
        {.class_index = 1, .pipe = 1, .prev = 0, .next = -1}};
    sim_result r;
    (void)state;
    for (int i = 0; i < 2; i++) {
        prog_init(&p[i]);
        int32_t x = buffer(&p[i]);
        if (i == 0) {
            work(&p[i], &c, i, OP_ZERO, STREAM_COMPUTE, x, VIEW_W, 1);
            message(&p[i], &c, i, OP_SEND, 1, 0, x, 0.5);
        } else {
            message(&p[i], &c, i, OP_RECV, -1, 0, x, 0.5);
            work(&p[i], &c, i, OP_ZERO, STREAM_COMPUTE, buffer(&p[i]), VIEW_W,
                 4);
            work(&p[i], &c, i, OP_ZERO, STREAM_COMPUTE, x, VIEW_RW, 1);
        }
        OK(prog_finish(&p[i]));
    }
    program_set set = set_of(p, places, 2);
    OK(prog_set_check(&set));
    /* It moves when its receiver waits: at 4 s. */
    run(&m, false, &set, &c, &r);
    CLOSE(r.rank[1].op[0].end, 4.5);
    CLOSE(r.rank[1].ledger.comm, 0.5);
    CLOSE(r.rank[1].ledger.bubble, 0);
    CLOSE(r.rank[0].ledger.comm, 3.5); /* its buffer, until then */
    CLOSE(r.step_s, 5.5);
    sim_result_fini(&r);
    /* By itself: at 1 s, beside compute. */
    m.async_messages = true;
    run(&m, false, &set, &c, &r);
    CLOSE(r.rank[1].op[0].end, 1.5);
    CLOSE(r.step_s, 5);
    sim_result_fini(&r);
    prog_fini(&p[0]);
    prog_fini(&p[1]);
}

/* All micro-batches forward, then all backward, a stage a rank. */
static void gpipe_stage(program *p, costs *c, int k, int stages, int mbs,
                        double forward, double backward)
{
    int32_t x[16];
    prog_init(p);
    for (int i = 0; i < mbs; i++) {
        x[i] = buffer(p);
        if (k > 0) {
            message(p, c, k, OP_RECV, -1, 2 * i, x[i], 0);
        }
        work(p, c, k, OP_ZERO, STREAM_COMPUTE, x[i], k > 0 ? VIEW_RW : VIEW_W,
             forward);
        if (k < stages - 1) {
            message(p, c, k, OP_SEND, 1, 2 * i, x[i], 0);
        }
    }
    p->phase = PHASE_BACKWARD;
    for (int i = 0; i < mbs; i++) {
        int32_t dx = buffer(p);
        if (k < stages - 1) {
            message(p, c, k, OP_RECV, 1, 2 * i + 1, dx, 0);
        }
        work(p, c, k, OP_ZERO, STREAM_COMPUTE, dx,
             k < stages - 1 ? VIEW_RW : VIEW_W, backward);
        if (k > 0) {
            message(p, c, k, OP_SEND, -1, 2 * i + 1, dx, 0);
        }
    }
    clip(p, c, k, 0);
    OK(prog_finish(p));
}

static void check_gpipe(int stages, int mbs)
{
    static costs c;
    const double f = 1, b = 2;
    machine m = free_machine();
    program p[RANKS_MAX];
    prog_place places[RANKS_MAX];
    sim_result r;
    for (int k = 0; k < stages; k++) {
        gpipe_stage(&p[k], &c, k, stages, mbs, f, b);
        places[k] = (prog_place){.class_index = k,
                                 .pipe = k,
                                 .prev = k - 1,
                                 .next = k + 1 < stages ? k + 1 : -1};
    }
    program_set set = set_of(p, places, stages);
    OK(prog_set_check(&set));
    for (int async = 0; async < 2; async++) {
        m.async_messages = async;
        run(&m, false, &set, &c, &r);
        CLOSE(r.step_s, (mbs + stages - 1) * (f + b));
        for (int k = 0; k < stages; k++) {
            const sim_ledger *l = &r.rank[k].ledger;
            double share = (double)(stages - 1) / (mbs + stages - 1);
            CLOSE(l->compute, mbs * (f + b));
            CLOSE((l->bubble + l->comm) / r.step_s, share);
            CLOSE(sum_of(l), r.step_s);
        }
        sim_result_fini(&r);
    }
    for (int k = 0; k < stages; k++) {
        prog_fini(&p[k]);
    }
}

static void test_gpipe(void **state)
{
    (void)state;
    check_gpipe(2, 1);
    check_gpipe(2, 8);
    check_gpipe(4, 4);
    check_gpipe(5, 16);
}

/* A set that prog_set_check refuses stops the clock instead of hanging it. */
static void test_deadlock(void **state)
{
    static costs c;
    machine m = free_machine();
    program p[2];
    prog_place places[2] = {
        {.class_index = 0, .prev = -1, .next = -1},
        {.class_index = 1, .data = 1, .prev = -1, .next = -1}};
    sim_result r;
    (void)state;
    for (int i = 0; i < 2; i++) {
        prog_init(&p[i]);
        work(&p[i], &c, i, OP_ZERO, STREAM_COMPUTE, buffer(&p[i]), VIEW_W, 1);
        if (i == 0) {
            clip(&p[i], &c, i, 0.5);
        }
        OK(prog_finish(&p[i]));
    }
    program_set set = set_of(p, places, 2);
    sim_setup in = {.m = &m, .ranks = 2, .threads = 1};
    assert_int_equal(sim_run_costs(&in, &set, costs_of(&c), &r), ST_INTERNAL);
    assert_non_null(strstr(status_text(), "the virtual clock stops: rank 0"));
    prog_fini(&p[0]);
    prog_fini(&p[1]);
}

/* --- what compilers make -------------------------------------------------- */

/* Every kernel costs something, so that no operation is for nothing. */
static machine simple_machine(void)
{
    machine m = free_machine();
    m.nlevels = 1;
    m.level[0].threads = 1;
    m.tile_k = 256;
    m.query_block = 96;
    m.side_loss = 0.3;
    m.side_rate = 0.8;
    m.dispatch_s = 1e-6;
    m.wake_s = 5e-6;
    m.link[0] = (sim_link){.ranks = 2,
                           .p2p = {.message = 2e-6, .byte = 1e-10},
                           .tree = {.message = 3e-6, .byte = 2e-10},
                           .sum = {.op = 1e-5, .byte = 1e-9}};
    for (int k = 0; k < KERNEL_COUNT; k++) {
        m.level[0].law[k] = (sim_law){
            .known = true,
            .term = {[TERM_OP] = 1e-6, [TERM_ROW] = 1e-8, [TERM_FLOP] = 1e-11},
            .items = {2, {1e6, 1e9}, {1e-10, 1e-9}}};
    }
    return m;
}

/* Nothing before what it waits for, streams in order, accounts that add up,
 * and no step shorter than its longest chain or its busiest stream. With a
 * store updates may run into the next step: they are in no chain. */
static void check_rank(const machine *m, bool streams, const program *p,
                       const sim_work *w, const sim_rank *r, double step_s)
{
    double *chain = NULL;
    double stream[STREAM_COUNT] = {0};
    int32_t last[STREAM_COUNT];
    double longest = 0;
    OK(MEM_NEW(&chain, p->nops, "test"));
    memset(last, -1, sizeof(last));
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        bool message = o->kind == OP_SEND || o->kind == OP_RECV;
        double from = last[o->stream] >= 0 ? chain[last[o->stream]] : 0;
        bool tail = streams && o->tail != TAIL_ALWAYS;
        assert_true(r->op[i].end >= r->op[i].start && r->op[i].end > 0);
        assert_true(r->op[i].end <= step_s || tail);
        for (int32_t d = 0; d < o->deps; d++) {
            const prog_dep *dep = &p->dep[o->dep0 + d];
            if (dep->distance == 0) {
                assert_true(r->op[i].start >= r->op[dep->op].end - 1e-12);
                from = fmax(from, chain[dep->op]);
            }
        }
        chain[i] = from + (message || tail ? 0 : w[i].s);
        longest = fmax(longest, chain[i]);
        stream[o->stream] += message ? 0 : w[i].s;
        last[o->stream] = i;
    }
    assert_true(step_s >= longest * (1 - 1e-9));
    for (int s = 0; s < STREAM_COUNT; s++) {
        assert_true(step_s >= stream[s] * (1 - 1e-9));
    }
    CLOSE(sum_of(&r->ledger), r->end);
    assert_true(r->ledger.other >= 0.9 * m->dispatch_s);
    mem_free(chain);
}

static void check_setup(setup_options o)
{
    setup s;
    sim_result a;
    sim_result b;
    machine m = simple_machine();
    o.batch = 8;
    o.seq = 24;
    o.layers = 4;
    o.threads = 1;
    OK(setup_open(&o, 0, &s));
    OK(prog_set_check(&s.set));
    sim_setup in = {.m = &m,
                    .a = &s.a,
                    .ps = &s.ps,
                    .sh = s.sh,
                    .ranks = s.set.nranks,
                    .threads = 1,
                    .store = s.streamed,
                    .link_rate = s.streamed ? 1e9 : 0};
    OK(sim_run(&in, &s.set, &a));
    OK(sim_run(&in, &s.set, &b));
    assert_memory_equal(&a.step_s, &b.step_s, sizeof(double));
    for (int r = 0; r < s.set.nranks; r++) {
        const program *p = &s.set.classes[s.set.places[r].class_index];
        sim_work *w = NULL;
        assert_memory_equal(a.rank[r].op, b.rank[r].op,
                            sizeof(sim_op) * (size_t)p->nops);
        OK(MEM_NEW(&w, p->nops, "test"));
        OK(sim_costs(&in, p, w));
        for (int32_t i = 0; i < p->nops; i++) {
            if (p->ops[i].kind == OP_GRAD_NORM) {
                w[i].s = 0; /* ranks that do not count pass over it */
            }
        }
        check_rank(&m, s.streamed, p, w, &a.rank[r], a.step_s);
        mem_free(w);
    }
    sim_result_fini(&a);
    sim_result_fini(&b);
    setup_close(&s);
}

static void test_compiled(void **state)
{
    static const char *const plans[] = {
        "dp1",      "dp2",      "tp2",          "pp2",
        "pp4",      "tp2.pp2",  "dp2.tp2.pp2",  "dp4.pp2",
        "pp2.1f1b", "pp4.1f1b", "tp2.pp2.1f1b", NULL};
    (void)state;
    for (int i = 0; plans[i] != NULL; i++) {
        check_setup((setup_options){.model = "gpt-neo-tiny", .plan = plans[i]});
    }
    check_setup((setup_options){.model = "gpt-neo-tiny"});
    check_setup((setup_options){.model = "gpt-j-tiny",
                                .recompute = SETUP_RECOMPUTE_FULL});
}

/* --- frame ---------------------------------------------------------------- */

static int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_chain, no_leak),
        cmocka_unit_test_teardown(test_two_streams, no_leak),
        cmocka_unit_test_teardown(test_link_hides, no_leak),
        cmocka_unit_test_teardown(test_link_latency, no_leak),
        cmocka_unit_test_teardown(test_tails, no_leak),
        cmocka_unit_test_teardown(test_steps_overlap, no_leak),
        cmocka_unit_test_teardown(test_updates_overlap, no_leak),
        cmocka_unit_test_teardown(test_meeting, no_leak),
        cmocka_unit_test_teardown(test_message, no_leak),
        cmocka_unit_test_teardown(test_gpipe, no_leak),
        cmocka_unit_test_teardown(test_deadlock, no_leak),
        cmocka_unit_test_teardown(test_compiled, no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
