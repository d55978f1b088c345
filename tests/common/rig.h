/*
 * A rig for tests of the executor: opens a set-up, starts its weights from a
 * seed, and runs steps on a made-up batch. The batch, the weights and the
 * schedule are functions of the step alone, so two rigs on the same model
 * must come to the same bits.
 *
 * Collective over the set-up's ranks where exec is. Plain struct in the
 * caller's storage.
 */
#ifndef WEFT_TESTS_COMMON_RIG_H
#define WEFT_TESTS_COMMON_RIG_H

#include <stdint.h>

#include "benchmarks/setup.h"
#include "runtime/base/status.h"
#include "runtime/comm/comm.h"
#include "runtime/device/store.h"
#include "runtime/exec/exec.h"

typedef struct rig {
    setup s;
    store *store; /* NULL: resident */
    exec *e;
    comm *world;
    /* A test may have the batch fail on this rank. */
    bool batch_fails;
    bool skip_broken; /* see exec_scalars */
    bool overlaps;    /* steps are not settled */
} rig;

/* How a rig differs from the plain one. */
typedef struct rig_more {
    double link_rate, link_latency;
    const math_ops *math; /* in place of the set-up's kernels; NULL: those */
    /* Puts a store in front of the set-up's; which is owned by it. */
    store *(*wrap)(void *self, store *inner);
    void *wrap_self;
    exec_between between; /* of exec_config */
    void *between_self;
} rig_more;

/* more: NULL is fine. Owns: *out, rig_close; after a failure, too. */
MUST_USE status rig_open(const setup_options *o, const rig_more *more,
                         comm *world, rig *out);
void rig_close(rig *r);

/* Weights from the seed, once more; moments as they are. Local. */
MUST_USE status rig_reset_weights(rig *r);

/* Step `step` with the scalars of that step. */
MUST_USE status rig_step(rig *r, int64_t step, exec_result *out);
/* A hash of all weights, on every rank. */
MUST_USE status rig_hash(rig *r, uint64_t *out);
/* Overwrites the first weight of a parameter, where this rank has one: the
 * place for a NaN. Local. */
MUST_USE status rig_poke(rig *r, int par, float value);

/* The set-up that most tests use: two layers of a tiny model. */
setup_options rig_options(const char *shorthand);

#endif
