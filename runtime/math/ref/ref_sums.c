/*
 * Sums: products, tree sums, column sums, gradients of norms and of embedding
 * rows. All of them are ref_tree_strip over different terms.
 */
#include <string.h>

#include "runtime/base/status.h"
#include "runtime/math/matmul.h"
#include "runtime/math/ref/ref.h"
#include "runtime/math/walk.h"

static int64_t strip_of(int64_t j, int64_t n)
{
    return n - j < REF_STRIP ? n - j : REF_STRIP;
}

static void fold(float *values, int64_t n, const math_seg *seg, int64_t stretch,
                 ref_term *term, const void *arg)
{
    for (int64_t k = seg->k0; k < seg->k1; k += stretch) {
        double sums[REF_STRIP] = {0};
        for (int64_t i = k; i < k + stretch && i < seg->k1; i++) {
            term(arg, seg->src, i, n, sums);
        }
        for (int64_t j = 0; j < n; j++) {
            values[j] = (float)((double)values[j] + sums[j]);
        }
    }
}

void ref_tree_strip(const math_stack *stack, const math_seg *segs, int nsegs,
                    int64_t stretch, ref_term *term, const void *arg, int64_t n,
                    float *plane0)
{
    float at[WALK_ENTRIES][REF_STRIP] = {{0}};
    size_t bytes = (size_t)n * sizeof(float);
    walk w;
    ASSERT(n <= REF_STRIP);
    walk_begin(&w, stack);
    for (int e = 0; e < w.depth; e++) {
        memcpy(at[e], plane0 + e * stack->plane_stride, bytes);
    }
    for (int i = 0; i < nsegs; i++) {
        int top = walk_push(&w, &segs[i]);
        if (segs[i].first) {
            memset(at[top], 0, bytes);
        }
        /* Empty leaves are zeros here: adding them changes no value. */
        fold(at[top], n, &segs[i], stretch, term, arg);
        while (segs[i].last && walk_join(&w) != JOIN_NONE) {
            for (int64_t j = 0; j < n; j++) {
                at[w.depth - 1][j] += at[w.depth][j];
            }
        }
    }
    ASSERT(w.depth <= stack->planes);
    for (int e = 0; e < w.depth; e++) {
        memcpy(plane0 + e * stack->plane_stride, at[e], bytes);
    }
}

typedef struct product {
    bool trans_a;
    const math_src *src;
    int64_t i, j;
} product;

static void product_term(const void *arg, int src, int64_t k, int64_t n,
                         double *sums)
{
    const product *p = arg;
    const math_src *s = &p->src[src];
    float a = p->trans_a ? s->a[k * s->lda + p->i] : s->a[p->i * s->lda + k];
    const float *b = s->b + k * s->ldb + p->j;
    for (int64_t j = 0; j < n; j++) {
        sums[j] += (double)a * (double)b[j];
    }
}

void ref_expand(const math_ctx *ctx, int64_t n, int64_t R, int64_t C,
                const float *x, int64_t ldx, const float *w, int64_t ldw,
                float *y, int64_t ldy)
{
    (void)ctx;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < R; j++) {
            double sum = 0;
            for (int64_t c = 0; c < C; c++) {
                sum += (double)x[i * ldx + c] * (double)w[j * ldw + c];
            }
            y[i * ldy + j] = (float)sum;
        }
    }
}

void ref_tree_sum(const math_ctx *ctx, bool trans_a, int64_t m, int64_t cols,
                  const math_src src[2], const math_seg *segs, int nsegs,
                  const math_stack *stack, int64_t ldo)
{
    (void)ctx;
    int64_t stretch = matmul_kblock();
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < cols; j += REF_STRIP) {
            product p = {trans_a, src, i, j};
            ref_tree_strip(stack, segs, nsegs, stretch, product_term, &p,
                           strip_of(j, cols), stack->plane0 + i * ldo + j);
        }
    }
}

/* Columns of tokens: x, or dy * (x - mean) * rstd. */
typedef struct column {
    const float *x;
    int64_t ldx;
    const float *dy;
    int64_t lddy;
    const float *stats;
} column;

static void column_term(const void *arg, int src, int64_t k, int64_t n,
                        double *sums)
{
    const column *c = arg;
    (void)src;
    for (int64_t j = 0; j < n; j++) {
        sums[j] += (double)c->x[k * c->ldx + j];
    }
}

static void xhat_term(const void *arg, int src, int64_t k, int64_t n,
                      double *sums)
{
    const column *c = arg;
    double mean = (double)c->stats[2 * k];
    double rstd = (double)c->stats[2 * k + 1];
    (void)src;
    for (int64_t j = 0; j < n; j++) {
        sums[j] += (double)c->dy[k * c->lddy + j] *
                   ((double)c->x[k * c->ldx + j] - mean) * rstd;
    }
}

void ref_col_sum(const math_ctx *ctx, int64_t R, const float *x, int64_t ldx,
                 const math_seg *segs, int nsegs, const math_stack *stack)
{
    (void)ctx;
    for (int64_t j = 0; j < R; j += REF_STRIP) {
        column c = {x + j, ldx, NULL, 0, NULL};
        ref_tree_strip(stack, segs, nsegs, 1, column_term, &c, strip_of(j, R),
                       stack->plane0 + j);
    }
}

void ref_norm_grad(const math_ctx *ctx, int64_t C, const float *dy,
                   int64_t lddy, const float *x, int64_t ldx,
                   const float *stats, const math_seg *segs, int nsegs,
                   const math_stack *dg, const math_stack *db)
{
    for (int64_t j = 0; j < C; j += REF_STRIP) {
        column c = {x + j, ldx, dy + j, lddy, stats};
        ref_tree_strip(dg, segs, nsegs, 1, xhat_term, &c, strip_of(j, C),
                       dg->plane0 + j);
    }
    ref_col_sum(ctx, C, dy, lddy, segs, nsegs, db);
}

void ref_rows_get(const math_ctx *ctx, int64_t n, int64_t C, const int32_t *ids,
                  int64_t row0, int64_t rows, const float *table, int64_t ldt,
                  float *out, int64_t ldo)
{
    (void)ctx;
    for (int64_t t = 0; t < n; t++) {
        int64_t row = ids[t] - row0;
        bool here = row >= 0 && row < rows;
        for (int64_t c = 0; c < C; c++) {
            out[t * ldo + c] = here ? table[row * ldt + c] + 0.0F : 0.0F;
        }
    }
}

/* Tokens of one row of the table: others are zeros. */
typedef struct row_tokens {
    const int32_t *ids;
    int64_t id;
    const float *dx; /* the columns at hand */
    int64_t lddx;
} row_tokens;

static void row_term(const void *arg, int src, int64_t k, int64_t n,
                     double *sums)
{
    const row_tokens *r = arg;
    (void)src;
    for (int64_t j = 0; r->ids[k] == r->id && j < n; j++) {
        sums[j] += (double)r->dx[k * r->lddx + j];
    }
}

void ref_rows_grad(const math_ctx *ctx, int64_t n, int64_t C,
                   const int32_t *ids, int64_t row0, int64_t rows,
                   const float *dx, int64_t lddx, const math_seg *segs,
                   int nsegs, int leaves, float *grad, int64_t ldg,
                   int64_t plane_stride)
{
    (void)ctx;
    (void)n;
    math_stack stack = {grad, plane_stride, WALK_ENTRIES, leaves, 0, {{0, 0}}};
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < C; c += REF_STRIP) {
            row_tokens r = {ids, row0 + row, dx + c, lddx};
            ref_tree_strip(&stack, segs, nsegs, 1, row_term, &r, strip_of(c, C),
                           grad + row * ldg + c);
        }
    }
}
