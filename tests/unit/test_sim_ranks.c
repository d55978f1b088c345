/*
 * The virtual clock of several ranks: meetings, messages and pipelines on
 * hand-made programs whose times are known, and its properties on programs
 * that compilers make.
 */
#include "benchmarks/setup.h"
#include "tests/unit/sim_make.h"

/* --- by hand -------------------------------------------------------------- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_meeting, no_leak),
        cmocka_unit_test_teardown(test_message, no_leak),
        cmocka_unit_test_teardown(test_gpipe, no_leak),
        cmocka_unit_test_teardown(test_deadlock, no_leak),
        cmocka_unit_test_teardown(test_compiled, no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
