/*
 * From operations to kernels: looks up views and calls math. One case a
 * kind; the view order is documented at op_kind.
 */
#include "runtime/exec/exec_impl.h"

static math_stack stack_of(const exec *e, const prog_op *o, int i)
{
    const prog_stack *s = &e->p->stack[o->stack0 + i];
    const prog_view *v = view(e, o, o->views - o->stacks + i);
    math_stack out = {.plane0 = at(e, v),
                      .plane_stride = s->plane,
                      .planes = s->planes,
                      .leaves = s->state.leaves,
                      .depth = s->state.depth};
    for (int k = 0; k < TREE_DEPTH_MAX; k++) {
        out.spans[k] = s->state.spans[k];
    }
    return out;
}

static const tree_seg *segs_of(const exec *e, const prog_op *o)
{
    return &e->p->seg[o->seg0];
}

static void expand(exec *e, const prog_op *o)
{
    const prog_view *x = view(e, o, 0);
    const prog_view *w = view(e, o, 1);
    const prog_view *y = view(e, o, 2);
    e->c.math->expand(&e->ctx, x->rows, w->rows, w->cols, at(e, x), x->ld,
                      at(e, w), w->ld, at(e, y), y->ld);
}

static void tree_sum(exec *e, const prog_op *o)
{
    bool trans = o->kind == OP_DWEIGHT;
    int pairs = (o->views - o->stacks) / 2;
    math_src src[2] = {{0}, {0}};
    for (int j = 0; j < pairs; j++) {
        const prog_view *a = view(e, o, 2 * j);
        const prog_view *b = view(e, o, 2 * j + 1);
        src[j] = (math_src){
            .a = at(e, a), .lda = a->ld, .b = at(e, b), .ldb = b->ld};
    }
    const prog_view *a = view(e, o, 0);
    const prog_view *out = view(e, o, o->views - 1);
    math_stack s = stack_of(e, o, 0);
    e->c.math->tree_sum(&e->ctx, trans, trans ? a->cols : a->rows, out->cols,
                        src, segs_of(e, o), o->segs, &s, out->ld);
}

static void matmul_op(exec *e, const prog_op *o)
{
    if (o->form == FORM_EXPAND) {
        expand(e, o);
    } else {
        tree_sum(e, o);
    }
}

static void norm(exec *e, const prog_op *o)
{
    const prog_view *x = view(e, o, 0);
    const prog_view *y = view(e, o, 3);
    e->c.math->norm_fwd(&e->ctx, x->rows, x->cols, e->c.a->norm_eps, at(e, x),
                        x->ld, at(e, view(e, o, 1)), at(e, view(e, o, 2)),
                        at(e, y), y->ld, at(e, view(e, o, 4)));
}

static void dnorm(exec *e, const prog_op *o)
{
    const prog_view *dy = view(e, o, 0);
    const prog_view *x = view(e, o, 1);
    const prog_view *dx = view(e, o, 4);
    e->c.math->norm_bwd(&e->ctx, x->rows, x->cols, at(e, dy), dy->ld, at(e, x),
                        x->ld, at(e, view(e, o, 2)), at(e, view(e, o, 3)),
                        at(e, dx), dx->ld);
}

static void dnorm_w(exec *e, const prog_op *o)
{
    const prog_view *dy = view(e, o, 0);
    const prog_view *x = view(e, o, 1);
    math_stack dg = stack_of(e, o, 0);
    math_stack db = stack_of(e, o, 1);
    e->c.math->norm_grad(&e->ctx, x->cols, at(e, dy), dy->ld, at(e, x), x->ld,
                         at(e, view(e, o, 2)), segs_of(e, o), o->segs, &dg,
                         &db);
}

static void dbias(exec *e, const prog_op *o)
{
    const prog_view *dy = view(e, o, 0);
    math_stack s = stack_of(e, o, 0);
    e->c.math->col_sum(&e->ctx, dy->cols, at(e, dy), dy->ld, segs_of(e, o),
                       o->segs, &s);
}

static math_attn attn_of(const exec *e, const prog_op *o)
{
    const arch *a = e->c.a;
    return (math_attn){.heads = (int32_t)(view(e, o, 0)->cols / (3 * a->D)),
                       .head_dim = a->D,
                       .window = a->window[o->layer],
                       .scale = a->score_scale};
}

static void attention(exec *e, const prog_op *o)
{
    math_attn m = attn_of(e, o);
    const prog_view *qkv = view(e, o, 0);
    const prog_view *out = view(e, o, 1);
    if (o->views > 3) {
        const prog_view *all = view(e, o, 3);
        m.cache = at(e, all);
        m.ldc = all->ld;
        m.first = e->query.first;
        ASSERT(m.first + out->rows <= all->rows);
    }
    e->c.math->attn_fwd(&e->ctx, &m, o->seqs, m.first + e->c.sh.T, at(e, qkv),
                        qkv->ld, at(e, out), out->ld, at(e, view(e, o, 2)));
}

static void cache(exec *e, const prog_op *o)
{
    const prog_view *qkv = view(e, o, 0);
    const prog_view *all = view(e, o, 1);
    int64_t D = e->c.a->D;
    float *to = at(e, all) + e->query.first * all->ld;
    ASSERT(e->query.first + qkv->rows <= all->rows);
    for (int64_t h = 0; h < all->cols / (2 * D); h++) {
        e->c.math->copy(&e->ctx, qkv->rows, 2 * D, to + h * 2 * D, all->ld,
                        at(e, qkv) + h * 3 * D + D, qkv->ld);
    }
}

static void dattention(exec *e, const prog_op *o)
{
    math_attn m = attn_of(e, o);
    const prog_view *qkv = view(e, o, 0);
    const prog_view *out = view(e, o, 1);
    const prog_view *dout = view(e, o, 3);
    const prog_view *dqkv = view(e, o, 4);
    e->c.math->attn_bwd(&e->ctx, &m, o->seqs, e->c.sh.T, at(e, qkv), qkv->ld,
                        at(e, out), out->ld, at(e, view(e, o, 2)), at(e, dout),
                        dout->ld, at(e, dqkv), dqkv->ld);
}

static void rope(exec *e, const prog_op *o)
{
    const arch *a = e->c.a;
    const prog_view *v = view(e, o, 0);
    math_rope r = {.heads = (int32_t)(v->cols / (3 * a->D)),
                   .head_dim = a->D,
                   .dims = a->rotary_dims,
                   .pairing = a->rotary_pairing,
                   .base = a->rotary_base,
                   .first = e->query.first};
    e->c.math->rope(&e->ctx, &r, o->seqs, e->c.sh.T, o->flag != 0, at(e, v),
                    v->ld);
}

static void act(exec *e, const prog_op *o)
{
    const prog_view *u = view(e, o, 0);
    const prog_view *g = view(e, o, 1);
    e->c.math->act_fwd(&e->ctx, e->c.a->act, u->rows, u->cols, at(e, u), u->ld,
                       at(e, g), g->ld);
}

static void dact(exec *e, const prog_op *o)
{
    const prog_view *u = view(e, o, 0);
    const prog_view *dg = view(e, o, 1);
    e->c.math->act_bwd(&e->ctx, e->c.a->act, u->rows, u->cols, at(e, u), u->ld,
                       at(e, dg), dg->ld);
}

static void residual(exec *e, const prog_op *o)
{
    const prog_view *x = view(e, o, 0);
    const prog_view *y = view(e, o, 1);
    const prog_view *out = view(e, o, 2);
    const float *b1 = o->views > 3 ? at(e, view(e, o, 3)) : NULL;
    const float *b2 = o->views > 4 ? at(e, view(e, o, 4)) : NULL;
    e->c.math->residual(&e->ctx, x->rows, x->cols, at(e, x), x->ld, at(e, y),
                        y->ld, b1, b2, at(e, out), out->ld);
}

static param_shard shard_of(const exec *e, int par)
{
    return param_rows(e->c.a, &e->c.ps->list[par], e->c.sh.S, e->c.sh.tensor_lo,
                      e->c.sh.tensor_hi);
}

/* The rows of the whole table that are looked up: this rank's shard, or the
 * batch's own rows where slots are ids. */
static void embed(exec *e, const prog_op *o)
{
    const prog_view *ids = view(e, o, 0);
    const prog_view *table = view(e, o, 1);
    const prog_view *x = view(e, o, 2);
    int64_t row0 = o->flag ? 0 : shard_of(e, o->param).row0;
    e->c.math->rows_get(&e->ctx, x->rows, x->cols, (const int32_t *)at(e, ids),
                        row0, table->rows, at(e, table), table->ld, at(e, x),
                        x->ld);
}

static void dembed(exec *e, const prog_op *o)
{
    const prog_view *ids = view(e, o, 0);
    const prog_view *dx = view(e, o, 1);
    const prog_view *g = view(e, o, 2);
    const prog_stack *s = &e->p->stack[o->stack0];
    int64_t row0 = o->flag ? 0 : shard_of(e, o->param).row0;
    e->c.math->rows_grad(&e->ctx, dx->rows, dx->cols,
                         (const int32_t *)at(e, ids), row0, g->rows, at(e, dx),
                         dx->ld, segs_of(e, o), o->segs, s->state.leaves,
                         at(e, g), g->ld, s->plane);
}

static void position(exec *e, const prog_op *o)
{
    const prog_view *wpe = view(e, o, 0);
    const prog_view *x = view(e, o, 1);
    int64_t T = e->c.sh.T;
    /* The rest of a batch that goes beyond the last position is padding. */
    int64_t left = wpe->rows - e->query.first;
    int64_t n = left < T ? left : T;
    for (int32_t s = 0; s < o->seqs; s++) {
        e->c.math->add(&e->ctx, n, x->cols, at(e, x) + s * T * x->ld, x->ld,
                       at(e, wpe) + e->query.first * wpe->ld, wpe->ld);
    }
}

static void row(exec *e, const prog_op *o)
{
    const prog_view *x = view(e, o, 0);
    const prog_view *y = view(e, o, 1);
    e->c.math->copy(&e->ctx, 1, x->cols, at(e, y), y->ld,
                    at(e, x) + e->query.row * x->ld, x->ld);
}

/* --- softmax cross entropy ------------------------------------------------ */

/* Global vocabulary row of the first row of the operation's panel. */
static int64_t vocab_row(const exec *e, const prog_op *o)
{
    return shard_of(e, o->param).row0 + o->row0;
}

/* Real columns among n from global row v0. */
static int64_t real_cols(const exec *e, int64_t v0, int64_t n)
{
    int64_t left = e->c.a->V - v0;
    return left < 0 ? 0 : left < n ? left : n;
}

static void xent_stats(exec *e, const prog_op *o)
{
    const prog_view *l = view(e, o, 0);
    const prog_view *s = view(e, o, 1);
    int64_t leaf = e->c.sh.tensor_lo + o->flag;
    int64_t cols = real_cols(e, vocab_row(e, o), l->cols);
    if (cols > 0) {
        e->c.math->xent_stats(&e->ctx, l->rows, cols, o->arg, at(e, l), l->ld,
                              at(e, s) + 2 * leaf, s->ld);
    }
}

static void xent_pick(exec *e, const prog_op *o)
{
    const prog_view *l = view(e, o, 0);
    e->c.math->xent_pick(&e->ctx, l->rows, vocab_row(e, o), l->cols,
                         (const int32_t *)at(e, view(e, o, 1)), at(e, l), l->ld,
                         at(e, view(e, o, 2)));
}

static void xent_loss(exec *e, const prog_op *o)
{
    const prog_view *s = view(e, o, 0);
    e->c.math->xent_loss(&e->ctx, s->rows, (int)o->arg, at(e, s),
                         at(e, view(e, o, 1)), at(e, view(e, o, 2)),
                         at(e, view(e, o, 3)));
}

static void xent_grad(exec *e, const prog_op *o)
{
    const prog_view *l = view(e, o, 0);
    int64_t v0 = vocab_row(e, o);
    float scale = 1.0F / (float)(e->c.sh.N * e->c.sh.T);
    e->c.math->xent_grad(&e->ctx, l->rows, v0, l->cols,
                         real_cols(e, v0, l->cols),
                         (const int32_t *)at(e, view(e, o, 1)),
                         at(e, view(e, o, 2)), scale, at(e, l), l->ld);
}

/* --- dispatch ------------------------------------------------------------- */

static void bias(exec *e, const prog_op *o)
{
    const prog_view *v = view(e, o, 0);
    e->c.math->bias_add(&e->ctx, v->rows, v->cols, at(e, v), v->ld,
                        at(e, view(e, o, 1)));
}

static void add(exec *e, const prog_op *o)
{
    const prog_view *v = view(e, o, 0);
    const prog_view *to = view(e, o, 1);
    e->c.math->add(&e->ctx, v->rows, v->cols, at(e, v), v->ld, at(e, to),
                   to->ld);
}

static void zero(exec *e, const prog_op *o)
{
    const prog_view *v = view(e, o, 0);
    e->c.math->zero(&e->ctx, v->rows, v->cols, at(e, v), v->ld);
}

typedef void compute_fn(exec *e, const prog_op *o);

/* By kind; the others are of other streams. */
static compute_fn *const compute[OP_KIND_COUNT] = {
    [OP_EMBED] = embed,
    [OP_POSITION] = position,
    [OP_NORM] = norm,
    [OP_FORWARD] = matmul_op,
    [OP_DINPUT] = matmul_op,
    [OP_DWEIGHT] = matmul_op,
    [OP_BIAS] = bias,
    [OP_ROPE] = rope,
    [OP_CACHE] = cache,
    [OP_ATTENTION] = attention,
    [OP_ACT] = act,
    [OP_RESIDUAL] = residual,
    [OP_ROW] = row,
    [OP_XENT_STATS] = xent_stats,
    [OP_XENT_PICK] = xent_pick,
    [OP_XENT_LOSS] = xent_loss,
    [OP_XENT_GRAD] = xent_grad,
    [OP_DBIAS] = dbias,
    [OP_DNORM] = dnorm,
    [OP_DNORM_W] = dnorm_w,
    [OP_DACT] = dact,
    [OP_DATTENTION] = dattention,
    [OP_DEMBED] = dembed,
    [OP_ADD] = add,
    [OP_ZERO] = zero,
    [OP_LOSS] = exec_loss,
};

void exec_compute(exec *e, const prog_op *o)
{
    ASSERT(o->kind < OP_KIND_COUNT && compute[o->kind] != NULL);
    compute[o->kind](e, o);
}
