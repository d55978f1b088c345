/*
 * Made-up models whose steps are measured.
 *
 * All are open at once and take turns: a machine that others use is slower
 * for some seconds now and then, and a model's steps should not all lie there.
 */
#include <math.h>
#include <stdio.h>

#include "benchmarks/calibrate.h"
#include "benchmarks/runner.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/stop.h"
#include "runtime/base/units.h"
#include "runtime/math/pace.h"

enum { STEPS_MAX = 16 };

/* A made-up model and how it is run. Widths, lengths and batches are spread
 * over what occurs; none is that of a model in configs/models. Those with many
 * words and of 1792 have operands and results that no cache holds: without
 * them products of full width were told 13 to 17 % too fast. */
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
    {512, 8, 1, 24000, 256, 1, 0, 0, false, NULL, false},
    {1792, 14, 1, 9000, 128, 1, 0, 0, false, NULL, false},
    {192, 6, 2, 500, 56, 6, 0, 32, false, "6MiB", true},
    {320, 10, 2, 700, 40, 8, 0, 48, false, "16MiB", true},
    {640, 10, 1, 6000, 256, 1, 0, 100, false, "48MiB", false},
};
enum { TRIALS = sizeof(trials) / sizeof(trials[0]) };

/* A trial that is open, and what its steps took. */
typedef struct open_trial {
    bool streamed;
    runner r;
    sim_shape *shapes; /* by operation; NULL where nobody asks            */
    double *v;         /* operation * STEPS_MAX + step, seconds           */
    double *times;     /* as many times as long with others at work       */
    int steps;
    double gap; /* least of a step less its operations                    */
} open_trial;

/* Seconds of products are noted for the first pace, and told for the middle
 * one. */
struct calibrate_trials {
    comm *world;
    pace *pace;
    double pace_first;
    double paces[TRIALS * STEPS_MAX];
    double slower[TRIALS * STEPS_MAX]; /* with others at work              */
    int npaces;
    int n;
    open_trial list[TRIALS];
};

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

static status open_runner(const trial *t, int threads, comm *self, runner *r)
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

static status make_shapes(const machine *m, int threads, open_trial *t)
{
    const program *p = exec_program(t->r.e);
    sim_setup in = {.m = m,
                    .a = &t->r.s.a,
                    .ps = &t->r.s.ps,
                    .sh = t->r.s.sh,
                    .ranks = 1,
                    .threads = threads,
                    .store = t->streamed};
    TRY(MEM_NEW(&t->shapes, p->nops + 1, "calibrate"));
    TRY(MEM_NEW(&t->v, (int64_t)p->nops * STEPS_MAX + 1, "calibrate"));
    TRY(MEM_NEW(&t->times, (int64_t)p->nops * STEPS_MAX + 1, "calibrate"));
    return sim_shapes(&in, p, t->shapes);
}

/* Of weights, gradients and moments, the most of what a trial needs. */
static int64_t state_bytes(const trial *t)
{
    int64_t width = t->width;
    int64_t rows = 12 * width * t->layers + t->vocabulary * (t->gptj ? 2 : 1);
    return 16 * width * rows;
}

/* Half of what is free, in equal parts; the same on all ranks, which open the
 * same trials. */
static int64_t room_of_each(comm *world)
{
    int64_t taken = -mem_host_available();
    comm_max_i64(world, &taken, 1);
    return -taken / 2 / comm_size(world);
}

static status open_all(comm *self, const machine *m, int threads, bool quick,
                       bool streamed, calibrate_trials *out)
{
    int64_t room = room_of_each(out->world);
    for (int i = 0; i < TRIALS; i++) {
        const trial *from = &trials[i];
        if ((quick && !from->quick) || (!streamed && from->streamed != NULL) ||
            state_bytes(from) > room) {
            continue;
        }
        room -= state_bytes(from);
        TRY(stop_check());
        open_trial *t = &out->list[out->n++];
        t->streamed = from->streamed != NULL;
        t->gap = INFINITY;
        TRY(open_runner(from, threads, self, &t->r));
        if (m != NULL) {
            TRY(make_shapes(m, threads, t));
        }
    }
    return ST_OK;
}

status calibrate_trials_open(comm *world, comm *self, const machine *m,
                             int threads, bool quick, bool streamed,
                             calibrate_trials **out)
{
    calibrate_trials *t = NULL;
    status st = MEM_NEW(&t, 1, "calibrate");
    if (st == ST_OK) {
        t->world = world;
        st = pace_open(threads, &t->pace);
    }
    st = comm_agree(world, st);
    if (st == ST_OK) {
        st = comm_agree(world, open_all(self, m, threads, quick, streamed, t));
    }
    if (st != ST_OK) {
        calibrate_trials_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void calibrate_trials_close(calibrate_trials *t)
{
    for (int i = 0; t != NULL && i < t->n; i++) {
        runner_close(&t->list[i].r);
        mem_free(t->list[i].shapes);
        mem_free(t->list[i].v);
        mem_free(t->list[i].times);
    }
    if (t != NULL) {
        pace_close(t->pace);
    }
    mem_free(t);
}

/* A step, and the pace right after it. */
typedef struct timing {
    double seconds;
    double pace;
} timing;

/* One thread: CPU time, which other programs disturb less. Products as they
 * would be at the pace of the first step. */
static double op_seconds(const exec_trace *t, const sim_shape *s, double faster)
{
    double ns = (double)(s->threads == 1 ? t->cpu : t->end - t->start);
    return 1e-9 * ns * (sim_is_product(s->kernel) ? faster : 1);
}

/* A step by all ranks, which begin together, or by those that measure while
 * the others wait. */
static status one_step(const calibrate_trials *c, open_trial *t, bool all,
                       timing *out)
{
    bool mine = all || t->shapes != NULL;
    status st = mine ? runner_step(&t->r, &out->seconds) : ST_OK;
    out->pace = mine ? pace_take(c->pace) : 0;
    if (!all) {
        comm_barrier_sleeping(c->world);
    }
    return comm_agree(c->world, st);
}

static void note_step(const calibrate_trials *c, open_trial *t,
                      const timing *took)
{
    const program *p = exec_program(t->r.e);
    const exec_trace *tr = exec_last_trace(t->r.e);
    double rest = took->seconds;
    for (int32_t i = 0; i < p->nops; i++) {
        int64_t at = (int64_t)i * STEPS_MAX + t->steps;
        t->v[at] =
            op_seconds(&tr[i], &t->shapes[i], c->pace_first / took->pace);
        t->times[at] = 1;
        rest -= (double)(tr[i].end - tr[i].start) * 1e-9;
    }
    t->gap = rest < t->gap ? rest : t->gap;
}

/* The same step with the others at work, right after it. */
static void note_times(const calibrate_trials *c, open_trial *t,
                       const timing *took)
{
    const program *p = exec_program(t->r.e);
    const exec_trace *tr = exec_last_trace(t->r.e);
    for (int32_t i = 0; i < p->nops; i++) {
        int64_t at = (int64_t)i * STEPS_MAX + t->steps;
        double alone = t->v[at];
        if (alone > 0) {
            t->times[at] =
                op_seconds(&tr[i], &t->shapes[i], c->pace_first / took->pace) /
                alone;
        }
    }
}

/* One step alone and, if there are others, one with them. */
static status measure_pair(calibrate_trials *c, open_trial *t)
{
    timing alone = {0};
    timing once = {0};
    TRY(one_step(c, t, false, &alone));
    if (t->shapes != NULL) {
        c->pace_first = c->npaces == 0 ? alone.pace : c->pace_first;
        note_step(c, t, &alone);
    }
    if (comm_size(c->world) > 1) {
        TRY(one_step(c, t, true, &once));
        if (t->shapes != NULL) {
            note_times(c, t, &once);
        }
    }
    if (t->shapes != NULL) {
        c->slower[c->npaces] = once.pace > 0 ? once.pace / alone.pace : 1;
        c->paces[c->npaces++] = alone.pace;
    }
    t->steps++;
    return ST_OK;
}

static status measure_trial(calibrate_trials *c, open_trial *t, int steps)
{
    timing warm = {0};
    ASSERT(t->steps + steps <= STEPS_MAX);
    TRY(one_step(c, t, true, &warm));
    for (int k = 0; k < steps; k++) {
        TRY(measure_pair(c, t));
    }
    return ST_OK;
}

status calibrate_trials_round(calibrate_trials *t, int steps)
{
    for (int i = 0; i < t->n; i++) {
        TRY(measure_trial(t, &t->list[i], steps));
    }
    return ST_OK;
}

/* What one operation took over the steps: the median, as steps are compared
 * by theirs. */
static calibrate_sample sample_of(const sim_shape *shape, double *v,
                                  double *times, int n)
{
    double mid = sort_median(v, n);
    double low = sort_quantile(v, n, 0.25);
    double high = sort_quantile(v, n, 0.75);
    return (calibrate_sample){.shape = *shape,
                              .seconds = mid,
                              .times = sort_median(times, n),
                              .spread = mid > 0 ? (high - low) / mid : 0};
}

/* A streamed run is for what only it has: copies, and the store's own work,
 * which has other memory. */
static bool wanted(const open_trial *t, const prog_op *o)
{
    return !t->streamed || o->stream == STREAM_LOAD ||
           o->stream == STREAM_DRAIN || o->kind == OP_GRAD_NORM;
}

static status add_trial(open_trial *t, double slower, calibrate_samples *all)
{
    const program *p = exec_program(t->r.e);
    TRY(mem_resize((size_t)(all->n + p->nops + 1), sizeof(*all->list),
                   "calibrate", (void **)&all->list));
    for (int32_t i = 0; i < p->nops; i++) {
        const sim_shape *s = &t->shapes[i];
        if (s->kernel != KERNEL_COUNT && wanted(t, &p->ops[i])) {
            int64_t at = (int64_t)i * STEPS_MAX;
            calibrate_sample *to = &all->list[all->n++];
            *to = sample_of(s, t->v + at, t->times + at, t->steps);
            to->seconds *= sim_is_product(s->kernel) ? slower : 1;
        }
    }
    /* The program with the most operations shows best what one costs. */
    if (!t->streamed && p->nops > all->gap_ops) {
        all->gap_ops = p->nops;
        all->gap_s = t->gap > 0 ? t->gap / p->nops : 0;
    }
    return ST_OK;
}

status calibrate_trials_samples(calibrate_trials *t, calibrate_samples *all)
{
    all->pace = sort_median(t->paces, t->npaces);
    for (int i = 0; i < t->n; i++) {
        TRY(add_trial(&t->list[i], all->pace / t->pace_first, all));
    }
    all->pace_at_once = all->pace * sort_median(t->slower, t->npaces);
    return ST_OK;
}
