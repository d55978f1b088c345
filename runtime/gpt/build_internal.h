/* Shared by the files that emit operations; see build.h. */
#ifndef WEFT_GPT_BUILD_INTERNAL_H
#define WEFT_GPT_BUILD_INTERNAL_H

#include "runtime/gpt/build.h"

/* Micro-batch i of a set: its rows in the set's buffers. */
typedef struct mb_rows {
    gpt_range range;
    int64_t row0;
    int64_t rows;
} mb_rows;
mb_rows build_mb(const gpt_build *b, const gpt_set *set, int i);

/* Adds an operation for a micro-batch (or a part of one). */
prog_op *build_op(gpt_build *b, op_kind kind, int layer, mb_rows m);

/* Flops and bytes of a product of n tokens with rows x cols. */
void build_matmul_cost(prog_op *o, double n, double rows, double cols);

/* The rows of v that belong to m. */
prog_view build_rows(prog_view v, mb_rows m);

/* A vector parameter as a 1 x n view. */
prog_view build_vector(gpt_build *b, int par);
prog_view build_as_vector(prog_view v);

/* Leaf segments of local tokens [tok0, tok1), one after the other; k0, k1
 * relative to tok0. There may be one for each sequence, so nobody keeps them
 * all but the program. */
typedef struct data_segs {
    const gpt_shape *sh; /* borrowed                                        */
    int64_t lo, hi;      /* tokens of the global batch                      */
    int64_t at;          /* where the next one begins at the earliest       */
    int32_t leaf;
} data_segs;
data_segs build_data_segs(const gpt_shape *sh, int64_t tok0, int64_t tok1);
/* False past the last. */
bool build_next_seg(data_segs *it, tree_seg *out);
/* The state after these tokens. Returns its depth. */
int build_state_after(const gpt_shape *sh, tree_state *state, int64_t tok0,
                      int64_t tok1);
/* The largest token <= tok + limit where a sum over tokens may be cut
 * without changing bits; at least one step or block further than tok. */
int64_t build_cut(const gpt_shape *sh, int64_t tok, int64_t end, int64_t limit);

/* This rank's rows of a parameter. */
param_shard build_shard(const gpt_build *b, int par);

/* Most rows of a panel: whole blocks of k; of the vocabulary also whole
 * blocks of the softmax. */
int64_t build_panel_most(const gpt_build *b, int par);

/* Leaf segments of rows [row0, row0 + rows) of this rank's shard of par. */
int build_row_segs(const gpt_build *b, int par, int64_t row0, int64_t rows,
                   tree_seg *segs);

/* y = x W^T panel by panel; y's columns are W's rows. */
void build_expand(gpt_build *b, op_kind kind, int layer, const gpt_set *set,
                  int par, prog_view x, prog_view y);

/* out = sum over one or two parameters of a W, by tensor leaves and over the
 * tensor group. Returns the view of the result. */
typedef struct sum_pair {
    int par;
    prog_view a;
} sum_pair;
prog_view build_sum(gpt_build *b, op_kind kind, int layer, const gpt_set *set,
                    const sum_pair *pairs, int npairs);

/* Starts and adds to an accumulator of [tokens of set][C] by panels. */
gpt_acc build_sum_acc(gpt_build *b, int layer, const gpt_set *set, int planes);
int build_sum_planes(const gpt_build *b, const int *params, int nparams);

/* Weight gradient: rows of W are columns of `left`, columns of `right`. */
void build_dweight(gpt_build *b, int layer, const gpt_set *set, int par,
                   prog_view left, prog_view right);
/* Bias gradient: column sums of dy. */
void build_dbias(gpt_build *b, int layer, const gpt_set *set, int par,
                 prog_view dy);
void build_norm(gpt_build *b, int layer, const gpt_set *set, prog_view x, int w,
                int bias, prog_view y, prog_view stats);
/* dx += gradient through the norm; gradients of its weight and bias. */
void build_dnorm(gpt_build *b, int layer, const gpt_set *set, prog_view dy,
                 prog_view x, int w, int bias, prog_view stats, prog_view dx);
void build_bias(gpt_build *b, int layer, const gpt_set *set, prog_view y,
                int par);

/* An accumulating operation's accumulator: adds view and stack, advances the
 * state by segs. Call last for the operation. */
void build_accumulate(gpt_build *b, gpt_acc *acc, prog_view plane,
                      const tree_seg *segs, int nsegs);
/* The same by the segments of local tokens [tok0, tok1). */
void build_accumulate_tokens(gpt_build *b, gpt_acc *acc, prog_view plane,
                             int64_t tok0, int64_t tok1);

#endif
