/*
 * Set-ups: from what a person says (a model, perhaps a plan) to programs, a
 * store and a shape. The one place that knows both compilers.
 *
 * setup_open refuses before anything starts: by rules and the closed-form
 * bound on memory, then by a compile. It needs no MPI, and is local on each
 * rank (deterministic: every rank compiles the same set).
 */
#ifndef WEFT_BENCHMARKS_SETUP_H
#define WEFT_BENCHMARKS_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "partition/plan.h"
#include "runtime/base/status.h"
#include "runtime/device/store.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/math/math.h"
#include "runtime/program/program.h"
#include "ws/compile.h"

typedef enum setup_recompute {
    SETUP_RECOMPUTE_AUTO,
    SETUP_RECOMPUTE_NONE,
    SETUP_RECOMPUTE_FULL
} setup_recompute;

typedef enum setup_store {
    SETUP_STORE_RAM,
    SETUP_STORE_NULL,
    SETUP_STORE_CHECK
} setup_store;

typedef struct setup_options {
    const char *model;
    int64_t layers;   /* 0: all */
    int64_t vocab;    /* 0: the model's */
    const char *plan; /* NULL: streamed */
    setup_store store;
    int64_t device_memory;
    int64_t batch, seq;
    int64_t micro_batch;                /* 0: chosen */
    int64_t data_leaves, tensor_leaves; /* 0: of the plan (plan_leaves)      */
    const char *leaves_of; /* checkpoint that gives them, or NULL            */
    bool fast_sums;        /* leaves of the plan alone */
    setup_recompute recompute;
    int threads;    /* 0: usable cores, shared by the ranks of the node */
    bool reference; /* plain kernels */
    bool runs_here; /* a store that this machine cannot hold is refused      */
} setup_options;

typedef struct setup {
    arch a;
    params ps;
    bool streamed;
    bool keeps_state; /* the store, if streamed: not the null store        */
    plan plan;        /* if not streamed */
    gpt_shape sh;     /* of rank 0 until setup_share */
    program_set set;
    ws_choice choice; /* if streamed */
    const math_ops *math;
    double plan_seconds; /* wall time of checks and compile */
} setup;

/* Model, rules, compile. ranks 0: any number. Owns: *out, setup_close. */
MUST_USE status setup_open(const setup_options *o, int ranks, setup *out);
/* The same of a model at hand; o->model, layers and vocab are not
 * looked at. */
MUST_USE status setup_open_arch(const setup_options *o, const arch *a,
                                int ranks, setup *out);
void setup_close(setup *s);

/* Ranks that the set-up runs on. */
int setup_ranks(const setup *s);

/* Sequences of the smallest and the largest share of the batch. Local. */
MUST_USE status setup_shares(const setup *s, int64_t *least, int64_t *most);

/* Memory that `local` ranks of the set-up take of a node: their arenas, and a
 * streamed model's store. */
int64_t setup_host_bytes(const setup *s, int local);

/* Refuses what this machine's memory cannot hold: the arenas of `local` ranks
 * and a streamed model's store. Before anything is allocated. */
MUST_USE status setup_check_host(const setup *s, int local);

/* Sets s->sh to the share of a rank. */
MUST_USE status setup_share(setup *s, int rank);

/* The store of a streamed set-up, *out = NULL for others. Owns: *out. */
MUST_USE status setup_store_create(const setup *s, const setup_options *o,
                                   int threads, store **out);

#endif
