/*
 * The plain kernels: every backward kernel against numeric derivatives of its
 * forward kernel, sums against sums by hand, and a few known values.
 *
 * Derivatives are differences of fourth order: with h = 0.02 the truncation is
 * below 1e-6 for our functions, and what is left is the rounding of fp32
 * outputs over h, about 1e-5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "runtime/math/math.h"

static const double H = 0.02;
static const math_ctx CTX = {1, NULL, 0};

static uint64_t seed = 123456789U;

static float uniform(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (float)((double)(seed >> 40) / 8388608.0 - 1.0);
}

static void fill(float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        p[i] = uniform();
    }
}

static void assert_close(double x, double want, double tolerance)
{
    bool ok = fabs(x - want) <= tolerance * (1 + fabs(want));
    if (!ok) {
        print_error("got %.9g, want %.9g\n", x, want);
    }
    assert_true(ok);
}

typedef double loss_fn(void *arg);

/* d loss / d *x, by moving *x. */
static double slope(loss_fn *loss, void *arg, float *x)
{
    float at = *x;
    double f[4];
    const double step[4] = {-2 * H, -H, H, 2 * H};
    for (int i = 0; i < 4; i++) {
        *x = (float)((double)at + step[i]);
        f[i] = loss(arg);
    }
    *x = at;
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * H);
}

static double weigh(const float *y, const float *weight, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)y[i] * (double)weight[i];
    }
    return sum;
}

/* ---- norm ------------------------------------------------------------- */

enum { NT = 5, NC = 7 };

typedef struct norm_case {
    float x[NT * NC], gamma[NC], beta[NC], y[NT * NC], stats[2 * NT];
    float dy[NT * NC];
} norm_case;

static double norm_loss(void *arg)
{
    norm_case *n = arg;
    math_ref.norm_fwd(&CTX, NT, NC, 1e-5F, n->x, NC, n->gamma, n->beta, n->y,
                      NC, n->stats);
    return weigh(n->y, n->dy, NT * NC);
}

static void norm_gradients(void **state)
{
    (void)state;
    norm_case n;
    float dx[NT * NC] = {0};
    float dg[NC];
    float db[NC];
    fill(n.x, NT * NC);
    fill(n.gamma, NC);
    fill(n.beta, NC);
    fill(n.dy, NT * NC);
    /* Well apart, so that the curvature is modest. */
    for (int i = 0; i < NT * NC; i++) {
        n.x[i] += (float)(i % NC);
    }
    norm_loss(&n);
    math_ref.norm_bwd(&CTX, NT, NC, n.dy, NC, n.x, NC, n.gamma, n.stats, dx,
                      NC);
    math_seg seg = {0, 0, 0, NT, 1, 1};
    math_stack sg = {dg, NC, 1, 1, 0, {{0, 0}}};
    math_stack sb = {db, NC, 1, 1, 0, {{0, 0}}};
    math_ref.norm_grad(&CTX, NC, n.dy, NC, n.x, NC, n.stats, &seg, 1, &sg, &sb);
    for (int i = 0; i < NT * NC; i++) {
        assert_close((double)dx[i], slope(norm_loss, &n, &n.x[i]), 1e-4);
    }
    for (int c = 0; c < NC; c++) {
        assert_close((double)dg[c], slope(norm_loss, &n, &n.gamma[c]), 1e-4);
        assert_close((double)db[c], slope(norm_loss, &n, &n.beta[c]), 1e-4);
    }
}

static void norm_values(void **state)
{
    (void)state;
    const float x[4] = {1, 2, 3, 6};
    const float one[4] = {1, 1, 1, 1};
    const float half[4] = {0.5F, 0.5F, 0.5F, 0.5F};
    float y[4];
    float stats[2];
    math_ref.norm_fwd(&CTX, 1, 4, 0.0F, x, 4, one, half, y, 4, stats);
    assert_close((double)stats[0], 3.0, 1e-6);
    assert_close((double)stats[1], 1 / sqrt(3.5), 1e-6);
    assert_close((double)y[3], 3 / sqrt(3.5) + 0.5, 1e-6);
}

/* ---- activations ------------------------------------------------------ */

typedef struct act_case {
    math_act act;
    float u[33], g[33], weight[33];
} act_case;

static double act_loss(void *arg)
{
    act_case *a = arg;
    math_ref.act_fwd(&CTX, a->act, 3, 11, a->u, 11, a->g, 11);
    return weigh(a->g, a->weight, 33);
}

static void act_gradients(void **state)
{
    (void)state;
    for (int act = 0; act < 2; act++) {
        act_case a = {.act = (math_act)act};
        float du[33];
        fill(a.weight, 33);
        for (int i = 0; i < 33; i++) {
            a.u[i] = (float)(i - 16) * 0.3F;
            du[i] = a.weight[i];
        }
        math_ref.act_bwd(&CTX, a.act, 3, 11, a.u, 11, du, 11);
        for (int i = 0; i < 33; i++) {
            assert_close((double)du[i], slope(act_loss, &a, &a.u[i]), 1e-4);
        }
    }
}

static void act_values(void **state)
{
    (void)state;
    const float u[4] = {1, -1, 50, -50};
    float g[4];
    math_ref.act_fwd(&CTX, ACT_GELU_TANH, 1, 4, u, 4, g, 4);
    assert_close((double)g[0], 0.841191990608, 1e-6);
    assert_close((double)g[1], -0.158808009392, 1e-6);
    assert_true(g[2] == 50.0F);
    assert_true(fabsf(g[3]) <= 1e-30F);
    math_ref.act_fwd(&CTX, ACT_GELU_ERF, 1, 4, u, 4, g, 4);
    assert_close((double)g[0], 0.841344746069, 1e-6);
    assert_close((double)g[1], -0.158655253931, 1e-6);
    assert_true(g[2] == 50.0F);
    assert_true(fabsf(g[3]) <= 1e-30F);
}

/* ---- attention -------------------------------------------------------- */

enum { AB = 2, AT = 6, AH = 2, AD = 3, ALD = AH * 3 * AD, AO = AH * AD };

typedef struct attn_case {
    math_attn at;
    float qkv[AB * AT * ALD], out[AB * AT * AO], lse[AB * AT * AH];
    float dout[AB * AT * AO];
} attn_case;

static double attn_loss(void *arg)
{
    attn_case *a = arg;
    math_ref.attn_fwd(&CTX, &a->at, AB, AT, a->qkv, ALD, a->out, AO, a->lse);
    return weigh(a->out, a->dout, AB * AT * AO);
}

static void attn_gradients(void **state)
{
    (void)state;
    const int windows[] = {0, 1, 3, 6, 9};
    for (int w = 0; w < 5; w++) {
        attn_case a = {.at = {.heads = AH,
                              .head_dim = AD,
                              .window = windows[w],
                              .scale = 0.7F}};
        float dqkv[AB * AT * ALD];
        fill(a.qkv, AB * AT * ALD);
        fill(a.dout, AB * AT * AO);
        attn_loss(&a);
        math_ref.attn_bwd(&CTX, &a.at, AB, AT, a.qkv, ALD, a.out, AO, a.lse,
                          a.dout, AO, dqkv, ALD);
        for (int i = 0; i < AB * AT * ALD; i++) {
            assert_close((double)dqkv[i], slope(attn_loss, &a, &a.qkv[i]),
                         1e-4);
        }
    }
}

/* With window 1 a query sees itself alone: out = v, lse = score. */
static void attn_values(void **state)
{
    (void)state;
    attn_case a = {
        .at = {.heads = AH, .head_dim = AD, .window = 1, .scale = 0.5F}};
    fill(a.qkv, AB * AT * ALD);
    attn_loss(&a);
    for (int t = 0; t < AB * AT; t++) {
        for (int h = 0; h < AH; h++) {
            const float *q = a.qkv + t * ALD + h * 3 * AD;
            double score = 0;
            for (int d = 0; d < AD; d++) {
                score += 0.5 * (double)q[d] * (double)q[AD + d];
                assert_close((double)a.out[t * AO + h * AD + d],
                             (double)q[2 * AD + d], 1e-6);
            }
            assert_close((double)a.lse[t * AH + h], score, 1e-6);
        }
    }
    /* Without one, equal keys give the mean of the values before. */
    a.at.window = 0;
    for (int i = 0; i < AB * AT * ALD; i++) {
        a.qkv[i] = i % (3 * AD) < 2 * AD ? 0.25F : (float)(i / ALD % AT);
    }
    attn_loss(&a);
    for (int t = 0; t < AB * AT; t++) {
        assert_close((double)a.out[t * AO], (t % AT) / 2.0, 1e-6);
    }
}

/* ---- rope ------------------------------------------------------------- */

/* The transpose of a rotation is its inverse: <R x, y> = <x, R^-1 y>. */
static void rope_is_a_rotation(void **state)
{
    (void)state;
    enum { B = 2, T = 5, HEADS = 2, D = 8, LD = HEADS * 3 * D, N = B * T * LD };
    for (int pairing = 0; pairing < 2; pairing++) {
        math_rope rope = {HEADS, D, 6, (math_pairing)pairing, 10000.0F, 0};
        float x[N], y[N], rx[N], ry[N];
        fill(x, N);
        fill(y, N);
        memcpy(rx, x, sizeof x);
        memcpy(ry, y, sizeof y);
        math_ref.rope(&CTX, &rope, B, T, false, rx, LD);
        math_ref.rope(&CTX, &rope, B, T, true, ry, LD);
        assert_close(weigh(rx, y, N), weigh(x, ry, N), 1e-5);
        math_ref.rope(&CTX, &rope, B, T, true, rx, LD);
        for (int i = 0; i < N; i++) {
            assert_close((double)rx[i], (double)x[i], 1e-6);
        }
    }
}

static void rope_values(void **state)
{
    (void)state;
    enum { T = 3, D = 4 };
    float x[T * 3 * D] = {0};
    float *q = x + 2 * 3 * D; /* position 2 */
    q[0] = 1;
    q[2] = 1;
    q[3] = 5;
    math_rope rope = {1, D, 2, PAIR_NEIGHBOURS, 10000.0F, 0};
    math_ref.rope(&CTX, &rope, 1, T, false, x, 3 * D);
    assert_close((double)q[0], cos(2.0), 1e-6);
    assert_close((double)q[1], sin(2.0), 1e-6);
    assert_true(q[2] == 1.0F && q[3] == 5.0F);
    memset(x, 0, sizeof x);
    q[1] = 1;
    rope = (math_rope){1, D, 4, PAIR_HALVES, 100.0F, 0};
    math_ref.rope(&CTX, &rope, 1, T, false, x, 3 * D);
    /* The second pair is elements 1 and 3; its frequency is 1/10. */
    assert_close((double)q[1], cos(0.2), 1e-6);
    assert_close((double)q[3], sin(0.2), 1e-6);
}

/* ---- cross entropy ---------------------------------------------------- */

enum { XN = 3, XV = 23, XCUT = 9 };

typedef struct xent_case {
    float logits[XN * XV];
    int32_t targets[XN];
    float norm[XN];
} xent_case;

/* Mean loss with the vocabulary in two leaves and an empty one between. */
static double xent_loss(void *arg)
{
    xent_case *x = arg;
    float stats[XN * 6] = {0};
    float target[XN] = {0};
    float loss[XN];
    double sum = 0;
    math_ref.xent_stats(&CTX, XN, XCUT, 0, x->logits, XV, stats, 6);
    math_ref.xent_stats(&CTX, XN, XV - XCUT, 0, x->logits + XCUT, XV, stats + 4,
                        6);
    math_ref.xent_pick(&CTX, XN, 0, XCUT, x->targets, x->logits, XV, target);
    math_ref.xent_pick(&CTX, XN, XCUT, XV - XCUT, x->targets, x->logits + XCUT,
                       XV, target);
    math_ref.xent_loss(&CTX, XN, 3, stats, target, x->norm, loss);
    for (int t = 0; t < XN; t++) {
        sum += (double)loss[t] / XN;
    }
    return sum;
}

static void xent_gradients(void **state)
{
    (void)state;
    xent_case x = {.targets = {0, 8, 22}};
    float d[XN * XV];
    fill(x.logits, XN * XV);
    xent_loss(&x);
    memcpy(d, x.logits, sizeof d);
    math_ref.xent_grad(&CTX, XN, 0, XCUT, XCUT, x.targets, x.norm, 1.0F / XN, d,
                       XV);
    math_ref.xent_grad(&CTX, XN, XCUT, XV - XCUT, XV - XCUT, x.targets, x.norm,
                       1.0F / XN, d + XCUT, XV);
    for (int i = 0; i < XN * XV; i++) {
        assert_close((double)d[i], slope(xent_loss, &x, &x.logits[i]), 1e-4);
    }
}

static void xent_values(void **state)
{
    (void)state;
    xent_case x = {.targets = {0, 1, 2}};
    assert_close(xent_loss(&x), log(XV), 1e-6);
    float d[4] = {1, 1, 1, 1};
    float norm = 1 + logf(4);
    int32_t target = 12;
    math_ref.xent_grad(&CTX, 1, 10, 4, 3, &target, &norm, 2.0F, d, 4);
    assert_close((double)d[0], 0.5, 1e-6);
    assert_close((double)d[2], -1.5, 1e-6);
    assert_true(d[3] == 0.0F);
}

/* ---- sums ------------------------------------------------------------- */

/* The tree by its definition. */
static float tree_by_hand(const float *leaf, const bool *empty, int lo, int hi,
                          bool *none)
{
    if (hi - lo == 1) {
        *none = empty[lo];
        return leaf[lo];
    }
    int part = 1;
    while (part * 2 < hi - lo) {
        part *= 2;
    }
    bool no_left;
    bool no_right;
    float left = tree_by_hand(leaf, empty, lo, lo + part, &no_left);
    float right = tree_by_hand(leaf, empty, lo + part, hi, &no_right);
    *none = no_left && no_right;
    return no_left ? right : no_right ? left : left + right;
}

/* One column, tokens dealt to leaves; more leaves than tokens, too. */
static void col_sum_follows_the_tree(void **state)
{
    (void)state;
    enum { N = 13 };
    float x[N];
    fill(x, N);
    for (int leaves = 1; leaves <= 20; leaves++) {
        math_seg segs[20];
        float leaf[20];
        bool empty[20];
        for (int i = 0; i < leaves; i++) {
            int64_t k0 = leaf_start(N, leaves, i);
            int64_t k1 = leaf_start(N, leaves, i + 1);
            segs[i] = (math_seg){i, 0, k0, k1, 1, 1};
            leaf[i] = 0;
            empty[i] = k0 == k1;
            for (int64_t k = k0; k < k1; k++) {
                leaf[i] += x[k];
            }
        }
        float out = NAN;
        bool none;
        math_stack stack = {&out, 1, 1, leaves, 0, {{0, 0}}};
        math_ref.col_sum(&CTX, 1, x, 1, segs, leaves, &stack);
        float want = tree_by_hand(leaf, empty, 0, leaves, &none);
        assert_true(out == want);
    }
}

static void products_by_hand(void **state)
{
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const float w[6] = {1, 0, -1, 2, 1, 0};
    float y[4];
    math_ref.expand(&CTX, 2, 2, 3, x, 3, w, 3, y, 2);
    assert_true(y[0] == -2 && y[1] == 4 && y[2] == -2 && y[3] == 13);
    /* x (2 x 3) times w as 3 x 2: [[1 2 3][4 5 6]] [[1 0][-1 2][1 0]]. */
    math_src src[2] = {{x, 3, w, 2}, {0}};
    math_seg segs[2] = {{0, 0, 0, 2, 1, 1}, {1, 0, 2, 3, 1, 1}};
    math_stack stack = {y, 4, 1, 2, 0, {{0, 0}}};
    math_ref.tree_sum(&CTX, false, 2, 2, src, segs, 2, &stack, 2);
    assert_true(y[0] == 2 && y[1] == 4 && y[2] == 5 && y[3] == 10);
    /* x^T (3 x 2) times w's first two rows as 2 x 3, two sources. */
    float z[9];
    math_src two[2] = {{x, 3, w, 3}, {x, 3, w, 3}};
    math_seg both[2] = {{0, 0, 0, 1, 1, 0}, {0, 1, 1, 2, 0, 1}};
    math_stack one = {z, 9, 1, 1, 0, {{0, 0}}};
    math_ref.tree_sum(&CTX, true, 3, 3, two, both, 2, &one, 3);
    assert_true(z[0] == 9 && z[1] == 4 && z[2] == -1);
    assert_true(z[6] == 15 && z[7] == 6 && z[8] == -3);
}

static void rows_by_hand(void **state)
{
    (void)state;
    const float table[6] = {1, 2, 3, 4, -0.0F, 6};
    const int32_t ids[4] = {12, 10, 99, 12};
    float out[8];
    math_ref.rows_get(&CTX, 4, 2, ids, 10, 3, table, 2, out, 2);
    assert_true(out[0] == 0 && !signbit(out[0]) && out[1] == 6);
    assert_true(out[2] == 1 && out[3] == 2 && out[4] == 0 && out[5] == 0);
    float grad[6];
    const math_seg segs[2] = {{0, 0, 0, 2, 1, 1}, {1, 0, 2, 4, 1, 1}};
    const float dx[8] = {1, 10, 2, 20, 3, 30, 4, 40};
    math_ref.rows_grad(&CTX, 4, 2, ids, 10, 3, dx, 2, segs, 2, 2, grad, 2, 6);
    assert_true(grad[0] == 2 && grad[1] == 20 && grad[2] == 0);
    assert_true(grad[4] == 5 && grad[5] == 50);
}

static void small_ones(void **state)
{
    (void)state;
    float x[4] = {1, 2, 3, 4};
    const float y[4] = {10, 20, 30, 40};
    const float b[2] = {0.5F, 0.25F};
    float out[4];
    math_ref.residual(&CTX, 2, 2, x, 2, y, 2, b, NULL, out, 2);
    assert_true(out[0] == 11.5F && out[3] == 44.25F);
    math_ref.residual(&CTX, 2, 2, x, 2, y, 2, b, b, out, 2);
    assert_true(out[0] == 12.0F && out[3] == 44.5F);
    math_ref.bias_add(&CTX, 2, 2, out, 2, b);
    assert_true(out[0] == 12.5F && out[3] == 44.75F);
    math_ref.add(&CTX, 1, 4, x, 4, y, 4);
    assert_true(x[0] == 11 && x[3] == 44);
    math_ref.copy(&CTX, 2, 1, out, 2, y, 2);
    assert_true(out[0] == 10 && out[2] == 30 && out[3] == 44.75F);
    double sq[2];
    math_ref.row_sumsq(&CTX, 2, 2, y, 2, sq);
    assert_true(sq[0] == 500 && sq[1] == 2500);
    math_ref.zero(&CTX, 2, 1, out, 2);
    assert_true(out[0] == 0 && out[2] == 0 && out[3] == 44.75F);
}

/* Two steps of torch.optim.AdamW by hand, in double. */
static void adamw_by_hand(void **state)
{
    (void)state;
    float w = 0.5F;
    float m = 0;
    float v = 0;
    double dw = 0.5;
    double dm = 0;
    double dv = 0;
    for (int t = 1; t <= 2; t++) {
        float g = 0.3F * (float)t;
        math_adamw p = {0.1F, 0.9F, 0.99F, 1e-8F, 0.2F, 1, 1, 0.5F};
        p.bias1 = (float)(1 - pow(0.9, t));
        p.bias2 = (float)(1 - pow(0.99, t));
        math_ref.adamw(&CTX, &p, 1, 1, 1, &w, &g, &m, &v);
        double dg = 0.15 * t;
        dw *= 1 - 0.1 * 0.2;
        dm = 0.9 * dm + 0.1 * dg;
        dv = 0.99 * dv + 0.01 * dg * dg;
        dw -= 0.1 / (1 - pow(0.9, t)) * dm /
              (sqrt(dv / (1 - pow(0.99, t))) + 1e-8);
        assert_close((double)w, dw, 1e-6);
        assert_close((double)m, dm, 1e-6);
        assert_close((double)v, dv, 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_gradients),
        cmocka_unit_test(norm_values),
        cmocka_unit_test(act_gradients),
        cmocka_unit_test(act_values),
        cmocka_unit_test(attn_gradients),
        cmocka_unit_test(attn_values),
        cmocka_unit_test(rope_is_a_rotation),
        cmocka_unit_test(rope_values),
        cmocka_unit_test(xent_gradients),
        cmocka_unit_test(xent_values),
        cmocka_unit_test(col_sum_follows_the_tree),
        cmocka_unit_test(products_by_hand),
        cmocka_unit_test(rows_by_hand),
        cmocka_unit_test(small_ones),
        cmocka_unit_test(adamw_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
