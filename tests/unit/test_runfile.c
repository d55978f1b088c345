/*
 * Run files and comparisons: what is written is read back, also while the
 * file is being written, after a crash, after a resume and out of a
 * comparison; damaged and foreign files are refused.
 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5.h"
#include "runtime/results/comparison.h"
#include "runtime/results/runfile.h"

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[4][128]; /* of the last four calls */
    static int next;
    char *out = path[next++ % 4];

    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

static void has_text(const char *part)
{
    if (strstr(status_text(), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, status_text());
    }
}

/* ---- making -------------------------------------------------------------- */

static run_info info_of(void)
{
    static char model[] = "gpt-neo-tiny", plan[] = "dp2.tp2",
                cmdline[] = "weft train gpt-neo-tiny --plan dp2.tp2",
                config[] = "{\n  \"steps\": 3\n}\n";
    const run_info info = {
        .model = model,
        .plan = plan,
        .cmdline = cmdline,
        .config = config,
        .arch_hash = 0x0123456789abcdefU,
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

static runfile *create(const char *name)
{
    const run_info info = info_of();
    runfile *f = NULL;

    OK(runfile_create(path_of(name), &info, &f));
    return f;
}

static run_step step_of(int64_t step)
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
static void put_step(runfile *f, int64_t step)
{
    const run_ledger ranks[2] = {{1, 2, 3, 4, 5, 6}, {3, 6, 9, 12, 15, 18}};
    const run_step s = step_of(step);

    OK(runfile_step(f, &s, ranks, 2));
}

static void put_ends(runfile *f)
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
    OK(runfile_setup(f, &setup));
    OK(runfile_host(f, &host));
}

static void put_trace(runfile *f, int rank)
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
         .predicted_ns = (double)NAN}};

    OK(runfile_trace(f, 2, rows, 2));
}

static void make_run(const char *name)
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

static void check_steps(const run_summary *s, int64_t n)
{
    assert_int_equal(s->nsteps, n);
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
    }
    assert_true(s->ledger.compute == 2.0 * (double)n);
    assert_true(s->ledger.bubble == 8.0 * (double)n);
}

static void check_ends(const run_summary *s)
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
}

static void check_info(const run_info *have)
{
    const run_info want = info_of();

    assert_string_equal(have->model, want.model);
    assert_string_equal(have->plan, want.plan);
    assert_string_equal(have->cmdline, want.cmdline);
    assert_string_equal(have->config, want.config);
    assert_string_equal(have->commit, "");
    assert_int_equal(strlen(have->created), strlen("2026-01-31T12:34:56Z"));
    assert_true(have->arch_hash == want.arch_hash && have->seed == want.seed);
    assert_int_equal(have->parameters, 1000);
    assert_true(have->flops_per_token == 6500.5);
    assert_int_equal(have->batch, 8);
    assert_int_equal(have->seq, 64);
    assert_int_equal(have->ranks, 4);
    assert_int_equal(have->data_leaves, 4);
    assert_int_equal(have->tensor_leaves, 4);
    assert_true(have->exact_sums && have->oversubscribed);
}

/* ---- run files ----------------------------------------------------------- */

static void test_round_trip(void **state)
{
    run_summary s;
    run_trace *rows = NULL;
    int64_t n = 0;
    (void)state;

    assert_true(h5_library()[0] >= '1' && h5_library()[0] <= '9');
    make_run("run.h5");
    OK(runfile_read(path_of("run.h5"), &s));
    check_info(&s.info);
    assert_true(s.info.complete);
    check_steps(&s, 3);
    assert_int_equal(s.nvalidations, 1);
    assert_int_equal(s.validations[0].step, 3);
    assert_true(s.validations[0].loss == 6.5);
    check_ends(&s);
    assert_int_equal(s.ntrace, 4);
    assert_int_equal(s.trace_step, 2);
    run_summary_fini(&s);

    OK(runfile_read_trace(path_of("run.h5"), "/", &rows, &n));
    assert_int_equal(n, 4);
    assert_string_equal(rows[1].kind, "forward");
    assert_string_equal(rows[1].stream, "compute");
    assert_int_equal(rows[3].rank, 1);
    assert_int_equal(rows[3].layer, 3);
    assert_int_equal(rows[3].seqs, 2);
    assert_int_equal(rows[3].end_ns, 9);
    assert_true(rows[3].flops == 1e6 && isnan(rows[3].predicted_ns));
    assert_true(rows[0].predicted_ns == 0);
    mem_free(rows);
}

/* The conventions that other readers go by. */
static void test_conventions(void **state)
{
    char *text = NULL;
    h5_file *f = NULL;
    static const char *const attrs[][3] = {
        {"/", "format", "weft-run"},
        {"/", "format_version", "1.0"},
        {"/", "sums", "exact"},
        {"/", "default", "steps"},
        {"/", "NX_class", "NXroot"},
        {"/steps", "signal", "loss"},
        {"/steps", "axes", "step"},
        {"/steps", "NX_class", "NXdata"},
        {"/steps/loss", "units", "nat"},
        {"/steps/step", "NAME", "step"},
        {"/steps/comm_s", "units", "s"},
        {"/", "arch_hash", "0123456789abcdef"},
        {"/validation/loss", "units", "nat"},
    };
    (void)state;

    make_run("run.h5");
    OK(h5_open(path_of("run.h5"), &f));
    for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
        OK(h5_attr_get_text(f, attrs[i][0], attrs[i][1], NULL, &text));
        assert_string_equal(text, attrs[i][2]);
        mem_free(text);
    }
    assert_true(h5_attr_has(f, "/steps/lr", "DIMENSION_LIST"));
    assert_true(h5_attr_has(f, "/steps/other_s_max", "long_name"));
    OK(h5_close(&f));
}

static void test_read_while_written(void **state)
{
    run_summary s;
    runfile *f = create("live.h5");
    (void)state;

    for (int64_t step = 0; step < 3; step++) {
        usleep(step == 0 ? 0 : 250000); /* long steps do not wait */
        put_step(f, step);
        /* Another process, as HDF5 would share what is open in this one. */
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const bool good = runfile_read(path_of("live.h5"), &s) == ST_OK &&
                              s.nsteps == step + 1 && s.steps[step].loss > 6 &&
                              s.nranks == 0 && !s.has_setup &&
                              !s.info.complete && s.ntrace == 0 &&
                              s.nvalidations == 0;
            _exit(good ? 0 : 1);
        }
        int end = -1;
        assert_int_equal(waitpid(child, &end, 0), child);
        assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
    }
    OK(runfile_close(&f, false));
}

static void test_killed_while_writing(void **state)
{
    run_summary s;
    (void)state;

    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        runfile *f = create("killed.h5");
        put_step(f, 0);
        put_step(f, 1);
        OK(runfile_flush(f));
        put_step(f, 2); /* waits for more */
        raise(SIGKILL);
    }
    int end = 0;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFSIGNALED(end));
    OK(runfile_read(path_of("killed.h5"), &s));
    check_steps(&s, 2);
    assert_false(s.info.complete);
    run_summary_fini(&s);
}

static void test_resume(void **state)
{
    run_summary s;
    runfile *f = NULL;
    (void)state;

    make_run("run.h5");
    assert_int_equal(runfile_resume(path_of("run.h5"), 5, &f), ST_BADFILE);
    has_text("ends at step 2, cannot go on from step 5");
    assert_null(f);
    OK(runfile_resume(path_of("run.h5"), 1, &f));
    put_step(f, 1);
    OK(runfile_validation(f, 2, 6.25));
    put_ends(f);
    put_trace(f, 0);
    OK(runfile_close(&f, true));
    OK(runfile_read(path_of("run.h5"), &s));
    check_steps(&s, 2);
    check_ends(&s);
    assert_int_equal(s.nvalidations, 1);
    assert_true(s.validations[0].loss == 6.25);
    assert_int_equal(s.ntrace, 2);
    assert_true(s.info.complete);
    run_summary_fini(&s);

    OK(runfile_resume(path_of("run.h5"), 0, &f));
    put_step(f, 0);
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("run.h5"), &s));
    check_steps(&s, 1);
    assert_false(s.info.complete);
    run_summary_fini(&s);
}

/* Short steps are written together, more than fit at once in two parts. */
static void test_many_steps(void **state)
{
    enum { MANY = 700 };
    run_summary s;
    runfile *f = create("many.h5");
    (void)state;

    for (int64_t step = 0; step < MANY; step++) {
        put_step(f, step);
    }
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("many.h5"), &s));
    check_steps(&s, MANY);
    run_summary_fini(&s);
}

static void test_steps_rise(void **state)
{
    const run_step s = step_of(0);
    runfile *f = create("rise.h5");
    run_summary r;
    (void)state;

    put_step(f, 0);
    assert_int_equal(runfile_step(f, &s, NULL, 0), ST_INTERNAL);
    OK(runfile_close(&f, false));
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("rise.h5"), &r));
    check_steps(&r, 1);
    run_summary_fini(&r);
}

static void test_wrong_files(void **state)
{
    run_summary s;
    h5_file *f = NULL;
    comparison_row *rows = NULL;
    int64_t n = 0;
    const run_info info = info_of();
    runfile *run = NULL;
    (void)state;

    assert_int_equal(runfile_read(path_of("none.h5"), &s), ST_NOINPUT);
    assert_int_equal(runfile_create(path_of("no/such/folder.h5"), &info, &run),
                     ST_CANTCREATE);
    assert_null(run);
    make_run("run.h5");
    assert_int_equal(comparison_read(path_of("run.h5"), &rows, &n), ST_BADFILE);
    has_text("is a weft-run, not a weft-comparison");
    assert_int_equal(runfile_read_at(path_of("run.h5"), "/x/y", &s),
                     ST_BADFILE);
    has_text("has no group /x/y");

    OK(h5_live_open(path_of("run.h5"), &f));
    OK(h5_attr_set_text(f, "/", "format_version", "2.0"));
    OK(h5_close(&f));
    assert_int_equal(runfile_read(path_of("run.h5"), &s), ST_BADFILE);
    has_text("version 2.0, this program reads 1.x");
    OK(h5_live_open(path_of("run.h5"), &f));
    OK(h5_attr_set_text(f, "/", "format_version", "1.9"));
    OK(h5_column_cut(f, "/steps/lr", 1));
    OK(h5_close(&f));
    assert_true(runfile_read(path_of("run.h5"), &s) != ST_OK);

    OK(h5_create(path_of("foreign.h5"), H5_PLAIN, &f));
    OK(h5_commit(&f));
    assert_int_equal(runfile_read(path_of("foreign.h5"), &s), ST_BADFILE);
    has_text("is no file of Weft's, not a weft-run");
    assert_int_equal(truncate(path_of("run.h5"), 1000), 0);
    assert_int_equal(runfile_read(path_of("run.h5"), &s), ST_BADFILE);
    has_text("truncated");
}

/* ---- rows from programs -------------------------------------------------- */

static void test_describe(void **state)
{
    program p;
    prog_place place = {.class_index = 0, .data = 1, .pipe = 2, .tensor = 3};
    run_trace rows[2];
    run_rank rank = {.rank = 9, .threads = 4};
    run_op_count ops[OP_KIND_COUNT];
    run_setup setup = {0};
    prog_place places[3] = {place, place, place};
    (void)state;

    prog_init(&p);
    const int32_t buf = prog_buffer(&p, "x", BUF_ACTIVATION, 0, 1024, false);
    prog_add(&p, OP_LOAD, STREAM_LOAD, 7);
    prog_last(&p)->bytes = 4096;
    prog_use(&p, prog_whole(&p, buf, 1, 1024, 1024), VIEW_W);
    prog_add(&p, OP_NORM, STREAM_COMPUTE, 7);
    prog_last(&p)->seqs = 5;
    prog_last(&p)->flops = 10;
    prog_use(&p, prog_whole(&p, buf, 1, 1024, 1024), VIEW_R);
    OK(prog_finish(&p));
    run_trace_describe(&p, 6, rows);
    assert_int_equal(rows[1].rank, 6);
    assert_int_equal(rows[1].op, 1);
    assert_int_equal(rows[1].layer, 7);
    assert_int_equal(rows[1].seqs, 5);
    assert_string_equal(rows[1].kind, op_kind_name(OP_NORM));
    assert_string_equal(rows[1].stream, op_stream_name(STREAM_COMPUTE));
    assert_true(rows[0].bytes == 4096 && isnan(rows[0].predicted_ns));
    run_rank_describe(&p, &place, &rank);
    assert_int_equal(rank.rank, 9);
    assert_int_equal(rank.threads, 4);
    assert_int_equal(rank.data, 1);
    assert_int_equal(rank.tensor, 3);
    assert_true(rank.peak_bytes >= 4096 && rank.peak_bytes == p.peak_bytes);
    assert_int_equal(rank.class_bytes[BUF_ACTIVATION],
                     p.class_bytes[BUF_ACTIVATION]);
    const program_set set = {&p, 1, places, 3};
    run_setup_describe(&set, ops, &setup);
    assert_int_equal(setup.programs, 1);
    assert_int_equal(setup.nops, 2);
    assert_string_equal(setup.ops[0].kind, op_kind_name(OP_LOAD));
    assert_int_equal(setup.ops[0].count, 3);
    assert_true(setup.ops[0].bytes == 3 * 4096);
    assert_true(setup.ops[1].flops == 30);
    prog_fini(&p);
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        assert_true(strlen(op_kind_name((op_kind)k)) < RUN_KIND_SIZE);
    }
    for (int k = 0; k < STREAM_COUNT; k++) {
        assert_true(strlen(op_stream_name((op_stream)k)) < RUN_KIND_SIZE);
    }
}

/* ---- comparisons --------------------------------------------------------- */

/* As others read it: whole fields, with what is behind the end. */
static void check_raw_name(const char *path, int64_t row, const char *want)
{
    static const h5_field name[] = {{"name", H5_TEXT, 0, COMPARISON_NAME_SIZE}};
    static const h5_layout raw = {name, 1, COMPARISON_NAME_SIZE};
    char have[COMPARISON_NAME_SIZE], all[COMPARISON_NAME_SIZE] = {0};
    h5_file *f = NULL;

    OK(h5_open(path, &f));
    OK(h5_table_read(f, "/runs", &raw, row, 1, have));
    OK(h5_close(&f));
    memcpy(all, want, strlen(want));
    assert_memory_equal(have, all, sizeof(all));
}

static void check_comparison(const char *path)
{
    comparison_row *rows = NULL;
    int64_t n = 0;
    run_summary s;
    run_trace *trace = NULL;

    OK(comparison_read(path, &rows, &n));
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].name, "streamed:64 MiB/ram");
    assert_string_equal(rows[0].group, "/gpt-neo-tiny/streamed_64_MiB_ram");
    assert_string_equal(rows[0].status, "ok");
    assert_string_equal(rows[0].agreement, "bitwise");
    assert_true(rows[0].loss_difference == 0 && rows[0].devices == 1);
    assert_true(isnan(rows[0].tokens_per_s) && rows[0].peak_bytes == -1);
    assert_string_equal(rows[1].group, "");
    assert_string_equal(rows[1].name, "tp5");
    check_raw_name(path, 1, "tp5");
    assert_string_equal(rows[1].reasons, "12 heads do not divide by 5");
    assert_string_equal(rows[2].group, "/gpt-neo-tiny/dp2.tp2");
    for (int i = 0; i < 3; i += 2) {
        OK(runfile_read_at(path, rows[i].group, &s));
        check_info(&s.info);
        check_steps(&s, 3);
        check_ends(&s);
        run_summary_fini(&s);
        int64_t ntrace = 0;
        OK(runfile_read_trace(path, rows[i].group, &trace, &ntrace));
        assert_int_equal(ntrace, 4);
        mem_free(trace);
    }
    mem_free(rows);
}

static void test_comparison(void **state)
{
    comparison_row row;
    comparison *c = NULL;
    (void)state;

    make_run("run.h5");
    OK(comparison_create(path_of("cmp.h5"), "weft compare demo.json", NULL,
                         "{}", &c));
    comparison_row_init(&row);
    snprintf(row.model, sizeof(row.model), "gpt-neo-tiny");
    snprintf(row.name, sizeof(row.name), "streamed:64 MiB/ram");
    snprintf(row.status, sizeof(row.status), "ok");
    snprintf(row.agreement, sizeof(row.agreement), "bitwise");
    row.loss_difference = 0;
    row.devices = 1;
    OK(comparison_add(c, &row, path_of("run.h5")));
    assert_string_equal(row.group, "/gpt-neo-tiny/streamed_64_MiB_ram");
    snprintf(row.name, sizeof(row.name), "tp5");
    snprintf(row.status, sizeof(row.status), "refused");
    snprintf(row.reasons, sizeof(row.reasons), "12 heads do not divide by 5");
    OK(comparison_add(c, &row, NULL));
    snprintf(row.name, sizeof(row.name), "dp2.tp2");
    OK(comparison_add(c, &row, path_of("run.h5")));
    /* A set-up that is there, a file that is not: no row is added. */
    assert_int_equal(comparison_add(c, &row, path_of("run.h5")), ST_INTERNAL);
    snprintf(row.name, sizeof(row.name), "other");
    assert_int_equal(comparison_add(c, &row, path_of("none.h5")), ST_NOINPUT);
    OK(comparison_close(&c));
    OK(comparison_close(&c));
    check_comparison(path_of("cmp.h5"));
}

/* Scales of the copy are the copy's own: h5py and xarray follow them. */
static void test_copied_scales(void **state)
{
    h5_file *f = NULL, *to = NULL;
    const int64_t dim[2] = {2, 3};
    const int64_t x[2] = {10, 20};
    const float data[6] = {1, 2, 3, 4, 5, 6};
    char *text = NULL;
    (void)state;

    OK(h5_create(path_of("from.h5"), H5_PLAIN, &f));
    OK(h5_data_put(f, "/g/x", H5_I64, 1, dim, x));
    OK(h5_data_put(f, "/g/deep/data", H5_F32, 2, dim, data));
    OK(h5_data_put(f, "/outside", H5_I64, 1, dim + 1, (int64_t[]){7, 8, 9}));
    OK(h5_scale_set(f, "/g/x", "x"));
    OK(h5_scale_set(f, "/outside", "y"));
    OK(h5_scale_attach(f, "/g/deep/data", 0, "/g/x"));
    OK(h5_scale_attach(f, "/g/deep/data", 1, "/outside"));
    OK(h5_attr_set_text(f, "/g", "note", "kept"));
    OK(h5_create(path_of("to.h5"), H5_PLAIN, &to));
    /* Moves addresses, so that stale references would lead elsewhere. */
    OK(h5_data_put(to, "/first", H5_F32, 2, dim, data));
    OK(h5_copy(f, "/g", to, "/a/b"));
    assert_int_equal(h5_copy(f, "/g", to, "/a/b"), ST_INTERNAL);
    assert_int_equal(h5_copy(f, "/none", to, "/c"), ST_BADFILE);
    OK(h5_commit(&f));
    OK(h5_commit(&to));

    float out[6] = {0};
    OK(h5_open(path_of("to.h5"), &to));
    OK(h5_data_read_all(to, "/a/b/deep/data", H5_F32, 6, out));
    assert_memory_equal(out, data, sizeof(data));
    OK(h5_attr_get_text(to, "/a/b", "note", NULL, &text));
    assert_string_equal(text, "kept");
    mem_free(text);
    assert_true(h5_attr_has(to, "/a/b/x", "REFERENCE_LIST"));
    assert_true(h5_attr_has(to, "/a/b/deep/data", "DIMENSION_LIST"));
    /* A copy of the copy follows its scales: they lead somewhere. */
    OK(h5_create(path_of("again.h5"), H5_PLAIN, &f));
    OK(h5_copy(to, "/", f, "/all"));
    OK(h5_close(&to));
    assert_true(h5_attr_has(f, "/all/a/b/deep/data", "DIMENSION_LIST"));
    OK(h5_commit(&f));
}

/* ---- frame --------------------------------------------------------------- */

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weft-runfile-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int drop_folder(void **state)
{
    static const char *const names[] = {
        "run.h5",  "live.h5", "killed.h5", "rise.h5", "foreign.h5",
        "many.h5", "cmp.h5",  "from.h5",   "to.h5",   "again.h5"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

static int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, no_leak),
        cmocka_unit_test_teardown(test_conventions, no_leak),
        cmocka_unit_test_teardown(test_read_while_written, no_leak),
        cmocka_unit_test_teardown(test_killed_while_writing, no_leak),
        cmocka_unit_test_teardown(test_resume, no_leak),
        cmocka_unit_test_teardown(test_many_steps, no_leak),
        cmocka_unit_test_teardown(test_steps_rise, no_leak),
        cmocka_unit_test_teardown(test_wrong_files, no_leak),
        cmocka_unit_test_teardown(test_describe, no_leak),
        cmocka_unit_test_teardown(test_comparison, no_leak),
        cmocka_unit_test_teardown(test_copied_scales, no_leak),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
