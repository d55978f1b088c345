/*
 * What the operations of a program cost on a machine: seconds from shapes.
 *
 * An operation's views say how large its matrices are, its segments how a sum
 * is cut, the order of operations how long ago bytes were touched: whatever
 * lies in the arena or the store remembers, in blocks, how many bytes the
 * program has touched up to its last use, twice through the step, so that the
 * first operations find what the step before left. Nothing depends on the
 * name of a model.
 *
 * Pure, local; called once a class.
 */
#ifndef WEFT_SIM_COST_H
#define WEFT_SIM_COST_H

#include "runtime/gpt/build.h"
#include "runtime/sim/machine.h"

/* A set-up as the machine runs it. Borrowed. */
typedef struct sim_setup {
    const machine *m;
    const arch *a;
    const params *ps;
    gpt_shape sh; /* of any rank                                          */
    int32_t ranks;
    int32_t threads;
    bool store;          /* state comes from a store, with its own streams */
    bool shared_cores;   /* ranks share cores: CPU time is what counts     */
    double link_rate;    /* of the run; 0: the machine's                   */
    double link_latency; /* added to the machine's                         */
    double pace; /* of products (runtime/math/pace.h) while the set-up runs;
                  * 0: as the machine says                                 */
} sim_setup;

/* One operation, alone on the machine. */
typedef struct sim_work {
    double s;          /* on its stream, seconds                          */
    double cpu_s;      /* of all its threads together                     */
    double link_bytes; /* over the store's link                           */
} sim_work;

/* What an operation asks of one law: counts of its terms, elements, and how
 * long ago what it touches was touched: shares by powers of two of bytes. */
enum { SIM_AGO = 32, SIM_AGO_FIRST = 12 };
typedef struct sim_shape {
    sim_kernel kernel; /* KERNEL_COUNT: none, it has no cost or a link's   */
    int32_t threads;
    double count[TERM_COUNT];
    double items;
    double ago[SIM_AGO];
} sim_shape;
double sim_ago_bytes(int i);

/* The shapes of a program's operations on in->threads threads; the machine's
 * laws are not asked, but for the terms of a product on several threads: what
 * calibration fits laws to. Fills out[p->nops]. */
MUST_USE status sim_shapes(const sim_setup *in, const program *p,
                           sim_shape *out);

/* Fills out[p->nops]. Transfers between ranks count from when all have
 * arrived. Fails with ST_CONFIG where the machine has no law for a kernel. */
MUST_USE status sim_costs(const sim_setup *in, const program *p, sim_work *out);

/* The link of groups of that many ranks: the smallest that is large enough,
 * or the largest, of the kind asked for if there is one. NULL: none at all. */
const sim_link *sim_link_for(const machine *m, int ranks, bool shared);

/* The number of threads whose laws stand for `threads`: the same, where the
 * machine has laws for fewer and for more, else its least or most. */
int sim_law_threads(const machine *m, int threads);

/* How many times as long products take while the set-up runs as when the
 * machine's laws were measured; NaN: the machine does not say its pace. */
double sim_slower_pace(const sim_setup *in);
/* Of those kernels that follow the pace. */
bool sim_is_product(sim_kernel k);

/* Seconds by a law: what a term counts, elements and their mean price. */
double sim_law_seconds(const sim_law *law, const double count[TERM_COUNT],
                       double items, double item_s);
/* Seconds of a shape by a law. */
double sim_shape_seconds(const sim_law *law, const sim_shape *t);
double sim_curve_at(const sim_curve *c, double x);

/* Seconds of a transfer of data that was touched so long ago as the shares
 * say. */
double sim_transfer_seconds(const sim_transfer *t, double messages,
                            double bytes, const double ago[SIM_AGO]);

/* Counts of a matrix product over segments, of one of `threads` threads. */
typedef struct sim_product {
    double m, n;
    const tree_seg *segs; /* expand: one of length k                      */
    int32_t nsegs;
    tree_state state; /* of the sum when it begins                        */
    bool sum;         /* by leaves                                        */
} sim_product;
void sim_product_counts(const machine *m, const sim_law *law,
                        const sim_product *p, int threads,
                        double count[TERM_COUNT]);
/* Counts of attention, forward or backward. */
void sim_attention_counts(const machine *m, int64_t T, int64_t window,
                          int64_t head_dim, int64_t heads, bool backward,
                          int threads, double count[TERM_COUNT]);

#endif
