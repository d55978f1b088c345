/*
 * A training run: steps, schedule, progress, validation, checkpoints and the
 * results file, for programs, a store and ranks that are handed in.
 *
 * Rank 0 speaks. A signal (SIGINT, SIGTERM, SIGHUP, SIGUSR1) asks it to stop:
 * at the next step boundary all ranks agree, a checkpoint is saved where one
 * was asked for, and the run ends with ST_SIGNAL.
 *
 * Collective over the job's world. One thread.
 */
#ifndef WEFT_TRAIN_RUN_H
#define WEFT_TRAIN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/comm/comm.h"
#include "runtime/device/store.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/math/math.h"
#include "runtime/program/program.h"
#include "runtime/results/runfile.h"
#include "runtime/sim/machine.h"

/* What the optimizer does; times in steps. */
typedef struct train_recipe {
    int64_t steps;
    double lr, min_lr; /* after warm-up, at the end                       */
    int64_t warmup;    /* lr rises as (s + 1) / warmup                    */
    double beta1, beta2, eps, weight_decay;
    double grad_clip;
    bool skip_broken; /* steps that are not finite change nothing         */
    uint64_t seed;
} train_recipe;

typedef struct train_job {
    /* The set-up. Borrowed. */
    const arch *a;
    const params *ps;
    const program_set *set;
    gpt_shape sh; /* of this rank                                         */
    const math_ops *math;
    store *store; /* NULL: resident                                       */
    comm *world;
    int64_t device_memory;
    double link_rate, link_latency;
    bool exact_sums;

    train_recipe recipe;
    const char *data;
    double val_fraction;
    int64_t val_every;   /* steps; 0: never                               */
    int64_t val_batches; /* at most                                       */
    int64_t log_every;

    const char *init;   /* checkpoint to take weights from, or NULL       */
    const char *resume; /* checkpoint to go on from, or NULL              */
    const char *save;   /* checkpoint to write, or NULL                   */
    int64_t save_every; /* 0: at the end and when stopped                 */
    int64_t stop_after; /* steps of this start, then like a signal; 0: not */
    const char *out;    /* results file, or NULL                          */
    const machine *machine; /* predict times on it, or NULL               */

    /* For results. Borrowed texts. */
    const char *plan; /* "streamed" or shorthand                          */
    const char *cmdline;
    const char *config;       /* effective options, JSON                  */
    const char *model_config; /* config.json, text                        */
    run_setup measures;       /* decisions, seconds so far                */
    bool oversubscribed;
    bool quiet;
} train_job;

/* The rate of a step: linear warm-up, then cosine from lr to min_lr. */
double train_rate(const train_recipe *r, int64_t step);

/* Runs the job. Fails like its parts; ST_SIGNAL after a stop that saved. */
MUST_USE status train_run(train_job *job);

#endif
