#include "benchmarks/report.h"

#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/opt.h"
#include "runtime/base/stop.h"
#include "runtime/io/filelist.h"
#include "runtime/io/newfile.h"

enum { FILES_MAX = 64 };

typedef struct report_args {
    const char *out;
    const char *perfetto;
    const char *setup;
    const char *keep;
    const char *png;
} report_args;

static const opt_row rows[] = {
    OPT_STR(report_args, out, "out", .letter = 'o', .value = "FILE",
            .help = "the page, HTML (report.html unless --perfetto is "
                    "given)"),
    OPT_STR(report_args, perfetto, "perfetto", .value = "FILE",
            .help = "traced steps as JSON, for ui.perfetto.dev"),
    OPT_STR(report_args, setup, "setup", .value = "NAME",
            .help = "only the set-ups of this name; may be given again"),
    OPT_STR(report_args, keep, "keep", .value = "DIR",
            .help = "keep gnuplot's scripts, data and drawings there"),
    OPT_STR(report_args, png, "png", .value = "DIR",
            .help = "the drawings as PNG, too"),
};

const opt_command report_command = {
    .name = "report",
    .usage = "FILE.h5 ... [-o report.html] [--perfetto trace.json]",
    .about = "Draws runs and comparisons, any mix of them, on one page that "
             "needs no other file:\nlosses, memory, time, traffic, timelines, "
             "what each set-up takes. gnuplot draws.",
    .example = "weft report demo.h5 -o demo.html\n"
               "weft report demo.h5 --setup streamed --setup dp2 -o two.html\n"
               "weft report demo.h5 --setup streamed --perfetto trace.json",
    .min_args = 1,
    .max_args = FILES_MAX,
    OPT_ROWS(rows),
};

/* Outputs must be new or files, and none of the inputs. */
static status check_outputs(const char *out, const char *perfetto,
                            const char *const *files)
{
    filelist l = {0};
    TRY(out != NULL ? newfile_check(out) : ST_OK);
    TRY(perfetto != NULL ? newfile_check(perfetto) : ST_OK);
    filelist_output(&l, "--out", out);
    filelist_output(&l, "--perfetto", perfetto);
    for (int i = 0; files[i] != NULL; i++) {
        filelist_input(&l, "the input", files[i]);
    }
    status st = filelist_check(&l, "report");
    filelist_fini(&l);
    return st;
}

static status run(const opt_parsed *parsed, const report_args *a)
{
    const char *files[FILES_MAX + 1] = {NULL};
    const char *out = a->out;
    for (int i = 0; i < opt_args_count(parsed); i++) {
        files[i] = opt_arg(parsed, i);
    }
    out = out == NULL && a->perfetto == NULL ? "report.html" : out;
    REQUIRE(!launch_is_rank(), ST_USAGE,
            "report starts gnuplot: run it without mpirun");
    REQUIRE(out != NULL || (a->keep == NULL && a->png == NULL), ST_USAGE,
            "--keep and --png are of the page's drawings: give -o, too");
    TRY(check_outputs(out, a->perfetto, files));
    const report_config c = {.files = files,
                             .setups = opt_texts(parsed, "setup"),
                             .out = out,
                             .perfetto = a->perfetto,
                             .keep = a->keep,
                             .png = a->png};
    stop_catch();
    return report_run(&c);
}

status command_report(int argc, const char *const *argv)
{
    report_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&report_command, argc, argv, &a, sizeof(a), &parsed));
    status st =
        command_helped(&report_command, parsed) ? ST_OK : run(parsed, &a);
    opt_destroy(parsed);
    return st;
}
