/*
 * A model that continues text: from token ids to the logits of the next one.
 *
 * Owns a store with a checkpoint's weights (4 bytes a parameter; no moments),
 * one streamed program and its executor. There are two kinds of program:
 *
 *  cached   takes 16 tokens at a time; keys and values of all positions stay in
 *           the arena. A call costs a pass of the weights for every 16 ids that
 *           the call before did not begin with: one pass when text is continued
 *           token by token.
 *  whole    where the device has no room for that: all ids at once, filled up
 *           with token 0 to 32, 64, 128, ... positions (what follows a position
 *           cannot change it). Compiled when the one at hand is too small or
 *           more than twice as large.
 *
 * The logits have the same bits whatever the kind, the device memory and the
 * threads: those that training has in its forward part, with the tensor leaves
 * of the checkpoint.
 *
 * One process; Collective over a world of one. One thread calls.
 */
#ifndef WEFT_WS_INFER_H
#define WEFT_WS_INFER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/comm/comm.h"
#include "runtime/gpt/arch.h"

typedef struct infer infer;

typedef struct infer_options {
    int64_t context;       /* most ids at once; 0: as many as the run that
                            * made the checkpoint had in a sequence, or the
                            * model's positions where there was no run       */
    int64_t device_memory; /* arena bytes; 0: what is needed                 */
    bool no_cache;         /* also where there is room for one               */
    int64_t least;         /* positions of the smallest `whole`; 0: 32       */
    int threads;           /* 0: usable cores                                */
    bool reference;        /* plain kernels                                  */
} infer_options;

/* Reads the model and its weights. Fails like ckpt_load; ST_CONFIG where the
 * context is beyond the model, ST_BUDGET where this machine or the device
 * cannot hold it (tried with the whole context). Owns: *out, infer_close. */
MUST_USE status infer_open(const char *ckpt, const infer_options *o,
                           comm *world, infer **out);
/* NULL is fine. */
void infer_close(infer *m);

/* Lends. */
const arch *infer_arch(const infer *m);
int64_t infer_context(const infer *m);
/* For tests, which compare both kinds: true where there is a cache, which
 * there is where it has room. */
bool infer_cached(const infer *m);

/* logits[V] of what follows ids[n], 1 <= n <= context. Lends until the next
 * call. Fails with ST_CONFIG for an id outside the vocabulary. */
MUST_USE status infer_logits(infer *m, const int32_t *ids, int64_t n,
                             const float **logits);

#endif
