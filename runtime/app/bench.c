#include <stdio.h>

#include "benchmarks/figures.h"
#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/opt.h"
#include "runtime/base/stop.h"

typedef struct bench_args {
    int64_t seq;
    int64_t layers;
    int64_t rounds;
    int64_t threads;
    int64_t device_memory;
    int only;
} bench_args;

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
             "(configs/experiments/ranks.json).\nMODEL: gpt-neo-125m.",
    .example = "weft bench\nweft bench gpt-j-mini --seq 256 --rounds 3 "
               "--device-memory 16MiB",
    .see = "models, doctor",
    .min_args = 0,
    .max_args = 1,
    OPT_ROWS(rows),
};

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
    for (int i = 0; i < FIGURE_COUNT && st == ST_OK; i++) {
        bool most = a->only == 0 && i != FIGURE_REFERENCE;
        if (most || a->only == i + 1) {
            st = figures_run(&c, (figures_which)i, &out);
        }
    }
    log_out("%s", strbuf_view(&out));
    strbuf_fini(&out);
    comm_fini(self);
    return st;
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
    status st = figures_ranks("configs/experiments/ranks.json", a->rounds,
                              dir != NULL && dir[0] != '\0' ? dir : "/tmp",
                              launch_unless_stopped, &out);
    log_out("\n%s", strbuf_view(&out));
    strbuf_fini(&out);
    return st;
}

status command_bench(int argc, const char *const *argv)
{
    bench_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&bench_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&bench_command, parsed)) {
        stop_catch();
        st = launch_is_rank() ? FAIL(ST_USAGE, "bench runs in one process: "
                                               "run it without mpirun")
             : a.only == ONLY_RANKS ? measure_ranks(&a)
                                    : measure(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
