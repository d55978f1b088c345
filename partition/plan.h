/*
 * Plans: how a person cuts a model over devices, as data.
 *
 * A plan is a small JSON file; every key has a default, so the smallest file
 * that expresses a set-up is also the count of its decisions:
 *
 *   { "data": 2, "pipe": 2, "tensor": 2, "micro_batch": 1,
 *     "schedule": "1f1b", "recompute": "none" }
 *
 * "stages": [3, 5] in place of "pipe" says how many layers each stage holds.
 * "dp2.tp2.pp2" is shorthand for the first three (any order, any subset,
 * "mbK" for the micro-batch, "1f1b" for the schedule: "pp4.mb1.1f1b"); "dp1"
 * is the trivial plan, the judge.
 *
 * A plain value. Pure but for plan_open and plan_path. Local.
 */
#ifndef WEFT_PARTITION_PLAN_H
#define WEFT_PARTITION_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/build.h"

enum { PLAN_NAME_MAX = 96, PLAN_GIVEN_MAX = 256, PLAN_DEGREE_MAX = 1 << 20 };

/* Order of a stage's micro-batches: all forward, then all backward; or one
 * backward after each forward as soon as there is one, which keeps at most
 * `pipe` micro-batches' activations (Narayanan et al., 2021). */
typedef enum plan_schedule { SCHEDULE_GPIPE, SCHEDULE_1F1B } plan_schedule;

typedef struct plan {
    char name[PLAN_NAME_MAX];   /* shorthand, or the file's name            */
    char given[PLAN_GIVEN_MAX]; /* shorthand, or the file's path, for errors */
    int32_t data, pipe, tensor;
    int32_t nstages; /* 0: even stages; else pipe                         */
    int32_t stages[ARCH_LAYERS_MAX]; /* layers of each                     */
    plan_schedule schedule;
    int64_t micro_batch; /* sequences; 0: chosen (plan_micro_batch)        */
    bool micro_batch_chosen; /* not by a person: no decision               */
    bool recompute; /* full recompute of activations                  */
} plan;

/* Keys of a plan's file, NULL-terminated. */
extern const char *const plan_keys[];

/* Leaves of a sum that `degree` ranks share: those given; or 4, or the degree
 * where it is more and there are as many units (sequences, heads). Fast sums
 * have none beyond the ranks' own shares. */
int plan_leaves(int64_t given, int degree, int64_t units, bool fast);

/* What a plan is checked against. */
typedef struct plan_job {
    const arch *a;
    int64_t N, T; /* global batch in sequences, tokens in a sequence       */
    /* Leaves that are given; 0: each plan's own (plan_leaves), so that a
     * degree is judged by the leaves that it would run with. */
    int32_t D, S;
    bool fast_sums;
    const char *leaves_of; /* checkpoint that gives D and S, or NULL        */
    int64_t device_memory; /* bytes; 0: no limit                           */
    int32_t ranks;         /* ranks there are; 0: any                      */
    /* Options beside the plan gave these: a nearest plan keeps to what the
     * plan then has. */
    bool micro_batch_given, recompute_given;
    /* Compiles a plan that is within the rules: bytes of its fullest rank.
     * NULL: nobody can; then a nearest plan is only within the bound. */
    int64_t (*peak)(const plan *p, void *self);
    /* Whether streaming would work in its place. NULL: nobody knows; then it
     * is not advised. */
    bool (*streams)(void *self);
    void *self;
} plan_job;

/* Reads shorthand, or a JSON file if `text` ends in .json, is a file, or is no
 * shorthand but the name of a plan on the shelf (runtime/base/shelf.h). Fails:
 * ST_NOINPUT, ST_BADFILE, ST_CONFIG. */
MUST_USE status plan_open(const char *text, plan *out);
/* The file that plan_open reads; *out is NULL for shorthand, and where there
 * is none. Owns: *out, mem_free. */
MUST_USE status plan_path(const char *text, char **out);
/* Shorthand only. */
MUST_USE status plan_parse(const char *shorthand, plan *out);
/* Canonical shorthand ("dp2.tp2.pp2"; trivial: "dp1"). */
void plan_shorthand(const plan *p, char *out, int size);
/* Canonical JSON text of the smallest file that expresses the plan (keys at
 * their default left out), for decisions and the switch distance. */
void plan_json(const plan *p, strbuf *out);

int plan_ranks(const plan *p);

/* Layers of the stages before stage k <= pipe; L: of the model. */
int plan_stage_start(const plan *p, int L, int k);
/* Micro-batches of `nmb` whose activations stage k keeps at most. */
int64_t plan_in_flight(const plan *p, int k, int64_t nmb);

/* Sequences in a micro-batch for a share of `seqs`: the plan's, or where it
 * leaves it open: the whole share without a pipeline, else a quarter of a
 * stage's fair part, at least one. */
int64_t plan_micro_batch(const plan *p, int64_t seqs);

/* Every rule that the plan violates, one line each, appended to `why`.
 * Returns how many. Does not include memory. */
int plan_check(const plan *p, const plan_job *job, strbuf *why);

/* Closed-form lower bound on the arena of the fullest rank, bytes: 12 a
 * parameter of its shard, and the most of three moments of gradients and kept
 * activations (bound.c). Working buffers are left out: never above what the
 * compiled plan needs, in any micro-batch if the plan leaves it open. */
int64_t plan_least_bytes(const plan *p, const plan_job *job);

/* The nearest plan that passes plan_check and the memory bound, and by
 * job->peak fits in fact: fewest ranks changed first (same number of ranks
 * preferred), then fewest fields. Where memory is short it may recompute, run
 * 1F1B and halve a given micro-batch. False if none was found. */
bool plan_nearest(const plan *p, const plan_job *job, plan *out);

/* Checks rules and the bound; a refusal lists every violated rule and the
 * nearest plan that works. ST_CONFIG for rules, ST_BUDGET for memory only. */
MUST_USE status plan_admit(const plan *p, const plan_job *job);

/* Appends to an error's text the nearest plan, "; nearest plan that works:
 * dp2.pp2", and what else it takes; or why there is none. */
void plan_way_out(const plan *p, const plan_job *job, strbuf *b);

/* The fields a person has to decide, and for each the rules it takes part
 * in: name, value as text, rules (space separated rule names). Returns how
 * many entries. */
typedef struct plan_decision {
    char key[32];
    char value[64]; /* a long list of stages is cut                    */
    char rules[128];
} plan_decision;
enum { PLAN_DECISIONS_MAX = 8 };
int plan_decisions(const plan *p, plan_decision *out);

#endif
