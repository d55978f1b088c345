/*
 * Calibration: measures this machine through what it will run, and describes
 * it (runtime/sim/machine.h).
 *
 * Small made-up models make real steps: resident for the kernels, streamed
 * for the copies between store and device, on one thread and on more. Each
 * operation's time is taken over many steps; the laws of a kernel are fitted
 * to all its operations, whatever model they are of, by least squares with no
 * constant below zero. The models are of other shapes than those in
 * configs/models, so a prediction of one of those is not one of a measurement.
 *
 *   calibrate.c        models, steps, laws of kernels
 *   calibrate_fit.c    the least squares
 *   calibrate_side.c   streams that share cores, waking a thread
 *   calibrate_links.c  messages and reductions between ranks
 *
 * Local but for calibrate_links. Prints nothing.
 */
#ifndef WEFT_BENCHMARKS_CALIBRATE_H
#define WEFT_BENCHMARKS_CALIBRATE_H

#include <stdbool.h>

#include "runtime/comm/comm.h"
#include "runtime/sim/cost.h"

/* Everything of one rank on 1 to `threads` threads, some seconds; `quick`:
 * fewer models and steps. */
MUST_USE status calibrate_host(comm *self, int threads, bool quick,
                               machine *out);
/* Adds how the ranks of `world` talk to each other. Collective; rank 0's m is
 * changed. */
MUST_USE status calibrate_links(comm *world, bool quick, machine *m);
/* Of a machine that has its laws: what streams beside compute cost each
 * other. */
MUST_USE status calibrate_side(int threads, bool quick, machine *m);

/* --- fitting --- */

/* What was measured of one operation. */
typedef struct calibrate_sample {
    sim_shape shape;
    double seconds;
    double spread; /* (upper - lower quartile) / median                  */
} calibrate_sample;

/* The law of kernel k on `threads` threads, from those samples that are of
 * both. Not known where there is none. Pure. */
MUST_USE status calibrate_fit(const calibrate_sample *s, int64_t n,
                              sim_kernel k, int threads, sim_law *out);

/* Least squares with no x below zero: rows of `cols` factors and what they
 * should add up to, relative errors, far-off rows count less. */
enum { FIT_COLS_MAX = TERM_COUNT + SIM_POINTS };
MUST_USE status calibrate_solve(const double *rows, const double *want,
                                int64_t n, int cols, double *x);

#endif
