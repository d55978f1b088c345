/*
 * The executor: runs a step program for real.
 *
 * The calling thread runs the compute, tensor, pipe and data streams in issue
 * order (and host where there is no store). Where there is a store, loads,
 * drains and the host stream each have a thread, so that they overlap with
 * compute. Sends and receives are started at their place and waited for where
 * somebody needs them.
 *
 * A step returns when everything on the calling thread has ended and the guard
 * has chosen. With a store, the updates then run on, and the next step begins
 * beside them: its operations wait for those of the step before that their
 * program names (distance 1). Whoever looks into the store between steps, or
 * at the trace, settles first.
 *
 * All tensors of a step lie in the arena; nothing is allocated in a step.
 *
 * Collective over the set-up's ranks: create, step, destroy. One thread
 * calls. Errors of one rank are agreed before the step returns; an update that
 * fails is told by the call after.
 */
#ifndef WEFT_EXEC_EXEC_H
#define WEFT_EXEC_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/comm/comm.h"
#include "runtime/device/store.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/math/math.h"
#include "runtime/program/program.h"

typedef struct exec exec;

/* Fills ids and targets (seqs x T) of global sequences [seq0, seq0 + seqs) of
 * a step. Called by the load thread or the calling thread. */
typedef status (*exec_batch)(void *self, int64_t step, int64_t seq0,
                             int64_t seqs, int32_t *ids, int32_t *targets);

/* Called by the calling thread before each operation of a training step that
 * it runs, but for sends and receives. Its time is the ledger's `other`; it
 * allocates nothing and leaves tensors alone. */
typedef void (*exec_between)(void *self, const prog_op *o);

typedef struct exec_config {
    const arch *a;
    const params *ps;
    const program_set *set; /* borrowed                                   */
    gpt_shape sh;           /* of this rank (with its share)              */
    const math_ops *math;
    int threads;
    comm *world;           /* the set-up's ranks; may be a world of one   */
    store *store;          /* borrowed; NULL: state is in the arena       */
    int64_t device_memory; /* arena bytes; 0: what the plan needs         */
    double link_rate;      /* bytes/s each way, 0: not throttled          */
    double link_latency;   /* seconds                                     */
    exec_batch batch;
    void *batch_self;
    exec_between between; /* NULL: nobody looks in                        */
    void *between_self;
} exec_config;

/* Scalars of one step. */
typedef struct exec_scalars {
    float lr, beta1, beta2, eps, weight_decay;
    double grad_clip; /* largest global norm; 0: no clipping           */
    /* A loss or norm that is not finite: go on with unchanged weights. */
    bool skip_broken;
    int64_t adam_step; /* 1 for the first update                        */
} exec_scalars;

/* Where a step's wall time went on this rank's calling thread, ns. */
typedef struct exec_ledger {
    int64_t compute;
    int64_t load;      /* waiting for the store, or for a drain's buffer   */
    int64_t comm;      /* exposed communication                            */
    int64_t bubble;    /* waiting for the last partner to arrive           */
    int64_t optimizer; /* its work here; waiting for norms, and at the begin
                        * for what the last step's updates hold up         */
    int64_t other;
    int64_t wall;
    int64_t cpu; /* CPU time of the process in the step                   */
} exec_ledger;

typedef struct exec_result {
    double loss;
    bool skipped;     /* not finite, no weight was changed                */
    double grad_norm; /* before clipping                                  */
    exec_ledger ledger;
} exec_result;

/* One operation as it ran, ns since the step began. A message starts when it
 * is posted and ends when its end is noticed. One that the guard did not choose
 * (the updates of a skipped step) ends when it starts. */
typedef struct exec_trace {
    int64_t start, end;
    int64_t cpu;  /* of the thread that ran it                            */
    int64_t busy; /* of its stream: end - start; of a message what it took to
                   * post it and to wait for it                           */
} exec_trace;

/* Collective. Borrows everything in config. Fails: ST_BUDGET, ST_SYSTEM,
 * ST_CONFIG. Owns: *out. */
MUST_USE status exec_create(const exec_config *config, exec **out);
void exec_destroy(exec *e);

/* One training step. Collective. If loss or gradient norm is not finite, no
 * weight is changed: ST_NUMERIC, or `skipped` where that is wanted. */
MUST_USE status exec_step(exec *e, int64_t step, const exec_scalars *s,
                          exec_result *out);
/* Waits until nothing is under way; the time since the last step goes to the
 * optimizer and the wall of *l, if given: its ledger, so this is called at
 * once. Local. Fails as the update that failed. */
MUST_USE status exec_settle(exec *e, exec_ledger *l);
/* The forward part alone: loss of batch `step` (whatever the callback makes
 * of the number). Collective. */
MUST_USE status exec_evaluate(exec *e, int64_t step, double *loss);
/* What a program that ends in logits (gpt_emit_logits) is asked for. */
typedef struct exec_query {
    int64_t first; /* position of the batch's first token: 0 without a cache */
    int64_t row;   /* the token of the batch behind which logits are wanted  */
} exec_query;

/* Runs such a program on batch 0. A cache has keys and values of positions
 * below `first` from earlier calls and gets those of the batch. *logits: V
 * floats and the padding of the vocabulary, in the arena. Lends until the next
 * call. One rank. */
MUST_USE status exec_logits(exec *e, const exec_query *q, const float **logits);

/* This rank's place and program. */
const program *exec_program(const exec *e);
const prog_place *exec_place(const exec *e);
/* The last step's operations, [nops of the program], once settled. Lends until
 * the next step. */
const exec_trace *exec_last_trace(const exec *e);
/* When it began, clock_wall_ns() of this rank. */
int64_t exec_last_begin(const exec *e);
int64_t exec_arena_bytes(const exec *e);
/* Bytes of the arena that were touched so far, see arena_touched: measured,
 * while the program's peak_bytes is what was planned. */
int64_t exec_arena_touched(const exec *e);
/* Bytes sent and received so far over a group, GROUP_NONE: pipe. */
void exec_comm_bytes(const exec *e, op_group g, int64_t *sent, int64_t *recv);
/* Adds bytes sent so far over all groups to to[rank of the world]: the sum is
 * that of exec_comm_bytes over the groups. */
void exec_comm_to(const exec *e, int64_t *to);
/* Bytes that came from and went to the store so far. */
void exec_store_bytes(const exec *e, int64_t *loaded, int64_t *drained);

/* State between steps, where it is resident (no store): rows of this rank's
 * shard of a parameter, false if this rank has none. `which` as in store. */
bool exec_state(exec *e, int par, store_state which, float **rows,
                param_shard *shard);
/* The rank that answers for a parameter and tensor share in checkpoints: data
 * coordinate 0, first stage that has it. */
bool exec_owns(const exec *e, int par);

/* Gradient rows of the last step, for tests: like exec_state; from the store
 * none. Valid until the next step; may have been overwritten by reuse of the
 * arena unless the program kept it. */
bool exec_gradient(exec *e, int par, float **rows, param_shard *shard);

#endif
