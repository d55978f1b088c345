/*
 * Model state of a set-up, whole: between a checkpoint's (or a seed's) global
 * tensors and where the set-up keeps them: a store, or shards in the arenas
 * of ranks. Every call settles the executor first.
 */
#ifndef WEFT_TRAIN_STATE_H
#define WEFT_TRAIN_STATE_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/exec/exec.h"

typedef struct train_state {
    exec *e;
    const arch *a;
    const params *ps;
    store *store; /* NULL: resident */
    comm *world;
} train_state;

/* Initial weights from a seed; moments stay zero. Local. */
MUST_USE status train_state_init(train_state *t, uint64_t seed);

/* Takes a whole parameter (rows x cols of the parameter table). Local. */
MUST_USE status train_state_put(train_state *t, int par, store_state which,
                                const float *full);

/* Makes a whole parameter at rank 0 (full is NULL on others). Collective. */
MUST_USE status train_state_get(train_state *t, int par, store_state which,
                                float *full);

/* A hash of all weights (bits), the same under every plan. Collective;
 * result on rank 0. */
MUST_USE status train_state_hash(train_state *t, uint64_t *hash);

#endif
