/*
 * Inside of `weft doctor`: doctor.c runs the checks and prints what they
 * found; the other doctor_*.c files hold a few checks each. A check measures
 * something on this machine, adds one finding, and never fails the command:
 * what cannot be measured is a finding, too.
 *
 * Rank 0 alone runs the checks; before that all ranks have told it how they
 * are bound. Main thread.
 */
#ifndef WEFT_APP_DOCTOR_H
#define WEFT_APP_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/app/binding.h"
#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"

typedef enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARNING, /* Weft works, but slower or with less than there is   */
    DOCTOR_PROBLEM  /* something that Weft needs does not work             */
} doctor_verdict;

typedef struct doctor_finding {
    char name[24];
    doctor_verdict verdict;
    char found[512];
    char repair[256]; /* "" where there is nothing to repair               */
} doctor_finding;

/* What a rank tells about itself. */
typedef struct doctor_rank {
    char host[64];
    int node_rank;
    int threads; /* that train would give it                              */
    binding cores;
    char list[64]; /* cores it may run on, "0-3,8"; cut if very long       */
} doctor_rank;

/* Messages between the first two ranks. */
typedef struct doctor_link {
    double latency_s;   /* of 8 bytes, one way, median; 0: one rank alone   */
    double bytes_per_s; /* of 16 MiB, one way, best                         */
} doctor_link;

/* A job of two ranks that this process started by itself. */
typedef struct doctor_job {
    bool tried;
    int code; /* it ended with                                             */
    double seconds;
} doctor_job;

enum { DOCTOR_FINDINGS_MAX = 64 };

typedef struct doctor {
    const char *dir;     /* whose disk is measured                         */
    int64_t disk_bytes;  /* written there                                  */
    comm *world;         /* NULL: MPI did not start                        */
    char mpi_error[512]; /* why not                                        */
    doctor_rank *ranks;  /* of all, on rank 0                              */
    int nranks;
    bool launched;    /* mpirun started this process                        */
    doctor_link link; /*                                                   */
    doctor_job job;   /*                                                   */
    doctor_finding list[DOCTOR_FINDINGS_MAX];
    int n;
} doctor;

/* Adds a finding; repair may be NULL. */
void doctor_add(doctor *d, doctor_verdict v, const char *name,
                const char *repair, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* This rank about itself. */
void doctor_rank_init(const comm *world, doctor_rank *out);
/* Collective over world. */
void doctor_link_measure(comm *world, doctor_link *out);
/* Before MPI starts in this process. Blocks, at most 30 s. */
void doctor_job_try(doctor_job *out);

void doctor_cores(doctor *d);    /* cores, binding, threads, launcher       */
void doctor_math(doctor *d);     /* matmul: right, same bits, rate          */
void doctor_memory(doctor *d);   /* memory, limits, huge pages, /dev/shm    */
void doctor_disk(doctor *d);     /* io_uring, disk                          */
void doctor_messages(doctor *d); /* MPI, launch, messages between ranks     */
void doctor_software(doctor *d); /* HDF5, numbers, clock, names, gnuplot    */

/* One line a finding; a line of counts. */
void doctor_write_text(const doctor *d, strbuf *out);
void doctor_write_json(const doctor *d, json_writer *w);
/* Findings of a verdict. */
int doctor_count(const doctor *d, doctor_verdict v);

/* True if an executable of this name is on the PATH. */
bool doctor_on_path(const char *file);

#endif
