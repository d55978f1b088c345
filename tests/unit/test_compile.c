/*
 * Both compilers, checked: every plan that the rules admit, on two models,
 * several batches, leaves, micro-batches and budgets, must pass prog_check
 * and prog_set_check. Failures are listed all, then the test fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "partition/compile.h"
#include "partition/plan.h"
#include "runtime/base/mem.h"
#include "runtime/math/math.h"
#include "ws/compile.h"

typedef struct model {
    arch a;
    params ps;
} model;

static model models[2]; /* sequential and tied; parallel, rotary, untied */

static int open_models(void **state)
{
    static const char *const names[2] = {"gpt-neo-tiny", "gpt-j-tiny"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (arch_open(names[i], &models[i].a) != ST_OK ||
            params_init(&models[i].a, &models[i].ps) != ST_OK) {
            print_error("%s\n", status_text());
            return 1;
        }
    }
    return 0;
}

static int close_models(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        params_fini(&models[i].ps);
    }
    return 0;
}

/* A batch and its leaves. kblock is small where sums are to be cut. */
typedef struct job {
    int64_t N, T;
    int32_t D, S;
    int64_t kblock;
} job;

static gpt_shape shape_of(const job *j)
{
    return (gpt_shape){.N = j->N,
                       .T = j->T,
                       .D = j->D,
                       .S = j->S,
                       .kblock = j->kblock,
                       .threads = 2};
}

typedef struct tally {
    int compiled, refused, failed;
} tally;

static status check_all(const program_set *set, int64_t budget)
{
    for (int32_t c = 0; c < set->nclasses; c++) {
        TRY(prog_check(&set->classes[c], budget));
    }
    return prog_set_check(set);
}

/* --- partition ------------------------------------------------------------ */

static void note(tally *t, status st, const char *what)
{
    if (st == ST_OK) {
        t->compiled++;
        return;
    }
    t->failed++;
    if (t->failed <= 12) {
        print_error("%s: %s: %s\n", what, status_name(st), status_text());
    }
}

/* What is measured before a compile is what the fullest rank of it needs, and
 * one byte less is known to be too little. */
static status check_measured(const model *m, const job *j, const plan *p,
                             const program_set *set)
{
    int64_t most = 0;
    for (int32_t c = 0; c < set->nclasses; c++) {
        int64_t peak = set->classes[c].peak_bytes;
        most = peak > most ? peak : most;
    }
    program scratch;
    prog_init(&scratch);
    for (int i = 0; i < 3; i++) {
        int64_t budget = i == 0 ? 0 : most + 1 - i; /* none, as much, less */
        partition_need need;
        status st = partition_measure(&m->a, &m->ps, p, shape_of(j), budget,
                                      &scratch, &need);
        bool right = i < 2 ? need.bytes == most
                           : need.bytes > budget && need.bytes <= most;
        if (st != ST_OK || !right || need.stage >= p->pipe) {
            prog_fini(&scratch);
            return FAIL(ST_INTERNAL,
                        "stage %d measured %lld bytes of %lld, budget %lld",
                        need.stage, (long long)need.bytes, (long long)most,
                        (long long)budget);
        }
    }
    prog_fini(&scratch);
    return ST_OK;
}

static void try_plan(const model *m, const job *j, const plan *p, tally *t)
{
    plan_job pj = {.a = &m->a, .N = j->N, .T = j->T, .D = j->D, .S = j->S};
    strbuf why = {0};
    int violated = plan_check(p, &pj, &why);
    strbuf_fini(&why);
    if (violated > 0) {
        t->refused++;
        return;
    }
    char what[200];
    (void)snprintf(what, sizeof(what), "%s N%lld T%lld D%d S%d k%lld %s%s",
                   m->a.name, (long long)j->N, (long long)j->T, j->D, j->S,
                   (long long)j->kblock, p->name,
                   p->recompute ? " recompute" : "");
    program_set set;
    status st = partition_compile(&m->a, &m->ps, p, shape_of(j), 0, &set);
    if (st == ST_OK) {
        st = check_all(&set, 0);
        st = st == ST_OK ? check_measured(m, j, p, &set) : st;
        program_set_fini(&set);
    }
    note(t, st, what);
}

/* Stages of unequal length: the first takes what the others leave. */
static void uneven(plan *p, int L)
{
    p->nstages = p->pipe;
    for (int i = 0; i < p->pipe; i++) {
        p->stages[i] = i == 0 ? L - (p->pipe - 1) : 1;
    }
}

/* Every `stride`-th combination of micro-batch, recompute, schedule and
 * stages. */
static void try_plans(const model *m, const job *j, int stride, tally *t)
{
    static const int pipes[] = {1, 2, 4};
    static const int micro[] = {0, 1, 2, 3};
    for (int data = 1; data <= 4; data++) {
        for (int tensor = 1; tensor <= 4; tensor++) {
            for (int k = 0; k < 3; k++) {
                for (int v = (data + tensor) % stride; v < 16; v += stride) {
                    plan p = {.data = data,
                              .pipe = pipes[k],
                              .tensor = tensor,
                              .schedule = (plan_schedule)(v / 8),
                              .micro_batch = micro[v / 2 % 4],
                              .recompute = v % 2 == 1};
                    plan_shorthand(&p, p.name, PLAN_NAME_MAX);
                    if ((data + v) % 3 == 0 && p.pipe > 1) {
                        uneven(&p, m->a.L);
                    }
                    if (plan_ranks(&p) <= 8) {
                        try_plan(m, j, &p, t);
                    }
                }
            }
        }
    }
}

static const job jobs[] = {
    {8, 64, 4, 4, 256}, {8, 64, 6, 6, 256}, {8, 64, 12, 12, 256},
    {8, 64, 4, 4, 16},  {8, 48, 8, 3, 16},  {12, 32, 6, 12, 64},
    {5, 64, 4, 6, 32},  {2, 64, 4, 4, 256}, {9, 40, 3, 5, 16},
    {8, 64, 1, 1, 256}, {16, 16, 16, 4, 4}, {7, 31, 7, 7, 8},
};

static void test_partition(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tally t = {0};
        for (size_t j = 0; j < sizeof(jobs) / sizeof(jobs[0]); j++) {
            try_plans(&models[i], &jobs[j], (int)j == i ? 1 : 5, &t);
        }
        print_message("%s: %d plans pass, %d fail, %d are refused\n",
                      models[i].a.name, t.compiled, t.failed, t.refused);
        assert_int_equal(t.failed, 0);
        assert_true(t.compiled > 350);
    }
}

/* --- streaming ------------------------------------------------------------ */

static void try_stream(const model *m, const job *j, const ws_config *c,
                       tally *t)
{
    char what[200];
    (void)snprintf(what, sizeof(what),
                   "%s N%lld T%lld D%d S%d k%lld budget %lld mb%lld "
                   "recompute %d panel %lld window %lld",
                   m->a.name, (long long)j->N, (long long)j->T, j->D, j->S,
                   (long long)j->kblock, (long long)c->budget_bytes,
                   (long long)c->micro_batch, (int)c->recompute,
                   (long long)c->panel_bytes, (long long)c->window_bytes);
    program_set set;
    ws_choice choice;
    status st = ws_compile(&m->a, &m->ps, shape_of(j), c, &set, &choice);
    if (st == ST_BUDGET && c->budget_bytes > 0) {
        t->refused++;
        return;
    }
    if (st == ST_OK) {
        st = check_all(&set, c->budget_bytes);
        program_set_fini(&set);
    }
    note(t, st, what);
}

static int64_t at_most(int64_t most, int64_t n)
{
    return n < most ? n : most;
}

static void test_stream(void **state)
{
    static const int64_t budgets[] = {0, 2 << 20, 4 << 20, 8 << 20, 64 << 20};
    static const int64_t micro[] = {0, 1, 3};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tally t = {0};
        for (size_t j = 0; j < sizeof(jobs) / sizeof(jobs[0]); j++) {
            int stride = (int)j == i ? 1 : 4;
            for (int v = (int)j % stride; v < 5 * 3 * 3; v += stride) {
                ws_config c = {.budget_bytes = budgets[v % 5],
                               .micro_batch =
                                   at_most(jobs[j].N, micro[v / 5 % 3]),
                               .recompute = (ws_recompute)(v / 15)};
                try_stream(&models[i], &jobs[j], &c, &t);
            }
            for (int v = 0; v < 3 * 3; v++) {
                ws_config c = {.micro_batch = v % 3,
                               .panel_bytes = (int64_t)8192 << (2 * (v / 3)),
                               .window_bytes = (int64_t)16384 << (v % 3 * 4)};
                try_stream(&models[i], &jobs[j], &c, &t);
            }
        }
        print_message("%s: %d streamed programs pass, %d fail, %d do not "
                      "fit\n",
                      models[i].a.name, t.compiled, t.failed, t.refused);
        assert_int_equal(t.failed, 0);
        assert_true(t.compiled > 150);
        assert_true(t.refused > 0);
    }
}

/* A cache is keys and values of the context and a batch, and nothing else. */
static bool cache_is_lean(const model *m, const program *p, int64_t positions)
{
    int64_t row = math_pad(2 * (int64_t)m->a.H * m->a.D);
    int layers = 0;
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (strcmp(p->bufs[i].name, "keys and values") == 0) {
            layers += p->bufs[i].floats == positions * row ? 1 : -1000;
        }
    }
    return layers == m->a.L;
}

/* Programs that make logits, with a cache and without. */
static void test_infer(void **state)
{
    static const int64_t budgets[] = {0, 1 << 20, 3 << 20};
    static const int64_t contexts[] = {0, 1, 64};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const model *m = &models[i];
        tally t = {0};
        for (size_t j = 0; j < sizeof(jobs) / sizeof(jobs[0]); j++) {
            for (int v = 0; v < 9; v++) {
                gpt_shape sh = shape_of(&jobs[j]);
                sh.N = sh.D = 1;
                program_set set;
                ws_choice choice;
                status st =
                    ws_compile_infer(&m->a, &m->ps, &sh, contexts[v / 3],
                                     budgets[v % 3], &set, &choice);
                if (st == ST_BUDGET) {
                    t.refused++;
                    continue;
                }
                if (st == ST_OK) {
                    int64_t context = contexts[v / 3];
                    assert_true(
                        context == 0 ||
                        cache_is_lean(m, &set.classes[0], context + sh.T));
                    st = check_all(&set, budgets[v % 3]);
                    program_set_fini(&set);
                }
                note(&t, st, m->a.name);
            }
        }
        print_message("%s: %d programs of logits pass, %d fail, %d do not "
                      "fit\n",
                      m->a.name, t.compiled, t.failed, t.refused);
        assert_int_equal(t.failed, 0);
        assert_true(t.compiled > 60);
        assert_true(t.refused > 0);
    }
}

/* --- the checks can fail -------------------------------------------------- */

/* Leaves out each wait in turn; returns how many nobody missed. */
static int without_waits(program *p, int *waits)
{
    int unseen = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        prog_op *o = &p->ops[i];
        prog_dep *d = &p->dep[o->dep0];
        for (int32_t k = 0; k < o->deps; k++) {
            prog_dep left_out = d[k];
            if (left_out.distance > 0) {
                continue;
            }
            d[k] = (prog_dep){i, left_out.op, 1}; /* the step before */
            unseen += prog_check(p, 0) == ST_OK;
            d[k] = left_out;
            ++*waits;
        }
    }
    return unseen;
}

/* Moves each buffer one line down; returns how many nobody missed. */
static int moved(program *p, int *buffers)
{
    int unseen = 0;
    for (int32_t b = 0; b < p->nbufs; b++) {
        if (p->bufs[b].offset >= 64) {
            p->bufs[b].offset -= 64;
            unseen += prog_check(p, 0) == ST_OK;
            p->bufs[b].offset += 64;
            ++*buffers;
        }
    }
    return unseen;
}

/* Moves each segment to the next leaf. */
static int mislabeled(program *p, int *segs)
{
    int unseen = 0;
    for (int32_t s = 0; s < p->nsegs; s++) {
        p->seg[s].leaf++;
        unseen += prog_check(p, 0) == ST_OK;
        p->seg[s].leaf--;
    }
    *segs += p->nsegs;
    return unseen;
}

/* least: waits there must be at the least, so that something is tried; four
 * times as many buffers. */
static void assert_all_seen(program_set *set, int spare, int least)
{
    int waits = 0, buffers = 0, segs = 0, unseen = 0;
    for (int32_t c = 0; c < set->nclasses && c < 2; c++) {
        program *p = &set->classes[c];
        assert_int_equal(prog_check(p, 0), ST_OK);
        unseen += without_waits(p, &waits);
        assert_int_equal(moved(p, &buffers), 0);
        assert_int_equal(mislabeled(p, &segs), 0);
        assert_int_equal(prog_check(p, 0), ST_OK);
    }
    print_message("%d waits, %d needed by nobody; %d buffers, %d segments\n",
                  waits, unseen, buffers, segs);
    assert_true(waits > least && buffers > 4 * least && segs > least);
    assert_true(unseen <= spare);
}

/* No wait, place or leaf of a compiled program can be changed unseen. A few
 * waits of the streaming compiler are for buffers as wholes where parts would
 * do. */
static void test_nothing_to_spare(void **state)
{
    const job j = {6, 16, 6, 6, 16};
    (void)state;
    for (int i = 0; i < 2; i++) {
        model m = {.a = models[i].a};
        assert_int_equal(arch_cut(&m.a, 2), ST_OK);
        assert_int_equal(params_init(&m.a, &m.ps), ST_OK);
        plan p;
        program_set set;
        assert_int_equal(plan_parse("dp2.tp2.pp2.mb1", &p), ST_OK);
        assert_int_equal(
            partition_compile(&m.a, &m.ps, &p, shape_of(&j), 0, &set), ST_OK);
        assert_all_seen(&set, 0, 20);
        program_set_fini(&set);
        ws_config c = {.micro_batch = 2, .panel_bytes = 32768};
        ws_choice choice;
        assert_int_equal(
            ws_compile(&m.a, &m.ps, shape_of(&j), &c, &set, &choice), ST_OK);
        assert_all_seen(&set, 3, 20);
        program_set_fini(&set);
        gpt_shape sh = shape_of(&j);
        sh.N = sh.D = 1;
        assert_int_equal(
            ws_compile_infer(&m.a, &m.ps, &sh, 40, 0, &set, &choice), ST_OK);
        assert_all_seen(&set, 3, 10);
        program_set_fini(&set);
        params_fini(&m.ps);
    }
}

/* --- without memory ------------------------------------------------------- */

/* Each allocation fails once: none of a program's plan is left out without a
 * word because a later one did not fail. */
static void fail_each(const char *name)
{
    const model *m = &models[0];
    const job j = {.N = 4, .T = 16, .D = 4, .S = 4, .kblock = 256};
    bool done = false;
    for (int64_t n = 1; !done; n++) {
        plan p;
        program_set set;
        assert_int_equal(plan_open(name, &p), ST_OK);
        int64_t live = mem_live();
        int64_t count = mem_count();
        mem_fail_after(n);
        status st = partition_compile(&m->a, &m->ps, &p, shape_of(&j), 0, &set);
        mem_fail_after(0);
        done = mem_count() - count < n;
        if (st != (done ? ST_OK : ST_SYSTEM)) {
            fail_msg("%s: allocation %lld: status %d", name, (long long)n, st);
        }
        if (st == ST_OK) {
            program_set_fini(&set);
        }
        assert_int_equal(mem_live(), live);
        assert_true(!done || n > 30);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    fail_each("pp2");
    fail_each("tp2");
    fail_each("dp2.tp2.pp2");
}

/* Thousands of sequences on one rank, in one sum and in parts. */
static void test_many_sequences(void **state)
{
    const job j = {5000, 3, 4, 4, 16};
    (void)state;
    for (int i = 0; i < 2; i++) {
        model m = {.a = models[i].a};
        tally t = {0};
        assert_int_equal(arch_cut(&m.a, 1), ST_OK);
        assert_int_equal(params_init(&m.a, &m.ps), ST_OK);
        for (int64_t each = 5000; each > 300; each /= 3) {
            plan p = {.data = 1, .pipe = 1, .tensor = 1, .micro_batch = each};
            ws_config c = {.micro_batch = each};
            try_plan(&m, &j, &p, &t);
            try_stream(&m, &j, &c, &t);
        }
        params_fini(&m.ps);
        assert_int_equal(t.failed, 0);
        assert_int_equal(t.compiled, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_nothing_to_spare),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_sequences),
    };
    return cmocka_run_group_tests(tests, open_models, close_models) != 0;
}
