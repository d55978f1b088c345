/*
 * Messages and reductions between ranks, by the calls that exec makes.
 *
 * Each is done many times at several sizes; a sample is the time of a run of
 * them by one, the median of some runs. Where ranks share cores wall time is
 * the machine's and not theirs: then CPU time of all ranks together, by rank,
 * is what the link costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"

enum { LEAVES = 4, SIZES = 5, RUNS_MAX = 7, FACTORS = 3 };

static const int64_t floats_of[SIZES] = {64, 2048, 32768, 262144, 1048576};

typedef struct link_job {
    comm *w;
    int64_t n; /* floats                                                   */
    float *data;
    double *sums;
    void *work;
    size_t work_bytes;
    bool shared;
    int runs;
} link_job;

/* --- what is timed -------------------------------------------------------- */

/* There and back between pairs of ranks. */
static void messages(const link_job *j)
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

static void reduction(const link_job *j)
{
    comm_wait_ns wait = {0};
    comm_tree_allreduce(j->w, LEAVES, j->data, j->n, j->n, j->work,
                        j->work_bytes, &wait);
}

static void sum(const link_job *j)
{
    comm_wait_ns wait = {0};
    comm_sum_f64(j->w, j->sums, j->n, &wait);
}

/* --- timing --------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds of all ranks together, on every rank. */
static double cpu_of_all(const link_job *j)
{
    double ns = (double)clock_cpu_process_ns();
    comm_sum_f64(j->w, &ns, 1, NULL);
    return ns;
}

/* Seconds of one call, on every rank the same. */
static double time_of(const link_job *j, void (*call)(const link_job *))
{
    double v[RUNS_MAX];
    int times = (int)(4000000 / (j->n + 40000));
    for (int k = -1; k < j->runs; k++) {
        comm_barrier(j->w);
        double cpu = cpu_of_all(j);
        int64_t wall = clock_wall_ns();
        for (int i = 0; i < times; i++) {
            call(j);
        }
        double took = (double)(clock_wall_ns() - wall);
        double burnt = (cpu_of_all(j) - cpu) / comm_size(j->w);
        if (k >= 0) {
            v[k] = (j->shared ? burnt : took) * 1e-9 / times;
        }
    }
    qsort(v, (size_t)j->runs, sizeof(*v), by_value);
    double mid = comm_rank(j->w) == 0 ? v[j->runs / 2] : 0;
    comm_sum_f64(j->w, &mid, 1, NULL);
    return mid;
}

static void fit_sizes(double rows[SIZES][FACTORS], const double *want,
                      sim_transfer *out)
{
    double x[FIT_COLS_MAX] = {0};
    status st = calibrate_solve(&rows[0][0], want, SIZES, FACTORS, x);
    if (st == ST_OK) {
        *out = (sim_transfer){x[0], x[1], x[2]};
    }
}

/* Two messages of a pair are one there and one back: half of it each. */
static void measure_messages(link_job *j, sim_transfer *out)
{
    double rows[SIZES][FACTORS] = {{0}};
    double want[SIZES];
    for (int i = 0; i < SIZES; i++) {
        j->n = floats_of[i];
        want[i] = time_of(j, messages) / 2;
        rows[i][1] = 1;
        rows[i][2] = 4.0 * (double)j->n;
    }
    fit_sizes(rows, want, out);
}

static void measure_reductions(link_job *j, sim_transfer *out)
{
    double rows[SIZES][FACTORS] = {{0}};
    double want[SIZES];
    tree_span own[TREE_DEPTH_MAX * 2];
    int size = comm_size(j->w);
    int pieces = tree_pieces(LEAVES, 0, leaf_of_rank(LEAVES, size, 1), own);
    for (int i = 0; i < SIZES; i++) {
        j->n = floats_of[i];
        want[i] = time_of(j, reduction);
        rows[i][1] = (size - 1) * (1 + pieces);
        rows[i][2] = 4.0 * (double)j->n * rows[i][1] / size;
    }
    fit_sizes(rows, want, out);
}

static void measure_sums(link_job *j, sim_transfer *out)
{
    double rows[SIZES][FACTORS] = {{0}};
    double want[SIZES];
    for (int i = 0; i < SIZES; i++) {
        j->n = floats_of[i] / 8;
        want[i] = time_of(j, sum);
        rows[i][1] = 1;
        rows[i][2] = 8.0 * (double)j->n;
    }
    fit_sizes(rows, want, out);
}

/* CPU seconds that a rank burns while it waits for rank 0, which sleeps. */
static double wait_for_sleeper(const link_job *j, int64_t ns, double *waited)
{
    const struct timespec nap = {.tv_nsec = ns};
    double one = 1;
    comm_wait_ns wait = {0};
    double cpu = cpu_of_all(j);
    int64_t begin = clock_wall_ns();
    if (comm_rank(j->w) == 0) {
        (void)nanosleep(&nap, NULL);
    }
    comm_sum_f64(j->w, &one, 1, &wait);
    *waited = (double)(clock_wall_ns() - begin) * 1e-9;
    return (cpu_of_all(j) - cpu) / (comm_size(j->w) - 1) * 1e-9;
}

/* Where ranks have cores they poll all the time; where they share them they
 * go to sleep after a while: a long wait and a short one tell both. */
static void measure_waiting(const link_job *j, sim_link *out)
{
    double longer[RUNS_MAX];
    double shorter[RUNS_MAX];
    double ab[2] = {0};
    double long_s = 0;
    double short_s = 0;
    for (int k = 0; k < j->runs; k++) {
        longer[k] = wait_for_sleeper(j, 40000000, &long_s);
        shorter[k] = wait_for_sleeper(j, 4000000, &short_s);
    }
    qsort(longer, (size_t)j->runs, sizeof(*longer), by_value);
    qsort(shorter, (size_t)j->runs, sizeof(*shorter), by_value);
    if (comm_rank(j->w) == 0) {
        double slope =
            (longer[j->runs / 2] - shorter[j->runs / 2]) / (long_s - short_s);
        slope = slope < 0 ? 0 : slope > 1 ? 1 : slope;
        ab[0] = slope;
        ab[1] = shorter[j->runs / 2] - slope * short_s;
    }
    comm_sum_f64(j->w, ab, 2, NULL);
    out->waiting = ab[0];
    out->spin = ab[1] > 0 ? ab[1] : 0;
}

static void measure_all(link_job *j, sim_link *out)
{
    int size = comm_size(j->w);
    *out = (sim_link){.ranks = size, .shared_cores = j->shared};
    measure_messages(j, &out->p2p);
    measure_reductions(j, &out->tree);
    measure_sums(j, &out->sum);
    measure_waiting(j, out);
    (void)snprintf(out->source, sizeof(out->source),
                   "weft calibrate: %d ranks of this machine%s, 256 B to 4 "
                   "MiB, medians of %d runs by %s",
                   size, j->shared ? " that share cores" : "", j->runs,
                   j->shared ? "CPU time" : "wall time");
}

status calibrate_links(comm *world, bool quick, machine *m)
{
    int64_t most = floats_of[SIZES - 1];
    int size = comm_size(world);
    link_job j = {.w = world,
                  .runs = quick ? 3 : RUNS_MAX,
                  .shared = comm_node_size(world) > comm_node_cores(world),
                  .work_bytes = comm_tree_work_bytes(size, LEAVES, most)};
    sim_link link;
    status st = MEM_NEW(&j.data, LEAVES * most, "calibrate");
    if (st == ST_OK) {
        st = MEM_NEW(&j.sums, most, "calibrate");
    }
    if (st == ST_OK) {
        st = mem_alloc(j.work_bytes, 1, "calibrate", &j.work);
    }
    st = comm_agree(world, st);
    if (st == ST_OK) {
        measure_all(&j, &link);
    }
    if (st == ST_OK && comm_rank(world) == 0 && m->nlinks < SIM_LINKS) {
        m->link[m->nlinks++] = link;
    }
    mem_free(j.work);
    mem_free(j.sums);
    mem_free(j.data);
    return st;
}
