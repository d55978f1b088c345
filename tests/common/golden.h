/*
 * A golden case (tests/golden/CASE, made by make_golden.py): runs it on a
 * set-up and compares with what Hugging Face computed in float64.
 */
#ifndef WEFT_TESTS_COMMON_GOLDEN_H
#define WEFT_TESTS_COMMON_GOLDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/setup.h"
#include "runtime/comm/comm.h"
#include "runtime/exec/exec.h"
#include "runtime/io/h5.h"

enum { GOLDEN_STEPS = 20 };

typedef struct golden {
    char dir[256];
    h5_file *file;
    int32_t *ids; /* [step][B][T + 1] */
    int64_t B, T;
    double loss, grad_norm;
    double losses[GOLDEN_STEPS];
    double norms[GOLDEN_STEPS];
    double lr, min_lr, beta1, beta2, eps, weight_decay, clip;
    int64_t warmup, total;
} golden;

MUST_USE status golden_open(const char *name, golden *out);
void golden_close(golden *g);

/* A case running on a set-up. */
typedef struct golden_run {
    setup s;
    store *store;
    exec *e;
    golden *g;
} golden_run;

/* o: model, batch and seq are filled in. Collective over world. */
MUST_USE status golden_start(golden *g, setup_options o, comm *world,
                             golden_run *out);
void golden_stop(golden_run *r);

/* Step s with the case's learning rate. Collective. */
MUST_USE status golden_step(golden_run *r, int64_t s, exec_result *out);

/* Largest norm(difference) / max(norm(golden), floor) over gradient tensors
 * after step 0 of a set-up of one rank, resident or streamed (then it is what
 * was drained to the store); floor is 1e-3 of the global norm. Names the worst
 * tensor. */
MUST_USE status golden_gradients(golden_run *r, double *worst, char *name,
                                 int size);

#endif
