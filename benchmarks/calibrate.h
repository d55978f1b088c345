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
 *   calibrate.c        laws of kernels
 *   calibrate_trials.c the made-up models and their steps
 *   calibrate_fit.c    the least squares
 *   calibrate_side.c   streams that share cores, waking a thread
 *   calibrate_links.c  messages and reductions between ranks, and the same
 *                      models on all ranks at once
 *
 * Local unless it says otherwise. Prints nothing. What takes long fails with
 * ST_SIGNAL once a signal has come (runtime/base/stop.h), on all ranks
 * together.
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
/* The ranks of the jobs that measure links, rising, and how many jobs: 2 and 4
 * ranks, and 8 where these share cores and 4 do not. With 8 cores and more no
 * job shares them: it would take too long. Pure. */
enum { CALIBRATE_JOBS = 3 };
int calibrate_jobs(int cores, int ranks[CALIBRATE_JOBS]);
/* Adds how the ranks of `world` talk to each other, and what they cost each
 * other when all work. Collective; rank 0's m is changed. */
MUST_USE status calibrate_links(comm *world, bool quick, machine *m);
/* Of a machine that has its laws: what streams beside compute cost each
 * other. */
MUST_USE status calibrate_side(int threads, bool quick, machine *m);

/* What a round of it counted, all a second; 0 copies: their thread got no
 * core. */
typedef struct calibrate_round {
    double products, copies;               /* each alone                   */
    double products_beside, copies_beside; /* at once                      */
} calibrate_round;
typedef status (*calibrate_take)(void *self, calibrate_round *out);
/* Medians of `rounds` rounds (1 to 9) with copies in them, into m->side_rate
 * and m->side_loss. Fails like take, or with ST_SYSTEM after too many without
 * a copy. */
MUST_USE status calibrate_side_rounds(calibrate_take take, void *self,
                                      int rounds, machine *m);

/* --- measuring --- */

typedef struct calibrate_trials calibrate_trials;
typedef struct calibrate_samples calibrate_samples;

/* Opens the made-up models, each on its rank alone (`self`), on all ranks of
 * `world`. m: what shapes follow from; NULL: this rank only keeps another
 * company. Collective over world, as are rounds. Owns: *out,
 * calibrate_trials_close. */
MUST_USE status calibrate_trials_open(comm *world, comm *self, const machine *m,
                                      int threads, bool quick, bool streamed,
                                      calibrate_trials **out);
/* `steps` of each model, each alone and then, if there are others, by all
 * ranks at once: pairs, because the machine drifts. All rounds together at
 * most 16. */
MUST_USE status calibrate_trials_round(calibrate_trials *t, int steps);
/* Of a rank that had m. Owns: all->list, mem_free, also after a failure. */
MUST_USE status calibrate_trials_samples(calibrate_trials *t,
                                         calibrate_samples *all);
void calibrate_trials_close(calibrate_trials *t); /* NULL: nothing */

/* --- fitting --- */

/* What was measured of one operation. */
typedef struct calibrate_sample {
    sim_shape shape;
    double seconds;
    double times;  /* as many times as long with other ranks at work      */
    double spread; /* (upper - lower quartile) / median                  */
} calibrate_sample;

struct calibrate_samples {
    calibrate_sample *list;
    int64_t n;
    double gap_s;        /* between two operations                           */
    int32_t gap_ops;     /* of the program that shows it                     */
    double pace;         /* of products, which all their seconds are for     */
    double pace_at_once; /* with others at work                          */
};

/* The law of kernel k on `threads` threads, from those samples that are of
 * both. Not known where there is none. Pure. */
MUST_USE status calibrate_fit(const calibrate_sample *s, int64_t n,
                              sim_kernel k, int threads, sim_law *out);

/* The same on one thread while other ranks work: the law alone, and as many
 * times more as the samples took then. `alone`'s law where there is no
 * sample. Pure. */
MUST_USE status calibrate_fit_more(const calibrate_sample *s, int64_t n,
                                   sim_kernel k, const sim_law *alone,
                                   sim_law *out);
/* Adds the level of `ranks` at once to m, whose level 0 is there. Pure. */
MUST_USE status calibrate_fit_at_once(const calibrate_samples *all, int ranks,
                                      machine *m);

/* The steps of an item's price at the knots, CALIBRATE_KNOTS of them, of data
 * that was touched so long ago as the shares say; and the curve of the steps
 * that were found. */
enum { CALIBRATE_KNOTS = 5 };
void calibrate_steps(const double ago[SIM_AGO], double row[CALIBRATE_KNOTS]);
void calibrate_curve(const double x[CALIBRATE_KNOTS], sim_curve *out);

/* Least squares with no x below zero: rows of `cols` factors, what they should
 * add up to, and the whole that their errors are relative to; far-off rows
 * count less. */
enum { FIT_COLS_MAX = TERM_COUNT + SIM_POINTS };
MUST_USE status calibrate_solve(const double *rows, const double *want,
                                const double *whole, int64_t n, int cols,
                                double *x);

#endif
