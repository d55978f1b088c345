/*
 * weft compare. Started plainly each set-up is a job of its own under mpirun,
 * which is also the only honest time to the first step. Started by mpirun the
 * set-ups run one after another on the first ranks of that job; ranks that a
 * set-up does not use sleep and poll, never spin.
 */
#include "benchmarks/compare.h"

#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/opt.h"
#include "runtime/base/shelf.h"
#include "runtime/base/stop.h"
#include "runtime/comm/comm.h"

typedef struct compare_args {
    const char *data;
    const char *out;
    const char *machine;
} compare_args;

static const opt_row rows[] = {
    OPT_STR(compare_args, data, "data", .value = "FILE",
            .help = "in place of the experiment's: tokens, or text as bytes"),
    OPT_STR(compare_args, out, "out", .letter = 'o', .value = "FILE",
            .def = "cmp.h5", .help = "results (HDF5)"),
    OPT_STR(compare_args, machine, "machine", .value = "FILE",
            .help = "predict times on it; weft calibrate describes this one"),
};

const opt_command compare_command = {
    .name = "compare",
    .usage = "EXPERIMENT [options]",
    .about = "Trains every model of an experiment by each of its set-ups, on "
             "the same data, with the\nsame bits, one after another, and "
             "shows them side by side. EXPERIMENT is a file, or a name in "
             "configs/experiments.",
    .example = "weft compare demo --data book.txt --out demo.h5\n"
               "weft compare mine.json",
    .see = "experiments, plans, train",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* --- the ranks of a job that is there ------------------------------------- */

/* What rank 0 tells the others; `ranks` 0 is the end. The words follow, one
 * behind the other, each with its NUL. */
typedef struct order {
    int64_t ranks;
    int64_t words;
    int64_t bytes;
} order;

enum { WORDS_MAX = 200 };

/* Runs it on the first ranks; *code is set there. text has room for the words,
 * which rank 0 has: `room` says so of this rank. Collective over world. */
static status follow(comm *world, const order *o, status room, char *text,
                     int *code)
{
    const char *words[WORDS_MAX + 1] = {NULL};
    comm *first = NULL;
    TRY(comm_agree(world, room));
    comm_bcast(world, text, o->bytes, 0);
    for (int64_t i = 0; i < o->words; i++) {
        words[i] = text;
        text += strlen(text) + 1;
    }
    TRY(comm_first(world, (int)o->ranks, &first));
    if (first != NULL) {
        *code = (int)train_in(first, (int)o->words, words);
        comm_destroy(first);
    }
    return ST_OK;
}

/* On rank 0. The others are in obey(). */
static status launch_here(void *self, const char *const *words, int ranks,
                          int *code)
{
    comm *world = self;
    order o = {.ranks = ranks};
    strbuf text = {0};
    for (; words[o.words] != NULL; o.words++) {
        strbuf_add_bytes(&text, words[o.words], strlen(words[o.words]) + 1);
    }
    o.bytes = (int64_t)text.len;
    status st = strbuf_check(&text);
    if (st == ST_OK && o.words > WORDS_MAX) {
        st = FAIL(ST_CONFIG, "a set-up has too many options");
    }
    if (st == ST_OK) {
        comm_barrier_sleeping(world);
        comm_bcast(world, &o, sizeof(o), 0);
        st = follow(world, &o, ST_OK, text.text, code);
    }
    strbuf_fini(&text);
    return st;
}

static void tell_the_end(comm *world)
{
    order o = {.ranks = 0};
    comm_barrier_sleeping(world);
    comm_bcast(world, &o, sizeof(o), 0);
}

/* On all other ranks: sleeps until there is an order. What fails on the way
 * is said at the end, which rank 0 tells in any case. */
static status obey(comm *world)
{
    status st = ST_OK;
    for (;;) {
        order o;
        char *text = NULL;
        int code = 0;
        comm_barrier_sleeping(world);
        comm_bcast(world, &o, sizeof(o), 0);
        if (o.ranks == 0) {
            return st;
        }
        status room = MEM_NEW(&text, o.bytes, "order");
        status ended = follow(world, &o, room, text, &code);
        mem_free(text);
        st = st == ST_OK ? ended : st;
    }
}

/* --- the command ---------------------------------------------------------- */

static void add_option(strbuf *cmdline, const char *name, const char *value)
{
    if (value != NULL) {
        strbuf_printf(cmdline, " %s ", name);
        strbuf_add_word(cmdline, value);
    }
}

static status compare_on(const char *path, const opt_parsed *parsed,
                         const compare_args *a, comm *world)
{
    strbuf cmdline = {0};
    if (world != NULL) {
        strbuf_printf(&cmdline, "mpirun -np %d ", comm_size(world));
    }
    strbuf_add(&cmdline, "weft compare ");
    strbuf_add_word(&cmdline, opt_arg(parsed, 0));
    add_option(&cmdline, "--out", a->out);
    add_option(&cmdline, "--data", a->data);
    add_option(&cmdline, "--machine", a->machine);
    compare_config c = {.experiment = path,
                        .data = a->data,
                        .out = a->out,
                        .machine = a->machine,
                        .cmdline = strbuf_view(&cmdline),
                        .launch = world != NULL ? launch_here : launch_job,
                        .self = world,
                        .ranks_max = world != NULL ? comm_size(world) : 0};
    status st = compare_run(&c);
    strbuf_fini(&cmdline);
    return st;
}

static status compare(const opt_parsed *parsed, const compare_args *a,
                      comm *world)
{
    char *path = NULL;
    TRY(shelf_require("experiments", "experiment", opt_arg(parsed, 0), &path));
    status st = compare_on(path, parsed, a, world);
    mem_free(path);
    return st;
}

/* parse: how the options ended on this rank; the others must hear of it. */
static status on_ranks(const opt_parsed *parsed, const compare_args *a,
                       comm *world, status parse)
{
    status st = comm_agree(world, parse);
    if (st == ST_OK && comm_rank(world) == 0) {
        st = compare(parsed, a, world);
        tell_the_end(world);
    } else if (st == ST_OK) {
        st = obey(world);
    }
    /* Rank 0's error is that of the command, not "of rank 0". */
    log_error_line(st);
    int64_t worst = st;
    comm_max_i64(world, &worst, 1);
    return worst != ST_OK ? status_set((status)worst, "") : ST_OK;
}

static status run(comm *world, int argc, const char *const *argv)
{
    compare_args a;
    opt_parsed *parsed = NULL;
    status st = opt_parse(&compare_command, argc, argv, &a, sizeof(a), &parsed);
    bool helped = st == ST_OK && command_helped(&compare_command, parsed);
    if (!helped && world != NULL) {
        st = on_ranks(parsed, &a, world, st);
    } else if (!helped && st == ST_OK) {
        st = launch_check_slurm();
        st = st == ST_OK ? compare(parsed, &a, NULL) : st;
    }
    opt_destroy(parsed);
    return st;
}

status compare_in(comm *world, int argc, const char *const *argv)
{
    return run(world, argc, argv);
}

status command_compare(int argc, const char *const *argv)
{
    comm *world = NULL;
    /* Between its jobs, which have their own handlers; and a signal to mpirun
     * reaches ranks that wait, too. */
    stop_catch();
    if (launch_is_rank()) {
        TRY(comm_init(&world));
        log_init(comm_rank(world), LOG_INFO);
    }
    status st = run(world, argc, argv);
    comm_fini(world);
    return st;
}
