/*
 * Run files: what is written is read back, also while the file is being
 * written, after a crash and after a resume; damaged and foreign files are
 * refused.
 */
#include <signal.h>
#include <sys/wait.h>

#include "runtime/results/comparison.h"
#include "tests/unit/runfile_make.h"

/* ---- run files ----------------------------------------------------------- */

static status resume(const char *name, int64_t step, runfile **f)
{
    const run_info info = info_of();

    return runfile_resume(path_of(name), &info, step, f);
}

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
    assert_true(rows[3].predicted_start_ns == 6);
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
        {"/", "format_version", "1.2"},
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
        {"/", "data_hash", "00000000000000ff"},
        {"/", "store", "ram"},
        {"/", "kernels", "opt"},
        {"/validation/loss", "units", "nat"},
        {"/ledger", "units", "s"},
        {"/ledger", "accounts", "compute load comm bubble optimizer other"},
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
    OK(h5_data_check(f, "/ledger", H5_KIND_FLOAT, 3,
                     (const int64_t[]){3, 2, RUN_ACCOUNTS}));
    assert_true(h5_attr_has(f, "/ledger", "long_name"));
    /* netCDF refuses a file with a scale in a group beside its dataset. */
    assert_false(h5_attr_has(f, "/ledger", "DIMENSION_LIST"));
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
    assert_int_equal(resume("run.h5", 5, &f), ST_BADFILE);
    has_text("ends after step 3, cannot go on after step 5");
    assert_null(f);
    OK(resume("run.h5", 1, &f));
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

    OK(resume("run.h5", 0, &f));
    put_step(f, 0);
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("run.h5"), &s));
    check_steps(&s, 1);
    assert_false(s.info.complete);
    run_summary_fini(&s);
}

/* Another run's file is refused as it is; another plan is told. */
static void test_resume_others(void **state)
{
    static char other[] = "tp2";
    run_summary s;
    runfile *f = NULL;
    run_info info = info_of();
    (void)state;

    make_run("run.h5");
    info.arch_hash++;
    assert_int_equal(runfile_resume(path_of("run.h5"), &info, 1, &f),
                     ST_CONFIG);
    has_text("its model is gpt-neo-tiny, this one's is gpt-neo-tiny of");
    info = info_of();
    info.batch = 4;
    assert_int_equal(runfile_resume(path_of("run.h5"), &info, 1, &f),
                     ST_CONFIG);
    has_text("run.h5: holds another run: its batch is 8, this one's is 4");
    OK(runfile_read(path_of("run.h5"), &s));
    check_steps(&s, 3);
    run_summary_fini(&s);

    info = info_of();
    info.plan = other;
    info.ranks = 2;
    for (int64_t step = 2; step > 0; step--) {
        OK(runfile_resume(path_of("run.h5"), &info, step, &f));
        OK(runfile_close(&f, false));
        OK(runfile_read(path_of("run.h5"), &s));
        assert_string_equal(s.info.plan, "dp2.tp2, then tp2");
        assert_int_equal(s.info.ranks, 2);
        run_summary_fini(&s);
    }
    OK(resume("run.h5", 1, &f));
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("run.h5"), &s));
    assert_string_equal(s.info.plan, "dp2.tp2, then tp2, then dp2.tp2");
    run_summary_fini(&s);
}

/* A file that goes on is of its last start: what that has not said yet, nobody
 * says. */
static void test_resume_forgets(void **state)
{
    static char cmdline[] = "weft train gpt-neo-tiny --lr 1",
                commit[] = "c0ffee", config[] = "{}\n";
    run_summary s;
    runfile *f = NULL;
    h5_file *h5 = NULL;
    run_info info = info_of();
    (void)state;

    make_run("run.h5");
    info.cmdline = cmdline;
    info.commit = commit;
    info.config = config;
    info.data_leaves = 2;
    info.tensor_leaves = 1;
    info.oversubscribed = false;
    OK(h5_live_open(path_of("run.h5"), &h5));
    OK(h5_attr_set_text(h5, "/", "software_version", "0.0"));
    OK(h5_attr_set_text(h5, "/", "format_version", "1.0"));
    OK(h5_attr_set_text(h5, "/", "created", "2020-01-31T12:34:56Z"));
    OK(h5_close(&h5));
    OK(runfile_resume(path_of("run.h5"), &info, 2, &f));
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("run.h5"), &s));
    check_steps(&s, 2);
    assert_string_equal(s.info.cmdline, cmdline);
    assert_string_equal(s.info.commit, commit);
    assert_string_equal(s.info.config, config);
    assert_string_equal(s.info.created, "2020-01-31T12:34:56Z");
    assert_int_equal(s.info.data_leaves, 2);
    assert_int_equal(s.info.tensor_leaves, 1);
    assert_false(s.info.oversubscribed);
    assert_true(s.info.exact_sums);
    assert_int_equal(s.nranks, 0);
    assert_int_equal(s.ntraffic, 0);
    assert_int_equal(s.ntrace, 0);
    assert_false(s.has_setup || s.has_host || s.has_prediction);
    run_summary_fini(&s);
    OK(h5_open(path_of("run.h5"), &h5));
    char *version = NULL;
    OK(h5_attr_get_text(h5, "/", "format_version", NULL, &version));
    assert_string_equal(version, "1.2");
    mem_free(version);
    OK(h5_close(&h5));

    /* It can say all of it again. */
    OK(resume("run.h5", 2, &f));
    put_step(f, 2);
    put_ends(f);
    OK(runfile_close(&f, true));
    OK(runfile_read(path_of("run.h5"), &s));
    check_info(&s.info);
    check_ends(&s);
    run_summary_fini(&s);
}

/* Sums of a file are exact if those of all its starts were. */
static void test_resume_sums(void **state)
{
    static const bool starts[][3] = {{true, true, true},
                                     {true, false, false},
                                     {false, true, false},
                                     {false, false, false}};
    (void)state;

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        run_summary s;
        runfile *f = NULL;
        run_info info = info_of();
        info.exact_sums = starts[i][0];
        OK(runfile_create(path_of("run.h5"), &info, &f));
        put_step(f, 0);
        OK(runfile_close(&f, false));
        info.exact_sums = starts[i][1];
        OK(runfile_resume(path_of("run.h5"), &info, 1, &f));
        OK(runfile_close(&f, false));
        OK(runfile_read(path_of("run.h5"), &s));
        assert_int_equal(s.info.exact_sums, starts[i][2]);
        run_summary_fini(&s);
    }
}

/* Twice the same data, other data, and a file that does not tell. */
static void test_resume_data(void **state)
{
    static const uint64_t starts[][2] = {{5, 5}, {5, 6}, {0, 5}};
    (void)state;

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        run_summary s;
        runfile *f = NULL;
        run_info info = info_of();
        info.data_hash = starts[i][0];
        OK(runfile_create(path_of("run.h5"), &info, &f));
        put_step(f, 0);
        OK(runfile_close(&f, false));
        info.data_hash = starts[i][1];
        OK(runfile_resume(path_of("run.h5"), &info, 1, &f));
        OK(runfile_close(&f, false));
        OK(runfile_read(path_of("run.h5"), &s));
        assert_true(i != 0 || s.info.data_hash == 5);
        assert_true(i != 1 || (s.info.data_hash != 5 && s.info.data_hash != 6 &&
                               s.info.data_hash != 0));
        assert_true(i != 2 || s.info.data_hash == 0);
        run_summary_fini(&s);
    }
}

/* Bytes are of the steps since the resume, and the file says of how many. */
static void test_steps_of_bytes(void **state)
{
    static const struct {
        int64_t attr, want;
    } made[] = {{-1, -1}, {0, 0}, {7, 7}};
    run_summary s;
    runfile *f = NULL;
    h5_file *h5 = NULL;
    (void)state;

    make_run("run.h5");
    OK(runfile_read(path_of("run.h5"), &s));
    assert_int_equal(s.ranks_steps, 3);
    assert_int_equal(s.traffic_steps, 3);
    run_summary_fini(&s);
    OK(resume("run.h5", 1, &f));
    put_step(f, 1);
    put_step(f, 2);
    put_ends(f);
    OK(runfile_close(&f, true));
    OK(runfile_read(path_of("run.h5"), &s));
    assert_int_equal(s.nsteps, 3);
    assert_int_equal(s.ranks_steps, 2);
    assert_int_equal(s.traffic_steps, 2);
    run_summary_fini(&s);

    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        OK(h5_live_open(path_of("run.h5"), &h5));
        OK(h5_attr_set_i64(h5, "/traffic", "steps", made[i].attr));
        OK(h5_close(&h5));
        if (made[i].want < 0) {
            assert_int_equal(runfile_read(path_of("run.h5"), &s), ST_BADFILE);
            has_text("/traffic: steps is -1, allowed is 0 or more");
            continue;
        }
        OK(runfile_read(path_of("run.h5"), &s));
        assert_int_equal(s.ranks_steps, 2);
        assert_int_equal(s.traffic_steps, made[i].want);
        run_summary_fini(&s);
    }
}

/* Files before 1.2 do not say it. */
static void test_steps_of_old_bytes(void **state)
{
    const run_traffic row = {.from = 0, .to = 1, .bytes = 9};
    const h5_field fields[] = {H5_FIELD(run_traffic, from, H5_I32),
                               H5_FIELD(run_traffic, to, H5_I32),
                               H5_FIELD(run_traffic, bytes, H5_I64)};
    const h5_layout layout = {fields, 3, sizeof(run_traffic)};
    run_summary s;
    h5_file *h5 = NULL;
    runfile *f = create("run.h5");
    (void)state;

    put_step(f, 0);
    put_step(f, 1);
    OK(runfile_close(&f, true));
    OK(h5_live_open(path_of("run.h5"), &h5));
    OK(h5_table_create(h5, "/traffic", &layout));
    OK(h5_table_append(h5, "/traffic", &layout, 1, &row));
    OK(h5_close(&h5));
    OK(runfile_read(path_of("run.h5"), &s));
    assert_int_equal(s.ntraffic, 1);
    assert_int_equal(s.traffic_steps, 2);
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

/* ---- ledgers of the ranks ------------------------------------------------ */

enum { THREE = 3 };

/* No two numbers alike; `run` tells those written after a resume. */
static void ledgers_of(int run, int64_t step, run_ledger out[THREE])
{
    for (int r = 0; r < THREE; r++) {
        const double x = run * 1e6 + (double)step * 100 + r * 10;
        out[r] = (run_ledger){x, x + 1, x + 2, x + 3, x + 4, x + 5};
    }
}

static void put_ledgers(runfile *f, int run, int64_t first, int64_t end)
{
    run_ledger ledgers[THREE];

    for (int64_t i = first; i < end; i++) {
        const run_step s = step_of(i);
        ledgers_of(run, i, ledgers);
        OK(runfile_step(f, &s, ledgers, THREE));
    }
}

static void check_ledgers(const run_summary *s, int run, int64_t first,
                          int64_t end)
{
    run_ledger want[THREE];

    assert_int_equal(s->ledger_ranks, THREE);
    assert_true(end <= s->nsteps);
    for (int64_t i = first; i < end; i++) {
        ledgers_of(run, i, want);
        assert_memory_equal(&s->rank_ledgers[i * THREE], want, sizeof(want));
        assert_true(s->steps[i].mean.load == want[1].load);
        assert_true(s->steps[i].max.other == want[2].other);
    }
}

/* Steps whose ledgers nobody knows. */
static void check_blank(const run_summary *s, int64_t first, int64_t end)
{
    assert_int_equal(s->ledger_ranks, THREE);
    assert_true(end <= s->nsteps);
    for (int64_t i = first * THREE; i < end * THREE; i++) {
        assert_true(isnan(s->rank_ledgers[i].compute));
        assert_true(isnan(s->rank_ledgers[i].bubble));
        assert_true(isnan(s->rank_ledgers[i].other));
    }
}

/* More than wait at once; only the first step allocates. */
static void test_rank_ledgers(void **state)
{
    run_summary s;
    runfile *f = create("ledger.h5");
    const run_step first = step_of(0);
    run_ledger ledgers[THREE];
    (void)state;

    ledgers_of(0, 0, ledgers);
    mem_fail_after(1);
    assert_int_equal(runfile_step(f, &first, ledgers, THREE), ST_SYSTEM);
    mem_fail_after(0);
    put_ledgers(f, 0, 0, 1);
    const int64_t allocations = mem_count();
    put_ledgers(f, 0, 1, 600);
    assert_int_equal(mem_count(), allocations);
    OK(runfile_close(&f, true));
    OK(runfile_read(path_of("ledger.h5"), &s));
    assert_int_equal(s.nsteps, 600);
    assert_int_equal(s.nranks, 0); /* no /ranks: not taken from there */
    check_ledgers(&s, 0, 0, 600);
    /* Of steps 1 to 599: the first warms up. */
    assert_true(fabs(s.ledger.compute - 30010) < 1e-6);
    assert_true(fabs(s.ledger.other - 30015) < 1e-6);
    run_summary_fini(&s);

    OK(resume("ledger.h5", 500, &f));
    put_ledgers(f, 1, 500, 510);
    OK(runfile_close(&f, true));
    OK(runfile_read(path_of("ledger.h5"), &s));
    assert_int_equal(s.nsteps, 510);
    check_ledgers(&s, 0, 0, 500);
    check_ledgers(&s, 1, 500, 510);
    run_summary_fini(&s);
    assert_null(s.rank_ledgers);
}

/* Rows stay beside their steps, whichever of them have ledgers. */
static void test_steps_without_ledgers(void **state)
{
    run_summary s;
    runfile *f = create("ledger.h5");
    (void)state;

    for (int64_t i = 0; i < 300; i++) {
        const run_step step = step_of(i);
        OK(runfile_step(f, &step, NULL, 0));
    }
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("ledger.h5"), &s));
    assert_int_equal(s.nsteps, 300);
    assert_null(s.rank_ledgers);
    assert_int_equal(s.ledger_ranks, 0);
    run_summary_fini(&s);

    const run_step none = step_of(300), two = step_of(303);
    OK(resume("ledger.h5", 300, &f));
    OK(runfile_step(f, &none, NULL, 0));
    put_ledgers(f, 0, 301, 303);
    OK(runfile_step(f, &two, two_ledgers, 2));
    put_ledgers(f, 0, 304, 306);
    OK(runfile_close(&f, false));
    OK(runfile_read(path_of("ledger.h5"), &s));
    assert_int_equal(s.nsteps, 306);
    check_blank(&s, 0, 301);
    check_ledgers(&s, 0, 301, 303);
    check_blank(&s, 303, 304);
    assert_true(s.steps[303].mean.compute == 2);
    check_ledgers(&s, 0, 304, 306);
    run_summary_fini(&s);
}

static void test_wrong_ledgers(void **state)
{
    const int64_t dim[2] = {2, RUN_ACCOUNTS + 1};
    run_summary s;
    runfile *run = create("ledger.h5");
    h5_file *f = NULL;
    (void)state;

    put_ledgers(run, 0, 0, 3);
    OK(runfile_close(&run, true));
    OK(h5_live_open(path_of("ledger.h5"), &f));
    OK(h5_column_cut(f, "/ledger", 2));
    OK(h5_close(&f));
    assert_true(runfile_read(path_of("ledger.h5"), &s) != ST_OK);
    has_text("/ledger");
    assert_int_equal(resume("ledger.h5", 3, &run), ST_BADFILE);
    has_text("/ledger");

    run = create("ledger.h5");
    OK(runfile_close(&run, true));
    OK(h5_live_open(path_of("ledger.h5"), &f));
    OK(h5_column_create(f, "/ledger", H5_F64, 2, dim));
    OK(h5_close(&f));
    assert_int_equal(runfile_read(path_of("ledger.h5"), &s), ST_BADFILE);
    assert_int_equal(resume("ledger.h5", 0, &run), ST_BADFILE);
    assert_null(run);
}

/* ---- misuse -------------------------------------------------------------- */

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
    assert_int_equal(runfile_read(path_of("run.h5"), &s), ST_BADFILE);
    has_text("/steps/lr has 1 rows and the step 3; the file is damaged");
    make_run("run.h5");
    OK(h5_live_open(path_of("run.h5"), &f));
    OK(h5_column_cut(f, "/ledger", 2));
    OK(h5_close(&f));
    assert_int_equal(runfile_read(path_of("run.h5"), &s), ST_BADFILE);
    has_text("/ledger has 2 rows and the step 3; the file is damaged");

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
    run_trace_describe(&p, &place, 6, rows);
    assert_int_equal(rows[0].peer, -1);
    assert_int_equal(rows[0].tag, -1);
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

/* ---- frame --------------------------------------------------------------- */

static int drop_files(void **state)
{
    static const char *const names[] = {"run.h5",   "live.h5",    "killed.h5",
                                        "rise.h5",  "foreign.h5", "many.h5",
                                        "ledger.h5"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, no_leak),
        cmocka_unit_test_teardown(test_conventions, no_leak),
        cmocka_unit_test_teardown(test_read_while_written, no_leak),
        cmocka_unit_test_teardown(test_killed_while_writing, no_leak),
        cmocka_unit_test_teardown(test_resume, no_leak),
        cmocka_unit_test_teardown(test_resume_others, no_leak),
        cmocka_unit_test_teardown(test_resume_forgets, no_leak),
        cmocka_unit_test_teardown(test_resume_sums, no_leak),
        cmocka_unit_test_teardown(test_resume_data, no_leak),
        cmocka_unit_test_teardown(test_steps_of_bytes, no_leak),
        cmocka_unit_test_teardown(test_steps_of_old_bytes, no_leak),
        cmocka_unit_test_teardown(test_many_steps, no_leak),
        cmocka_unit_test_teardown(test_rank_ledgers, no_leak),
        cmocka_unit_test_teardown(test_steps_without_ledgers, no_leak),
        cmocka_unit_test_teardown(test_wrong_ledgers, no_leak),
        cmocka_unit_test_teardown(test_steps_rise, no_leak),
        cmocka_unit_test_teardown(test_wrong_files, no_leak),
        cmocka_unit_test_teardown(test_describe, no_leak),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_files) != 0;
}
