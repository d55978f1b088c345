/*
 * Predictions as results have them: the virtual clock's times by kind of
 * operation and by account, with room for what was measured beside them.
 */
#ifndef WEFT_TRAIN_PREDICT_H
#define WEFT_TRAIN_PREDICT_H

#include "runtime/results/runfile.h"
#include "runtime/sim/clock.h"

typedef struct predicted {
    sim_result sim;
    run_prediction p; /* its kinds are those below                         */
    run_predicted_kind kinds[OP_KIND_COUNT];
} predicted;

/* Runs the set on the clock. What is measured stays NaN and -1. Local. Owns:
 * *out, predict_fini; not to be moved. Fails like sim_run. Warns, one line
 * each, where the machine only has laws of fewer or more threads, and where
 * ranks share cores but none of its links was measured so. */
MUST_USE status predict_set(const sim_setup *in, const program_set *set,
                            predicted *out);
void predict_fini(predicted *p);

#endif
