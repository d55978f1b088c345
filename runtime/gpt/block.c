/*
 * One transformer block, forward and backward, for all residual kinds.
 *
 * Backward keeps one gradient of the residual stream, dx, and changes it in
 * place: everything that needs the gradient of the block's output is emitted
 * before the first norm adds its part.
 */
#include "runtime/gpt/build_internal.h"

/* What the two halves of a block work with besides acts. */
typedef struct block {
    gpt_build *b;
    int layer;
    const gpt_set *set;
    gpt_acts *acts;
    buf_class cls; /* of the activations that acts gets */
} block;

static int find(const block *k, param_role role)
{
    return params_find(k->b->ps, k->layer, role);
}

static int64_t heads(const gpt_build *b)
{
    int p = params_find(b->ps, 0, PARAM_OUT_W);
    return param_rows(b->a, &b->ps->list[p], b->sh.S, b->sh.tensor_lo,
                      b->sh.tensor_hi)
               .rows /
           b->a->D;
}

static int64_t inner(const gpt_build *b)
{
    int p = params_find(b->ps, 0, PARAM_FCIN_W);
    return param_rows(b->a, &b->ps->list[p], b->sh.S, b->sh.tensor_lo,
                      b->sh.tensor_hi)
        .rows;
}

static prog_view make(const block *k, const char *name, buf_class cls,
                      int64_t cols)
{
    return gpt_tokens(k->b, name, cls, k->layer, k->set, cols);
}

/* Flops of attention's two products over the keys a query may see. */
static double attention_flops(const gpt_build *b, int layer, double rows)
{
    double T = (double)(b->context > 0 ? b->context : b->sh.T);
    double w = b->a->window[layer];
    double keys = w > 0 && w < T ? w - w * (w - 1) / (2 * T) : (T + 1) / 2;
    return 4.0 * rows * keys * (double)(heads(b) * b->a->D);
}

static void rope(const block *k, prog_view qkv, bool inverse)
{
    if (k->b->a->pos != POS_ROTARY) {
        return;
    }
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(k->b, k->set, i);
        prog_op *o = build_op(k->b, OP_ROPE, k->layer, m);
        o->flag = inverse;
        o->bytes = 8.0 * (double)m.rows * (double)qkv.cols;
        prog_use(k->b->p, build_rows(qkv, m), VIEW_RW);
    }
}

/* Keys and values of qkv join those of earlier runs. Padding of the last batch
 * may go beyond the context, so there is room for one batch more. */
static prog_view cache(const block *k, prog_view qkv)
{
    const gpt_build *b = k->b;
    ASSERT(k->set->nmb == 1 && b->sh.seqs == 1);
    int64_t rows = b->context + b->sh.T;
    int64_t cols = qkv.cols / 3 * 2;
    int64_t ld = math_pad(cols);
    int32_t buf = prog_buffer(b->p, "keys and values", BUF_ACTIVATION, k->layer,
                              rows * ld, true);
    prog_view all = prog_whole(b->p, buf, rows, cols, ld);
    prog_op *o = build_op(k->b, OP_CACHE, k->layer, build_mb(b, k->set, 0));
    o->bytes = 8.0 * (double)qkv.rows * (double)cols;
    prog_use(b->p, qkv, VIEW_R);
    prog_use(b->p, all, VIEW_RW);
    return all;
}

static void attention(const block *k)
{
    gpt_acts *x = k->acts;
    bool cached = k->b->context > 0;
    prog_view keys = {0};
    if (cached) {
        keys = cache(k, x->qkv);
    }
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(k->b, k->set, i);
        prog_op *o = build_op(k->b, OP_ATTENTION, k->layer, m);
        o->flops = attention_flops(k->b, k->layer, (double)m.rows);
        o->bytes = 4.0 * (double)m.rows * (double)(x->qkv.cols + x->att.cols);
        prog_use(k->b->p, build_rows(x->qkv, m), VIEW_R);
        prog_use(k->b->p, build_rows(x->att, m), VIEW_W);
        prog_use(k->b->p, build_rows(x->lse, m), VIEW_W);
        if (cached) {
            prog_use(k->b->p, keys, VIEW_R);
        }
    }
}

static void activation(const block *k, prog_view g)
{
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(k->b, k->set, i);
        prog_op *o = build_op(k->b, OP_ACT, k->layer, m);
        o->bytes = 8.0 * (double)m.rows * (double)g.cols;
        prog_use(k->b->p, build_rows(k->acts->u, m), VIEW_R);
        prog_use(k->b->p, build_rows(g, m), VIEW_W);
    }
}

/* out = x + ((y + b1) + b2) */
static void residual(const block *k, prog_view x, prog_view y, int b1, int b2,
                     prog_view out)
{
    int bias[2] = {b1, b2};
    prog_view vec[2] = {{0}, {0}};
    for (int j = 0; j < 2; j++) {
        if (bias[j] >= 0) {
            vec[j] = build_vector(k->b, bias[j]);
        }
    }
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(k->b, k->set, i);
        prog_op *o = build_op(k->b, OP_RESIDUAL, k->layer, m);
        o->bytes = 12.0 * (double)m.rows * (double)x.cols;
        prog_use(k->b->p, build_rows(x, m), VIEW_R);
        prog_use(k->b->p, build_rows(y, m), VIEW_R);
        prog_use(k->b->p, build_rows(out, m), VIEW_W);
        for (int j = 0; j < 2; j++) {
            if (bias[j] >= 0) {
                prog_use(k->b->p, vec[j], VIEW_R);
            }
        }
    }
}

/* --- forward -------------------------------------------------------------- */

static void attention_in(const block *k, prog_view h)
{
    gpt_build *b = k->b;
    gpt_acts *x = k->acts;
    x->qkv = make(k, "qkv", k->cls, heads(b) * 3 * b->a->D);
    x->lse = make(k, "lse", k->cls, heads(b));
    x->att = make(k, "attention", k->cls, heads(b) * b->a->D);
    build_expand(b, OP_FORWARD, k->layer, k->set, find(k, PARAM_QKV_W), h,
                 x->qkv);
    build_bias(b, k->layer, k->set, x->qkv, find(k, PARAM_QKV_B));
    rope(k, x->qkv, false);
    attention(k);
}

static void mlp_in(const block *k, prog_view h)
{
    gpt_build *b = k->b;
    k->acts->u = make(k, "mlp", k->cls, inner(b));
    build_expand(b, OP_FORWARD, k->layer, k->set, find(k, PARAM_FCIN_W), h,
                 k->acts->u);
    build_bias(b, k->layer, k->set, k->acts->u, find(k, PARAM_FCIN_B));
}

static prog_view norm1(const block *k, prog_view h)
{
    build_norm(k->b, k->layer, k->set, k->acts->x, find(k, PARAM_LN1_W),
               find(k, PARAM_LN1_B), h, k->acts->s1);
    return h;
}

/* The second norm's input: the middle of a sequential block, else x. */
static prog_view norm2_input(const block *k)
{
    return k->b->a->residual == RES_SEQUENTIAL ? k->acts->x2 : k->acts->x;
}

static prog_view norm2(const block *k, prog_view h)
{
    build_norm(k->b, k->layer, k->set, norm2_input(k), find(k, PARAM_LN2_W),
               find(k, PARAM_LN2_B), h, k->acts->s2);
    return h;
}

/* Everything of a block up to the activation of its MLP: what backward needs
 * and recompute makes again. */
static void forward_inner(const block *k)
{
    gpt_build *b = k->b;
    arch_residual kind = b->a->residual;
    k->acts->s1 = make(k, "norm1", k->cls, 2);
    prog_view h = norm1(k, make(k, "h", BUF_WORKING, b->a->C));
    attention_in(k, h);
    if (kind == RES_PARALLEL_ONE) {
        mlp_in(k, h);
        return;
    }
    if (kind == RES_SEQUENTIAL) {
        sum_pair out = {find(k, PARAM_OUT_W), k->acts->att};
        prog_view y = build_sum(b, OP_FORWARD, k->layer, k->set, &out, 1);
        k->acts->x2 = make(k, "x2", k->cls, b->a->C);
        residual(k, k->acts->x, y, find(k, PARAM_OUT_B), -1, k->acts->x2);
    }
    k->acts->s2 = make(k, "norm2", k->cls, 2);
    mlp_in(k, norm2(k, make(k, "h", BUF_WORKING, b->a->C)));
}

void gpt_emit_forward(gpt_build *b, int layer, const gpt_set *set,
                      gpt_acts *acts, bool keep, prog_view out)
{
    block k = {b, layer, set, acts, keep ? BUF_ACTIVATION : BUF_WORKING};
    forward_inner(&k);
    prog_view g = make(&k, "act", BUF_WORKING, inner(b));
    activation(&k, g);
    sum_pair fc = {find(&k, PARAM_FCOUT_W), g};
    if (b->a->residual == RES_SEQUENTIAL) {
        prog_view y = build_sum(b, OP_FORWARD, layer, set, &fc, 1);
        residual(&k, acts->x2, y, find(&k, PARAM_FCOUT_B), -1, out);
        return;
    }
    sum_pair both[2] = {{find(&k, PARAM_OUT_W), acts->att}, fc};
    prog_view y = build_sum(b, OP_FORWARD, layer, set, both, 2);
    residual(&k, acts->x, y, find(&k, PARAM_OUT_B), find(&k, PARAM_FCOUT_B),
             out);
}

/* --- backward ------------------------------------------------------------- */

/* From dy to the gradient of u, with the gradients of fc_out. */
static prog_view mlp_out_backward(const block *k, prog_view dy)
{
    gpt_build *b = k->b;
    prog_view g = make(k, "act", BUF_WORKING, inner(b));
    activation(k, g);
    build_dweight(b, k->layer, k->set, find(k, PARAM_FCOUT_W), g, dy);
    build_dbias(b, k->layer, k->set, find(k, PARAM_FCOUT_B), dy);
    prog_view du = make(k, "dmlp", BUF_WORKING, inner(b));
    build_expand(b, OP_DINPUT, k->layer, k->set, find(k, PARAM_FCOUT_W), dy,
                 du);
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(b, k->set, i);
        prog_op *o = build_op(b, OP_DACT, k->layer, m);
        o->bytes = 12.0 * (double)m.rows * (double)du.cols;
        prog_use(b->p, build_rows(k->acts->u, m), VIEW_R);
        prog_use(b->p, build_rows(du, m), VIEW_RW);
    }
    return du;
}

static void mlp_in_backward(const block *k, prog_view du, prog_view h)
{
    build_dweight(k->b, k->layer, k->set, find(k, PARAM_FCIN_W), du, h);
    build_dbias(k->b, k->layer, k->set, find(k, PARAM_FCIN_B), du);
}

/* From dy to the gradient of qkv, with the gradients of the projection. */
static prog_view attention_out_backward(const block *k, prog_view dy)
{
    gpt_build *b = k->b;
    gpt_acts *x = k->acts;
    build_dweight(b, k->layer, k->set, find(k, PARAM_OUT_W), x->att, dy);
    build_dbias(b, k->layer, k->set, find(k, PARAM_OUT_B), dy);
    prog_view da = make(k, "datt", BUF_WORKING, heads(b) * b->a->D);
    build_expand(b, OP_DINPUT, k->layer, k->set, find(k, PARAM_OUT_W), dy, da);
    prog_view dqkv = make(k, "dqkv", BUF_WORKING, x->qkv.cols);
    for (int i = 0; i < k->set->nmb; i++) {
        mb_rows m = build_mb(b, k->set, i);
        prog_op *o = build_op(b, OP_DATTENTION, k->layer, m);
        o->flops = 2.5 * attention_flops(b, k->layer, (double)m.rows);
        o->bytes = 12.0 * (double)m.rows * (double)x->qkv.cols;
        prog_use(b->p, build_rows(x->qkv, m), VIEW_R);
        prog_use(b->p, build_rows(x->att, m), VIEW_R);
        prog_use(b->p, build_rows(x->lse, m), VIEW_R);
        prog_use(b->p, build_rows(da, m), VIEW_R);
        prog_use(b->p, build_rows(dqkv, m), VIEW_W);
    }
    rope(k, dqkv, true);
    return dqkv;
}

static void attention_in_backward(const block *k, prog_view dqkv, prog_view h)
{
    build_dweight(k->b, k->layer, k->set, find(k, PARAM_QKV_W), dqkv, h);
    build_dbias(k->b, k->layer, k->set, find(k, PARAM_QKV_B), dqkv);
}

static void backward_norm1(const block *k, prog_view dh, prog_view dx)
{
    build_dnorm(k->b, k->layer, k->set, dh, k->acts->x, find(k, PARAM_LN1_W),
                find(k, PARAM_LN1_B), k->acts->s1, dx);
}

static void backward_norm2(const block *k, prog_view dh, prog_view dx)
{
    build_dnorm(k->b, k->layer, k->set, dh, norm2_input(k),
                find(k, PARAM_LN2_W), find(k, PARAM_LN2_B), k->acts->s2, dx);
}

static void backward_sequential(const block *k, prog_view dx)
{
    gpt_build *b = k->b;
    prog_view du = mlp_out_backward(k, dx);
    mlp_in_backward(k, du, norm2(k, make(k, "h", BUF_WORKING, b->a->C)));
    sum_pair fc = {find(k, PARAM_FCIN_W), du};
    backward_norm2(k, build_sum(b, OP_DINPUT, k->layer, k->set, &fc, 1), dx);
    prog_view dqkv = attention_out_backward(k, dx);
    attention_in_backward(k, dqkv,
                          norm1(k, make(k, "h", BUF_WORKING, b->a->C)));
    sum_pair qkv = {find(k, PARAM_QKV_W), dqkv};
    backward_norm1(k, build_sum(b, OP_DINPUT, k->layer, k->set, &qkv, 1), dx);
}

static void backward_parallel(const block *k, prog_view dx)
{
    gpt_build *b = k->b;
    prog_view du = mlp_out_backward(k, dx);
    prog_view dqkv = attention_out_backward(k, dx);
    prog_view h = norm1(k, make(k, "h", BUF_WORKING, b->a->C));
    attention_in_backward(k, dqkv, h);
    sum_pair pairs[2] = {{find(k, PARAM_QKV_W), dqkv},
                         {find(k, PARAM_FCIN_W), du}};
    if (b->a->residual == RES_PARALLEL_ONE) {
        mlp_in_backward(k, du, h);
        backward_norm1(k, build_sum(b, OP_DINPUT, k->layer, k->set, pairs, 2),
                       dx);
        return;
    }
    mlp_in_backward(k, du, norm2(k, make(k, "h", BUF_WORKING, b->a->C)));
    prog_view dh2 = build_sum(b, OP_DINPUT, k->layer, k->set, &pairs[1], 1);
    prog_view dh1 = build_sum(b, OP_DINPUT, k->layer, k->set, &pairs[0], 1);
    backward_norm2(k, dh2, dx);
    backward_norm1(k, dh1, dx);
}

void gpt_emit_backward(gpt_build *b, int layer, const gpt_set *set,
                       gpt_acts *acts, bool recompute, prog_view dx)
{
    block k = {b, layer, set, acts, BUF_WORKING};
    if (recompute) {
        forward_inner(&k);
    }
    if (b->a->residual == RES_SEQUENTIAL) {
        backward_sequential(&k, dx);
    } else {
        backward_parallel(&k, dx);
    }
}
