/*
 * Step programs: everything one rank does in one training step, as data.
 *
 * A compiler (ws/, partition/) builds a program with the prog_* calls below:
 * it adds buffers and operations in issue order and calls prog_finish, which
 * derives live ranges, places the buffers in the device arena, and derives
 * the waits between streams. exec runs the result; checks, results and what
 * is shown of a plan read it. Nothing else describes a step.
 *
 * Operations are as small as anything that somebody may stream, overlap or
 * communicate around. Each names the buffers it reads and writes as views;
 * what it computes with them is fixed by kind and form, see op_kind.
 *
 * Streams. Operations of one stream run in issue order; between streams only
 * dependences order them. Most are derived: an operation waits for the last
 * operations of other streams that touched overlapping bytes, including the
 * bytes of an earlier buffer that lay at the same place. What goes through
 * the store instead of a buffer is added with prog_wait. A dependence has a
 * distance: 0 within this step, 1 on the step before.
 *
 * Classes. Ranks that do the same share one program: a program_set has one
 * program per class and, for each rank, its class and its place.
 *
 * Units: floats for offsets and sizes in views and buffers (tokens are int32,
 * as wide as a float), flops and bytes for costs. Pure: no I/O, no MPI, no
 * clock. Local. A program is built by one thread, then only read.
 */
#ifndef WEFT_PROGRAM_PROGRAM_H
#define WEFT_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/status.h"
#include "runtime/base/tree.h"

typedef enum op_stream {
    STREAM_COMPUTE,
    STREAM_LOAD,     /* store to device                    */
    STREAM_DRAIN,    /* device to store                    */
    STREAM_TENSOR,   /* reductions over the tensor group   */
    STREAM_PIPE_IN,  /* from another stage                 */
    STREAM_PIPE_OUT, /* to another stage                   */
    STREAM_DATA,     /* reductions over the data group     */
    STREAM_HOST,     /* optimizer, in the store or here    */
    STREAM_COUNT
} op_stream;

/*
 * What an operation does. Views are listed in the order given; (w) is
 * written, (rw) read and written, others are read.
 */
typedef enum op_kind {
    OP_BATCH,      /* ids(w) targets(w) pos(w) [slots(w)]               */
    OP_LOAD,       /* rows of a parameter: store -> w(w)                */
    OP_LOAD_ROWS,  /* embedding rows of the batch: store -> table(w)    */
    OP_DRAIN,      /* gradient rows: g -> store                         */
    OP_DRAIN_ROWS, /* embedding gradient rows, added in the store: g    */
    OP_EMBED,      /* ids table x(w): rows of the table                 */
    OP_POSITION,   /* wpe x(rw): adds position rows                     */
    OP_NORM,       /* x gamma beta y(w) stats(w)                        */
    OP_FORWARD,    /* matmul of a panel, forward; see op_form           */
    OP_BIAS,       /* y(rw) bias                                        */
    OP_ROPE,       /* qkv(rw); flag: inverse                            */
    OP_CACHE,      /* qkv cache(rw): k and v to the caller's position   */
    OP_ATTENTION,  /* qkv out(w) lse(w) [cache]: k and v are there, and
                    * queries begin at the caller's position            */
    OP_ACT,        /* u g(w)                                            */
    OP_RESIDUAL,   /* x y out(w) [b1] [b2]                              */
    OP_ROW,        /* x row(w): the one row that the caller asks for    */
    OP_XENT_STATS, /* logits stats(rw); part of leaf `flag` of this rank,
                    * `arg` rows after its first                        */
    OP_XENT_PICK,  /* logits targets picked(rw)                         */
    OP_XENT_LOSS,  /* stats picked norm(w) loss(w)                      */
    OP_XENT_GRAD,  /* logits(rw) targets norm                           */
    OP_DINPUT,     /* matmul of a panel, input gradient; see op_form    */
    OP_DWEIGHT,    /* matmul of a panel, weight gradient; FORM_SUM      */
    OP_DBIAS,      /* dy stack(rw): column sums                         */
    OP_DNORM,      /* dy x gamma stats dx(rw)                           */
    OP_DNORM_W,    /* dy x stats stack(rw) stack(rw)                    */
    OP_DACT,       /* u dg(rw)                                          */
    OP_DATTENTION, /* qkv out lse dout dqkv(w)                          */
    OP_DEMBED,     /* ids dx g(w)                                       */
    OP_ADD,        /* into(rw) from: leaf sum                           */
    OP_ZERO,       /* p(w)                                              */
    OP_SEND,       /* x -> peer                                         */
    OP_RECV,       /* peer -> x(w)                                      */
    OP_ALLREDUCE,  /* work(w) stack(rw): tree of `rows` leaves over the
                    * group of `arg` ranks, into plane 0                */
    OP_LOSS,       /* loss: leaf sums of the batch, over all ranks      */
    OP_GRAD_NORM,  /* g: sums of squares of a panel (or in the store)   */
    OP_CLIP,       /* global norm over all ranks, clip coefficient      */
    OP_UPDATE,     /* w(rw) g m(rw) v(rw), or in the store              */
    OP_KIND_COUNT
} op_kind;

/* Matmuls come in two forms whatever their kind:
 *  EXPAND  x w y(w):        y[n][rows] = x[n][cols] w[rows][cols]^T
 *  SUM     a0 b0 [a1 b1] stack(rw): tree sum over segments, see math.h */
typedef enum op_form { FORM_NONE, FORM_EXPAND, FORM_SUM } op_form;

/* Which part of a step an operation belongs to; validation runs PHASE_FORWARD
 * and OP_CLIP alone (prog_is_forward). */
typedef enum op_phase { PHASE_FORWARD, PHASE_BACKWARD, PHASE_UPDATE } op_phase;

/* Guarded tails: operations that depend on a value. The guard is an operation
 * whose outcome all ranks agree on (OP_CLIP: are loss and gradient norm
 * finite?); it chooses a tail, and operations of other tails do not run. Only
 * operations of a tail may wait for operations of it. */
typedef enum op_tail {
    TAIL_ALWAYS, /* not guarded                                           */
    TAIL_SOUND,  /* finite: the updates                                   */
    TAIL_BROKEN  /* not finite: nothing, weights stay as they are         */
} op_tail;

typedef enum op_group {
    GROUP_NONE,
    GROUP_TENSOR, /* same data share and stage                         */
    GROUP_DATA,   /* same stage and tensor share                       */
    GROUP_TIE,    /* first and last stage of a pipeline, tied head     */
    GROUP_WORLD,  /* all ranks of the set-up                           */
    GROUP_COUNT
} op_group;

typedef enum buf_class {
    BUF_WEIGHT,
    BUF_GRADIENT,
    BUF_OPTIMIZER,
    BUF_ACTIVATION, /* kept from forward to backward                 */
    BUF_WORKING,    /* lives inside one layer                        */
    BUF_LOGITS,
    BUF_SCRATCH, /* kernels' and reductions' work memory             */
    BUF_CLASS_COUNT
} buf_class;

typedef enum view_mode { VIEW_R = 1, VIEW_W = 2, VIEW_RW = 3 } view_mode;

/* rows x cols floats of a buffer, from `off`, rows `ld` apart. */
typedef struct prog_view {
    int32_t buf;
    int32_t mode;
    int64_t off;
    int64_t rows;
    int64_t cols;
    int64_t ld;
} prog_view;

typedef struct prog_buf {
    const char *name; /* literal                                          */
    int32_t cls;
    int32_t layer;      /* -1: none                                       */
    int32_t persistent; /* lives in every step, keeps its value           */
    int32_t first;      /* first and last operation that touches it       */
    int32_t last;
    int64_t floats;
    int64_t offset; /* bytes in the arena, set by prog_finish             */
} prog_buf;

/* State of a tree-sum accumulator when an operation begins. Its planes are
 * the operation's view that goes with it: rows x cols of plane 0; plane i
 * begins i * plane floats later. */
typedef struct prog_stack {
    tree_state state;
    int32_t planes;
    int64_t plane;
} prog_stack;

typedef struct prog_dep {
    int32_t from; /* who waits                                             */
    int32_t op;   /* for whom                                              */
    int32_t distance;
} prog_dep;

typedef struct prog_op {
    uint8_t kind;
    uint8_t form;
    uint8_t stream;
    uint8_t group;
    uint8_t phase;
    uint8_t tail;
    int16_t layer; /* -1: none                                            */
    int16_t flag;  /* kind-specific switch                                */
    int32_t seq0;  /* micro-batch range: local sequences [seq0, seq0+seqs)*/
    int32_t seqs;
    int32_t param; /* index into the parameter table, -1: none            */
    int32_t peer;  /* send, recv: -1 stage before, +1 stage after         */
    int64_t row0;  /* rows of the parameter, relative to this rank's shard */
    int64_t rows;
    int64_t arg; /* kind-specific number                                  */
    int32_t view0, views;
    int32_t seg0, segs;
    int32_t stack0, stacks;
    int32_t dep0, deps;
    int32_t awaited; /* 1: an operation of another stream waits for it    */
    double flops;
    double bytes; /* moved over a link or group; else touched in memory   */
} prog_op;

typedef struct program {
    prog_op *ops;
    int32_t nops;
    prog_buf *bufs;
    int32_t nbufs;
    prog_view *view;
    int32_t nviews;
    tree_seg *seg;
    int32_t nsegs;
    prog_stack *stack;
    int32_t nstacks;
    prog_dep *dep;
    int32_t ndeps;
    int64_t peak_bytes; /* arena bytes that the plan needs                */
    int64_t class_bytes[BUF_CLASS_COUNT]; /* at the moment of the peak    */
    int32_t work_buf; /* scratch shared by all compute operations        */
    op_phase phase;   /* given to operations that are added              */
    op_tail tail;     /* the same                                        */
    int32_t guard;    /* the operation that chooses the tail, -1: none   */
    int32_t cap_ops, cap_bufs, cap_views, cap_segs, cap_stacks, cap_deps;
    bool placed;   /* by prog_arrange                                      */
    status failed; /* first allocation failure while building              */
} program;

/* Where a rank stands. */
typedef struct prog_place {
    int32_t class_index;
    int32_t data, pipe, tensor; /* coordinates in the grid                */
    int32_t prev, next;         /* world ranks of the stages beside, or -1 */
} prog_place;

typedef struct program_set {
    program *classes;
    int32_t nclasses;
    prog_place *places;
    int32_t nranks;
} program_set;

/* --- building: failures are kept in p->failed, reported by prog_finish --- */

void prog_init(program *p);
void prog_fini(program *p);
/* Empty again; its memory stays, for the next program. */
void prog_clear(program *p);

int32_t prog_buffer(program *p, const char *name, buf_class cls, int layer,
                    int64_t floats, bool persistent);
prog_view prog_whole(const program *p, int32_t buf, int64_t rows, int64_t cols,
                     int64_t ld);
/* rows [r0, r0 + rows) and columns [c0, c0 + cols) of v. */
prog_view prog_sub(prog_view v, int64_t r0, int64_t rows, int64_t c0,
                   int64_t cols);

/* Adds an operation to the end; returns its index. Views, segments, stacks
 * and waits are then added to it, before the next operation. */
int32_t prog_add(program *p, op_kind kind, op_stream stream, int layer);
prog_op *prog_last(program *p);
/* The last operation is the guard; those added from now on are of `tail`. */
void prog_guard(program *p, op_tail tail);
void prog_use(program *p, prog_view v, view_mode mode);
void prog_segments(program *p, const tree_seg *segs, int n);
void prog_accumulate(program *p, const prog_stack *s);
/* Operation `from` waits for `op`, for what goes through the store. */
void prog_wait(program *p, int32_t from, int32_t op, int distance);

/* Bytes that a buffer takes in the arena, with padding. */
int64_t prog_buf_bytes(const prog_buf *b);

/* True for what validation runs: the forward part, and OP_CLIP, which also
 * adds up the loss. */
bool prog_is_forward(const prog_op *o);

/* Moves loads up in the issue order, so that a window of loaded data lies in
 * the arena before it is used, and drains down, so that as much may wait to
 * leave: layer_bytes in layers, outer_bytes in embedding and head. Before
 * prog_finish. */
void prog_prefetch(program *p, double layer_bytes, double outer_bytes);

/* The most bytes that live at once, which no memory plan can be below. Fails
 * with ST_SYSTEM only. */
MUST_USE status prog_most_live(program *p, int64_t *bytes);
/* Derives live ranges and offsets: enough to compare peak_bytes with a budget,
 * which the plan may exceed. Nothing but waits is added after it. Fails with
 * ST_SYSTEM only. */
MUST_USE status prog_arrange(program *p);
/* Does so unless it is done, and derives the waits. Fails with ST_SYSTEM
 * only. */
MUST_USE status prog_finish(program *p);

/* --- checks (check.c) ---------------------------------------------------- */

/* One class: views inside their buffers, nothing read that was not written,
 * sums by leaves whole when they are read, no two live buffers share bytes,
 * waits point backwards and order all that touch the same bytes (or the same
 * rows in the store), a budget (0: none); both for a step and for its forward
 * part alone. Fails with ST_BUDGET, or ST_INTERNAL naming operation and
 * buffer. */
MUST_USE status prog_check(const program *p, int64_t budget_bytes);
/* The whole set: every send meets its receive with equal sizes, all members
 * of a group issue its collectives in the same order with equal sizes, and
 * running all ranks' streams never stops before the end (no deadlock). The
 * programs themselves have passed prog_check. Fails with ST_INTERNAL naming
 * rank, class and operation. */
MUST_USE status prog_set_check(const program_set *set);

/* --- looking (print.c) --------------------------------------------------- */

const char *op_kind_name(op_kind k);
const char *op_stream_name(op_stream s);
const char *op_group_name(op_group g);
const char *buf_class_name(buf_class c);
void prog_print(const program *p, FILE *f, int max_ops);

typedef struct prog_totals {
    int64_t ops[OP_KIND_COUNT];
    double flops[OP_KIND_COUNT];
    double bytes[OP_KIND_COUNT];
    int64_t messages; /* sent, and shares in a reduction                  */
    double load_bytes, drain_bytes, pipe_bytes, tensor_bytes, data_bytes;
} prog_totals;
/* Over ranks the totals add up: a message counts where it is sent, and not
 * once more where it is received. */
void prog_count(const program *p, prog_totals *out);

/* Arena bytes of the fullest rank. */
int64_t prog_set_peak(const program_set *set);

/* Groups of ranks that the programs communicate in. */
int prog_set_groups(const program_set *set);

void program_set_fini(program_set *set);

#endif
