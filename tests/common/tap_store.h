/*
 * A store that passes every call on to another one and keeps a copy of the
 * gradients that the device drained: what a streamed step computed, tensor by
 * tensor, which no store hands out.
 *
 * Local. The drain thread writes the copies; read them after the step.
 */
#ifndef WEFT_TESTS_COMMON_TAP_STORE_H
#define WEFT_TESTS_COMMON_TAP_STORE_H

#include "runtime/device/store.h"

/* Owns: *out, and with it `inner`. On failure inner is destroyed. */
MUST_USE status tap_store_create(store *inner, const store_param *shapes, int n,
                                 store **out);

/* Rows x cols of the last step's gradient; 0 where nothing was drained. Lends
 * until the next step. */
const float *tap_store_gradient(const store *tap, int par);

#endif
