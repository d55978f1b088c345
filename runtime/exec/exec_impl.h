/* Shared by the files of the executor; see exec.h. */
#ifndef WEFT_EXEC_EXEC_IMPL_H
#define WEFT_EXEC_EXEC_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/device/arena.h"
#include "runtime/device/link.h"
#include "runtime/exec/exec.h"

/* A thread that runs one stream of the program in issue order, step after
 * step. */
typedef struct worker {
    exec *e;
    op_stream stream;
    pthread_t thread;
    int served; /* serial of the last step it is through with             */
    status st;  /* not ST_OK: it failed, and does nothing until settled   */
    char text[STATUS_TEXT_MAX];
    link_dir link;
    int64_t moved; /* bytes since creation */
    /* What it has waited for updates of the step before, and since when it
     * does (0: not now). Guarded by the mutex.                           */
    int64_t host_ns, host_since;
} worker;

enum { WORKERS = 3, FLIGHTS = 2 };

/* What belongs to one run of the program. The tail of a step may run while
 * the next does, so there are two; a run has that of its serial number. */
typedef struct flight {
    int serial;
    int64_t step;
    bool forward_only; /* validation, sampling                             */
    exec_scalars scalars;
    atomic_int tail; /* op_tail that the guard has chosen                  */
    double clip;     /* what gradients are multiplied with                 */
    int64_t begin_ns;
    exec_trace *trace;
} flight;

struct exec {
    exec_config c;
    const prog_place *place;
    const program *p;
    arena mem;
    math_ctx ctx;
    comm *group[GROUP_COUNT];

    /* done[i] is the serial number of the last run in which operation i was
     * passed; `mutex` and `moved` announce changes to sleepers. Whatever is
     * of run `settled` or before is done, whether that run had it or not. */
    atomic_int *done;
    int serial, settled;
    int traced; /* serial of the last training step                      */
    flight flights[FLIGHTS];
    comm_req **pending; /* started sends and receives                      */
    int open;           /* how many of them                                */
    int32_t newest;     /* the last that was started                      */
    int64_t pipe_sent, pipe_recv; /* bytes of messages between stages     */
    exec_query query;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    atomic_int sleepers;
    bool quit;
    atomic_int failed; /* a thread failed                                  */
    worker workers[WORKERS];
    int nworkers;

    /* Slots that all ranks add up: each is non-zero on one rank. First D
     * losses, then one that says that a rank failed, S norms a parameter. */
    double *slots;
    status late; /* of this rank; all leave at the next clip               */
    int64_t nslots;
    double *row_sums; /* of all rows of a parameter                        */
    double loss, grad_norm;

    /* Rows of the embedding that the batch names. */
    int32_t *seen;    /* by token id: serial of the batch that has it   */
    int32_t *slot_of; /* by token id                                    */
    int32_t *unique;  /* ids, in order of first occurrence              */
    int64_t nunique;
    int32_t batch_serial;

    exec_ledger ledger;
};

/* The newest run's. */
static inline flight *exec_flight(exec *e)
{
    return &e->flights[e->serial % FLIGHTS];
}

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
MUST_USE status exec_make_batch(exec *e, const flight *f, const prog_op *o);

/* scalars.c: leaf losses, norms, clip, update. */
void exec_loss(exec *e, const prog_op *o);
MUST_USE status exec_grad_norm(exec *e, const prog_op *o);
MUST_USE status exec_clip(exec *e, flight *f);
MUST_USE status exec_update(exec *e, const flight *f, const prog_op *o);

/* progress.c */
/* True if this run executes the operation. */
bool exec_takes(const flight *f, const prog_op *o);
/* True if the operation has been passed in run `serial`. */
bool exec_is_done(const exec *e, int32_t op, int serial);
void exec_set_done(exec *e, const flight *f, int32_t op);
void exec_wake(exec *e);
/* Sleeps until the operation has been passed; false if a thread failed. */
bool exec_sleep_until_done(exec *e, int32_t op, int serial);
/* False: of a tail that is not the guard's choice. Once that has run. */
bool exec_chosen(const flight *f, const prog_op *o);
void exec_note_start(const flight *f, int32_t i, int64_t now);
void exec_note_end(const flight *f, int32_t i, int64_t now, int64_t cpu);
/* An operation that the guard did not choose: the row is of no run before. */
void exec_note_passed(const flight *f, int32_t i, int64_t now);
/* A message's own time and CPU time, while it is posted or waited for. */
void exec_note_message(const flight *f, int32_t i, int64_t busy, int64_t cpu);

/* workers.c */
MUST_USE status exec_start_workers(exec *e);
/* After what is under way. */
void exec_stop_workers(exec *e);
bool exec_has_worker(const exec *e, int stream);
MUST_USE status exec_run_host(exec *e, flight *f, const prog_op *o);
/* Begins the next run, once there is a flight for it. */
void exec_start_run(exec *e, int64_t step, const exec_scalars *s);
/* Waits for all workers; what the first in their list says goes to `text`
 * (STATUS_TEXT_MAX bytes). After that all may run again. */
status exec_join(exec *e, char *text);

/* streams.c */
/* Runs the program once more: e->serial is then this run's. Of a training step
 * with a store, what the guard has chosen may run on. No scalars: the forward
 * part alone. */
MUST_USE status exec_run(exec *e, int64_t step, const exec_scalars *s);

#endif
