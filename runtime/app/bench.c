#include <stdio.h>

#include "benchmarks/figures.h"
#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/opt.h"
#include "runtime/base/shelf.h"
#include "runtime/base/stop.h"

typedef struct bench_args {
    int64_t seq;
    int64_t layers;
    int64_t rounds;
    int64_t threads;
    int64_t device_memory;
    const char *data;
    int only;
} bench_args;

static const char ranks_experiment[] = "configs/experiments/ranks.json";

enum { ONLY_REFERENCE = 1 + FIGURE_REFERENCE, ONLY_RANKS };

static const char *const figures[] = {"most",      "step",  "streamed", "sums",
                                      "reference", "ranks", NULL};

static const opt_row rows[] = {
    OPT_I64(bench_args, seq, "seq", .value = "N", .def = "1024", .min = 16,
            .max = 1e6, .unit = "tokens", .help = "one sequence of so many"),
    OPT_I64(bench_args, layers, "layers", .value = "N", .def = "0", .min = 0,
            .max = 256, .help = "cut depth; 0: all"),
    OPT_I64(bench_args, rounds, "rounds", .value = "N", .def = "5", .min = 1,
            .max = 100, .help = "timed pairs of steps"),
    OPT_I64(bench_args, threads, "threads", .value = "N", .def = "0", .min = 0,
            .max = 1024, .help = "0: all usable cores"),
    OPT_SIZE(bench_args, device_memory, "device-memory", .def = "192MiB",
             .help = "of the streamed set-up"),
    OPT_STR(bench_args, data, "data", .value = "FILE",
            .help = "ranks: in place of the experiment's"),
    OPT_CHOICE(bench_args, only, "only", figures, .value = "FIGURE",
               .def = "most", .help = "most: all but reference and ranks"),
};

const opt_command bench_command = {
    .name = "bench",
    .usage = "[MODEL] [options]",
    .about = "Measures what claims rest on, as ratios in one run: the share "
             "of the machine's matmul\nrate (step), streamed against "
             "resident, exact sums against fast; with --only also fast\n"
             "kernels against the reference, and two ranks against one "
             "(configs/experiments/ranks.json,\nwhich has its own model and "
             "sizes). A figure whose greatest value is more than 1.5 times\n"
             "its least is INVALID, and so is the exit code. MODEL: "
             "gpt-neo-125m.",
    .example = "weft bench\nweft bench gpt-j-mini --seq 256 --rounds 3 "
               "--device-memory 16MiB\nweft bench --only ranks --data "
               "book.txt",
    .see = "models, doctor",
    .min_args = 0,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* An option that would do nothing was not meant so. */
static status check_options(const opt_parsed *p, const bench_args *a)
{
    static const char *const of_a_step[] = {"seq", "layers", "threads",
                                            "device-memory"};
    bool by_ranks = a->only == ONLY_RANKS;
    bool streams = a->only == 0 || a->only == 1 + FIGURE_STREAMED;
    REQUIRE(!by_ranks || opt_args_count(p) == 0, ST_USAGE,
            "bench: --only ranks has the model of its experiment; leave %s out",
            opt_arg(p, 0));
    for (int i = 0; by_ranks && i < 4; i++) {
        REQUIRE(!opt_given(p, of_a_step[i]), ST_USAGE,
                "bench: --only ranks runs the set-ups of its experiment; leave "
                "--%s out",
                of_a_step[i]);
    }
    REQUIRE(streams || !opt_given(p, "device-memory"), ST_USAGE,
            "bench: --device-memory is of the streamed set-up, which --only %s "
            "does not run; leave it out",
            figures[a->only]);
    REQUIRE(by_ranks || a->data == NULL, ST_USAGE,
            "bench: --data is for --only ranks, steps are measured on made-up "
            "tokens; leave it out");
    return ST_OK;
}

/* After the lines are printed. */
static status judge(int noisy)
{
    REQUIRE(noisy == 0, ST_INTERNAL,
            "INVALID: %d figure%s too noisy to say anything; let bench have "
            "the machine to itself, or give it longer steps (--seq)",
            noisy, noisy == 1 ? " is" : "s are");
    return ST_OK;
}

static status measure(const opt_parsed *parsed, const bench_args *a)
{
    comm *self = NULL;
    strbuf out = {0};
    TRY(comm_init(&self));
    figures_config c = {.model = opt_args_count(parsed) > 0 ? opt_arg(parsed, 0)
                                                            : "gpt-neo-125m",
                        .tokens = a->seq,
                        .layers = a->layers,
                        .rounds = a->rounds,
                        .device_memory = a->device_memory,
                        .threads = (int)a->threads,
                        .self = self};
    strbuf_printf(&out, "%s, one sequence of %lld tokens, %lld rounds\n",
                  c.model, (long long)c.tokens, (long long)c.rounds);
    status st = ST_OK;
    int noisy = 0;
    for (int i = 0; i < FIGURE_COUNT && st == ST_OK; i++) {
        bool most = a->only == 0 && i != FIGURE_REFERENCE;
        if (most || a->only == i + 1) {
            st = figures_run(&c, (figures_which)i, &out, &noisy);
        }
    }
    log_out("%s", strbuf_view(&out));
    strbuf_fini(&out);
    comm_fini(self);
    return st == ST_OK ? judge(noisy) : st;
}

/* A signal may come between two jobs. */
static status launch_unless_stopped(void *self, const char *const *words,
                                    int ranks, int *code)
{
    TRY(stop_check());
    return launch_job(self, words, ranks, code);
}

static status measure_ranks(const bench_args *a)
{
    strbuf out = {0};
    const char *dir = launch_variable("TMPDIR");
    char *path = NULL;
    int noisy = 0;
    TRY(shelf_require("experiments", "experiment", ranks_experiment, &path));
    status st = figures_ranks(path, a->data, a->rounds,
                              dir != NULL && dir[0] != '\0' ? dir : "/tmp",
                              launch_unless_stopped, &out, &noisy);
    mem_free(path);
    log_out("\n%s", strbuf_view(&out));
    strbuf_fini(&out);
    return st == ST_OK ? judge(noisy) : st;
}

status command_bench(int argc, const char *const *argv)
{
    bench_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&bench_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    bool helped = command_helped(&bench_command, parsed);
    if (!helped) {
        st = check_options(parsed, &a);
    }
    if (!helped && st == ST_OK) {
        stop_catch();
        st = launch_is_rank() ? FAIL(ST_USAGE, "bench runs in one process: "
                                               "run it without mpirun")
             : a.only == ONLY_RANKS ? measure_ranks(&a)
                                    : measure(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
