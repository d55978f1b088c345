/*
 * Attention, causal and optionally within a window, in blocks of queries.
 *
 * A block of OPT_QUERIES queries is multiplied with exactly the keys that any
 * of them may see, so a layer with a window costs what its window costs:
 *
 *     keys    lo ......... q0 ..... q1          lo = q0 - window + 1, or 0
 *     query q0   xxxxxxxxxxx
 *     query ..     xxxxxxxxxxxxx                x: seen; the corners are
 *     query q1-1      xxxxxxxxxxxxx             computed and set to zero
 *
 * Blocks begin at multiples of OPT_QUERIES of the sequence, so which keys go
 * into a sum, and in which order, depends on the position in the sequence and
 * on the window alone: neither on threads nor on other sequences or heads.
 *
 * Forward: scores S = Q K^T; P = exp(scale S - max); out = P V / sum. Any
 * block is a task. Backward: P again from lse; with dP = dout V^T and delta =
 * sum(dout * out): dS = P (dP - delta) scale; dQ = dS K, dK += dS^T Q,
 * dV += P^T dout. A head of a sequence is a task, its blocks go in order.
 */
#include <math.h>
#include <omp.h>

#include "runtime/base/status.h"
#include "runtime/math/matmul.h"
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/opt/vec.h"

/* One block of queries of one head. Row r is query from + r; column c of a
 * score matrix is key lo + c. from is q0 but where the first queries have been
 * answered (a cache); keys go by q0, so that the sums stay the same. */
typedef struct block {
    int64_t q0, q1;
    int64_t from;
    int64_t lo;
    int64_t rows;
    int64_t keys;
    int64_t ld; /* of score matrices, whole vectors */
} block;

static block block_at(const math_attn *at, int64_t q0, int64_t T)
{
    block b;
    b.q0 = q0;
    b.q1 = q0 + OPT_QUERIES < T ? q0 + OPT_QUERIES : T;
    b.from = q0 > at->first ? q0 : at->first;
    b.lo = at->window > 0 && q0 >= at->window ? q0 - at->window + 1 : 0;
    b.rows = b.q1 - b.from;
    b.keys = b.q1 - b.lo;
    b.ld = math_pad(b.keys);
    return b;
}

/* Columns [*c0, *c1) of row r are seen. */
static void seen(const math_attn *at, const block *b, int64_t r, int64_t *c0,
                 int64_t *c1)
{
    int64_t q = b->from + r;
    int64_t first = at->window > 0 && q >= at->window ? q - at->window + 1 : 0;
    *c0 = first - b->lo;
    *c1 = q + 1 - b->lo;
}

int64_t opt_attn_floats(int64_t T)
{
    return 2 * OPT_QUERIES * math_pad(T);
}

/* Fills columns of a row that are not seen, up to whole vectors around those
 * that are, and zeros the rest: [*v0, *v1) is then whole vectors. */
static void mask(const block *b, float *row, int64_t c0, int64_t c1,
                 int64_t *v0, int64_t *v1)
{
    *v0 = c0 / MATH_LANES * MATH_LANES;
    *v1 = math_pad(c1);
    for (int64_t c = *v0; c < c0; c++) {
        row[c] = -INFINITY;
    }
    for (int64_t c = c1; c < *v1; c++) {
        row[c] = -INFINITY;
    }
    memset(row, 0, (size_t)*v0 * sizeof(float));
    memset(row + *v1, 0, (size_t)(b->ld - *v1) * sizeof(float));
}

/* Scores of a row become exp(scale s - max); returns max, *sum their sum. */
static float row_softmax(float scale, float *row, int64_t n, float *sum)
{
    v16 most = lane_all(-INFINITY);
    for (int64_t c = 0; c < n; c += MATH_LANES) {
        v16 s = lane_load(row + c) * lane_all(scale);
        lane_store(row + c, s);
        most = lane_max(s, most);
    }
    float max = lane_max_of(most);
    vec_exp(n, 1.0F, max, row);
    v16 total = lane_all(0);
    for (int64_t c = 0; c < n; c += MATH_LANES) {
        total += lane_load(row + c);
    }
    *sum = lane_sum(total);
    return max;
}

static void row_scale(float *row, int64_t n, float by)
{
    for (int64_t j = 0; j < n; j += MATH_LANES) {
        lane_put(row, j, n, lane_get(row, j, n, 0) * lane_all(by));
    }
}

/* Where one head of one sequence is: q from the first query, k and v from the
 * first key on. */
typedef struct operands {
    const float *q, *k, *v;
    int64_t ldq, ldk;
} operands;

/* out and lse point at the first query's row. */
static void forward_block(const math_attn *at, const block *b,
                          const operands *in, float *out, int64_t ldo,
                          float *lse, float *S)
{
    int64_t D = at->head_dim;
    float inverse[OPT_QUERIES];
    int64_t row0 = b->from - at->first;
    matmul_one(false, true, b->rows, b->keys, D, in->q + row0 * in->ldq,
               in->ldq, in->k + b->lo * in->ldk, in->ldk, 0.0F, S, b->ld);
    for (int64_t r = 0; r < b->rows; r++) {
        int64_t c0, c1, v0, v1;
        float sum;
        seen(at, b, r, &c0, &c1);
        mask(b, S + r * b->ld, c0, c1, &v0, &v1);
        float max = row_softmax(at->scale, S + r * b->ld + v0, v1 - v0, &sum);
        lse[(row0 + r) * at->heads] = max + logf(sum);
        inverse[r] = 1.0F / sum;
    }
    float *o = out + row0 * ldo;
    matmul_one(false, false, b->rows, D, b->keys, S, b->ld,
               in->v + b->lo * in->ldk, in->ldk, 0.0F, o, ldo);
    for (int64_t r = 0; r < b->rows; r++) {
        row_scale(o + r * ldo, D, inverse[r]);
    }
}

/* This thread's share of the scratch memory. */
static float *my_work(const math_ctx *ctx, int64_t T)
{
    int64_t each = opt_attn_floats(T);
    ASSERT(ctx->work_bytes >=
           (size_t)(omp_get_num_threads() * each) * sizeof(float));
    return (float *)ctx->work + omp_get_thread_num() * each;
}

static operands operands_of(const math_attn *at, const float *qkv, int64_t ld,
                            int64_t row0, int64_t head)
{
    int64_t D = at->head_dim;
    const float *q = qkv + row0 * ld + head * 3 * D;
    if (at->cache == NULL) {
        return (operands){q, q + D, q + 2 * D, ld, ld};
    }
    const float *k = at->cache + head * 2 * D;
    return (operands){q, k, k + D, ld, at->ldc};
}

void opt_attn_fwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, float *out,
                  int64_t ldo, float *lse)
{
    int64_t done = at->first / OPT_QUERIES; /* blocks */
    int64_t blocks = (T + OPT_QUERIES - 1) / OPT_QUERIES - done;
    int64_t heads = at->heads;
    int64_t D = at->head_dim;
    ASSERT(at->first >= 0 && at->first < T);
    ASSERT(at->cache == NULL ? at->first == 0 : B == 1);
#pragma omp parallel num_threads(ctx->threads)
    {
        float *S = my_work(ctx, T);
        /* Late blocks see most keys: they go first, small ones fill up. */
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks * B * heads; i++) {
            int64_t head = i % heads;
            int64_t row0 = i / heads % B * T;
            int64_t late = done + blocks - 1 - i / (heads * B);
            block b = block_at(at, late * OPT_QUERIES, T);
            operands in = operands_of(at, qkv, ld, row0, head);
            forward_block(at, &b, &in, out + row0 * ldo + head * D, ldo,
                          lse + row0 * heads + head, S);
        }
    }
}

/* Everything of one head of one sequence that the backward pass touches. */
typedef struct head {
    const float *q;
    int64_t ld;
    const float *out;
    int64_t ldo;
    const float *lse;
    const float *dout;
    int64_t lddo;
    float *dq;
    int64_t lddq;
} head;

/* P (from scores) and dS (from dP), in place. */
static void backward_rows(const math_attn *at, const block *b, const head *hd,
                          float *P, float *dS)
{
    int64_t D = at->head_dim;
    for (int64_t r = 0; r < b->rows; r++) {
        int64_t q = b->q0 + r;
        float *p = P + r * b->ld;
        float *ds = dS + r * b->ld;
        int64_t c0, c1, v0, v1;
        seen(at, b, r, &c0, &c1);
        mask(b, p, c0, c1, &v0, &v1);
        vec_exp(v1 - v0, at->scale, hd->lse[q * at->heads], p + v0);
        v16 sum = lane_all(0);
        for (int64_t j = 0; j < D; j += MATH_LANES) {
            sum += lane_get(hd->dout + q * hd->lddo, j, D, 0) *
                   lane_get(hd->out + q * hd->ldo, j, D, 0);
        }
        v16 delta = lane_all(lane_sum(sum));
        memset(ds, 0, (size_t)v0 * sizeof(float));
        memset(ds + v1, 0, (size_t)(b->ld - v1) * sizeof(float));
        for (int64_t c = b->keys; c < v1; c++) {
            ds[c] = 0; /* never computed */
        }
        for (int64_t c = v0; c < v1; c += MATH_LANES) {
            v16 d = (lane_load(ds + c) - delta) * lane_all(at->scale);
            lane_store(ds + c, lane_load(p + c) * d);
        }
    }
}

static void backward_block(const math_attn *at, const block *b, const head *hd,
                           float *P, float *dS)
{
    int64_t D = at->head_dim;
    const float *q = hd->q + b->q0 * hd->ld;
    const float *k = hd->q + b->lo * hd->ld + D;
    const float *v = k + D;
    const float *dout = hd->dout + b->q0 * hd->lddo;
    float *dq = hd->dq + b->q0 * hd->lddq;
    float *dk = hd->dq + b->lo * hd->lddq + D;
    float *dv = dk + D;
    matmul_one(false, true, b->rows, b->keys, D, q, hd->ld, k, hd->ld, 0.0F, P,
               b->ld);
    matmul_one(false, true, b->rows, b->keys, D, dout, hd->lddo, v, hd->ld,
               0.0F, dS, b->ld);
    backward_rows(at, b, hd, P, dS);
    matmul_one(true, false, b->keys, D, b->rows, P, b->ld, dout, hd->lddo, 1.0F,
               dv, hd->lddq);
    matmul_one(false, false, b->rows, D, b->keys, dS, b->ld, k, hd->ld, 0.0F,
               dq, hd->lddq);
    matmul_one(true, false, b->keys, D, b->rows, dS, b->ld, q, hd->ld, 1.0F, dk,
               hd->lddq);
}

void opt_attn_bwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, const float *out,
                  int64_t ldo, const float *lse, const float *dout,
                  int64_t lddo, float *dqkv, int64_t lddq)
{
    int64_t heads = at->heads;
    int64_t D = at->head_dim;
    ASSERT(at->cache == NULL && at->first == 0);
#pragma omp parallel num_threads(ctx->threads)
    {
        float *P = my_work(ctx, T);
        float *dS = P + opt_attn_floats(T) / 2;
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < B * heads; i++) {
            int64_t row0 = i / heads * T;
            int64_t h = i % heads;
            head hd = {qkv + row0 * ld + h * 3 * D,
                       ld,
                       out + row0 * ldo + h * D,
                       ldo,
                       lse + row0 * heads + h,
                       dout + row0 * lddo + h * D,
                       lddo,
                       dqkv + row0 * lddq + h * 3 * D,
                       lddq};
            for (int64_t t = 0; t < T; t++) {
                memset(hd.dq + t * lddq + D, 0,
                       (size_t)(2 * D) * sizeof(float));
            }
            for (int64_t q0 = 0; q0 < T; q0 += OPT_QUERIES) {
                block b = block_at(at, q0, T);
                backward_block(at, &b, &hd, P, dS);
            }
        }
    }
}
