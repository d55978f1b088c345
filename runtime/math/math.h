/*
 * Kernels: the mathematics of a GPT step on plain arrays.
 *
 * There are two sets with the same prototypes: math_ref, the plain twin that
 * nobody optimises and that is compared with golden tensors, and math_opt,
 * the fast one, compared with math_ref by tolerance. Everything that runs a
 * step calls one of the two tables; nothing else in the house does arithmetic
 * on tensors.
 *
 * The same bits. Each result element depends on its inputs and on the
 * mathematics alone: never on how many threads run, how rows or columns are
 * split into calls, or how many tokens a call covers. So
 *  - matrix products go through matmul.h and tree sums (runtime/base/tree.h);
 *  - element-wise kernels run whole vectors of MATH_LANES floats and never a
 *    scalar tail: rows and arrays are padded, see below;
 *  - sums over a row (norm statistics, softmax) use one fixed order;
 *  - sums over tokens run in token order inside a leaf, leaves by the tree.
 * Both twins keep these rules among themselves; they differ from each other.
 *
 * Shapes. n tokens (rows), C width, H heads, D head dimension, R columns of
 * the tensor at hand, B sequences, T positions. Matrices are row-major with a
 * leading dimension `ld` in floats. Every row may be read and written up to
 * the next multiple of MATH_LANES floats past its last column where ld
 * allows it; buffers end with MATH_LANES floats of padding. Values in the
 * padding are unspecified but never cross into real columns.
 *
 * Threads. math_ctx.threads OpenMP threads work inside a call. `work` is the
 * caller's scratch memory of work_bytes (64-byte aligned); each kernel needs
 * at most math_work_bytes(...). No kernel allocates. Local; one thread calls.
 */
#ifndef WEFT_MATH_MATH_H
#define WEFT_MATH_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/tree.h"

enum { MATH_LANES = 16 };

/* Rounds a count of floats up to whole vectors. */
static inline int64_t math_pad(int64_t n)
{
    return (n + MATH_LANES - 1) / MATH_LANES * MATH_LANES;
}

typedef struct math_ctx {
    int threads;
    void *work;
    size_t work_bytes;
} math_ctx;

typedef enum math_act { ACT_GELU_TANH, ACT_GELU_ERF } math_act;
typedef enum math_pairing { PAIR_NEIGHBOURS, PAIR_HALVES } math_pairing;

/* See runtime/base/tree.h; `src` picks the (a, b) pair. */
typedef tree_seg math_seg;

/* The persistent side of a tree sum that several calls make: up to
 * TREE_DEPTH_MAX planes, plane i holds the i-th entry of the stack. `spans`
 * and `depth` describe the stack when the call begins; the call leaves its
 * own stack in planes 0.. (the caller knows which, see tree_state_after).
 * Only planes that are in use before or after the call need to exist. An
 * open leaf (begun, not ended) is the top entry. */
typedef struct math_stack {
    float *plane0;        /* plane i starts at plane0 + i * plane_stride   */
    int64_t plane_stride; /* floats                                        */
    int32_t planes;       /* planes that exist                             */
    int32_t leaves;       /* n of the tree                                 */
    int32_t depth;        /* entries in use when the call begins           */
    tree_span spans[TREE_DEPTH_MAX];
} math_stack;

/* One operand pair of a tree sum: out[i][j] += sum_k a(i,k) * b[k][j]. */
typedef struct math_src {
    const float *a; /* trans_a ? a[k][i] : a[i][k]                        */
    int64_t lda;
    const float *b; /* b[k][j]                                            */
    int64_t ldb;
} math_src;

/* Score matrix of one layer's attention. */
typedef struct math_attn {
    int32_t heads;    /* heads in this call (this rank's)                  */
    int32_t head_dim; /* D                                                 */
    int32_t window;   /* keys seen: i - j < window; 0 = all before         */
    float scale;      /* scores are scale * q.k                            */
    /* Layout of q, k, v in a row of qkv: head h has q at h*3*D, k at
     * h*3*D + D, v at h*3*D + 2*D. */

    /* Forward of one sequence that goes on: its keys and values lie apart, from
     * the first position on, head h has k at h*2*D of a row, v at h*2*D + D.
     * qkv, out and lse begin with query `first`; what qkv has of keys and
     * values is not read. NULL: all is in qkv, and first is 0. */
    const float *cache;
    int64_t ldc;
    int64_t first;
} math_attn;

typedef struct math_rope {
    int32_t heads;
    int32_t head_dim;
    int32_t dims; /* rotated dims, the first of each head; even             */
    math_pairing pairing;
    float base;
    int64_t first; /* position of row 0                                    */
} math_rope;

/* AdamW scalars of one step, PyTorch's definition (decoupled decay):
 *   m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *   w = w (1 - lr wd);    w -= lr / bias1 * m / (sqrt(v / bias2) + eps)
 * with g = clip * gradient. bias1 = 1-b1^t, bias2 = 1-b2^t. */
typedef struct math_adamw {
    float lr, beta1, beta2, eps, weight_decay;
    float bias1, bias2;
    float clip;
} math_adamw;

typedef struct math_ops {
    const char *name;

    /* y[n][R] = x[n][C] w[R][C]^T: makes R columns out of C. */
    void (*expand)(const math_ctx *, int64_t n, int64_t R, int64_t C,
                   const float *x, int64_t ldx, const float *w, int64_t ldw,
                   float *y, int64_t ldy);

    /* Tree sum over k of a(i,k) b[k][j], i < m, j < cols, into the stack
     * planes (rows of ldo floats). Used for
     *   y = a W        (trans_a 0; k runs over rows of W: tensor leaves)
     *   dW = dy^T x    (trans_a 1; k runs over tokens: data leaves). */
    void (*tree_sum)(const math_ctx *, bool trans_a, int64_t m, int64_t cols,
                     const math_src src[2], const math_seg *segs, int nsegs,
                     const math_stack *stack, int64_t ldo);

    /* Column sums over tokens by leaves: out[j] = tree sum of x[t][j]. The
     * planes are vectors of R floats. */
    void (*col_sum)(const math_ctx *, int64_t R, const float *x, int64_t ldx,
                    const math_seg *segs, int nsegs, const math_stack *stack);

    /* LayerNorm. stats[t] = {mean, 1/sqrt(var + eps)}. */
    void (*norm_fwd)(const math_ctx *, int64_t n, int64_t C, float eps,
                     const float *x, int64_t ldx, const float *gamma,
                     const float *beta, float *y, int64_t ldy, float *stats);
    /* dx[t][c] += gradient through the norm of dy. */
    void (*norm_bwd)(const math_ctx *, int64_t n, int64_t C, const float *dy,
                     int64_t lddy, const float *x, int64_t ldx,
                     const float *gamma, const float *stats, float *dx,
                     int64_t lddx);
    /* dgamma (stack dg) and dbeta (stack db): tree sums over tokens of
     * dy * xhat and dy. Planes are vectors of C floats. */
    void (*norm_grad)(const math_ctx *, int64_t C, const float *dy,
                      int64_t lddy, const float *x, int64_t ldx,
                      const float *stats, const math_seg *segs, int nsegs,
                      const math_stack *dg, const math_stack *db);

    /* y[t][j] += bias[j]. */
    void (*bias_add)(const math_ctx *, int64_t n, int64_t R, float *y,
                     int64_t ldy, const float *bias);
    /* g = act(u). */
    void (*act_fwd)(const math_ctx *, math_act act, int64_t n, int64_t R,
                    const float *u, int64_t ldu, float *g, int64_t ldg);
    /* dg becomes du = dg * act'(u), in place. */
    void (*act_bwd)(const math_ctx *, math_act act, int64_t n, int64_t R,
                    const float *u, int64_t ldu, float *dg, int64_t lddg);
    /* out = x + ((y + b1) + b2); b1, b2 may be NULL. out may be x. */
    void (*residual)(const math_ctx *, int64_t n, int64_t C, const float *x,
                     int64_t ldx, const float *y, int64_t ldy, const float *b1,
                     const float *b2, float *out, int64_t ldout);
    /* into += from, rows x cols. The add of a tree node. */
    void (*add)(const math_ctx *, int64_t rows, int64_t cols, float *into,
                int64_t ldi, const float *from, int64_t ldf);
    void (*copy)(const math_ctx *, int64_t rows, int64_t cols, float *to,
                 int64_t ldt, const float *from, int64_t ldf);
    void (*zero)(const math_ctx *, int64_t rows, int64_t cols, float *p,
                 int64_t ld);

    /* Rotates q and k of every head in qkv, in place. Position of row t is
     * first + t % T. inverse = 1 rotates gradients back. */
    void (*rope)(const math_ctx *, const math_rope *, int64_t B, int64_t T,
                 bool inverse, float *qkv, int64_t ld);

    /* out[t][h*D + d]; lse[t][h] = log sum exp of the scores. B sequences of
     * T rows each; with a cache B = 1, and T counts its rows. Work done grows
     * with the window. */
    void (*attn_fwd)(const math_ctx *, const math_attn *, int64_t B, int64_t T,
                     const float *qkv, int64_t ld, float *out, int64_t ldo,
                     float *lse);
    /* dqkv (written, same layout as qkv) from dout; `out` is attn_fwd's. */
    void (*attn_bwd)(const math_ctx *, const math_attn *, int64_t B, int64_t T,
                     const float *qkv, int64_t ld, const float *out,
                     int64_t ldo, const float *lse, const float *dout,
                     int64_t lddo, float *dqkv, int64_t lddq);

    /* out[t] = table row ids[t] - row0 if that is in [0, rows), else 0
     * (vocabulary-parallel). Adds +0 so that -0 never appears. */
    void (*rows_get)(const math_ctx *, int64_t n, int64_t C, const int32_t *ids,
                     int64_t row0, int64_t rows, const float *table,
                     int64_t ldt, float *out, int64_t ldo);
    /* grad[ids[t] - row0] = tree sum over data leaves of dx rows, in token
     * order inside a leaf. grad is zeroed first. segs cover all tokens;
     * `leaves` is n of the tree. Leaves that are not siblings stay apart:
     * plane p of grad (stride plane_stride) is piece p (tree_pieces). */
    void (*rows_grad)(const math_ctx *, int64_t n, int64_t C,
                      const int32_t *ids, int64_t row0, int64_t rows,
                      const float *dx, int64_t lddx, const math_seg *segs,
                      int nsegs, int leaves, float *grad, int64_t ldg,
                      int64_t plane_stride);

    /* Softmax cross entropy over the vocabulary, in fixed blocks of
     * MATH_XENT_BLOCK columns of a leaf. stats[t] = {max, sum of exp(l -
     * max)} of ONE tensor leaf, continued over calls: `cols` columns of
     * logits that begin `col0` columns after the leaf's start; col0 is a
     * multiple of MATH_XENT_BLOCK, and is 0 in the leaf's first call, which
     * starts the stats. Rows of stats are ld_stats floats apart. */
    void (*xent_stats)(const math_ctx *, int64_t n, int64_t cols, int64_t col0,
                       const float *logits, int64_t ld, float *stats,
                       int64_t ld_stats);
    /* Picks the logit of the target where it is in columns [v0, v0 + cols)
     * of the vocabulary; leaves target[t] alone elsewhere. */
    void (*xent_pick)(const math_ctx *, int64_t n, int64_t v0, int64_t cols,
                      const int32_t *targets, const float *logits, int64_t ld,
                      float *target);
    /* Joins the stats of all `leaves` leaves of a token by the tree
     * (stats[t][leaf][2], leaf with sum 0 = empty): norm[t] = log(sum) + max,
     * loss[t] = norm[t] - target[t]. */
    void (*xent_loss)(const math_ctx *, int64_t n, int leaves,
                      const float *stats, const float *target, float *norm,
                      float *loss);
    /* logits become gradients: (exp(l - norm[t]) - [target == v0 + j]) *
     * scale, in place; columns at or past `valid` become 0 (padded rows of
     * the vocabulary). */
    void (*xent_grad)(const math_ctx *, int64_t n, int64_t v0, int64_t cols,
                      int64_t valid, const int32_t *targets, const float *norm,
                      float scale, float *logits, int64_t ld);

    /* out[r] = sum of squares of row r (double, fixed order). */
    void (*row_sumsq)(const math_ctx *, int64_t rows, int64_t cols,
                      const float *x, int64_t ld, double *out);
    /* Updates rows x cols of w, m, v from g (all with leading dimension ld).*/
    void (*adamw)(const math_ctx *, const math_adamw *, int64_t rows,
                  int64_t cols, int64_t ld, float *w, const float *g, float *m,
                  float *v);
} math_ops;

extern const math_ops math_ref;
extern const math_ops math_opt;

enum { MATH_XENT_BLOCK = 512 };

/* How the fast kernels divide their work: for whoever predicts their time. */
enum {
    /* Queries in one block of attention. */
    MATH_QUERY_BLOCK = 96,
    /* Elements below which element-wise kernels use one thread. */
    MATH_SERIAL_ITEMS = 16 * 1024,
    /* Floats of the result that a thread's tree sum does at once where it
     * keeps entries aside: 1 MiB. */
    MATH_SUM_FLOATS = 256 * 1024
};

/* What any kernel call but rows_grad needs at most: sequence length T, floats
 * in the largest result of a tree sum, leaves. With less work memory tree_sum
 * still runs, in smaller boxes. */
size_t math_work_bytes(int threads, int64_t T, int64_t sum_floats, int leaves);

/* Work bytes that rows_grad needs for n tokens; math_work_bytes does not
 * include them. */
size_t math_rows_work_bytes(int64_t n);

#endif
