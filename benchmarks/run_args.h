/*
 * The options of a training run: one table for `weft train`, for the set-ups
 * of an experiment (`weft compare`), and for `weft project`.
 */
#ifndef WEFT_BENCHMARKS_RUN_ARGS_H
#define WEFT_BENCHMARKS_RUN_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/setup.h"
#include "runtime/base/opt.h"

typedef struct run_args {
    const char *plan;
    int store;
    int64_t device_memory;
    double link_rate;
    double link_latency;
    int64_t micro_batch;
    int recompute;
    int sums;
    int64_t data_leaves;
    int64_t tensor_leaves;
    int64_t threads;
    bool reference;
    const char *machine;

    const char *data;
    int64_t steps;
    int64_t batch;
    int64_t seq;
    int64_t layers;
    int64_t vocab;
    double lr;
    double min_lr;
    int64_t warmup;
    double beta1, beta2, eps;
    double weight_decay;
    double grad_clip;
    int on_nan;
    int64_t seed;
    double val_fraction;
    int64_t val_every;
    int64_t val_batches;

    const char *init;
    const char *resume;
    const char *save;
    int64_t save_every;
    int64_t stop_after;
    const char *out;
    int64_t log_every;
    bool quiet;
    int64_t launched_at;
} run_args;

extern const opt_command train_command;
/* A set-up, and a batch for it: the same rows. */
extern const opt_command project_command;

/* Fills in min_lr where nobody gave it: a tenth of lr. */
void run_args_default(run_args *a, bool min_lr_given);

/* Values that do not go together: the option at fault, as experiments spell it
 * (min_lr), or NULL. `why` goes behind its name, "0.1 is above lr 0.01, ...".
 * Pure; what it returns is constant. */
enum { RUN_ARGS_WHY_SIZE = 160 };
const char *run_args_fault(const run_args *a, char why[RUN_ARGS_WHY_SIZE]);

/* The same as an error of a command line: "COMMAND: --min-lr 0.1 is above ...",
 * ST_USAGE. */
MUST_USE status run_args_check_values(const run_args *a, const char *command);

/* Refuses set-up options that would do nothing, ST_USAGE, "COMMAND: ...".
 * Leaves are checked by whoever they were typed to: not where a launcher has
 * handed them on (launched_at). */
MUST_USE status run_args_check_idle(const run_args *a, const opt_parsed *p,
                                    const char *command);
/* The option whose kernels or store no machine's laws are of, with its value,
 * "--store check"; NULL: times can be predicted. Pure. */
const char *run_args_unpredicted(const run_args *a);

/* The set-up that the options describe. */
void run_args_setup(const run_args *a, const char *model, setup_options *out);

#endif
