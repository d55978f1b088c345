/* Shared by the files that price operations; see cost.h. */
#ifndef WEFT_SIM_COST_IMPL_H
#define WEFT_SIM_COST_IMPL_H

#include "runtime/sim/cost.h"

/* Memory of the device and, behind it, of its store, in blocks. */
typedef struct cost_memory {
    double *when; /* bytes touched before the last use, -1: never          */
    int64_t blocks;
    int64_t block;  /* bytes */
    double now;     /* bytes touched so far                               */
    int64_t arena;  /* bytes of the device                                */
    int64_t *param; /* where a parameter begins in the store: w g m v      */
} cost_memory;

/* A program that is being priced. */
typedef struct cost_pricing {
    const sim_setup *in;
    const program *p;
    cost_memory mem;
} cost_pricing;

/* --- cost_memory.c: how long ago bytes were touched --- */

/* Also after a failure: cost_memory_fini. */
MUST_USE status cost_memory_init(cost_pricing *pr);
void cost_memory_fini(cost_pricing *pr);
/* Touches what the operation touches; shares by how long ago that was. */
void cost_touch(cost_pricing *pr, const prog_op *o, double ago[SIM_AGO]);

/* --- cost_shape.c: from operations to terms --- */

/* Everything of *t but ago. */
void cost_shape(const cost_pricing *pr, const prog_op *o, int threads,
                sim_shape *t);
/* The clearing of a table's gradient before rows are added to it. */
void cost_shape_clearing(const cost_pricing *pr, const prog_op *o, int threads,
                         sim_shape *t);

/* --- cost_laws.c: from terms to seconds --- */

/* By the laws of the numbers of threads on both sides. */
MUST_USE status cost_seconds(const sim_setup *in, const sim_shape *t,
                             double *out);
/* Mean price of what was touched so long ago as the shares say. */
double cost_by_ago(const sim_curve *c, const double ago[SIM_AGO]);

#endif
