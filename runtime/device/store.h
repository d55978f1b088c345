/*
 * The parameter store: where a streaming device's weights come from and its
 * gradients go to. An executor never knows which kind it has.
 *
 * A store holds, for every parameter, master weights, first and second
 * moments and one gradient, rows x cols as in the parameter table. In a step
 * the load thread calls load and load_rows, the drain thread drain and
 * drain_rows, the host thread norm and update; a parameter is normed after
 * its last drain and updated after all norms (the program's waits say so), so
 * a store needs no lock between them for the same rows.
 *
 * Order of a step: begin; loads and drains; norms; updates; end. A drain
 * replaces the rows' gradient; drain_rows adds to it. Rows of a parameter
 * that nothing is drained to have gradient 0 (embeddings, positions). A step
 * that is not to change anything (it failed, or its norm is not finite) is
 * dropped before its first update.
 *
 * Steps overlap: once all norms of a step are taken, the next may begin while
 * updates are still to come. Then a parameter's loads, drains and norm of the
 * next step come after its update of this one, and this one's end before the
 * next one's first update.
 *
 * Errors: a status with the store's name and what failed. Local.
 */
#ifndef WEFT_DEVICE_STORE_H
#define WEFT_DEVICE_STORE_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct store store;

typedef enum store_state { STORE_WEIGHT, STORE_M, STORE_V } store_state;

/* AdamW scalars of one step, see math_adamw; decay only where the parameter
 * decays. */
typedef struct store_update {
    float lr, beta1, beta2, eps, weight_decay;
    float bias1, bias2;
    float clip;
} store_update;

typedef struct store_ops {
    const char *name;
    status (*begin)(store *, int64_t step);
    status (*load)(store *, int par, int64_t row0, int64_t rows, float *to);
    /* Row ids[i] into row i of `to`; ids differ. */
    status (*load_rows)(store *, int par, const int32_t *ids, int64_t n,
                        float *to);
    status (*drain)(store *, int par, int64_t row0, int64_t rows,
                    const float *from);
    status (*drain_rows)(store *, int par, const int32_t *ids, int64_t n,
                         const float *from);
    /* Sums of squares of the gradient's rows, one double each. */
    status (*norm)(store *, int par, double *rows);
    status (*update)(store *, int par, const store_update *);
    status (*end)(store *, int64_t step);
    /* Instead of updates and end: nothing changes. */
    status (*drop)(store *, int64_t step);
    /* Between steps: state of rows, for initial weights, checkpoints. */
    status (*read)(store *, int par, store_state, int64_t row0, int64_t rows,
                   float *to);
    status (*write)(store *, int par, store_state, int64_t row0, int64_t rows,
                    const float *from);
    /* Bytes of state it holds, for tables. */
    int64_t (*bytes)(const store *);
    void (*destroy)(store *);
} store_ops;

struct store {
    const store_ops *ops;
};

/* Shape of a parameter, all that stores know about it. */
typedef struct store_param {
    int64_t rows, cols;
    int32_t decay;
} store_param;

/* Keeps nothing and moves zeros: what a step costs without a store. With a
 * throttled link (link.h) it is a store of a set time. Owns: *out,
 * ops->destroy. */
MUST_USE status store_null_create(const store_param *params, int n,
                                  store **out);

/* Wraps another store (owned from then on) and verifies the contract above:
 * order of calls, rows inside the parameter, every parameter normed and
 * updated once, and that weights loaded in a step have the bytes (checksum)
 * that the last update or write left. Fails with ST_INTERNAL or ST_CORRUPT. */
MUST_USE status store_check_create(store *inner, const store_param *params,
                                   int n, store **out);

#endif
