/*
 * weft calibrate. This process measures what one rank does and then starts
 * jobs of 2, 4 and perhaps 8 ranks of itself, which add their links to a file
 * beside the output; the output appears when all is in it.
 */
#include "benchmarks/calibrate.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/io/newfile.h"

typedef struct calibrate_args {
    const char *out;
    const char *part;
    int64_t threads;
    bool quick;
} calibrate_args;

static const opt_row rows[] = {
    OPT_STR(calibrate_args, out, "out", .letter = 'o', .value = "FILE",
            .def = "host.json", .help = "the machine, as JSON"),
    OPT_FLAG(calibrate_args, quick, "quick",
             .help = "fewer models and steps: under 20 s, less exact"),
    OPT_I64(calibrate_args, threads, "threads", .value = "N", .def = "0",
            .min = 0, .max = 1024, .help = "most of a rank; 0: all cores"),
    OPT_STR(calibrate_args, part, "add-links", .value = "FILE",
            .help = "under mpirun: adds what its ranks measure to FILE"),
};

const opt_command calibrate_command = {
    .name = "calibrate",
    .usage = "-o host.json [--quick]",
    .about = "Measures this machine, through the program's own kernels and "
             "messages, and describes it\nfor predictions: weft train "
             "--machine host.json shows them beside what was measured.\n"
             "Takes a minute and 1 GiB on two cores, more on four; let it have "
             "the machine to itself.",
    .example = "weft calibrate -o host.json\n"
               "weft train gpt-neo-mini --data book.txt --machine host.json",
    .min_args = 0,
    .max_args = 0,
    OPT_ROWS(rows),
};

static status write_machine(const machine *m, const char *path)
{
    char *text = NULL;
    TRY(machine_text(m, &text));
    status st = text_write_file(path, text, strlen(text));
    mem_free(text);
    return st;
}

/* A rank of a job: adds a link to the file. Of a signal the command that has
 * started the job tells. */
static status add_links(const calibrate_args *a)
{
    comm *world = NULL;
    machine *m = NULL;
    stop_catch();
    TRY(comm_init(&world));
    status st = MEM_NEW(&m, 1, "calibrate");
    if (st == ST_OK && comm_rank(world) == 0) {
        st = machine_open(a->part, m);
    }
    st = comm_agree(world, st);
    if (st == ST_OK) {
        st = calibrate_links(world, a->quick, m);
    }
    if (st == ST_OK && comm_rank(world) == 0) {
        st = write_machine(m, a->part);
    }
    st = comm_agree(world, st);
    mem_free(m);
    comm_fini(world);
    return st == ST_SIGNAL ? status_set(st, "") : st;
}

static status start_job(const calibrate_args *a, const char *part, int ranks)
{
    const char *words[] = {"calibrate", "--add-links", part,
                           a->quick ? "--quick" : NULL, NULL};
    int code = 0;
    TRY(stop_check());
    TRY(launch_run(words, ranks, false, &code));
    TRY(stop_check());
    REQUIRE(status_known(code), ST_PEER,
            "calibrate: the job of %d ranks ended with code %d", ranks, code);
    REQUIRE(code != ST_SIGNAL, ST_SIGNAL,
            "calibrate: the job of %d ranks was stopped by a signal", ranks);
    return code == 0 ? ST_OK : status_set((status)code, ""); /* it said why */
}

static status measure_host(const calibrate_args *a, machine *m)
{
    comm *self = NULL;
    int threads = a->threads > 0 ? (int)a->threads : threads_usable();
    TRY(comm_init(&self));
    status st = calibrate_host(self, threads, a->quick, m);
    if (st == ST_OK) {
        st = calibrate_side(threads, a->quick, m);
    }
    comm_fini(self);
    return st;
}

static void print(const machine *m, double seconds, const char *out)
{
    int last = m->nlevels - 1;
    while (last > 0 && m->level[last].ranks > 1) {
        last--;
    }
    const sim_level *l = &m->level[last];
    double flop = l->law[KERNEL_EXPAND].term[TERM_FLOP];
    log_out("%s, %s; %s\n", m->cpu, m->libraries, units_seconds(seconds).s);
    log_out("products at most %.1f GF/s on %d threads; between operations "
            "%s; a copy beside compute takes %.0f %% of its time from it\n",
            flop > 0 ? 1e-9 * l->threads / flop : 0, l->threads,
            units_seconds(m->dispatch_s).s, 100 * m->side_loss);
    for (int i = 0; i < m->nlinks; i++) {
        const sim_link *k = &m->link[i];
        log_out("%d ranks: a message %s and %s%s\n", k->ranks,
                units_seconds(k->p2p.message).s,
                units_rate(k->p2p.byte > 0 ? 1 / k->p2p.byte : 0).s,
                k->shared_cores ? ", of CPU time: they share cores" : "");
    }
    log_out("wrote %s\n", out);
}

static status run(const calibrate_args *a, const char *part, machine *m)
{
    int64_t begin = clock_wall_ns();
    TRY(measure_host(a, m));
    TRY(write_machine(m, part));
    int ranks[CALIBRATE_JOBS];
    int jobs = calibrate_jobs(m->cores, ranks);
    for (int i = 0; i < jobs; i++) {
        TRY(start_job(a, part, ranks[i]));
    }
    TRY(machine_open(part, m));
    TRY(write_machine(m, a->out));
    print(m, (double)(clock_wall_ns() - begin) * 1e-9, a->out);
    return ST_OK;
}

static status calibrate(const calibrate_args *a)
{
    strbuf part = {0};
    machine *m = NULL;
    newfile_claim claim;
    stop_catch();
    TRY(newfile_claim_take(a->out, 0, &claim));
    strbuf_printf(&part, "%s.part-%d", a->out, (int)getpid());
    status st = strbuf_check(&part);
    if (st == ST_OK) {
        st = MEM_NEW(&m, 1, "calibrate");
    }
    if (st == ST_OK) {
        st = run(a, strbuf_view(&part), m);
        (void)unlink(strbuf_view(&part));
    }
    mem_free(m);
    strbuf_fini(&part);
    newfile_claim_drop(&claim);
    return st;
}

status command_calibrate(int argc, const char *const *argv)
{
    calibrate_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&calibrate_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&calibrate_command, parsed)) {
        if (launch_is_rank() != (a.part != NULL)) {
            st = FAIL(ST_USAGE, "calibrate starts its ranks itself: run it "
                                "without mpirun and without --add-links");
        } else {
            st = a.part != NULL ? add_links(&a) : calibrate(&a);
        }
    }
    opt_destroy(parsed);
    return st;
}
