/*
 * The store in this process's memory. Arithmetic runs with `threads` threads.
 * Owns everything it holds; ops->destroy. Local.
 */
#ifndef WEFT_WS_STORE_RAM_H
#define WEFT_WS_STORE_RAM_H

#include "runtime/base/status.h"
#include "runtime/device/store.h"
#include "runtime/gpt/params.h"
#include "runtime/math/math.h"

/* What any kind of store is told of a model's parameters. Owns: *out, ps->n of
 * them, mem_free. */
MUST_USE status store_list_params(const params *ps, store_param **out);

/* All state zero. Borrows math. */
MUST_USE status store_ram_create(const store_param *shapes, int n,
                                 const math_ops *math, int threads,
                                 store **out);

/* Weights alone, 4 bytes a parameter instead of 16: for programs that only
 * load. begin fails, and so do reading and writing moments. */
MUST_USE status store_ram_weights(const store_param *shapes, int n,
                                  store **out);

#endif
