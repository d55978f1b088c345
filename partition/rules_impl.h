/*
 * What the parts of the plan rules share: shares of the batch, which degrees
 * are legal, and what a stage holds. Pure.
 */
#ifndef WEFT_PARTITION_RULES_IMPL_H
#define WEFT_PARTITION_RULES_IMPL_H

#include "partition/plan.h"
#include "runtime/base/tree.h"
#include "runtime/gpt/params.h"

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- shares (rules.c) ---------------------------------------------------- */

/* True if batch, tokens and leaves are numbers that can be shared out. */
bool rules_job_has_leaves(const plan_job *job);

/* Leaves that a plan of this degree runs with, and the largest degree that
 * they could ever serve. */
int rules_data_leaves(const plan_job *job, int data);
int rules_tensor_leaves(const plan_job *job, int tensor);
int rules_most_data(const plan_job *job);
int rules_most_tensor(const plan_job *job);

/* Sequences of the smallest and the largest share. */
typedef struct data_share {
    int64_t least;
    int64_t most;
} data_share;

/* Needs data <= rules_most_data. Fails with ST_CONFIG where a share would be
 * empty. */
MUST_USE status rules_share_data(const plan_job *job, int data,
                                 data_share *out);

bool rules_legal_pipe(const plan_job *job, int pipe);
bool rules_legal_tensor(const plan_job *job, int tensor);

/* --- memory (bound.c) ---------------------------------------------------- */

/* What a tensor rank holds, in floats. */
typedef struct shard {
    int64_t layer; /* parameters of one layer                             */
    int64_t embed; /* of the first stage besides layers                   */
    int64_t head;  /* of the last stage, without a tied embedding         */
    int64_t tied;  /* of a tied embedding, else 0                         */
    int64_t kept;  /* activations kept for one token and layer            */
} shard;

typedef struct shards {
    int n;
    shard list[TREE_LEAVES_MAX];
} shards;

/* Parameters of the job's model with one layer: all layers are alike. Owns:
 * *out, params_fini. */
MUST_USE status bound_one_layer(const plan_job *job, params *out);
void bound_cut_shards(const plan_job *job, const params *one, int tensor,
                      bool recompute, shards *out);
/* Of all ranks; `seqs` are those of the largest share. */
int64_t bound_fullest(const plan_job *job, const shards *sh, const plan *p,
                      int64_t seqs);

#endif
