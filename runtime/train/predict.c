/*
 * Predictions beside measurements: rank 0 runs the programs of all ranks on
 * the virtual clock and puts what it says beside what was measured.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/text.h"
#include "runtime/train/run_impl.h"

/* Sums over a rank's operations of a kind, ns; wall: busy, as exec.h and
 * clock.h mean it. */
typedef struct kind_sums {
    double count[OP_KIND_COUNT];
    double ran[OP_KIND_COUNT]; /* of them: not those of a skipped step       */
    double wall[OP_KIND_COUNT];
    double cpu[OP_KIND_COUNT];
    int64_t arena_touched;
    double pace;
} kind_sums;

status predict_begin(train *t)
{
    return pace_open(t->job->sh.threads, &t->pace);
}

/* Often enough for steps of seconds, whose few ends told too little (they were
 * off by 10 %, and so were predictions), and a quarter of a percent of them. */
static const int64_t PACE_EVERY_NS = 100000000;

void predict_between(void *self, const prog_op *o)
{
    train *t = self;
    bool product =
        o->kind == OP_FORWARD || o->kind == OP_DINPUT || o->kind == OP_DWEIGHT;
    if (product && clock_wall_ns() - t->paced_ns >= PACE_EVERY_NS) {
        t->pace_sum += pace_take(t->pace);
        t->pace_count++;
        t->paced_ns = clock_wall_ns();
    }
}

/* Room for one more than n: a run may be stopped long before its last step. */
static status grow(int64_t n, size_t size, int64_t *room, void **list)
{
    if (n < *room) {
        return ST_OK;
    }
    *room = 2 * n + 64;
    return mem_resize((size_t)*room, size, "predict", list);
}

/* The step after the first takes the pace at once: a short run has one, too. */
status predict_note(train *t, bool first)
{
    if (first) {
        t->paced_ns = 0;
    } else if (t->pace_count > 0) {
        TRY(grow(t->npaces, sizeof(*t->paces), &t->paces_room,
                 (void **)&t->paces));
        t->paces[t->npaces++] = t->pace_sum / t->pace_count;
    }
    t->pace_sum = 0;
    t->pace_count = 0;
    return ST_OK;
}

status predict_room(train *t)
{
    return grow(t->nkept, sizeof(*t->kept), &t->kept_room, (void **)&t->kept);
}

static void sum_kinds(train *t, kind_sums *s)
{
    const program *p = exec_program(t->e);
    const exec_trace *tr = exec_last_trace(t->e);
    for (int32_t i = 0; i < p->nops; i++) {
        int k = p->ops[i].kind;
        s->count[k]++;
        s->ran[k] += tr[i].end > tr[i].start;
        s->wall[k] += (double)tr[i].busy;
        s->cpu[k] += (double)tr[i].cpu;
    }
    s->arena_touched = exec_arena_touched(t->e);
    /* As steps are compared: their median. */
    s->pace = t->npaces > 0 ? sort_median(t->paces, t->npaces) : 0;
}

/* Rows of kinds are those of predict_set: kinds that occur, in order. */
static void add_measured(const kind_sums *all, int n, predicted *out)
{
    int32_t row = 0;
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        double wall = 0;
        double cpu = 0;
        double count = 0;
        double ran = 0;
        for (int r = 0; r < n; r++) {
            wall += all[r].wall[k];
            cpu += all[r].cpu[k];
            count += all[r].count[k];
            ran += all[r].ran[k];
        }
        if (ran > 0) {
            out->kinds[row].measured_wall_ns = wall;
            out->kinds[row].measured_cpu_ns = cpu;
        }
        row += count > 0;
    }
    for (int r = 0; r < n; r++) {
        if (all[r].arena_touched > out->p.measured_peak_bytes) {
            out->p.measured_peak_bytes = all[r].arena_touched;
        }
    }
}

static void add_ledger(const sim_ledger *from, int ranks, run_ledger *to)
{
    to->compute += from->compute / ranks;
    to->load += from->load / ranks;
    to->comm += from->comm / ranks;
    to->bubble += from->bubble / ranks;
    to->optimizer += from->optimizer / ranks;
    to->other += from->other / ranks;
}

static void add_kinds(const program_set *set, predicted *out)
{
    for (int r = 0; r < set->nranks; r++) {
        const program *p = &set->classes[set->places[r].class_index];
        const sim_rank *sr = &out->sim.rank[r];
        for (int32_t i = 0; i < p->nops; i++) {
            run_predicted_kind *to = &out->kinds[p->ops[i].kind];
            to->count++;
            to->predicted_wall_ns += 1e9 * sr->op[i].busy;
            to->predicted_cpu_ns += 1e9 * sr->op[i].own;
        }
        add_ledger(&sr->ledger, set->nranks, &out->p.ledger);
    }
}

/* Kinds that occur move to the front. */
static void pack_kinds(predicted *out)
{
    int32_t n = 0;
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        run_predicted_kind row = out->kinds[k];
        if (row.count > 0) {
            (void)snprintf(row.kind, sizeof(row.kind), "%s",
                           op_kind_name((op_kind)k));
            row.measured_wall_ns = (double)NAN;
            row.measured_cpu_ns = (double)NAN;
            out->kinds[n++] = row;
        }
    }
    out->p.kinds = out->kinds;
    out->p.nkinds = n;
}

static void warn_of_laws(const sim_setup *in)
{
    int law = sim_law_threads(in->m, in->threads);
    const sim_link *l = sim_link_for(in->m, in->ranks, in->shared_cores);
    if (law != in->threads) {
        log_warn("machine %s has no laws for %d thread%s, those of %d stand "
                 "for them; weft calibrate --threads %d measures them",
                 in->m->name, in->threads, in->threads == 1 ? "" : "s", law,
                 in->threads);
    }
    if (in->ranks > 1 && in->shared_cores && l != NULL && !l->shared_cores) {
        log_warn("machine %s has no link of ranks that share cores, that of "
                 "%d ranks with cores of their own stands for it",
                 in->m->name, l->ranks);
    }
}

status predict_set(const sim_setup *in, const program_set *set, predicted *out)
{
    const double nan = (double)NAN;
    run_prediction *p = &out->p;
    memset(out, 0, sizeof(*out));
    TRY(sim_run(in, set, &out->sim));
    warn_of_laws(in);
    add_kinds(set, out);
    pack_kinds(out);
    bool cpu = in->shared_cores;
    text_copy(p->machine, sizeof(p->machine), in->m->name);
    (void)snprintf(p->clock, sizeof(p->clock), "%s", cpu ? "cpu" : "wall");
    p->wall_s = out->sim.step_s;
    p->cpu_s = out->sim.cpu_s;
    p->step_s = cpu ? p->cpu_s : p->wall_s;
    p->pace = in->pace > 0 ? 1 / sim_slower_pace(in) : nan;
    p->peak_bytes = out->sim.peak_bytes;
    p->measured_peak_bytes = -1;
    p->measured_step_s = p->measured_wall_s = p->measured_cpu_s = nan;
    p->measured_ledger = (run_ledger){nan, nan, nan, nan, nan, nan};
    return ST_OK;
}

/* --- medians of the steps after the first --------------------------------- */

/* Of the double that lies `offset` bytes into each step. */
static double median(const train *t, size_t offset, double *v)
{
    int64_t n = t->nkept;
    for (int64_t i = 0; i < n; i++) {
        memcpy(&v[i], (const char *)&t->kept[i] + offset, sizeof(double));
    }
    return sort_median(v, n);
}

static status measure_steps(const train *t, run_prediction *p)
{
    double *v = NULL;
    double accounts[RUN_ACCOUNTS];
    TRY(MEM_NEW(&v, t->nkept + 1, "predict"));
    p->measured_wall_s = median(t, offsetof(run_step, wall_s), v);
    p->measured_cpu_s = median(t, offsetof(run_step, cpu_s), v);
    for (size_t i = 0; i < RUN_ACCOUNTS; i++) {
        accounts[i] =
            median(t, offsetof(run_step, mean) + i * sizeof(double), v);
    }
    memcpy(&p->measured_ledger, accounts, sizeof(accounts));
    mem_free(v);
    return ST_OK;
}

/* --- all of it ------------------------------------------------------------ */

/* Of the ranks that have one; 0: no step was timed. */
static double mean_pace(const kind_sums *all, int n)
{
    double sum = 0;
    int have = 0;
    for (int r = 0; r < n; r++) {
        sum += all[r].pace;
        have += all[r].pace > 0;
    }
    return have > 0 ? sum / have : 0;
}

static status fill(train *t, const kind_sums *all, predicted *out)
{
    run_prediction *p = &out->p;
    const train_job *j = t->job;
    sim_setup in = {.m = j->machine,
                    .a = j->a,
                    .ps = j->ps,
                    .sh = j->sh,
                    .ranks = j->set->nranks,
                    .threads = j->sh.threads,
                    .store = j->store != NULL,
                    .shared_cores = j->oversubscribed,
                    .link_rate = j->link_rate,
                    .link_latency = j->link_latency,
                    .pace = mean_pace(all, j->set->nranks)};
    TRY(predict_set(&in, j->set, out));
    add_measured(all, j->set->nranks, out);
    TRY(measure_steps(t, p));
    p->measured_step_s =
        j->oversubscribed ? p->measured_cpu_s : p->measured_wall_s;
    return ST_OK;
}

status predict_run(train *t, predicted *out)
{
    comm *w = t->job->world;
    kind_sums *all = NULL;
    kind_sums mine = {0};
    memset(out, 0, sizeof(*out));
    status st = comm_agree(w, MEM_NEW(&all, comm_size(w), "predict"));
    if (st == ST_OK) {
        sum_kinds(t, &mine);
        comm_gather(w, &mine, sizeof(mine), all, 0);
        st = comm_agree(w, comm_rank(w) == 0 ? fill(t, all, out) : ST_OK);
    }
    mem_free(all);
    return st;
}

void predict_fini(predicted *p)
{
    sim_result_fini(&p->sim);
}

void predict_trace(const predicted *p, int r, run_trace *rows, int64_t n)
{
    if (p->sim.rank == NULL) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const sim_op *o = &p->sim.rank[r].op[i];
        rows[i].predicted_ns = 1e9 * (o->end - o->start);
        rows[i].predicted_start_ns = 1e9 * o->start;
    }
}
