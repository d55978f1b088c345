/*
 * Cores: which there are, which we may use, how ranks share them, what the
 * thread library is told, and who launches.
 */
#define _GNU_SOURCE /* cpu_set_t */
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/app/doctor.h"
#include "runtime/app/launch.h"
#include "runtime/base/cgroup.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/train/host.h"

/* --- a rank about itself -------------------------------------------------- */

/* "0-3,8"; with "..." where it does not fit. */
static void list_cores(char *out, size_t size)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    out[0] = '\0';
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return;
    }
    strbuf b = {0};
    for (int i = 0; i < CPU_SETSIZE; i++) {
        int from = i;
        while (i < CPU_SETSIZE && CPU_ISSET(i, &set)) {
            i++;
        }
        if (i > from) {
            strbuf_printf(&b, b.len > 0 ? ",%d" : "%d", from);
        }
        if (i > from + 1) {
            strbuf_printf(&b, "-%d", i - 1);
        }
    }
    bool cut = b.len >= size;
    (void)snprintf(out, size, cut ? "%.*s..." : "%.*s", (int)size - 4,
                   strbuf_view(&b));
    strbuf_fini(&b);
}

void doctor_rank_init(const comm *world, doctor_rank *out)
{
    memset(out, 0, sizeof(*out));
    host_name(out->host, sizeof(out->host));
    out->node_rank = comm_node_rank(world);
    out->cores = binding_of(world, 0);
    out->threads = binding_share(&out->cores);
    out->cores.threads = out->threads;
    list_cores(out->list, sizeof(out->list));
}

/* --- cores ---------------------------------------------------------------- */

static void check_usable(doctor *d)
{
    char list[64];
    char repair[128];
    int usable = threads_usable();
    int online = threads_online();
    double quota = cgroup_read("").cores;
    list_cores(list, sizeof(list));
    if (quota > 0 && quota < usable) {
        (void)snprintf(repair, sizeof(repair),
                       "give the container more, or use --threads %d",
                       quota < 2 ? 1 : (int)quota);
        doctor_add(d, DOCTOR_WARNING, "cores", repair,
                   "%d of %d usable (%s), but a control group grants the time "
                   "of %.3g only",
                   usable, online, list, quota);
        return;
    }
    bool bound = usable < online && !d->launched;
    const char *variable = binding_variable();
    strbuf way = {0};
    binding_write_repair(binding_cause_of(false), &way);
    doctor_add(d, bound ? DOCTOR_WARNING : DOCTOR_OK, "cores",
               bound ? strbuf_view(&way) : NULL, "%d of %d usable (%s)%s%s%s",
               usable, online, list,
               bound && variable != NULL ? ", OpenMP is told by " : "",
               bound && variable != NULL ? variable : "",
               bound && variable != NULL ? " to bind threads" : "");
    strbuf_fini(&way);
}

/* The same work for each of `threads`, side by side; seconds. */
static double spin(int threads, int *started)
{
    int64_t begin = clock_wall_ns();
    int n = 0;
#pragma omp parallel num_threads(threads) reduction(+ : n)
    {
        double x = 1;
        for (int i = 0; i < 20000000; i++) {
            x = x * 0.999999 + 1e-9;
        }
        n += x > 0 ? 1 : 0;
    }
    *started = n;
    return (double)(clock_wall_ns() - begin) * 1e-9;
}

/* The best of two: the first may have to start the threads. */
static double spin_best(int threads, int *started)
{
    double first = spin(threads, started);
    double second = spin(threads, started);
    return first < second ? first : second;
}

/* Threads of which each does the work of one alone: what shows a quota, a
 * busy machine, or threads that are kept on one core. */
static void check_threads(doctor *d)
{
    int wanted = d->nranks > 1 ? d->ranks[0].threads : threads_usable();
    int started = 0;
    double alone = spin_best(1, &started);
    double together = spin_best(wanted, &started);
    double worth = (double)started * alone / together;
    if (started < wanted) {
        const char *limit = launch_variable("OMP_THREAD_LIMIT");
        doctor_add(d, DOCTOR_WARNING, "threads", "unset OMP_THREAD_LIMIT",
                   "%d wanted, %d started (OMP_THREAD_LIMIT is %s)", wanted,
                   started, limit != NULL ? limit : "not set");
        return;
    }
    bool poor = wanted > 1 && worth < 0.7 * wanted;
    doctor_add(d, poor ? DOCTOR_WARNING : DOCTOR_OK, "threads",
               poor ? "stop what else runs here; unset OMP_PROC_BIND and "
                      "OMP_PLACES; else use fewer --threads"
                    : NULL,
               "%d started, the work of %.2f is done", started, worth);
}

/* --- what libraries are told ---------------------------------------------- */

/* Weft gives every parallel region its number of threads, and calls BLIS for
 * one thread; of these variables only the ones that bind or limit matter. */
static void check_settings(doctor *d)
{
    static const char *const names[] = {"OMP_NUM_THREADS",  "OMP_THREAD_LIMIT",
                                        "OMP_PROC_BIND",    "OMP_PLACES",
                                        "OMP_DYNAMIC",      "GOMP_CPU_AFFINITY",
                                        "BLIS_NUM_THREADS", "BLIS_ARCH_TYPE"};
    strbuf b = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = launch_variable(names[i]);
        if (value != NULL) {
            strbuf_printf(&b, ", %s=%s", names[i], value);
        }
    }
    const char *wait = launch_variable("OMP_WAIT_POLICY");
    const char *arch = launch_variable("BLIS_ARCH_TYPE");
    bool spins = wait == NULL || strcasecmp(wait, "passive") != 0;
    const char *repair = NULL;
    if (spins) {
        repair = "unset OMP_WAIT_POLICY: idle threads must sleep, or they "
                 "take cores from the thread that moves weights";
    } else if (arch != NULL) {
        repair = "unset BLIS_ARCH_TYPE: it chooses other kernels, and with "
                 "them other bits";
    }
    doctor_add(d, repair != NULL ? DOCTOR_WARNING : DOCTOR_OK, "settings",
               repair, "OMP_WAIT_POLICY=%s%s", wait != NULL ? wait : "",
               strbuf_view(&b));
    strbuf_fini(&b);
}

/* --- ranks ---------------------------------------------------------------- */

/* "rank 0: 0-1, rank 1: 0-1"; ranks of the first node, some of them. */
static void list_ranks(const doctor *d, strbuf *b)
{
    enum { LISTED = 8 };
    for (int i = 0; i < d->nranks && i < LISTED; i++) {
        strbuf_printf(b, "%srank %d on %s", i > 0 ? ", " : "", i,
                      d->ranks[i].list);
    }
    if (d->nranks > LISTED) {
        strbuf_add(b, ", ...");
    }
}

static int nodes(const doctor *d)
{
    int n = 0;
    for (int i = 0; i < d->nranks; i++) {
        n += d->ranks[i].node_rank == 0 ? 1 : 0;
    }
    return n;
}

static void check_binding(doctor *d)
{
    if (!d->launched || d->ranks == NULL) {
        doctor_add(d, DOCTOR_OK, "binding", NULL,
                   "one process, not under mpirun; for a plan Weft starts "
                   "mpirun itself, with --bind-to none");
        return;
    }
    const binding *b = &d->ranks[0].cores;
    strbuf list = {0};
    strbuf text = {0};
    list_ranks(d, &list);
    strbuf_printf(&text, "%d rank%s on %d node%s, %d thread%s each: %s",
                  d->nranks, d->nranks == 1 ? "" : "s", nodes(d),
                  nodes(d) == 1 ? "" : "s", b->threads,
                  b->threads == 1 ? "" : "s", strbuf_view(&list));
    /* As train sees it: nobody has said how many threads there should be. */
    binding asked = *b;
    asked.threads = 0;
    if (binding_is_tight(&asked)) {
        strbuf_printf(&text, "; bound to %d of %d cores", b->together,
                      b->online);
        strbuf way = {0};
        binding_write_repair(binding_cause_of(true), &way);
        doctor_add(d, DOCTOR_WARNING, "binding", strbuf_view(&way), "%s",
                   strbuf_view(&text));
        strbuf_fini(&way);
    } else if (binding_is_crowded(b)) {
        strbuf_printf(&text, "; they share %d cores", b->together);
        doctor_add(d, DOCTOR_WARNING, "binding",
                   "start at most one rank a core, or read CPU time: wall "
                   "time means little here",
                   "%s", strbuf_view(&text));
    } else {
        doctor_add(d, DOCTOR_OK, "binding", NULL, "%s", strbuf_view(&text));
    }
    strbuf_fini(&list);
    strbuf_fini(&text);
}

/* --- who launches --------------------------------------------------------- */

static void check_launcher(doctor *d)
{
    static const struct {
        const char *variable, *name;
    } batch[] = {{"SLURM_JOB_ID", "Slurm"},
                 {"PBS_JOBID", "PBS"},
                 {"LSB_JOBID", "LSF"},
                 {"FLUX_JOB_ID", "Flux"},
                 {"COBALT_JOBID", "Cobalt"}};
    const char *in = NULL;
    for (size_t i = 0; i < sizeof(batch) / sizeof(batch[0]); i++) {
        in = in == NULL && launch_variable(batch[i].variable) != NULL
                 ? batch[i].name
                 : in;
    }
    if (launch_slurm_alone()) {
        doctor_add(d, DOCTOR_PROBLEM, "launcher",
                   "use srun --mpi=pmix if srun --mpi=list has it, else "
                   "mpirun inside of the allocation",
                   "srun started %s tasks, but each is a job of one rank: "
                   "srun and Open MPI do not know each other here",
                   launch_variable("SLURM_STEP_NUM_TASKS"));
    } else if (d->launched) {
        doctor_add(d, DOCTOR_OK, "launcher", NULL, "%d rank%s%s%s", d->nranks,
                   d->nranks == 1 ? "" : "s", in != NULL ? " in a job of " : "",
                   in != NULL ? in : "");
    } else {
        doctor_add(d, DOCTOR_OK, "launcher", NULL,
                   "%s%s; weft train --plan starts ranks on this node, "
                   "mpirun -np N weft train on all that a job has",
                   in != NULL ? "in a job of " : "no batch system",
                   in != NULL ? in : "");
    }
}

void doctor_cores(doctor *d)
{
    check_launcher(d);
    check_usable(d);
    check_threads(d);
    check_settings(d);
    check_binding(d);
}
