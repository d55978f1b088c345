/*
 * The streaming compiler: a step program from a model alone.
 *
 * One device holds no weights. Panels of every matrix stream past all tokens
 * of the batch, layer by layer, forward and backward; finished gradient
 * panels stream back; the store sums squares, clips and updates. Weights
 * cross the link twice a step however many micro-batches there are (three
 * times if activations are recomputed and a layer does not fit the device),
 * embedding rows only for the tokens of the batch.
 *
 * The arena holds: activations kept for backward (of every layer, or only
 * the inputs of the layers with recompute), the working set of one layer, and
 * a window of panels on their way in and out. Given a budget, the compiler
 * takes the largest panels of layers that fit, then as many of the head's
 * logits and as large panels of the head as the rest holds.
 *
 * Pure. Local.
 */
#ifndef WEFT_WS_COMPILE_H
#define WEFT_WS_COMPILE_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/program/program.h"

typedef enum ws_recompute {
    WS_RECOMPUTE_AUTO, /* keep activations if they fit */
    WS_RECOMPUTE_NONE,
    WS_RECOMPUTE_FULL
} ws_recompute;

typedef struct ws_config {
    int64_t budget_bytes; /* device memory; 0: no limit                   */
    int64_t micro_batch;  /* sequences; 0: all                            */
    ws_recompute recompute;
    /* For tests, which try more sizes than the search does. */
    int64_t panel_bytes;  /* largest panel; 0: chosen                     */
    int64_t window_bytes; /* loaded ahead; 0: two panels                  */
} ws_config;

/* What the compiler chose. */
typedef struct ws_choice {
    int64_t panel_bytes; /* of a layer's matrices; the window is twice that */
    int64_t head_panel_bytes; /* of embedding and head, the same          */
    bool recompute;
    bool hold; /* a layer's weights, from recompute to its backward       */
    int32_t keep_eighths; /* of the logits, see gpt_build                 */
} ws_choice;

/* sh: N, T, D, S, threads, kblock are used; dp and tp are 1. One program, one
 * rank. The peak of a program that fits is enough as a budget, too. Fails with
 * ST_BUDGET, saying what the least plan needs, and with ST_CONFIG where a
 * micro-batch is larger than the batch. Owns: *out,
 * program_set_fini. */
MUST_USE status ws_compile(const arch *a, const params *ps, gpt_shape sh,
                           const ws_config *config, program_set *out,
                           ws_choice *choice);

/* A program that makes the logits behind one row of a sequence, for
 * exec_logits: forward only, no state but weights, one micro-batch. sh: N = 1
 * and T, D, S, threads, kblock are used; its share is filled in. context > 0:
 * keys and values of so many positions stay in the arena, T tokens join them;
 * 0: T tokens are the whole sequence. The largest panels that `budget` (0:
 * none) allows. Fails with ST_BUDGET. Owns: *out, program_set_fini. */
MUST_USE status ws_compile_infer(const arch *a, const params *ps, gpt_shape *sh,
                                 int64_t context, int64_t budget,
                                 program_set *out, ws_choice *choice);

/* A lower bound on the arena in closed form: the residual stream kept for
 * every layer, and the smallest working set. No compile. */
int64_t ws_least_bytes(const arch *a, const gpt_shape *sh);

/* ST_BUDGET if no choice fits the budget, naming what the leanest needs: by
 * the bound, and the arena of two layers and what the others keep, so that it
 * is known soon. `closely` false: the bound alone decides. Fails with ST_CONFIG
 * as ws_compile. */
MUST_USE status ws_admit(const arch *a, gpt_shape sh, const ws_config *config,
                         bool closely);

#endif
