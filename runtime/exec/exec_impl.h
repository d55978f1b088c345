/* Shared by the files of the executor; see exec.h. */
#ifndef WEFT_EXEC_EXEC_IMPL_H
#define WEFT_EXEC_EXEC_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/device/arena.h"
#include "runtime/device/link.h"
#include "runtime/exec/exec.h"

/* A thread that runs one stream of the program in issue order. */
typedef struct worker {
    exec *e;
    op_stream stream;
    pthread_t thread;
    bool running;
    status st;
    char text[STATUS_TEXT_MAX];
    link_dir link;
    int64_t moved; /* bytes since creation */
} worker;

enum { WORKERS = 3 };

struct exec {
    exec_config c;
    const prog_place *place;
    const program *p;
    arena mem;
    math_ctx ctx;
    comm *group[GROUP_COUNT];

    /* A step's state. done[i] is the serial number of the last step in which
     * operation i ran; `mutex` and `moved` announce changes to sleepers. */
    atomic_int *done;
    comm_req **pending; /* started sends and receives                      */
    int open;           /* how many of them                                */
    int32_t newest;     /* the last that was started                      */
    int64_t pipe_sent, pipe_recv; /* bytes of messages between stages     */
    int serial;
    bool forward_only;
    int64_t step;
    exec_query query;
    exec_scalars scalars;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    atomic_int sleepers;
    atomic_int tail; /* op_tail that the guard has chosen                  */
    bool quit;
    atomic_int failed; /* a thread failed in this step                     */
    int active;        /* workers that still run this step                 */
    worker workers[WORKERS];
    int nworkers;

    /* Slots that all ranks add up: each is non-zero on one rank. First D
     * losses, then one that says that a rank failed, S norms a parameter. */
    double *slots;
    status late; /* of this rank; all leave at the next clip               */
    int64_t nslots;
    double *row_sums; /* of all rows of a parameter                        */
    double loss, grad_norm, clip;

    /* Rows of the embedding that the batch names. */
    int32_t *seen;    /* by token id: serial of the batch that has it   */
    int32_t *slot_of; /* by token id                                    */
    int32_t *unique;  /* ids, in order of first occurrence              */
    int64_t nunique;
    int32_t batch_serial;

    exec_ledger ledger;
    exec_trace *trace;
    int64_t begin_ns;
};

/* Address of a view. */
static inline float *at(const exec *e, const prog_view *v)
{
    char *base = (char *)e->mem.base + e->p->bufs[v->buf].offset;
    return (float *)base + v->off;
}

static inline const prog_view *view(const exec *e, const prog_op *o, int i)
{
    return &e->p->view[o->view0 + i];
}

/* ops.c: runs a compute operation. */
void exec_compute(exec *e, const prog_op *o);

/* batch.c */
MUST_USE status exec_make_batch(exec *e, const prog_op *o);

/* scalars.c: leaf losses, norms, clip, update. */
void exec_loss(exec *e, const prog_op *o);
MUST_USE status exec_grad_norm(exec *e, const prog_op *o);
MUST_USE status exec_clip(exec *e);
MUST_USE status exec_update(exec *e, const prog_op *o);

/* streams.c */
MUST_USE status exec_start_workers(exec *e);
void exec_stop_workers(exec *e);
/* Runs the program once; forward_only skips the other phases. */
MUST_USE status exec_run(exec *e);

/* True if this run executes the operation. */
bool exec_takes(const exec *e, const prog_op *o);

#endif
