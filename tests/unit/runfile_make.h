/*
 * A run file made up for tests, and what a reader must find in it. Shared by
 * test_runfile.c and test_comparison.c; each has its own folder.
 */
#ifndef WEFT_TESTS_UNIT_RUNFILE_MAKE_H
#define WEFT_TESTS_UNIT_RUNFILE_MAKE_H

#include <math.h>
#include <sys/stat.h>

#include "runtime/io/h5.h"
#include "runtime/results/runfile.h"
#include "tests/common/scratch.h"

/* ---- making -------------------------------------------------------------- */

static inline run_info info_of(void)
{
    static char model[] = "gpt-neo-tiny", plan[] = "dp2.tp2",
                cmdline[] = "weft train gpt-neo-tiny --plan dp2.tp2",
                config[] = "{\n  \"steps\": 3\n}\n", store[] = "ram",
                kernels[] = "opt";
    const run_info info = {
        .model = model,
        .plan = plan,
        .cmdline = cmdline,
        .config = config,
        .store = store,
        .kernels = kernels,
        .arch_hash = 0x0123456789abcdefU,
        .data_hash = 0xffU,
        .seed = 1337,
        .parameters = 1000,
        .flops_per_token = 6500.5,
        .batch = 8,
        .seq = 64,
        .ranks = 4,
        .data_leaves = 4,
        .tensor_leaves = 4,
        .exact_sums = true,
        .oversubscribed = true,
    };
    return info;
}

static inline runfile *create(const char *name)
{
    const run_info info = info_of();
    runfile *f = NULL;

    OK(runfile_create(path_of(name), &info, &f));
    return f;
}

static inline run_step step_of(int64_t step)
{
    const run_step s = {
        .step = step,
        .loss = 7.0 - 0.1 * (double)step,
        .grad_norm = 1.5 + (double)step,
        .lr = 3e-4,
        .wall_s = 0.25,
        .cpu_s = 0.9,
        .tokens_per_s = 2048,
    };
    return s;
}

/* Ledgers of two ranks: means 2 k, largest 3 k for the k-th part. */
static const run_ledger two_ledgers[2] = {{1, 2, 3, 4, 5, 6},
                                          {3, 6, 9, 12, 15, 18}};

static inline void put_step(runfile *f, int64_t step)
{
    const run_step s = step_of(step);

    OK(runfile_step(f, &s, two_ledgers, 2));
}

static inline void put_prediction(runfile *f)
{
    run_predicted_kind kinds[2] = {{"forward", 12, 1, 2, 3, (double)NAN},
                                   {"norm", 5, 6, 7, 8, 9}};
    const run_prediction p = {.machine = "this host",
                              .clock = "cpu",
                              .step_s = 0.5,
                              .measured_step_s = 0.25,
                              .wall_s = 0.125,
                              .measured_wall_s = (double)NAN,
                              .cpu_s = 0.5,
                              .measured_cpu_s = 0.25,
                              .peak_bytes = (int64_t)1 << 33,
                              .measured_peak_bytes = -1,
                              .ledger = {1, 2, 3, 4, 5, 6},
                              .measured_ledger = {7, 8, 9, 10, 11, 12},
                              .kinds = kinds,
                              .nkinds = 2};
    OK(runfile_prediction(f, &p));
}

static inline void put_ends(runfile *f)
{
    run_rank ranks[2] = {0};
    run_decision decisions[2] = {{"grid.data", "2", "batch % data == 0"},
                                 {"grid.tensor", "2", "heads % tensor == 0"}};
    run_op_count ops[1] = {{"forward", 12, 1e9, 5e6}};
    const run_setup setup = {
        .decisions = decisions,
        .ndecisions = 2,
        .ops = ops,
        .nops = 1,
        .programs = 3,
        .communicators = 7,
        .messages = 40,
        .bytes = 1.5e6,
        .launch_s = 1.25,
        .planning_s = 0.01,
        .communicators_s = (double)NAN,
        .weights_s = 0.5,
        .first_step_s = 0.3,
        .switch_distance = -1,
    };
    const run_host host = {
        "box", "a processor", "BLIS 0.9 x", "Open MPI", "ignored", 2, 1, 55.5};

    for (int r = 0; r < 2; r++) {
        ranks[r].rank = r;
        ranks[r].tensor = r;
        ranks[r].class_index = 1;
        ranks[r].threads = 2;
        ranks[r].arena_bytes = (int64_t)1 << 40;
        ranks[r].class_bytes[BUF_LOGITS] = 77 + r;
        ranks[r].sent_bytes[GROUP_TENSOR] = 1000 + r;
        ranks[r].received_bytes[GROUP_WORLD] = 2000 + r;
        snprintf(ranks[r].host, sizeof(ranks[r].host), "node%d", r);
    }
    OK(runfile_ranks(f, ranks, 2));
    OK(runfile_traffic(f, (const run_traffic[]){{0, 1, 9}, {1, 0, 9}}, 2));
    OK(runfile_traffic(f, (const run_traffic[]){{1, 0, 77}}, 1));
    OK(runfile_setup(f, &setup));
    OK(runfile_host(f, &host));
    put_prediction(f);
}

static inline void put_trace(runfile *f, int rank)
{
    run_trace rows[2] = {
        {.rank = rank, .op = 0, .kind = "load", .stream = "load", .layer = -1},
        {.rank = rank,
         .op = 1,
         .kind = "forward",
         .stream = "compute",
         .layer = 3,
         .seqs = 2,
         .start_ns = 5,
         .end_ns = 9,
         .flops = 1e6,
         .predicted_ns = (double)NAN,
         .predicted_start_ns = 6}};

    OK(runfile_trace(f, 2, rows, 2));
}

static inline void make_run(const char *name)
{
    runfile *f = create(name);

    for (int64_t step = 0; step < 3; step++) {
        put_step(f, step);
    }
    OK(runfile_validation(f, 3, 6.5));
    put_ends(f);
    put_trace(f, 0);
    put_trace(f, 1);
    OK(runfile_close(&f, true));
    assert_null(f);
}

/* ---- checking ------------------------------------------------------------ */

static inline void check_steps(const run_summary *s, int64_t n)
{
    assert_int_equal(s->nsteps, n);
    assert_int_equal(s->ledger_ranks, 2);
    for (int64_t i = 0; i < n; i++) {
        const run_step want = step_of(i);
        const run_step *have = &s->steps[i];
        assert_int_equal(have->step, i);
        assert_true(have->loss == want.loss);
        assert_true(have->grad_norm == want.grad_norm);
        assert_true(have->lr == want.lr && have->wall_s == want.wall_s);
        assert_true(have->cpu_s == want.cpu_s);
        assert_true(have->tokens_per_s == want.tokens_per_s);
        assert_true(have->mean.compute == 2 && have->mean.other == 12);
        assert_true(have->max.compute == 3 && have->max.other == 18);
        assert_true(have->max.load == 6 && have->max.comm == 9);
        assert_true(have->max.bubble == 12 && have->max.optimizer == 15);
        assert_memory_equal(&s->rank_ledgers[2 * i], two_ledgers,
                            sizeof(two_ledgers));
    }
    assert_true(s->ledger.compute == (n > 0 ? 2 : 0));
    assert_true(s->ledger.bubble == (n > 0 ? 8 : 0));
}

static inline void check_ends(const run_summary *s)
{
    assert_int_equal(s->nranks, 2);
    assert_int_equal(s->ranks[1].rank, 1);
    assert_int_equal(s->ranks[1].tensor, 1);
    assert_int_equal(s->ranks[1].class_index, 1);
    assert_true(s->ranks[0].arena_bytes == (int64_t)1 << 40);
    assert_int_equal(s->ranks[1].class_bytes[BUF_LOGITS], 78);
    assert_int_equal(s->ranks[1].class_bytes[BUF_WEIGHT], 0);
    assert_int_equal(s->ranks[1].sent_bytes[GROUP_TENSOR], 1001);
    assert_int_equal(s->ranks[0].received_bytes[GROUP_WORLD], 2000);
    assert_string_equal(s->ranks[1].host, "node1");
    assert_int_equal(s->ntraffic, 1);
    assert_true(s->traffic[0].from == 1 && s->traffic[0].to == 0);
    assert_int_equal(s->traffic[0].bytes, 77);
    assert_true(s->has_setup && s->has_host);
    assert_int_equal(s->setup.ndecisions, 2);
    assert_string_equal(s->setup.decisions[1].key, "grid.tensor");
    assert_string_equal(s->setup.decisions[1].rules, "heads % tensor == 0");
    assert_int_equal(s->setup.nops, 1);
    assert_int_equal(s->setup.ops[0].count, 12);
    assert_true(s->setup.ops[0].bytes == 5e6);
    assert_int_equal(s->setup.programs, 3);
    assert_int_equal(s->setup.communicators, 7);
    assert_int_equal(s->setup.messages, 40);
    assert_true(s->setup.launch_s == 1.25 && s->setup.bytes == 1.5e6);
    assert_true(isnan(s->setup.communicators_s));
    assert_int_equal(s->setup.switch_distance, -1);
    assert_string_equal(s->host.blas, "BLIS 0.9 x");
    assert_true(s->host.matmul_gflops == 55.5 && s->host.threads == 1);
    assert_int_equal(s->host.cores, 2);
    assert_string_equal(s->host.hdf5, h5_library());
    assert_true(s->has_prediction);
    const run_prediction *p = &s->prediction;
    assert_string_equal(p->machine, "this host");
    assert_string_equal(p->clock, "cpu");
    assert_true(p->step_s == 0.5 && p->measured_step_s == 0.25);
    assert_true(p->wall_s == 0.125 && isnan(p->measured_wall_s));
    assert_true(p->cpu_s == 0.5 && p->measured_cpu_s == 0.25);
    assert_true(p->peak_bytes == (int64_t)1 << 33);
    assert_int_equal(p->measured_peak_bytes, -1);
    assert_true(p->ledger.compute == 1 && p->ledger.other == 6);
    assert_true(p->measured_ledger.load == 8 &&
                p->measured_ledger.bubble == 10);
    assert_int_equal(p->nkinds, 2);
    assert_string_equal(p->kinds[1].kind, "norm");
    assert_int_equal(p->kinds[0].count, 12);
    assert_true(p->kinds[1].measured_wall_ns == 7);
    assert_true(p->kinds[0].predicted_cpu_ns == 3);
    assert_true(isnan(p->kinds[0].measured_cpu_ns));
}

static inline void check_info(const run_info *have)
{
    const run_info want = info_of();

    assert_string_equal(have->model, want.model);
    assert_string_equal(have->plan, want.plan);
    assert_string_equal(have->cmdline, want.cmdline);
    assert_string_equal(have->config, want.config);
    assert_string_equal(have->commit, "");
    assert_int_equal(strlen(have->created), strlen("2026-01-31T12:34:56Z"));
    assert_string_equal(have->store, want.store);
    assert_string_equal(have->kernels, want.kernels);
    assert_true(have->arch_hash == want.arch_hash && have->seed == want.seed);
    assert_true(have->data_hash == want.data_hash);
    assert_int_equal(have->parameters, 1000);
    assert_true(have->flops_per_token == 6500.5);
    assert_int_equal(have->batch, 8);
    assert_int_equal(have->seq, 64);
    assert_int_equal(have->ranks, 4);
    assert_int_equal(have->data_leaves, 4);
    assert_int_equal(have->tensor_leaves, 4);
    assert_true(have->exact_sums && have->oversubscribed);
}

/* ---- frame --------------------------------------------------------------- */

static inline int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

#endif
