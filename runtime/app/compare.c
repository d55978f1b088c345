#include "benchmarks/compare.h"

#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/opt.h"

typedef struct compare_args {
    const char *out;
} compare_args;

static const opt_row rows[] = {
    OPT_STR(compare_args, out, "out", .letter = 'o', .value = "FILE",
            .def = "cmp.h5", .help = "results (HDF5)"),
};

const opt_command compare_command = {
    .name = "compare",
    .usage = "EXPERIMENT.json [options]",
    .about = "Trains every model of an experiment by each of its set-ups, on "
             "the same data, with the\nsame bits, one after another, and "
             "shows them side by side.",
    .example = "weft compare configs/experiments/demo.json --out demo.h5",
    .see = "experiments, plans, train",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

status command_compare(int argc, const char *const *argv)
{
    compare_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&compare_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (command_helped(&compare_command, parsed)) {
        st = ST_OK;
    } else if (launch_is_rank()) {
        st = FAIL(ST_USAGE, "compare starts its own jobs: run it without "
                            "mpirun");
    } else {
        strbuf cmdline = {0};
        strbuf_printf(&cmdline, "weft compare %s --out %s", opt_arg(parsed, 0),
                      a.out);
        compare_config c = {.experiment = opt_arg(parsed, 0),
                            .out = a.out,
                            .cmdline = strbuf_view(&cmdline),
                            .launch = launch_run};
        st = compare_run(&c);
        strbuf_fini(&cmdline);
    }
    opt_destroy(parsed);
    return st;
}
