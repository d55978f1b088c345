/*
 * Inside of the plain kernels: the prototypes that ref_ops.c gathers in
 * math_ref. Nobody outside runtime/math/ref includes this file.
 *
 * These kernels are the twin that nobody optimises: plain loops, one thread,
 * sums in double where they are not cut by the rules of runtime/math/math.h.
 */
#ifndef WEFT_MATH_REF_REF_H
#define WEFT_MATH_REF_REF_H

#include "runtime/math/math.h"

/* Neighbours of a tree sum that are made at once: rows of operands are then
 * read along, not across. */
enum { REF_STRIP = 64 };

/* Adds summand k of n neighbouring sums, which `arg` describes. */
typedef void ref_term(const void *arg, int src, int64_t k, int64_t n,
                      double *sums);

/* n <= REF_STRIP neighbouring elements of a tree sum. `plane0` is the first of
 * them in plane 0 of `stack`; a leaf is a left fold of stretches of `stretch`
 * summands (counted from the start of a segment), each summed in double. */
void ref_tree_strip(const math_stack *stack, const math_seg *segs, int nsegs,
                    int64_t stretch, ref_term *term, const void *arg, int64_t n,
                    float *plane0);

void ref_expand(const math_ctx *ctx, int64_t n, int64_t R, int64_t C,
                const float *x, int64_t ldx, const float *w, int64_t ldw,
                float *y, int64_t ldy);
void ref_tree_sum(const math_ctx *ctx, bool trans_a, int64_t m, int64_t cols,
                  const math_src src[2], const math_seg *segs, int nsegs,
                  const math_stack *stack, int64_t ldo);
void ref_col_sum(const math_ctx *ctx, int64_t R, const float *x, int64_t ldx,
                 const math_seg *segs, int nsegs, const math_stack *stack);
void ref_norm_fwd(const math_ctx *ctx, int64_t n, int64_t C, float eps,
                  const float *x, int64_t ldx, const float *gamma,
                  const float *beta, float *y, int64_t ldy, float *stats);
void ref_norm_bwd(const math_ctx *ctx, int64_t n, int64_t C, const float *dy,
                  int64_t lddy, const float *x, int64_t ldx, const float *gamma,
                  const float *stats, float *dx, int64_t lddx);
void ref_norm_grad(const math_ctx *ctx, int64_t C, const float *dy,
                   int64_t lddy, const float *x, int64_t ldx,
                   const float *stats, const math_seg *segs, int nsegs,
                   const math_stack *dg, const math_stack *db);
void ref_bias_add(const math_ctx *ctx, int64_t n, int64_t R, float *y,
                  int64_t ldy, const float *bias);
void ref_act_fwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *g, int64_t ldg);
void ref_act_bwd(const math_ctx *ctx, math_act act, int64_t n, int64_t R,
                 const float *u, int64_t ldu, float *dg, int64_t lddg);
void ref_residual(const math_ctx *ctx, int64_t n, int64_t C, const float *x,
                  int64_t ldx, const float *y, int64_t ldy, const float *b1,
                  const float *b2, float *out, int64_t ldout);
void ref_add(const math_ctx *ctx, int64_t rows, int64_t cols, float *into,
             int64_t ldi, const float *from, int64_t ldf);
void ref_copy(const math_ctx *ctx, int64_t rows, int64_t cols, float *to,
              int64_t ldt, const float *from, int64_t ldf);
void ref_zero(const math_ctx *ctx, int64_t rows, int64_t cols, float *p,
              int64_t ld);
void ref_rope(const math_ctx *ctx, const math_rope *rope, int64_t B, int64_t T,
              bool inverse, float *qkv, int64_t ld);
void ref_attn_fwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, float *out,
                  int64_t ldo, float *lse);
void ref_attn_bwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, const float *out,
                  int64_t ldo, const float *lse, const float *dout,
                  int64_t lddo, float *dqkv, int64_t lddq);
void ref_rows_get(const math_ctx *ctx, int64_t n, int64_t C, const int32_t *ids,
                  int64_t row0, int64_t rows, const float *table, int64_t ldt,
                  float *out, int64_t ldo);
void ref_rows_grad(const math_ctx *ctx, int64_t n, int64_t C,
                   const int32_t *ids, int64_t row0, int64_t rows,
                   const float *dx, int64_t lddx, const math_seg *segs,
                   int nsegs, int leaves, float *grad, int64_t ldg,
                   int64_t plane_stride);
void ref_xent_stats(const math_ctx *ctx, int64_t n, int64_t cols, int64_t col0,
                    const float *logits, int64_t ld, float *stats,
                    int64_t ld_stats);
void ref_xent_pick(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   const int32_t *targets, const float *logits, int64_t ld,
                   float *target);
void ref_xent_loss(const math_ctx *ctx, int64_t n, int leaves,
                   const float *stats, const float *target, float *norm,
                   float *loss);
void ref_xent_grad(const math_ctx *ctx, int64_t n, int64_t v0, int64_t cols,
                   int64_t valid, const int32_t *targets, const float *norm,
                   float scale, float *logits, int64_t ld);
void ref_row_sumsq(const math_ctx *ctx, int64_t rows, int64_t cols,
                   const float *x, int64_t ld, double *out);
void ref_adamw(const math_ctx *ctx, const math_adamw *p, int64_t rows,
               int64_t cols, int64_t ld, float *w, const float *g, float *m,
               float *v);

#endif
