/*
 * The fast kernels: against the plain ones by tolerance, over odd shapes, and
 * against themselves bit for bit, over random threads and random divisions of
 * rows, columns, tokens, segments and calls.
 *
 * Values past the last real column are NaN in every input and must neither
 * matter nor be overwritten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/math_fixture.h"

/* ---- activations ------------------------------------------------------ */

static double gelu(math_act act, double u, double *slope)
{
    if (act == ACT_GELU_ERF) {
        double c = 0.5 * erfc(-u / M_SQRT2);
        *slope = c + u * exp(-0.5 * u * u) / sqrt(2 * M_PI);
        return u * c;
    }
    double root = sqrt(2 / M_PI);
    double e = exp(-2 * root * (u + 0.044715 * u * u * u));
    double s = 1 / (1 + e);
    double rest = isinf(e) ? 1 : e / (1 + e);
    *slope = s + u * 2 * root * (1 + 3 * 0.044715 * u * u) * s * rest;
    return u * s;
}

/* 1e-6 of the value where it is not a far tail, and of 0.1 below that. */
static void gelu_is_precise(void **state)
{
    (void)state;
    enum { N = 40001 };
    for (int a = 0; a < 2; a++) {
        math_act act = (math_act)a;
        double worst = 0;
        for (int i = 0; i < N; i++) {
            buf[0][i] = (float)(i - N / 2) / (N / 2) * (i % 5 ? 6.0F : 50.0F);
            buf[2][i] = 1;
        }
        math_opt.act_fwd(any(), act, 1, N, buf[0], N, buf[1], N);
        math_opt.act_bwd(any(), act, 1, N, buf[0], N, buf[2], N);
        for (int i = 0; i < N; i++) {
            double slope;
            double y = gelu(act, (double)buf[0][i], &slope);
            double dy = fabs((double)buf[1][i] - y) / fmax(fabs(y), 0.1);
            double ds =
                fabs((double)buf[2][i] - slope) / fmax(fabs(slope), 0.1);
            worst = fmax(worst, fmax(dy, ds));
            assert_true(dy <= 1e-6);
            assert_true(ds <= 1e-6);
        }
        print_message("gelu form %d: worst error %.2g\n", a, worst);
    }
}

static void gelu_keeps_nan_and_denormals(void **state)
{
    (void)state;
    for (int a = 0; a < 2; a++) {
        float u[4] = {NAN, INFINITY, -60.0F, 1e-40F};
        float g[4];
        math_opt.act_fwd(any(), (math_act)a, 1, 4, u, 4, g, 4);
        assert_true(isnan(g[0]));
        assert_true(g[1] == INFINITY);
        assert_true(fabsf(g[2]) <= 1e-15F);
        assert_true(g[3] > 0 && g[3] < 1e-40F);
        float d[4] = {1, 1, 1, 1};
        u[1] = 60;
        math_opt.act_bwd(any(), (math_act)a, 1, 4, u, 4, d, 4);
        assert_true(isnan(d[0]));
        assert_true(fabsf(d[1] - 1) <= 1e-6F);
        assert_true(fabsf(d[2]) <= 1e-13F);
        assert_true(fabsf(d[3] - 0.5F) <= 1e-6F);
    }
}

/* Rows and columns may be cut anywhere, also inside a vector. */
static void act_divides(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        math_act act = (math_act)(round & 1);
        int64_t n = pick(1, 40);
        int64_t R = pick(1, 600);
        int64_t ld = R + pick(0, 20);
        fill(buf[0], n, R, ld);
        for (int64_t i = 0; i < n * ld; i++) {
            buf[0][i] *= 8;
        }
        fill(buf[1], n, R, ld);
        memcpy(buf[2], buf[1], sizeof(float) * (size_t)(n * ld));
        memcpy(buf[3], buf[1], sizeof(float) * (size_t)(n * ld));
        memcpy(buf[4], buf[1], sizeof(float) * (size_t)(n * ld));
        math_opt.act_fwd(any(), act, n, R, buf[0], ld, buf[1], ld);
        math_opt.act_bwd(any(), act, n, R, buf[0], ld, buf[2], ld);
        int64_t cut = pick(0, R);
        int64_t row = pick(0, n);
        for (int part = 0; part < 4; part++) {
            int64_t at = (part & 1 ? cut : 0) + (part & 2 ? row : 0) * ld;
            int64_t rows = part & 2 ? n - row : row;
            int64_t cols = part & 1 ? R - cut : cut;
            math_opt.act_fwd(any(), act, rows, cols, buf[0] + at, ld,
                             buf[3] + at, ld);
            math_opt.act_bwd(any(), act, rows, cols, buf[0] + at, ld,
                             buf[4] + at, ld);
        }
        assert_same(buf[1], buf[3], n, R, ld);
        assert_same(buf[2], buf[4], n, R, ld);
        assert_gaps(buf[1], n, R, ld);
        math_ref.act_fwd(any(), act, n, R, buf[0], ld, buf[3], ld);
        assert_close(buf[1], ld, buf[3], ld, n, R);
    }
}

/* ---- norm and element-wise -------------------------------------------- */

static void norm_agrees_and_divides(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        int64_t n = pick(1, 70);
        int64_t C = pick(1, round % 2 ? 900 : 40);
        int64_t ld = C + pick(0, 20);
        size_t bytes = sizeof(float) * (size_t)(n * ld);
        float *x = buf[0], *gamma = buf[1], *beta = buf[2], *dy = buf[3];
        fill(x, n, C, ld);
        fill(gamma, 1, C, C);
        fill(beta, 1, C, C);
        fill(dy, n, C, ld);
        float stats[3][140];
        math_ref.norm_fwd(any(), n, C, 1e-5F, x, ld, gamma, beta, buf[4], ld,
                          stats[0]);
        fill(buf[5], n, C, ld);
        memcpy(buf[6], buf[5], bytes);
        math_opt.norm_fwd(any(), n, C, 1e-5F, x, ld, gamma, beta, buf[5], ld,
                          stats[1]);
        int64_t cut = pick(0, n);
        math_opt.norm_fwd(any(), cut, C, 1e-5F, x, ld, gamma, beta, buf[6], ld,
                          stats[2]);
        math_opt.norm_fwd(any(), n - cut, C, 1e-5F, x + cut * ld, ld, gamma,
                          beta, buf[6] + cut * ld, ld, stats[2] + 2 * cut);
        if (C > 2) { /* with two columns a norm amplifies any rounding */
            assert_close(buf[5], ld, buf[4], ld, n, C);
            assert_close(stats[1], 2, stats[0], 2, n, 2);
        }
        assert_same(buf[5], buf[6], n, C, ld);
        assert_same(stats[1], stats[2], n, 2, 2);
        assert_gaps(buf[5], n, C, ld);
        /* Backward adds to what is there. */
        fill(buf[4], n, C, ld);
        memcpy(buf[5], buf[4], bytes);
        memcpy(buf[6], buf[4], bytes);
        math_ref.norm_bwd(any(), n, C, dy, ld, x, ld, gamma, stats[1], buf[4],
                          ld);
        math_opt.norm_bwd(any(), n, C, dy, ld, x, ld, gamma, stats[1], buf[5],
                          ld);
        math_opt.norm_bwd(any(), cut, C, dy, ld, x, ld, gamma, stats[1], buf[6],
                          ld);
        math_opt.norm_bwd(any(), n - cut, C, dy + cut * ld, ld, x + cut * ld,
                          ld, gamma, stats[1] + 2 * cut, buf[6] + cut * ld, ld);
        if (C > 2) {
            assert_close(buf[5], ld, buf[4], ld, n, C);
        }
        assert_same(buf[5], buf[6], n, C, ld);
    }
}

/* These have one rounding an operation: both twins give the same bits. */
static void element_wise_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        int64_t n = pick(1, 60);
        int64_t C = pick(1, 700);
        int64_t ld = C + pick(0, 20);
        size_t bytes = sizeof(float) * (size_t)(n * ld);
        const float *b1 = round & 1 ? buf[2] : NULL;
        const float *b2 = round & 2 ? buf[3] : NULL;
        fill(buf[0], n, C, ld);
        fill(buf[1], n, C, ld);
        fill(buf[2], 1, C, C);
        fill(buf[3], 1, C, C);
        for (int twin = 0; twin < 2; twin++) {
            const math_ops *op = twin ? &math_opt : &math_ref;
            float *out = buf[4 + 2 * twin];
            float *copy = buf[5 + 2 * twin];
            memcpy(out, buf[0], bytes);
            memcpy(copy, buf[1], bytes);
            op->residual(any(), n, C, out, ld, buf[1], ld, b1, b2, out, ld);
            op->bias_add(any(), n, C, out, ld, buf[3]);
            op->add(any(), n, C, out, ld, buf[1], ld);
            op->copy(any(), n, C, copy, ld, out, ld);
            op->zero(any(), n, C / 2, out, ld);
            double sums[60];
            op->row_sumsq(any(), n, C, copy, ld, sums);
            for (int64_t t = 0; t < n; t++) {
                buf[8 + twin][t] = (float)sums[t];
            }
        }
        assert_same(buf[4], buf[6], n, C, ld);
        assert_same(buf[5], buf[7], n, C, ld);
        assert_gaps(buf[6], n, C, ld);
        assert_gaps(buf[7], n, C, ld);
        assert_close(buf[9], 1, buf[8], 1, n, 1);
    }
}

static void adamw_agrees(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int64_t rows = pick(1, 60);
        int64_t cols = pick(1, 700);
        int64_t ld = cols + pick(0, 20);
        size_t bytes = sizeof(float) * (size_t)(rows * ld);
        math_adamw p = {1e-2F, 0.9F, 0.99F, 1e-8F, 0.1F, 0.3F, 0.02F, 0.7F};
        for (int i = 0; i < 4; i++) {
            fill(buf[i], rows, cols, ld);
        }
        for (int64_t i = 0; i < rows * ld; i++) {
            buf[3][i] = fabsf(buf[3][i]);
        }
        for (int i = 0; i < 4; i++) {
            memcpy(buf[4 + i], buf[i], bytes);
        }
        math_ref.adamw(any(), &p, rows, cols, ld, buf[0], buf[1], buf[2],
                       buf[3]);
        math_opt.adamw(any(), &p, rows, cols, ld, buf[4], buf[5], buf[6],
                       buf[7]);
        for (int i = 0; i < 4; i++) {
            assert_same(buf[i], buf[4 + i], rows, cols, ld);
            assert_gaps(buf[4 + i], rows, cols, ld);
        }
    }
}

/* Rows from `first` on are rotated as they are among all. */
static void rope_continues(const math_rope *rope, int64_t T, int64_t cols,
                           int64_t ld)
{
    const math_ops *const sets[] = {&math_ref, &math_opt};
    for (int i = 0; i < 2; i++) {
        math_rope late = *rope;
        late.first = pick(0, T - 1);
        int64_t n = T - late.first;
        fill(buf[3], T, cols, ld);
        memcpy(buf[4], buf[3] + late.first * ld,
               sizeof(float) * (size_t)(n * ld));
        sets[i]->rope(any(), rope, 1, T, false, buf[3], ld);
        sets[i]->rope(any(), &late, 1, n, false, buf[4], ld);
        assert_same(buf[3] + late.first * ld, buf[4], n, cols, ld);
    }
}

static void rope_agrees(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        int D = round % 3 ? 24 : 64;
        math_rope rope = {
            (int32_t)pick(1, 3),       D,        (int32_t)pick(1, D / 2) * 2,
            (math_pairing)(round & 1), 10000.0F, 0};
        int64_t B = pick(1, 3);
        int64_t T = pick(1, 50);
        int64_t cols = rope.heads * 3 * D;
        int64_t ld = cols + pick(0, 5);
        bool inverse = round & 2;
        fill(buf[0], B * T, cols, ld);
        memcpy(buf[1], buf[0], sizeof(float) * (size_t)(B * T * ld));
        memcpy(buf[2], buf[0], sizeof(float) * (size_t)(B * T * ld));
        math_ref.rope(any(), &rope, B, T, inverse, buf[0], ld);
        math_opt.rope(any(), &rope, B, T, inverse, buf[1], ld);
        for (int64_t b = 0; b < B; b++) {
            math_opt.rope(any(), &rope, 1, T, inverse, buf[2] + b * T * ld, ld);
        }
        assert_close(buf[1], ld, buf[0], ld, B * T, cols);
        assert_same(buf[1], buf[2], B * T, cols, ld);
        assert_gaps(buf[1], B * T, cols, ld);
        rope_continues(&rope, T, cols, ld);
    }
}

/* ---- attention -------------------------------------------------------- */

typedef struct shape {
    math_attn at;
    int64_t B, T, C, ld, ldo;
} shape;

static void attn_both(const math_ops *op, const shape *s, float *out,
                      float *lse, float *dqkv)
{
    op->attn_fwd(any(), &s->at, s->B, s->T, buf[0], s->ld, out, s->ldo, lse);
    op->attn_bwd(any(), &s->at, s->B, s->T, buf[0], s->ld, out, s->ldo, lse,
                 buf[1], s->ldo, dqkv, s->ld);
}

/* Sequence by sequence and head by head gives the same bits as all at once. */
static void attn_divides(const shape *s, const float *out, const float *lse,
                         const float *dqkv)
{
    for (int64_t i = 0; i < s->B * s->at.heads; i++) {
        int64_t h = i % s->at.heads;
        int64_t row0 = i / s->at.heads * s->T;
        int64_t D = s->at.head_dim;
        math_attn one = s->at;
        one.heads = 1;
        float *o = buf[8];
        float *l = buf[8] + s->T * s->ldo;
        float *dq = buf[9];
        math_opt.attn_fwd(any(), &one, 1, s->T,
                          buf[0] + row0 * s->ld + h * 3 * D, s->ld, o, s->ldo,
                          l);
        math_opt.attn_bwd(any(), &one, 1, s->T,
                          buf[0] + row0 * s->ld + h * 3 * D, s->ld, o, s->ldo,
                          l, buf[1] + row0 * s->ldo + h * D, s->ldo, dq, s->ld);
        assert_same(o, out + row0 * s->ldo + h * D, s->T, D, s->ldo);
        assert_same(dq, dqkv + row0 * s->ld + h * 3 * D, s->T, 3 * D, s->ld);
        for (int64_t t = 0; t < s->T; t++) {
            assert_true(l[t] == lse[(row0 + t) * s->at.heads + h]);
        }
    }
}

static void attention_agrees_and_divides(void **state)
{
    (void)state;
    const int32_t heads[] = {1, 3};
    const int32_t dims[] = {8, 24, 64};
    const int64_t lengths[] = {1, 7, 33, 130};
    for (int i = 0; i < 2 * 3 * 4 * 4; i++) {
        int64_t T = lengths[i % 4];
        const int32_t windows[] = {0, 1, 5, (int32_t)T + 3};
        int32_t D = dims[i / 16 % 3];
        shape s = {.at = {.heads = heads[i / 48],
                          .head_dim = D,
                          .window = windows[i / 4 % 4],
                          .scale = 1.0F / sqrtf((float)D)},
                   .B = 1 + (i & 1),
                   .T = T,
                   .C = heads[i / 48] * D};
        s.ld = 3 * s.C + pick(0, 17);
        s.ldo = s.C + pick(0, 17);
        int64_t n = s.B * T;
        fill(buf[0], n, 3 * s.C, s.ld);
        fill(buf[1], n, s.C, s.ldo);
        for (int64_t j = 0; j < n * s.ld; j++) {
            buf[0][j] *= 2;
        }
        fill(buf[3], n, s.C, s.ldo);
        fill(buf[7], n, 3 * s.C, s.ld);
        attn_both(&math_ref, &s, buf[2], buf[4], buf[5]);
        attn_both(&math_opt, &s, buf[3], buf[6], buf[7]);
        assert_close(buf[3], s.ldo, buf[2], s.ldo, n, s.C);
        assert_close(buf[6], 1, buf[4], 1, n * s.at.heads, 1);
        assert_close(buf[7], s.ld, buf[5], s.ld, n, 3 * s.C);
        assert_gaps(buf[3], n, s.C, s.ldo);
        assert_gaps(buf[7], n, 3 * s.C, s.ld);
        attn_divides(&s, buf[3], buf[6], buf[7]);
    }
}

/* Keys and values of buf[0]; there, those of late queries become NaN: only the
 * cache may be read. */
static const float *fill_cache(const math_attn *at, int64_t T, int64_t ld)
{
    int64_t D = at->head_dim;
    for (int64_t i = 0; i < T * at->heads; i++) {
        int64_t t = i / at->heads;
        int64_t h = i % at->heads;
        float *from = buf[0] + t * ld + h * 3 * D + D;
        memcpy(buf[5] + t * at->ldc + h * 2 * D, from,
               (size_t)(2 * D) * sizeof(float));
        for (int64_t j = 0; t >= at->first && j < 2 * D; j++) {
            from[j] = NAN;
        }
    }
    return buf[5];
}

/* Late queries alone: the bits that they have among all. */
static void attn_continues(void **state)
{
    const math_ops *const sets[] = {&math_ref, &math_opt};
    (void)state;
    for (int i = 0; i < 60; i++) {
        int64_t T = i % 2 ? pick(97, 250) : pick(2, 97);
        int64_t window = i % 4 ? pick(1, T) : 0;
        if (i % 6 == 5) { /* sums over keys of several blocks of k */
            T = pick(1000, LONGEST);
            window = pick(600, 900);
        }
        int32_t D = i % 3 ? 8 : 20;
        math_attn at = {.heads = 2,
                        .head_dim = D,
                        .window = (int32_t)window,
                        .scale = 0.5F};
        int64_t C = at.heads * D;
        int64_t ld = 3 * C + pick(0, 5);
        int64_t ldo = C + pick(0, 5);
        fill(buf[0], T, 3 * C, ld);
        fill(buf[1], T, C, ldo);
        fill(buf[2], T, C, ldo);
        const math_ops *op = sets[i % 5 > 0];
        op->attn_fwd(any(), &at, 1, T, buf[0], ld, buf[1], ldo, buf[3]);
        at.first = pick(0, T - 1);
        at.ldc = 2 * C + pick(0, 5);
        at.cache = fill_cache(&at, T, ld);
        op->attn_fwd(any(), &at, 1, T, buf[0] + at.first * ld, ld, buf[2], ldo,
                     buf[4]);
        int64_t n = T - at.first;
        assert_same(buf[1] + at.first * ldo, buf[2], n, C, ldo);
        assert_same(buf[3] + at.first * at.heads, buf[4], n, at.heads,
                    at.heads);
        assert_gaps(buf[2], n, C, ldo);
    }
}

/* A NaN in one query shows in its own outputs and nowhere else. */
static void attention_passes_nan_on(void **state)
{
    (void)state;
    enum { T = 40, D = 8, LD = 3 * D };
    math_attn at = {.heads = 1, .head_dim = D, .scale = 1.0F};
    fill(buf[0], T, LD, LD);
    buf[0][20 * LD + 3] = NAN;
    math_opt.attn_fwd(any(), &at, 1, T, buf[0], LD, buf[1], D, buf[2]);
    for (int64_t t = 0; t < T; t++) {
        assert_true(isnan(buf[1][t * D]) == (t == 20));
        assert_true(isnan(buf[2][t]) == (t == 20));
    }
}

/* Scores far apart: no overflow, the largest wins. */
static void attention_large_scores(void **state)
{
    (void)state;
    enum { T = 100, D = 8, LD = 3 * D };
    math_attn at = {.heads = 1, .head_dim = D, .scale = 1.0F};
    fill(buf[0], T, LD, LD);
    for (int64_t i = 0; i < T * LD; i++) {
        buf[0][i] *= i % LD < 2 * D ? 30.0F : 1.0F;
    }
    math_ref.attn_fwd(any(), &at, 1, T, buf[0], LD, buf[1], D, buf[2]);
    math_opt.attn_fwd(any(), &at, 1, T, buf[0], LD, buf[3], D, buf[4]);
    for (int64_t i = 0; i < T * D; i++) {
        /* Scores near 2000 carry an error near 2e-4 into the exponent. */
        assert_true(fabsf(buf[3][i] - buf[1][i]) <= 2e-3F);
    }
    assert_close(buf[4], 1, buf[2], 1, T, 1);
}

/* ---- cross entropy ---------------------------------------------------- */

typedef struct xent {
    const math_ops *op;
    int64_t n, V, ld;
    int leaves;
    bool divide; /* leaves in several calls, tokens in two */
} xent;

/* Calls the statistics of one leaf, tokens [t0, t1). */
static void leaf_stats(const xent *x, int leaf, int64_t t0, int64_t t1,
                       float *stats)
{
    int64_t v0 = leaf_start(x->V, x->leaves, leaf);
    int64_t cols = leaf_start(x->V, x->leaves, leaf + 1) - v0;
    int64_t col0 = 0;
    while (col0 < cols) {
        int64_t take = x->divide ? pick(1, 3) * MATH_XENT_BLOCK : cols;
        take = take < cols - col0 ? take : cols - col0;
        x->op->xent_stats(any(), t1 - t0, take, col0,
                          buf[0] + t0 * x->ld + v0 + col0, x->ld,
                          stats + (t0 * x->leaves + leaf) * 2, 2 * x->leaves);
        col0 += take;
    }
}

/* Loss into out[0..n), norm into out[n..2n), gradients into grad. */
static void xent_run(const xent *x, float *out, float *stats, float *grad)
{
    float *target = stats + x->n * x->leaves * 2;
    int64_t cut = x->divide ? pick(0, x->n) : x->n;
    memset(stats, 0, sizeof(float) * (size_t)(x->n * x->leaves * 2));
    for (int leaf = 0; leaf < x->leaves; leaf++) {
        leaf_stats(x, leaf, 0, cut, stats);
        leaf_stats(x, leaf, cut, x->n, stats);
    }
    for (int64_t t = 0; t < x->n; t++) {
        target[t] = NAN;
    }
    int64_t v = x->divide ? pick(0, x->V) : x->V;
    x->op->xent_pick(any(), x->n, 0, v, ids, buf[0], x->ld, target);
    x->op->xent_pick(any(), x->n, v, x->V - v, ids, buf[0] + v, x->ld, target);
    x->op->xent_loss(any(), x->n, x->leaves, stats, target, out + x->n, out);
    memcpy(grad, buf[0], sizeof(float) * (size_t)(x->n * x->ld));
    x->op->xent_grad(any(), x->n, 0, v, v - 1, ids, out + x->n, 0.25F, grad,
                     x->ld);
    x->op->xent_grad(any(), x->n, v, x->V - v, x->V, ids, out + x->n, 0.25F,
                     grad + v, x->ld);
    /* The last column before v is padding in the one way; even it out. */
    for (int64_t t = 0; t < x->n && v > 0; t++) {
        assert_true(grad[t * x->ld + v - 1] == 0.0F);
        grad[t * x->ld + v - 1] = 7;
    }
}

static void cross_entropy_agrees_and_divides(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        xent x = {&math_ref, pick(1, 30), 0, 0, (int)pick(1, 9), false};
        x.V = pick(1, round % 3 ? 6000 : 20);
        x.ld = x.V + pick(0, 30);
        fill(buf[0], x.n, x.V, x.ld);
        for (int64_t i = 0; i < x.n * x.ld; i++) {
            buf[0][i] *= 10;
        }
        for (int64_t t = 0; t < x.n; t++) {
            ids[t] = (int32_t)pick(0, x.V - 1);
        }
        xent_run(&x, buf[1], buf[7], buf[4]);
        x.op = &math_opt;
        xent_run(&x, buf[2], buf[7], buf[5]);
        assert_close(buf[2], 1, buf[1], 1, 2 * x.n, 1);
        assert_close(buf[5], x.ld, buf[4], x.ld, x.n, x.V);
        assert_gaps(buf[5], x.n, x.V, x.ld);
        x.divide = true;
        xent_run(&x, buf[3], buf[7], buf[6]);
        assert_same(buf[2], buf[3], 1, 2 * x.n, 2 * x.n);
        for (int64_t i = 0; i < x.n * x.ld; i++) {
            bool padding = buf[5][i] == 7.0F || buf[6][i] == 7.0F;
            assert_true(padding || i % x.ld >= x.V ||
                        memcmp(&buf[5][i], &buf[6][i], sizeof(float)) == 0);
        }
    }
}

static void cross_entropy_passes_nan_on(void **state)
{
    (void)state;
    enum { V = 700 };
    float stats[2];
    float norm;
    float loss;
    float target = 0;
    fill(buf[0], 1, V, V);
    buf[0][600] = NAN;
    math_opt.xent_stats(any(), 1, V, 0, buf[0], V, stats, 2);
    math_opt.xent_loss(any(), 1, 1, stats, &target, &norm, &loss);
    assert_true(isnan(loss));
    buf[0][600] = INFINITY;
    math_opt.xent_stats(any(), 1, V, 0, buf[0], V, stats, 2);
    math_opt.xent_loss(any(), 1, 1, stats, &target, &norm, &loss);
    assert_false(isfinite(loss));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_is_precise),
        cmocka_unit_test(gelu_keeps_nan_and_denormals),
        cmocka_unit_test(act_divides),
        cmocka_unit_test(norm_agrees_and_divides),
        cmocka_unit_test(element_wise_agree),
        cmocka_unit_test(adamw_agrees),
        cmocka_unit_test(rope_agrees),
        cmocka_unit_test(attn_continues),
        cmocka_unit_test(attention_agrees_and_divides),
        cmocka_unit_test(attention_passes_nan_on),
        cmocka_unit_test(attention_large_scores),
        cmocka_unit_test(cross_entropy_agrees_and_divides),
        cmocka_unit_test(cross_entropy_passes_nan_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
