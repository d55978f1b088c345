/*
 * Going on with a run: what it must share with the one in the checkpoint, and
 * what it may change.
 *
 * A checkpoint knows no layout: any set-up may go on with it. But model, seed,
 * batch, data and leaves are the run's own; with others it would be another
 * run. What the optimizer does may be changed, and is said.
 *
 * Called before anything starts. Local: every rank looks for itself.
 */
#ifndef WEFT_TRAIN_RESUME_H
#define WEFT_TRAIN_RESUME_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/results/checkpoint.h"

/* What a person asked for. */
typedef struct resume_run {
    const arch *a;
    int64_t steps; /* of the whole run                                     */
    uint64_t seed;
    int64_t batch, seq;
    const char *data;
    uint64_t data_hash; /* tokens_hash                                     */
    int64_t data_leaves, tensor_leaves; /* 0: not said, or fast sums       */
} resume_run;

/* ST_CONFIG with all that differs, in one line, if the checkpoint `was` at
 * `path` is of another run, has weights only, or is at the end. */
MUST_USE status resume_check(const char *path, const ckpt_info *was,
                             const resume_run *now);

/* Appends what differs of two configurations (JSON, as opt_write_json writes
 * them) and changes the course of a run: "lr 5 (was 0.001), steps ...".
 * Texts that are no JSON have nothing to say. Fails without memory. */
MUST_USE status resume_changes(const char *was, const char *now, strbuf *out);

#endif
