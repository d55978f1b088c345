#include "benchmarks/calibrate.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/math/matmul.h"
#include "runtime/results/format.h"
#include "runtime/train/host.h"

/* The laws of one number of threads; those of what never has several are
 * taken over from one thread. */
static status fit_level(const calibrate_samples *all, int threads, machine *m)
{
    sim_level *l = &m->level[m->nlevels];
    l->threads = threads;
    l->pace = all->pace;
    (void)snprintf(l->source, sizeof(l->source),
                   "weft calibrate: steps of made-up models on %d thread%s; "
                   "%s over steps, least squares",
                   threads, threads == 1 ? "" : "s",
                   threads == 1 ? "median of CPU time" : "median of wall time");
    for (int k = 0; k < KERNEL_COUNT; k++) {
        TRY(calibrate_fit(all->list, all->n, (sim_kernel)k, threads,
                          &l->law[k]));
        if (!l->law[k].known && m->nlevels > 0) {
            l->law[k] = m->level[0].law[k];
        }
        REQUIRE(l->law[k].known, ST_INTERNAL,
                "calibrate: no operation of the made-up models is a %s",
                sim_kernel_name((sim_kernel)k));
    }
    m->nlevels++;
    return ST_OK;
}

static status measure_level(comm *self, int threads, bool quick, machine *m,
                            double *gap_s, int32_t *gap_ops)
{
    calibrate_trials *t = NULL;
    calibrate_samples all = {0};
    int rounds = quick ? 2 : 3;
    TRY(calibrate_trials_open(self, self, m, threads, quick, true, &t));
    status st = ST_OK;
    for (int i = 0; st == ST_OK && i < rounds; i++) {
        st = calibrate_trials_round(t, 2);
    }
    if (st == ST_OK) {
        st = calibrate_trials_samples(t, &all);
    }
    calibrate_trials_close(t);
    if (st == ST_OK) {
        *gap_s = all.gap_s;
        *gap_ops = all.gap_ops;
        st = fit_level(&all, threads, m);
    }
    mem_free(all.list);
    return st;
}

static void describe(machine *m)
{
    run_host host;
    int64_t rows;
    int64_t cols;
    host_describe(&host);
    machine_init(m);
    format_time(m->date);
    (void)snprintf(m->name, sizeof(m->name), "%s", host.hostname);
    (void)snprintf(m->cpu, sizeof(m->cpu), "%s", host.cpu);
    (void)snprintf(m->libraries, sizeof(m->libraries), "%.100s; %.100s",
                   host.blas, host.mpi);
    (void)snprintf(m->source, sizeof(m->source),
                   "weft calibrate on this machine; matrix product of 2048 "
                   "cubed: %.1f GF/s on %d threads",
                   host.matmul_gflops, host.threads);
    m->cores = threads_usable();
    int64_t memory = mem_host_total();
    m->memory_bytes = memory < INT64_MAX ? memory : 0;
    matmul_tile(&rows, &cols);
    m->tile_m = (int32_t)rows;
    m->tile_n = (int32_t)cols;
    m->tile_k = (int32_t)matmul_kblock();
    m->query_block = MATH_QUERY_BLOCK;
    m->serial_items = MATH_SERIAL_ITEMS;
    m->sum_floats = MATH_SUM_FLOATS;
    m->async_messages = true; /* exec looks in between operations */
    m->overlap_store =
        1U << STREAM_LOAD | 1U << STREAM_DRAIN | 1U << STREAM_HOST;
    (void)snprintf(m->store_source, sizeof(m->store_source),
                   "the store is memory of this machine: no link, its copies "
                   "are the kernel copy");
}

/* As many levels as leave room for those of ranks at once. */
enum { LEVELS_ALONE = SIM_LEVELS - 4 };

static status measure_levels(comm *self, int threads, bool quick, machine *m)
{
    double gap_s = 0;
    int32_t gap_ops = 0;
    TRY(measure_level(self, 1, quick, m, &gap_s, &gap_ops));
    m->dispatch_s = gap_s;
    (void)snprintf(m->dispatch_source, sizeof(m->dispatch_source),
                   "weft calibrate: step less operations of a made-up model "
                   "with %d of them; waking by two threads in turn",
                   gap_ops);
    for (int t = 2; t <= threads && m->nlevels < LEVELS_ALONE;) {
        TRY(measure_level(self, t, quick, m, &gap_s, &gap_ops));
        t = t == threads ? t + 1 : 2 * t < threads ? 2 * t : threads;
    }
    return ST_OK;
}

status calibrate_host(comm *self, int threads, bool quick, machine *out)
{
    machine *m = NULL;
    TRY(MEM_NEW(&m, 1, "calibrate"));
    describe(m);
    status st = measure_levels(self, threads, quick, m);
    if (st == ST_OK) {
        *out = *m;
    }
    mem_free(m);
    return st;
}

status calibrate_fit_at_once(const calibrate_samples *all, int ranks,
                             machine *m)
{
    if (m->nlevels == SIM_LEVELS) {
        return ST_OK;
    }
    sim_level *l = &m->level[m->nlevels];
    l->threads = 1;
    l->ranks = ranks;
    l->pace = all->pace_at_once;
    (void)snprintf(l->source, sizeof(l->source),
                   "weft calibrate: steps of made-up models by %d ranks at "
                   "once, a thread each, in pairs with the same step alone; "
                   "medians of CPU time, least squares",
                   ranks);
    for (int k = 0; k < KERNEL_COUNT; k++) {
        TRY(calibrate_fit_more(all->list, all->n, (sim_kernel)k,
                               &m->level[0].law[k], &l->law[k]));
    }
    m->nlevels++;
    return ST_OK;
}
