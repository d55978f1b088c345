#include "benchmarks/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/runner.h"
#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/math/matmul.h"
#include "runtime/results/format.h"
#include "runtime/train/host.h"

enum { STEPS_MAX = 16 };

/* A made-up model and how it is run. Widths, lengths and batches are spread
 * over what occurs; none is that of a model in configs/models. */
typedef struct trial {
    int width, heads, layers, vocabulary;
    int seq, batch, micro_batch;
    int window; /* of every second layer                                   */
    bool gptj;  /* rotary positions, parallel residual, own head           */
    const char *streamed; /* device memory; NULL: resident                 */
    bool quick; /* also where time is short                                */
} trial;

static const trial trials[] = {
    {64, 4, 2, 320, 40, 4, 0, 16, false, NULL, true},
    {64, 2, 2, 320, 40, 4, 1, 0, true, NULL, true},
    {192, 6, 2, 500, 56, 6, 0, 32, false, NULL, true},
    {192, 6, 2, 500, 56, 6, 1, 0, false, NULL, true},
    {320, 10, 2, 700, 40, 8, 0, 48, false, NULL, true},
    {320, 5, 2, 700, 40, 8, 2, 0, true, NULL, true},
    {128, 2, 1, 1000, 384, 1, 0, 128, false, NULL, true},
    {512, 8, 1, 3000, 96, 4, 0, 0, true, NULL, false},
    {640, 10, 1, 6000, 256, 1, 0, 100, false, NULL, false},
    {1024, 16, 1, 2000, 64, 2, 0, 0, false, NULL, false},
    {192, 6, 2, 500, 56, 6, 0, 32, false, "6MiB", true},
    {320, 10, 2, 700, 40, 8, 0, 48, false, "16MiB", true},
    {640, 10, 1, 6000, 256, 1, 0, 100, false, "48MiB", false},
};
enum { TRIALS = sizeof(trials) / sizeof(trials[0]) };

/* All that was measured. */
typedef struct measured {
    calibrate_sample *list;
    int64_t n, room;
    double gap_s;    /* between two operations                           */
    int32_t gap_ops; /* of the program that shows it                     */
} measured;

static arch arch_of(const trial *t)
{
    arch a = {.L = t->layers,
              .C = t->width,
              .H = t->heads,
              .D = t->width / t->heads,
              .F = 4 * t->width,
              .V = t->vocabulary,
              .positions = t->seq,
              .pos = t->gptj ? POS_ROTARY : POS_LEARNED,
              .rotary_dims = t->width / t->heads / 4 * 2,
              .rotary_pairing = PAIR_NEIGHBOURS,
              .rotary_base = 10000,
              .residual = t->gptj ? RES_PARALLEL_ONE : RES_SEQUENTIAL,
              .score_scale = 0.125F,
              .bias_qkv = false,
              .bias_out = !t->gptj,
              .bias_mlp = true,
              .act = ACT_GELU_TANH,
              .tied = !t->gptj,
              .head_bias = t->gptj,
              .norm_eps = 1e-5F,
              .init_std = 0.02F};
    (void)snprintf(a.name, sizeof(a.name), "made-up-%d", t->width);
    for (int l = 1; l < t->layers; l += 2) {
        a.window[l] = t->window;
    }
    a.window[0] = t->layers == 1 ? t->window : 0;
    return a;
}

static status open_trial(const trial *t, int threads, comm *self, runner *r)
{
    arch a = arch_of(t);
    setup_options o = {.plan = t->streamed == NULL ? "dp1" : NULL,
                       .batch = t->batch,
                       .seq = t->seq,
                       .micro_batch = t->micro_batch,
                       .threads = threads};
    if (t->streamed != NULL) {
        TRY(units_parse_size(t->streamed, &o.device_memory));
    }
    return runner_open(&a, &o, self, r);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What one operation took over the steps: the median; of wall time on several
 * threads the lower quartile, because another program that takes one core
 * makes all of them wait. */
static void add_sample(measured *all, const sim_shape *shape, double *v, int n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
    double mid = 0.5 * (v[(n - 1) / 2] + v[n / 2]);
    all->list[all->n++] = (calibrate_sample){
        .shape = *shape,
        .seconds = shape->threads == 1 ? mid : v[n / 4],
        .spread = mid > 0 ? (v[3 * n / 4] - v[n / 4]) / mid : 0};
}

/* A streamed run is for what only it has: copies, and the store's own work,
 * which has other memory. */
static bool wanted(const trial *t, const prog_op *o)
{
    return t->streamed == NULL || o->stream == STREAM_LOAD ||
           o->stream == STREAM_DRAIN || o->kind == OP_GRAD_NORM;
}

/* One thread: CPU time, which other programs disturb less. */
static double op_seconds(const exec_trace *t, const sim_shape *s)
{
    return (double)(s->threads == 1 ? t->cpu : t->end - t->start) * 1e-9;
}

/* v[operation * steps + step]: seconds. */
static status run_steps(runner *r, int steps, const sim_shape *shapes,
                        double *v, measured *all)
{
    const program *p = exec_program(r->e);
    double seconds;
    double gap = INFINITY;
    TRY(runner_step(r, &seconds)); /* warms up */
    for (int k = 0; k < steps; k++) {
        TRY(runner_step(r, &seconds));
        const exec_trace *t = exec_last_trace(r->e);
        double rest = seconds;
        for (int32_t i = 0; i < p->nops; i++) {
            v[(int64_t)i * steps + k] = op_seconds(&t[i], &shapes[i]);
            rest -= (double)(t[i].end - t[i].start) * 1e-9;
        }
        gap = rest < gap ? rest : gap;
    }
    /* The program with the most operations shows best what one costs. */
    if (r->store == NULL && p->nops > all->gap_ops) {
        all->gap_ops = p->nops;
        all->gap_s = gap > 0 ? gap / p->nops : 0;
    }
    return ST_OK;
}

static status measure_open(const trial *t, const machine *m, int threads,
                           int steps, runner *r, measured *all)
{
    const program *p = exec_program(r->e);
    sim_setup in = {.m = m,
                    .a = &r->s.a,
                    .ps = &r->s.ps,
                    .sh = r->s.sh,
                    .ranks = 1,
                    .threads = threads,
                    .store = r->store != NULL};
    sim_shape *shapes = NULL;
    double *v = NULL;
    status st = MEM_NEW(&shapes, p->nops + 1, "calibrate");
    TRY_GOTO(st, done);
    TRY_GOTO(MEM_NEW(&v, (int64_t)p->nops * steps + 1, "calibrate"), done);
    TRY_GOTO(sim_shapes(&in, p, shapes), done);
    TRY_GOTO(run_steps(r, steps, shapes, v, all), done);
    TRY_GOTO(mem_resize((size_t)(all->n + p->nops + 1), sizeof(*all->list),
                        "calibrate", (void **)&all->list),
             done);
    for (int32_t i = 0; i < p->nops; i++) {
        if (shapes[i].kernel != KERNEL_COUNT && wanted(t, &p->ops[i])) {
            add_sample(all, &shapes[i], v + (int64_t)i * steps, steps);
        }
    }
done:
    mem_free(v);
    mem_free(shapes);
    return st;
}

static status measure(const trial *t, const machine *m, int threads, int steps,
                      comm *self, measured *all)
{
    runner r;
    status st = open_trial(t, threads, self, &r);
    if (st == ST_OK) {
        st = measure_open(t, m, threads, steps, &r, all);
    }
    runner_close(&r);
    return st;
}

/* The laws of one number of threads; those of what never has several are
 * taken over from one thread. */
static status fit_level(const measured *all, int threads, machine *m)
{
    sim_level *l = &m->level[m->nlevels];
    l->threads = threads;
    (void)snprintf(l->source, sizeof(l->source),
                   "weft calibrate: steps of made-up models on %d thread%s; "
                   "%s over steps, least squares",
                   threads, threads == 1 ? "" : "s",
                   threads == 1 ? "median of CPU time"
                                : "lower quartile of wall time");
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
                            measured *all)
{
    int steps = quick ? 5 : 9;
    all->n = 0;
    for (int i = 0; i < TRIALS; i++) {
        if (!quick || trials[i].quick) {
            TRY(measure(&trials[i], m, threads, steps, self, all));
        }
    }
    return fit_level(all, threads, m);
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
    m->memory_bytes = mem_host_available();
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

status calibrate_host(comm *self, int threads, bool quick, machine *out)
{
    measured all = {0};
    machine *m = NULL;
    TRY(MEM_NEW(&m, 1, "calibrate"));
    describe(m);
    status st = measure_level(self, 1, quick, m, &all);
    m->dispatch_s = all.gap_s;
    (void)snprintf(m->dispatch_source, sizeof(m->dispatch_source),
                   "weft calibrate: step less operations of a made-up model "
                   "with %d of them; waking by two threads in turn",
                   all.gap_ops);
    for (int t = 2; st == ST_OK && t <= threads && m->nlevels < SIM_LEVELS;) {
        st = measure_level(self, t, quick, m, &all);
        t = t == threads ? t + 1 : 2 * t < threads ? 2 * t : threads;
    }
    if (st == ST_OK) {
        *out = *m;
    }
    mem_free(all.list);
    mem_free(m);
    return st;
}
