/*
 * The virtual clock of one rank on hand-made programs whose times are known:
 * streams, the store's link, tails, steps that overlap.
 */
#include "tests/unit/sim_make.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
