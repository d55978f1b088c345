/*
 * Messages and reductions between ranks, by the calls that exec makes, and
 * what ranks of a node cost each other when all of them work.
 *
 * A point is a call of a size; its time is that of some calls in a row by
 * one, the median of some runs. Runs go round all points, and steps of the
 * made-up models lie between them: a machine that others use is slower for
 * some seconds now and then. Where ranks share cores wall time is the
 * machine's and not theirs: then CPU time of all ranks together, by rank, is
 * what a call costs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/stop.h"
#include "runtime/math/matmul.h"

enum {
    SIZES = 5,
    FARS = 3,
    TREES = SIZES + FARS,
    WAITS = 2,
    WORKS = 5,
    ROUNDS = 3,
    RUNS_MAX = 6,
    POOL_FLOATS = 1 << 24, /* 64 MiB, past the caches                      */
    UNIT_ROWS = 16,
    WORK_ROWS = 512, /* of 256: half a MiB, and a quarter of weights      */
    WORK_SIDE = 256,
    NAP_NS = 35000
};

static const int64_t floats_of[SIZES] = {64, 2048, 32768, 262144, 1048576};
/* Reductions of data that no cache holds. */
static const int64_t far_floats[FARS] = {32768, 262144, 4194304};
/* Products that are waited for, or naps of 35 us: 4 ms and 40 ms. */
static const int waits_of[WAITS] = {115, 1150};
/* Products between two meetings: 25 us to 6 ms. */
static const int units_of[WORKS] = {1, 4, 16, 64, 256};

typedef struct link_job {
    comm *w;
    int64_t n;    /* floats of a call                                      */
    int64_t pool; /* floats that calls go round in                         */
    int64_t at;   /* where they are                                        */
    float *data;
    double *sums;
    void *scratch;
    size_t work_bytes;
    int leaves;
    bool shared;
    int run, runs;
    double message[SIZES][RUNS_MAX];
    double tree[TREES][RUNS_MAX];
    double sum[SIZES][RUNS_MAX];
    double nap[WAITS][RUNS_MAX];
    double waited[WAITS];
    int64_t row; /* of the work between meetings                           */
    float *result;
    double meeting[WORKS][RUNS_MAX];
    double alone[WORKS][RUNS_MAX];
} link_job;

/* --- what is timed -------------------------------------------------------- */

/* There and back between pairs of ranks. */
static void messages(link_job *j)
{
    int me = comm_rank(j->w);
    int to = me ^ 1;
    int64_t bytes = j->n * (int64_t)sizeof(float);
    comm_wait_ns wait = {0};
    if (to >= comm_size(j->w)) {
        return;
    }
    for (int k = 0; k < 2; k++) {
        comm_req *r = k == me % 2 ? comm_isend(j->w, to, 1, j->data, bytes)
                                  : comm_irecv(j->w, to, 1, j->data, bytes);
        comm_req_wait(r, &wait);
    }
}

static void reduction(link_job *j)
{
    comm_wait_ns wait = {0};
    j->at = j->at + 2 * j->n <= j->pool ? j->at + j->n : 0;
    comm_tree_allreduce(j->w, j->leaves, j->data + j->at, j->n, j->n,
                        j->scratch, j->work_bytes, &wait);
}

static void sum(link_job *j)
{
    comm_wait_ns wait = {0};
    comm_sum_f64(j->w, j->sums, j->n, &wait);
}

/* --- timing --------------------------------------------------------------- */

/* Seconds of CPU of all ranks together, on every rank. */
static double cpu_of_all(const link_job *j)
{
    double ns = (double)clock_cpu_process_ns();
    comm_sum_f64(j->w, &ns, 1, NULL);
    return ns * 1e-9;
}

/* Seconds of one call of n floats. */
static double time_of(link_job *j, void (*call)(link_job *), int64_t n,
                      int64_t pool)
{
    int times = (int)(4000000 / (n + 40000)) + 1;
    j->n = n;
    j->pool = pool;
    call(j); /* warms up */
    comm_barrier(j->w);
    double cpu = cpu_of_all(j);
    int64_t wall = clock_wall_ns();
    for (int i = 0; i < times; i++) {
        call(j);
    }
    double took = (double)(clock_wall_ns() - wall) * 1e-9;
    double burnt = (cpu_of_all(j) - cpu) / comm_size(j->w);
    return (j->shared ? burnt : took) / times;
}

/* Products of some rows of a matrix that a cache of its own would hold:
 * whoever has the core in between drives it out. */
static void work(link_job *j, int units)
{
    for (int i = 0; i < units; i++) {
        j->row = (j->row + UNIT_ROWS) % WORK_ROWS;
        matmul(1, false, true, UNIT_ROWS, WORK_SIDE, WORK_SIDE,
               j->data + j->row * WORK_SIDE, WORK_SIDE,
               j->data + WORK_ROWS * WORK_SIDE, WORK_SIDE, 0,
               j->result + j->row * WORK_SIDE, WORK_SIDE);
    }
}

/* CPU seconds of that work by rank 0, the others asleep. */
static double work_alone(link_job *j, int units)
{
    double mine = 0;
    if (comm_rank(j->w) == 0) {
        work(j, WORK_ROWS / UNIT_ROWS); /* warms up */
        int64_t begin = clock_cpu_thread_ns();
        work(j, units);
        mine = (double)(clock_cpu_thread_ns() - begin) * 1e-9;
    }
    comm_barrier_sleeping(j->w);
    comm_sum_f64(j->w, &mine, 1, NULL);
    return mine;
}

/* CPU seconds that this rank burns in a meeting of all. Taken inside of it:
 * all that was burnt, less the work, would be a small difference of large
 * numbers that drift. */
static double meet(link_job *j)
{
    double one = 1;
    comm_wait_ns wait = {0};
    int64_t begin = clock_cpu_thread_ns();
    comm_sum_f64(j->w, &one, 1, &wait);
    return (double)(clock_cpu_thread_ns() - begin) * 1e-9;
}

/* CPU seconds that meeting again and again costs a rank beyond the work in
 * between, which is the same for all. */
static double meet_at_work(link_job *j, int units, double *alone)
{
    int times = 64 / units + 2;
    double burnt = 0;
    *alone = work_alone(j, times * units) / times;
    for (int i = 0; i < times; i++) {
        work(j, units);
        burnt += meet(j);
    }
    comm_sum_f64(j->w, &burnt, 1, NULL);
    return burnt / comm_size(j->w) / times;
}

/* CPU seconds that a rank burns while it waits for others. Where it has a
 * core, for rank 0 that sleeps; where cores are shared, for as many ranks as
 * there are cores, at work on all of them. */
static double wait_for_others(link_job *j, int units, double *waited)
{
    int others = j->shared ? comm_node_cores(j->w) : 1;
    bool late = comm_rank(j->w) < others;
    comm_barrier(j->w);
    int64_t begin = clock_wall_ns();
    if (late && j->shared) {
        work(j, units);
    } else if (late) {
        const struct timespec nap = {.tv_nsec = units * NAP_NS};
        (void)nanosleep(&nap, NULL);
    }
    double burnt = meet(j);
    *waited = (double)(clock_wall_ns() - begin) * 1e-9;
    burnt = late ? 0 : burnt;
    comm_sum_f64(j->w, &burnt, 1, NULL);
    return burnt / (comm_size(j->w) - others);
}

/* Some seconds; between its parts all ranks ask whether one is to stop. */
static status run_once(link_job *j)
{
    int r = j->run++;
    for (int i = 0; i < SIZES; i++) {
        TRY(comm_agree(j->w, stop_check()));
        int64_t n = floats_of[i];
        /* Two messages of a pair are one there and one back. */
        j->message[i][r] = time_of(j, messages, n, n) / 2;
        j->tree[i][r] = time_of(j, reduction, n, n);
        j->sum[i][r] = time_of(j, sum, n / 8, n);
    }
    for (int i = 0; i < FARS; i++) {
        TRY(comm_agree(j->w, stop_check()));
        j->tree[SIZES + i][r] =
            time_of(j, reduction, far_floats[i], POOL_FLOATS);
    }
    for (int i = 0; i < WAITS; i++) {
        j->nap[i][r] = wait_for_others(j, waits_of[i], &j->waited[i]);
    }
    for (int i = 0; j->shared && i < WORKS; i++) {
        TRY(comm_agree(j->w, stop_check()));
        j->meeting[i][r] = meet_at_work(j, units_of[i], &j->alone[i][r]);
    }
    return ST_OK;
}

/* --- fitting, on rank 0 --------------------------------------------------- */

enum { FACTORS = 2 + CALIBRATE_KNOTS };

static status fit(double (*rows)[FACTORS], const double *want, int64_t n,
                  sim_transfer *out)
{
    double x[FIT_COLS_MAX] = {0};
    double steps[CALIBRATE_KNOTS] = {0};
    TRY(calibrate_solve(&rows[0][0], want, want, n, FACTORS, x));
    /* The first step of a byte's price holds for all bytes. */
    memcpy(steps + 1, x + 3, sizeof(steps) - sizeof(*steps));
    *out = (sim_transfer){.message = x[1], .byte = x[2]};
    calibrate_curve(steps, &out->far);
    return ST_OK;
}

static status fit_plain(link_job *j, double (*v)[RUNS_MAX], double item_bytes,
                        sim_transfer *out)
{
    double rows[SIZES][FACTORS] = {{0}};
    double want[SIZES];
    for (int i = 0; i < SIZES; i++) {
        want[i] = sort_median(v[i], j->runs);
        rows[i][1] = 1;
        rows[i][2] = item_bytes * (double)floats_of[i];
    }
    return fit(rows, want, SIZES, out);
}

/* Notes a share of bytes that were touched `bytes` ago. */
static void note_ago(double bytes, double share, double ago[SIM_AGO])
{
    double bits = log2(bytes / sim_ago_bytes(0));
    bits = bits < 0 ? 0 : bits > SIM_AGO - 2 ? SIM_AGO - 2 : bits;
    int i = (int)bits;
    ago[i] += share * (i + 1 - bits);
    ago[i + 1] += share * (bits - i);
}

/* A reduction sends its data in parts; between two of the same data lie the
 * pool and as many times what is received beside it. */
static void tree_row(const link_job *j, int64_t n, int64_t pool,
                     double row[FACTORS])
{
    double ago[SIM_AGO] = {0};
    tree_span own[TREE_DEPTH_MAX * 2];
    int size = comm_size(j->w);
    int pieces =
        tree_pieces(j->leaves, 0, leaf_of_rank(j->leaves, size, 1), own);
    double sends = (size - 1) * (1 + pieces);
    double bytes = 4.0 * (double)n;
    int64_t chunk = n < TREE_CHUNK_FLOATS ? n : TREE_CHUNK_FLOATS;
    double work = 4.0 * (double)chunk * (size - 1) / size;
    double calls = (double)(pool / n);
    note_ago(calls * (bytes + work), bytes / (bytes + work), ago);
    note_ago(bytes + work, work / (bytes + work), ago);
    calibrate_steps(ago, row + 2);
    row[1] = ceil((double)n / TREE_CHUNK_FLOATS) * sends;
    for (int k = 0; k < CALIBRATE_KNOTS; k++) {
        row[2 + k] *= bytes * sends / size;
    }
}

static status fit_trees(link_job *j, sim_transfer *out)
{
    double rows[TREES][FACTORS] = {{0}};
    double want[TREES];
    for (int i = 0; i < TREES; i++) {
        bool far = i >= SIZES;
        int64_t n = far ? far_floats[i - SIZES] : floats_of[i];
        want[i] = sort_median(j->tree[i], j->runs);
        tree_row(j, n, far ? POOL_FLOATS : n, rows[i]);
    }
    return fit(rows, want, TREES, out);
}

/* Where ranks have cores they poll all the time; where they share them they
 * go to sleep after a while: a long wait and a short one tell both. */
static void fit_waiting(link_job *j, sim_link *out)
{
    double shorter = sort_median(j->nap[0], j->runs);
    double slope = (sort_median(j->nap[1], j->runs) - shorter) /
                   (j->waited[1] - j->waited[0]);
    slope = slope < 0 ? 0 : slope > 1 ? 1 : slope;
    double rest = shorter - slope * j->waited[0];
    out->waiting = slope;
    out->spin = rest > 0 ? rest : 0;
}

/* What a meeting costs that nobody waits for is in `sum` already. */
static void fit_at_work(link_job *j, sim_link *out)
{
    sim_curve *c = &out->at_work;
    for (int i = 0; i < WORKS; i++) {
        double more = sort_median(j->meeting[i], j->runs) - out->sum.message;
        c->x[i] = sort_median(j->alone[i], j->runs);
        c->y[i] = more > 0 ? more : 0;
    }
    c->points = WORKS;
}

static status fit_link(link_job *j, sim_link *out)
{
    int size = comm_size(j->w);
    *out = (sim_link){.ranks = size, .shared_cores = j->shared};
    TRY(fit_plain(j, j->message, 4, &out->p2p));
    TRY(fit_trees(j, &out->tree));
    TRY(fit_plain(j, j->sum, 1, &out->sum));
    fit_waiting(j, out);
    if (j->shared) {
        fit_at_work(j, out);
    }
    (void)snprintf(out->source, sizeof(out->source),
                   "weft calibrate: %d ranks of this machine%s, 256 B to 16 "
                   "MiB, medians of %d runs by %s",
                   size, j->shared ? " that share cores" : "", j->runs,
                   j->shared ? "CPU time" : "wall time");
    return ST_OK;
}

/* --- all of it ------------------------------------------------------------ */

static status job_init(comm *world, bool quick, link_job *j)
{
    int size = comm_size(world);
    memset(j, 0, sizeof(*j));
    j->w = world;
    j->runs = quick ? ROUNDS : RUNS_MAX;
    j->shared = comm_node_size(world) > comm_node_cores(world);
    j->leaves = size > 4 ? size : 4; /* a run's: at least one a rank */
    j->work_bytes = comm_tree_work_bytes(size, j->leaves, POOL_FLOATS);
    TRY(MEM_NEW(&j->data, POOL_FLOATS, "calibrate"));
    for (int64_t i = 0; i < WORK_ROWS * WORK_SIDE * 2; i++) {
        j->data[i] = (float)(i % 251) * 0.01F;
    }
    TRY(MEM_NEW(&j->result, WORK_ROWS * WORK_SIDE, "calibrate"));
    TRY(MEM_NEW(&j->sums, floats_of[SIZES - 1], "calibrate"));
    return mem_alloc(j->work_bytes, 1, "calibrate", &j->scratch);
}

static void job_fini(link_job *j)
{
    mem_free(j->scratch);
    mem_free(j->sums);
    mem_free(j->result);
    mem_free(j->data);
}

static status measure(link_job *j, calibrate_trials *t)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < j->runs / ROUNDS; k++) {
            TRY(run_once(j));
        }
        TRY(calibrate_trials_round(t, 1));
    }
    return ST_OK;
}

static status conclude(link_job *j, calibrate_trials *t, machine *m)
{
    calibrate_samples all = {0};
    REQUIRE(m->nlinks < SIM_LINKS, ST_INTERNAL, "calibrate: too many links");
    TRY(fit_link(j, &m->link[m->nlinks++]));
    status st = calibrate_trials_samples(t, &all);
    if (st == ST_OK) {
        st = calibrate_fit_at_once(&all, comm_size(j->w), m);
    }
    mem_free(all.list);
    return st;
}

/* Where ranks share cores small models will do, since steps take as many
 * times as long. */
static status measure_all(link_job *j, comm *self, bool quick, machine *m)
{
    calibrate_trials *t = NULL;
    bool first = comm_rank(j->w) == 0;
    TRY(calibrate_trials_open(j->w, self, first ? m : NULL, 1,
                              quick || j->shared, false, &t));
    status st = measure(j, t);
    if (st == ST_OK) {
        st = comm_agree(j->w, first ? conclude(j, t, m) : ST_OK);
    }
    calibrate_trials_close(t);
    return st;
}

int calibrate_jobs(int cores, int ranks[CALIBRATE_JOBS])
{
    int n = 0;
    ranks[n++] = 2;
    ranks[n++] = 4;
    if (cores >= 4 && cores < 8) {
        ranks[n++] = 8;
    }
    return n;
}

status calibrate_links(comm *world, bool quick, machine *m)
{
    link_job *j = NULL;
    comm *self = NULL;
    status st = MEM_NEW(&j, 1, "calibrate");
    st = comm_agree(world, st == ST_OK ? job_init(world, quick, j) : st);
    if (st == ST_OK) {
        st = comm_split(world, comm_rank(world), 0, "self", &self);
    }
    if (st == ST_OK) {
        st = measure_all(j, self, quick, m);
    }
    comm_destroy(self);
    if (j != NULL) {
        job_fini(j);
    }
    mem_free(j);
    return st;
}
