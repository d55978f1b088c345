/*
 * MPI: the library, starting a job of two ranks, messages between ranks, and
 * the copy from process to process that containers forbid.
 */
#define _GNU_SOURCE /* process_vm_readv */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/app/doctor.h"
#include "runtime/app/launch.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/units.h"

/* --- a job of our own ----------------------------------------------------- */

void doctor_job_try(doctor_job *out)
{
    static const char *const words[] = {"doctor", "--probe", NULL};
    static const char limit[] = "MPIEXEC_TIMEOUT"; /* of mpirun, seconds */
    doctor_job j = {.tried = doctor_on_path("mpirun")};
    if (j.tried) {
        int64_t begin = clock_wall_ns();
        bool ours = setenv(limit, "30", 0) == 0;
        if (launch_run(words, 2, true, &j.code) != ST_OK) {
            j.code = ST_SYSTEM;
        }
        if (ours) {
            (void)unsetenv(limit);
        }
        j.seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    }
    *out = j;
}

static void check_job(doctor *d)
{
    if (d->launched || launch_slurm_alone()) {
        return; /* this job is one, or there can be none */
    }
    if (!d->job.tried) {
        doctor_add(d, DOCTOR_PROBLEM, "launch",
                   "install openmpi-bin, or load the module that has it",
                   "there is no mpirun on the PATH: no plan can run");
    } else if (d->job.code != 0) {
        doctor_add(d, DOCTOR_PROBLEM, "launch",
                   "run mpirun -np 2 weft doctor and read what it says",
                   "a job of 2 ranks ended with code %d after %s", d->job.code,
                   units_seconds(d->job.seconds).s);
    } else {
        doctor_add(d, DOCTOR_OK, "launch", NULL,
                   "2 ranks started, exchanged messages and ended in %s",
                   units_seconds(d->job.seconds).s);
    }
}

/* --- messages ------------------------------------------------------------- */

/* There and back; seconds of one way. */
static double one_way(comm *world, int rank, void *data, int64_t bytes)
{
    int64_t begin = clock_wall_ns();
    if (rank == 0) {
        comm_send(world, 1, 0, data, bytes);
        comm_recv(world, 1, 0, data, bytes);
    } else if (rank == 1) {
        comm_recv(world, 0, 0, data, bytes);
        comm_send(world, 0, 0, data, bytes);
    }
    return (double)(clock_wall_ns() - begin) * 0.5e-9;
}

void doctor_link_measure(comm *world, doctor_link *out)
{
    enum { ROUNDS = 101, LARGE = 16 << 20, LARGE_ROUNDS = 5 };
    double times[ROUNDS];
    doctor_link l = {0};
    float *data = NULL;
    int rank = comm_rank(world);
    status st =
        rank < 2 ? MEM_NEW(&data, LARGE / sizeof(float), "doctor") : ST_OK;
    /* All or none: a rank without memory must not leave the other waiting. */
    int64_t failed = st != ST_OK;
    comm_max_i64(world, &failed, 1);
    if (comm_size(world) > 1 && failed == 0) {
        for (int i = 0; i < ROUNDS; i++) {
            times[i] = one_way(world, rank, data, 8);
        }
        l.latency_s = sort_median(times, ROUNDS);
        for (int i = 0; i < LARGE_ROUNDS; i++) {
            double rate = LARGE / one_way(world, rank, data, LARGE);
            l.bytes_per_s = rate > l.bytes_per_s ? rate : l.bytes_per_s;
        }
    }
    mem_free(data);
    *out = l;
}

static void check_link(doctor *d)
{
    if (d->link.bytes_per_s <= 0) {
        return;
    }
    bool apart = strcmp(d->ranks[0].host, d->ranks[1].host) != 0;
    doctor_add(d, DOCTOR_OK, "messages", NULL,
               "rank 0 to 1 on %s: %s for 8 bytes, %s for 16 MiB",
               apart ? "another node" : "the same node",
               units_seconds(d->link.latency_s).s,
               units_rate(d->link.bytes_per_s).s);
}

/* --- copies from process to process --------------------------------------- */

/* Reads a word of a child by the system call that Open MPI's transport in a
 * node uses; 0, or the errno. */
static int read_child(void)
{
    int ends[2];
    volatile int64_t word = 0x5745465421;
    if (pipe(ends) != 0) {
        return errno;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        (void)close(ends[1]);
        _exit(read(ends[0], &c, 1) == 0 ? 0 : 1); /* until we are done */
    }
    int error = pid < 0 ? errno : 0;
    int64_t got = 0;
    if (pid > 0) {
        struct iovec to = {&got, sizeof(got)};
        struct iovec from = {(void *)(uintptr_t)&word, sizeof(word)};
        ssize_t n = process_vm_readv(pid, &to, 1, &from, 1, 0);
        error = n < 0 ? errno : (got == word ? 0 : EIO);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    if (pid > 0) {
        (void)waitpid(pid, NULL, 0);
    }
    return error;
}

static void check_copies(doctor *d)
{
    const char *how = "OMPI_MCA_btl_vader_single_copy_mechanism";
    const char *set = launch_variable(how);
    int error = read_child();
    bool off = set != NULL && strcmp(set, "none") == 0;
    if (error == 0) {
        doctor_add(d, DOCTOR_OK, "copies", NULL,
                   "a process may read another's memory; Weft's own jobs do "
                   "without");
    } else {
        doctor_add(
            d, off || !d->launched ? DOCTOR_OK : DOCTOR_WARNING, "copies",
            off || !d->launched
                ? NULL
                : "export OMPI_MCA_btl_vader_single_copy_mechanism="
                  "none, or docker run --cap-add=SYS_PTRACE",
            "a process may not read another's memory (%s)%s", strerror(error),
            off           ? ", and Open MPI is told so"
            : d->launched ? ": Open MPI prints \"Read -1\" and stops"
                          : "; Weft's own jobs do without");
    }
}

/* --- the library ---------------------------------------------------------- */

static void check_library(doctor *d)
{
    if (d->world == NULL) {
        doctor_add(d, DOCTOR_PROBLEM, "mpi", "see what launcher says above",
                   "MPI does not start: %s", d->mpi_error);
        return;
    }
    strbuf b = {0};
    const char *library = comm_library();
    strbuf_add_bytes(&b, library, strcspn(library, ","));
    doctor_add(d, DOCTOR_OK, "mpi", NULL, "%s, thread level %s",
               strbuf_view(&b), comm_thread_level());
    strbuf_fini(&b);
}

void doctor_messages(doctor *d)
{
    check_library(d);
    check_job(d);
    check_link(d);
    check_copies(d);
}
