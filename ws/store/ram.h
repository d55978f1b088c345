/*
 * The store in this process's memory. Arithmetic runs with `threads` threads.
 * Owns everything it holds; ops->destroy. Local.
 */
#ifndef WEFT_WS_STORE_RAM_H
#define WEFT_WS_STORE_RAM_H

#include "runtime/base/status.h"
#include "runtime/device/store.h"
#include "runtime/math/math.h"

/* All state zero. Borrows math. */
MUST_USE status store_ram_create(const store_param *params, int n,
                                 const math_ops *math, int threads,
                                 store **out);

/* Weights alone, 4 bytes a parameter instead of 16: for programs that only
 * load. begin fails, and so do reading and writing moments. */
MUST_USE status store_ram_weights(const store_param *params, int n,
                                  store **out);

#endif
