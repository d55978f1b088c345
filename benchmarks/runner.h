/*
 * A set-up that makes steps on made-up tokens, for measurements: programs,
 * store, executor and initial weights. One rank.
 */
#ifndef WEFT_BENCHMARKS_RUNNER_H
#define WEFT_BENCHMARKS_RUNNER_H

#include "benchmarks/setup.h"
#include "runtime/comm/comm.h"
#include "runtime/exec/exec.h"

typedef struct runner {
    setup s;
    store *store;
    exec *e;
    int64_t step;
    exec_result last;
} runner;

/* `self` is a world of one rank, borrowed. Owns: r, runner_close, also after
 * a failure. */
MUST_USE status runner_open(const arch *a, const setup_options *o, comm *self,
                            runner *r);
void runner_close(runner *r);
/* One training step; wall seconds of it. ST_SIGNAL once a signal has come. */
MUST_USE status runner_step(runner *r, double *seconds);

#endif
