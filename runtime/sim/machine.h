/*
 * A machine, as a JSON file describes it: what an operation costs there.
 *
 * Cost laws. The seconds of an operation are a sum of terms, each a count
 * that follows from the operation's shape times a constant of the machine:
 *
 *   matrix products (expand, sum, dweight)
 *     op    1                          call  products of one segment
 *     flop  2 m n k, m and n in tiles  a, b  floats of an operand packed
 *     c     floats of the result, once a block of k
 *     join  floats added where leaves of a tree sum join
 *     items floats of operands and result, see below
 *   attention, dattention
 *     op    1                          call  blocks of queries
 *     flop  of the products            c     scores
 *   everything else
 *     op    1                          row   rows
 *     items elements, at a price that depends on how many bytes were touched
 *           since these were: a curve, because a machine has caches
 *
 * A law is given for one or more numbers of threads. m, n and k count what
 * the busiest thread does, so a law also says what threads cost each other.
 * It may be given again for ranks of a node that work at once: they share
 * its caches and its memory's bandwidth.
 * Any device fits in: on a GPU the threads are its multiprocessors as one, and
 * op is the launch.
 *
 * Streams. Those in `overlap` run beside compute; those in `overlap_store` do
 * where there is a store; the others run in issue order with it.
 *
 * Every group of constants has a `source`: how it was measured, or where it
 * was read. Times are seconds, sizes bytes, rates per second.
 *
 * A machine is a plain value. Reading does I/O, the rest is pure. Local.
 */
#ifndef WEFT_SIM_MACHINE_H
#define WEFT_SIM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/program/program.h"

typedef enum sim_kernel {
    KERNEL_EXPAND,
    KERNEL_SUM,
    KERNEL_DWEIGHT,
    KERNEL_ATTENTION,
    KERNEL_DATTENTION,
    KERNEL_EMBED,
    KERNEL_DEMBED,
    KERNEL_NORM,
    KERNEL_DNORM,
    KERNEL_DNORM_W,
    KERNEL_BIAS,
    KERNEL_DBIAS,
    KERNEL_ROPE,
    KERNEL_ACT,
    KERNEL_DACT,
    KERNEL_RESIDUAL,
    KERNEL_ADD,
    KERNEL_ZERO,
    KERNEL_XENT_STATS,
    KERNEL_XENT_PICK,
    KERNEL_XENT_LOSS,
    KERNEL_XENT_GRAD,
    KERNEL_GRAD_NORM,
    KERNEL_UPDATE,
    KERNEL_COPY,       /* store to device                                */
    KERNEL_DRAIN,      /* device to store, which sums squares of rows    */
    KERNEL_STORE_NORM, /* the store's norm of a gradient, from these     */
    KERNEL_BATCH,
    KERNEL_COUNT
} sim_kernel;

typedef enum sim_term {
    TERM_OP,
    TERM_CALL,
    TERM_ROW,
    TERM_FLOP,
    TERM_A,
    TERM_B,
    TERM_C,
    TERM_JOIN,
    TERM_COUNT
} sim_term;

enum { SIM_POINTS = 8, SIM_LEVELS = 12, SIM_LINKS = 4, SIM_TEXT = 256 };

/* y of x, x rising: between points by straight lines over the logarithm of
 * x, beyond them as at the last one. No points: 0. */
typedef struct sim_curve {
    int32_t points;
    double x[SIM_POINTS];
    double y[SIM_POINTS];
} sim_curve;

typedef struct sim_law {
    bool known;
    double term[TERM_COUNT]; /* seconds of one                            */
    sim_curve items; /* seconds of an item by bytes touched since          */
    double spread;   /* of its measurements: (most - least) / median; NaN   */
    double misfit;   /* largest relative error at a measured point; NaN     */
} sim_law;

/* Laws for one number of computing threads, in rising order, of a rank that
 * has the node to itself. After them, in rising order of ranks, laws on one
 * thread while that many ranks of the node work at once. */
typedef struct sim_level {
    int32_t threads;
    int32_t ranks;
    double pace; /* of products meanwhile (runtime/math/pace.h); 0: unknown */
    char source[SIM_TEXT];
    sim_law law[KERNEL_COUNT];
} sim_level;

/* Messages of one kind: op once, message for each, byte for each sent. */
typedef struct sim_transfer {
    double op, message, byte;
    sim_curve far; /* more seconds of a byte by bytes touched since        */
} sim_transfer;

/* Between ranks: within groups of at most `ranks`. */
typedef struct sim_link {
    int32_t ranks;
    bool shared_cores; /* ranks share cores: seconds are of CPU time      */
    sim_transfer p2p;  /* a message between stages                        */
    sim_transfer tree; /* a reduction by leaves                           */
    sim_transfer sum;  /* of a few numbers over all ranks                 */
    double spin;       /* CPU seconds that a wait costs at its begin      */
    double waiting;    /* and those of each further second                */
    /* Where cores are shared: CPU seconds of a meeting by the seconds that
     * each rank has worked since the last one. Who comes first waits while
     * the others work on the cores that it would need. */
    sim_curve at_work;
    char source[SIM_TEXT];
} sim_link;

typedef struct machine {
    char name[SIM_TEXT];
    char source[SIM_TEXT];
    char date[32];
    char cpu[SIM_TEXT];
    char libraries[SIM_TEXT];
    int32_t cores;        /* that the ranks of a node share               */
    int64_t memory_bytes; /* of a node or device                          */
    int32_t tile_m, tile_n, tile_k; /* of a matrix product               */
    int32_t query_block;            /* of attention                       */
    int64_t serial_items; /* fewer elements than this use one thread      */
    int64_t sum_floats;   /* of a result that a sum by leaves does at once  */
    uint32_t overlap;     /* bit by op_stream                             */
    uint32_t overlap_store;
    bool steps_overlap;  /* a step begins before the last has ended       */
    bool async_messages; /* they move while their ranks compute           */

    double dispatch_s; /* between two operations of a stream              */
    double wake_s;     /* from one stream to another that waits           */
    double late_s;     /* by which a sleep for a throttled link is late   */
    double step_s;     /* of a step, outside of operations                */
    char dispatch_source[SIM_TEXT];

    /* Store streams take from compute: the rate of a store stream while
     * compute runs, and compute's loss per second of it. Shared cores, or
     * shared memory bandwidth; 1 and 0: nothing is shared. */
    double side_rate, side_loss;
    char side_source[SIM_TEXT];

    double store_latency_s;
    double store_bytes_per_s; /* each way; 0: not limited                  */
    char store_source[SIM_TEXT];

    int32_t nlevels;
    sim_level level[SIM_LEVELS];
    int32_t nlinks;
    sim_link link[SIM_LINKS];
} machine;

const char *sim_kernel_name(sim_kernel k);

/* Numbers that no file need give: nothing known, nothing shared. */
void machine_init(machine *m);
/* Fails with ST_NOINPUT,
 * ST_BADFILE, ST_CONFIG: unknown and missing keys, values out of range. */
MUST_USE status machine_open(const char *path, machine *out);
MUST_USE status machine_parse(const char *text, const char *name, machine *out);
/* The file's text; machine_parse of it gives m again. Owns: *text, mem_free. */
MUST_USE status machine_text(const machine *m, char **text);

#endif
