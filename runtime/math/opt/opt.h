/*
 * Inside of the fast kernels: the prototypes that ops.c gathers in math_opt,
 * and the few constants that kernels and math_work_bytes share. Nobody
 * outside runtime/math/opt includes this file. See runtime/math/math.h for
 * what the kernels do and which rules keep their bits.
 */
#ifndef WEFT_MATH_OPT_OPT_H
#define WEFT_MATH_OPT_OPT_H

#include "runtime/math/math.h"

enum {
    /* Floats in one tile of a tree sum that needs scratch entries: 1 MiB. */
    OPT_TILE = MATH_SUM_FLOATS,
    /* Queries in one block of attention: a multiple of the micro-kernel's
     * rows; larger wastes work above the diagonal, smaller packs keys more
     * often. Part of the definition of the result's bits. */
    OPT_QUERIES = MATH_QUERY_BLOCK,
    /* Elements below which a second thread costs more than it brings. */
    OPT_SERIAL = MATH_SERIAL_ITEMS
};

/* Threads to use for a kernel that touches so many elements. */
static inline int opt_threads(const math_ctx *ctx, int64_t elements)
{
    return elements < OPT_SERIAL ? 1 : ctx->threads;
}

/* Floats of scratch that attention needs for each thread. */
int64_t opt_attn_floats(int64_t T);

void opt_expand(const math_ctx *ctx, int64_t n, int64_t R, int64_t C,
                const float *x, int64_t ldx, const float *w, int64_t ldw,
                float *y, int64_t ldy);
void opt_tree_sum(const math_ctx *ctx, bool trans_a, int64_t m, int64_t cols,
                  const math_src src[2], const math_seg *segs, int nsegs,
                  const math_stack *stack, int64_t ldo);
void opt_col_sum(const math_ctx *ctx, int64_t R, const float *x, int64_t ldx,
                 const math_seg *segs, int nsegs, const math_stack *stack);
void opt_norm_fwd(const math_ctx *ctx, int64_t n, int64_t C, float eps,
                  const float *x, int64_t ldx, const float *gamma,
                  const float *beta, float *y, int64_t ldy, float *stats);
void opt_norm_bwd(const math_ctx *ctx, int64_t n, int64_t C, const float *dy,
                  int64_t lddy, const float *x, int64_t ldx, const float *gamma,
                  const float *stats, float *dx, int64_t lddx);
void opt_norm_grad(const math_ctx *ctx, int64_t C, const float *dy,
                   int64_t lddy, const float *x, int64_t ldx,
                   const float *stats, const math_seg *segs, int nsegs,
                   const math_stack *dg, const math_stack *db);
void opt_bias_add(const math_ctx *ctx, int64_t n, int64_t R, float *y,
                  int64_t ldy, const float *bias);
void opt_act_fwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *g, int64_t ldg);
void opt_act_bwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *dg, int64_t lddg);
void opt_residual(const math_ctx *ctx, int64_t n, int64_t C, const float *x,
                  int64_t ldx, const float *y, int64_t ldy, const float *b1,
                  const float *b2, float *out, int64_t ldout);
void opt_add(const math_ctx *ctx, int64_t rows, int64_t cols, float *into,
             int64_t ldi, const float *from, int64_t ldf);
void opt_copy(const math_ctx *ctx, int64_t rows, int64_t cols, float *to,
              int64_t ldt, const float *from, int64_t ldf);
void opt_zero(const math_ctx *ctx, int64_t rows, int64_t cols, float *p,
              int64_t ld);
void opt_rope(const math_ctx *ctx, const math_rope *rope, int64_t B, int64_t T,
              bool inverse, float *qkv, int64_t ld);
void opt_attn_fwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, float *out,
                  int64_t ldo, float *lse);
void opt_attn_bwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, const float *out,
                  int64_t ldo, const float *lse, const float *dout,
                  int64_t lddo, float *dqkv, int64_t lddq);
void opt_rows_get(const math_ctx *ctx, int64_t n, int64_t C, const int32_t *ids,
                  int64_t row0, int64_t rows, const float *table, int64_t ldt,
                  float *out, int64_t ldo);
void opt_rows_grad(const math_ctx *ctx, int64_t n, int64_t C,
                   const int32_t *ids, int64_t row0, int64_t rows,
                   const float *dx, int64_t lddx, const math_seg *segs,
                   int nsegs, int leaves, float *grad, int64_t ldg,
                   int64_t plane_stride);
void opt_xent_stats(const math_ctx *ctx, int64_t n, int64_t cols, int64_t col0,
                    const float *logits, int64_t ld, float *stats,
                    int64_t ld_stats);
void opt_xent_pick(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   const int32_t *targets, const float *logits, int64_t ld,
                   float *target);
void opt_xent_loss(const math_ctx *ctx, int64_t n, int leaves,
                   const float *stats, const float *target, float *norm,
                   float *loss);
void opt_xent_grad(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   int64_t valid, const int32_t *targets, const float *norm,
                   float scale, float *logits, int64_t ld);
void opt_row_sumsq(const math_ctx *ctx, int64_t rows, int64_t cols,
                   const float *x, int64_t ld, double *out);
void opt_adamw(const math_ctx *ctx, const math_adamw *p, int64_t rows,
               int64_t cols, int64_t ld, float *w, const float *g, float *m,
               float *v);

#endif
