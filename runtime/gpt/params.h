/*
 * Parameter table: every tensor of a model, in stream order.
 *
 * All matrices lie in memory as rows x cols where *rows are the axis that is
 * cut*: into tensor leaves, shards of ranks and panels of a stream alike.
 *
 *   role     parameters            rows          forward        bwd input
 *   expand   qkv, fc_in, head      outputs       y = x W^T      sum over rows
 *   sum      out, fc_out           inputs        sum over rows  dy W^T
 *
 * so sum-role matrices are held transposed ([in][out]). Biases of expand
 * matrices are rows x 1 and are cut along; norms, biases of sum matrices and
 * position rows are not cut (norm vectors are 1 x C).
 *
 * Names, shapes and layouts on disk are Hugging Face's; a parameter may be
 * several tensors there (separate q, k, v): param_part.
 *
 * Built once per model, then only read. Local.
 */
#ifndef WEFT_GPT_PARAMS_H
#define WEFT_GPT_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/gpt/arch.h"

typedef enum param_role {
    PARAM_WTE,
    PARAM_WPE,
    PARAM_LN1_W,
    PARAM_LN1_B,
    PARAM_QKV_W,
    PARAM_QKV_B,
    PARAM_OUT_W,
    PARAM_OUT_B,
    PARAM_LN2_W,
    PARAM_LN2_B,
    PARAM_FCIN_W,
    PARAM_FCIN_B,
    PARAM_FCOUT_W,
    PARAM_FCOUT_B,
    PARAM_LNF_W,
    PARAM_LNF_B,
    PARAM_HEAD_W, /* absent when tied */
    PARAM_HEAD_B,
    PARAM_ROLES
} param_role;

typedef enum param_axis {
    AXIS_NONE,  /* never cut                                             */
    AXIS_HEADS, /* whole heads; unit_rows rows each                      */
    AXIS_FFN,   /* inner columns                                         */
    AXIS_VOCAB  /* vocabulary rows, in leaves of equal width             */
} param_axis;

typedef struct param {
    param_role role;
    int32_t layer; /* -1 outside layers */
    int64_t rows, cols;
    param_axis axis;
    int32_t unit_rows; /* rows per unit of the axis                       */
    bool decay;        /* weight decay: matrices and embeddings           */
    float init_mean;   /* 1 for norm weights                              */
    float init_std;    /* 0 for biases and norms                          */
    int64_t first_row; /* in the numbering of all rows, for norms' slots  */
} param;

typedef struct params {
    param *list;
    int32_t n;
    int64_t total;                    /* parameters                         */
    int64_t total_rows;               /* of all tensors                     */
    int32_t of_model[PARAM_ROLES];    /* index of non-layer params, or -1   */
    int32_t (*of_layer)[PARAM_ROLES]; /* index by layer and role, or -1   */
} params;

/* A tensor on disk. */
typedef struct param_part {
    char name[ARCH_NAME_MAX];
    int32_t ndims; /* 1 or 2 */
    int64_t dims[2];
} param_part;

enum { PARAM_PARTS_MAX = 3 };

/* Owns: params_fini. */
MUST_USE status params_init(const arch *a, params *out);
void params_fini(params *p);

/* Index of the parameter, -1 if the model has none. */
int params_find(const params *p, int layer, param_role role);
const char *param_role_name(param_role r);

/* Rows of `p` that tensor leaves [lo, hi) of S hold. Heads and ffn columns:
 * leaf_start. Vocabulary: leaves of ceil(V/S) rows, so that all shards have
 * one shape; rows past V are padding: `rows` counts them, `valid` does not.
 * Uncut parameters: all rows. */
typedef struct param_shard {
    int64_t row0;
    int64_t rows;
    int64_t valid;
} param_shard;
param_shard param_rows(const arch *a, const param *p, int S, int lo, int hi);

/* First row, relative to leaf lo, of each leaf lo..hi: starts[hi-lo+1]. For
 * vocabulary the padding is counted; an uncut parameter is all leaf hi-1. */
void param_leaf_rows(const arch *a, const param *p, int S, int lo, int hi,
                     int64_t *starts);

/* Tensors on disk that make up parameter i; returns how many. */
int param_parts(const arch *a, const params *p, int i,
                param_part out[PARAM_PARTS_MAX]);
/* The k-th other name under which published files hold this tensor (without
 * the model's prefix, an older name of the head); false if there are no
 * more. */
bool param_part_alias(const arch *a, const param_part *part, int k,
                      char out[ARCH_NAME_MAX]);
/* The name under which published files hold it: what transformers of any
 * version loads. */
void param_part_published(const arch *a, const param_part *part,
                          char out[ARCH_NAME_MAX]);
/* Converts a whole tensor between its layout on disk (`file`) and its rows
 * in the parameter (`mem`, rows x cols, all rows). */
void param_from_part(const arch *a, const params *p, int i, int part,
                     const float *file, float *mem);
void param_to_part(const arch *a, const params *p, int i, int part,
                   const float *mem, float *file);

/* Initial values of rows [row0, row0 + rows) of parameter i: a function of
 * (seed, parameter, element), never of how rows are split. Rows past the
 * parameter's own are 0. */
void param_init(const params *p, int i, uint64_t seed, int64_t row0,
                int64_t rows, float *out);

#endif
