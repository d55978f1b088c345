/*
 * The three matmul shapes every block is made of, and what else its operations
 * share:
 *
 *   build_expand   y[:, r] = x W[r]^T          rows of W make columns
 *   build_sum      y = sum over r of a[:, r] W[r]   by tensor leaves
 *                  (build_sum.c)
 *   build_dweight  dW[r] = left[:, r]^T right   by data leaves
 *
 * each panel by panel (outer) and micro-batch by micro-batch (inner), so a
 * panel that had to be loaded serves all micro-batches.
 */
#include "runtime/gpt/build_internal.h"

/* --- operations ----------------------------------------------------------- */

mb_rows build_mb(const gpt_build *b, const gpt_set *set, int i)
{
    gpt_range r = set->mbs[i];
    return (mb_rows){.range = r,
                     .row0 = (r.seq0 - set->range.seq0) * b->sh.T,
                     .rows = r.seqs * b->sh.T};
}

prog_op *build_op(gpt_build *b, op_kind kind, int layer, mb_rows m)
{
    prog_add(b->p, kind, STREAM_COMPUTE, layer);
    prog_op *o = prog_last(b->p);
    o->seq0 = m.range.seq0;
    o->seqs = m.range.seqs;
    return o;
}

prog_view build_rows(prog_view v, mb_rows m)
{
    return prog_sub(v, m.row0, m.rows, 0, v.cols);
}

prog_view build_as_vector(prog_view v)
{
    v.cols = v.rows * v.cols;
    v.rows = 1;
    v.ld = v.cols;
    return v;
}

prog_view build_vector(gpt_build *b, int par)
{
    return build_as_vector(
        b->src->weights(b->src, par, 0, build_shard(b, par).rows));
}

prog_view gpt_tokens(gpt_build *b, const char *name, buf_class cls, int layer,
                     const gpt_set *set, int64_t cols)
{
    int64_t n = set->range.seqs * b->sh.T;
    int64_t ld = cols > 2 ? math_pad(cols) : cols;
    int32_t buf = prog_buffer(b->p, name, cls, layer, n * ld, false);
    return prog_whole(b->p, buf, n, cols, ld);
}

/* Returns false if the operation has its segments: its sums share them. */
static bool add_stack(gpt_build *b, const gpt_acc *acc, prog_view plane)
{
    prog_stack s = {
        .state = acc->state, .planes = acc->planes, .plane = acc->plane};
    prog_use(b->p, plane, acc->state.depth > 0 ? VIEW_RW : VIEW_W);
    prog_accumulate(b->p, &s);
    return prog_last(b->p)->segs == 0;
}

void build_accumulate(gpt_build *b, gpt_acc *acc, prog_view plane,
                      const tree_seg *segs, int nsegs)
{
    if (add_stack(b, acc, plane)) {
        prog_segments(b->p, segs, nsegs);
    }
    int depth = tree_state_after(&acc->state, segs, nsegs);
    ASSERT(depth <= acc->planes);
}

void build_accumulate_tokens(gpt_build *b, gpt_acc *acc, prog_view plane,
                             int64_t tok0, int64_t tok1)
{
    if (add_stack(b, acc, plane)) {
        data_segs it = build_data_segs(&b->sh, tok0, tok1);
        tree_seg seg;
        while (build_next_seg(&it, &seg)) {
            prog_segments(b->p, &seg, 1);
        }
    }
    int depth = build_state_after(&b->sh, &acc->state, tok0, tok1);
    ASSERT(depth <= acc->planes);
}

void build_matmul_cost(prog_op *o, double n, double rows, double cols)
{
    o->flops = 2.0 * n * rows * cols;
    o->bytes = 4.0 * (n * rows + rows * cols + n * cols);
}

void build_expand(gpt_build *b, op_kind kind, int layer, const gpt_set *set,
                  int par, prog_view x, prog_view y)
{
    gpt_panel pn = {0};
    while (gpt_next_panel(b, par, &pn)) {
        prog_view w = b->src->weights(b->src, par, pn.row0, pn.rows);
        for (int i = 0; i < set->nmb; i++) {
            mb_rows m = build_mb(b, set, i);
            prog_op *o = build_op(b, kind, layer, m);
            o->form = FORM_EXPAND;
            o->param = par;
            o->row0 = pn.row0;
            o->rows = pn.rows;
            build_matmul_cost(o, (double)m.rows, (double)pn.rows,
                              (double)w.cols);
            prog_use(b->p, build_rows(x, m), VIEW_R);
            prog_use(b->p, w, VIEW_R);
            prog_use(b->p, prog_sub(y, m.row0, m.rows, pn.row0, pn.rows),
                     VIEW_W);
        }
    }
}

void gpt_emit_allreduce(gpt_build *b, op_group group, op_stream stream,
                        int layer, int par, prog_view plane0, int64_t plane,
                        int pieces, int leaves, int size)
{
    prog_add(b->p, OP_ALLREDUCE, stream, layer);
    prog_op *o = prog_last(b->p);
    o->group = (uint8_t)group;
    o->param = par;
    o->arg = size;
    o->rows = leaves;
    int64_t count = (plane0.rows - 1) * plane0.ld + plane0.cols;
    o->bytes = 4.0 * (double)count * 2.0 * (size - 1) / size;
    int64_t work = (int64_t)tree_exchange_bytes(size, leaves, count) / 4;
    int32_t buf =
        prog_buffer(b->p, "exchange", BUF_SCRATCH, layer, work, false);
    prog_use(b->p, prog_whole(b->p, buf, 1, work, work), VIEW_W);
    prog_stack s = {.planes = pieces, .plane = plane};
    prog_use(b->p, plane0, VIEW_RW);
    prog_accumulate(b->p, &s);
}

/* Floats in the largest result of a tree sum so far. */
static int64_t largest_sum(const program *p)
{
    int64_t most = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        if (o->form == FORM_SUM) {
            const prog_view *v = &p->view[o->view0 + o->views - 1];
            most = v->rows * v->cols > most ? v->rows * v->cols : most;
        }
    }
    return most;
}

void gpt_emit_work(gpt_build *b)
{
    const gpt_shape *sh = &b->sh;
    int64_t keys = b->context + sh->T; /* a cache has room for a batch more */
    size_t bytes = math_work_bytes(sh->threads, keys, largest_sum(b->p),
                                   sh->D > sh->S ? sh->D : sh->S);
    size_t rows = math_rows_work_bytes(sh->seqs * sh->T);
    bytes = bytes > rows ? bytes : rows;
    b->p->work_buf = prog_buffer(b->p, "work", BUF_SCRATCH, -1,
                                 (int64_t)(bytes + 3) / 4, true);
}

/* --- gradients of parameters ---------------------------------------------- */

/* For every micro-batch an operation that accumulates into acc; `uses` adds
 * its operands. */
void build_dweight(gpt_build *b, int layer, const gpt_set *set, int par,
                   prog_view left, prog_view right)
{
    gpt_panel pn = {0};
    while (gpt_next_panel(b, par, &pn)) {
        gpt_acc *acc = b->src->grad(b->src, par, GRAD_MAIN, pn.row0, pn.rows,
                                    b->acc_planes);
        for (int i = 0; i < set->nmb; i++) {
            mb_rows m = build_mb(b, set, i);
            int64_t tok0 = m.range.seq0 * b->sh.T;
            prog_op *o = build_op(b, OP_DWEIGHT, layer, m);
            o->form = FORM_SUM;
            o->param = par;
            o->row0 = pn.row0;
            o->rows = pn.rows;
            build_matmul_cost(o, (double)m.rows, (double)pn.rows,
                              (double)right.cols);
            prog_use(b->p, prog_sub(left, m.row0, m.rows, pn.row0, pn.rows),
                     VIEW_R);
            prog_use(b->p, build_rows(right, m), VIEW_R);
            build_accumulate_tokens(b, acc, acc->plane0, tok0, tok0 + m.rows);
        }
        b->src->grad_done(b->src, par, GRAD_MAIN, pn.row0, pn.rows);
    }
}

void build_dbias(gpt_build *b, int layer, const gpt_set *set, int par,
                 prog_view dy)
{
    if (par < 0) {
        return;
    }
    int64_t rows = build_shard(b, par).rows;
    gpt_acc *acc = b->src->grad(b->src, par, GRAD_MAIN, 0, rows, b->acc_planes);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        int64_t tok0 = m.range.seq0 * b->sh.T;
        prog_op *o = build_op(b, OP_DBIAS, layer, m);
        o->param = par;
        o->rows = rows;
        o->bytes = 4.0 * (double)m.rows * (double)dy.cols;
        prog_use(b->p, build_rows(dy, m), VIEW_R);
        build_accumulate_tokens(b, acc, build_as_vector(acc->plane0), tok0,
                                tok0 + m.rows);
    }
    b->src->grad_done(b->src, par, GRAD_MAIN, 0, rows);
}

void build_norm(gpt_build *b, int layer, const gpt_set *set, prog_view x, int w,
                int bias, prog_view y, prog_view stats)
{
    prog_view vw = build_vector(b, w);
    prog_view vb = build_vector(b, bias);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        prog_op *o = build_op(b, OP_NORM, layer, m);
        o->param = w;
        o->bytes = 8.0 * (double)m.rows * (double)x.cols;
        prog_use(b->p, build_rows(x, m), VIEW_R);
        prog_use(b->p, vw, VIEW_R);
        prog_use(b->p, vb, VIEW_R);
        prog_use(b->p, build_rows(y, m), VIEW_W);
        prog_use(b->p, build_rows(stats, m), VIEW_W);
    }
}

static void dnorm_weights(gpt_build *b, int layer, const gpt_set *set,
                          prog_view dy, prog_view x, int w, int bias,
                          prog_view stats)
{
    gpt_acc *dg = b->src->grad(b->src, w, GRAD_MAIN, 0, 1, b->acc_planes);
    gpt_acc *db = b->src->grad(b->src, bias, GRAD_MAIN, 0, 1, b->acc_planes);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        int64_t tok0 = m.range.seq0 * b->sh.T;
        prog_op *o = build_op(b, OP_DNORM_W, layer, m);
        o->param = w;
        o->bytes = 8.0 * (double)m.rows * (double)x.cols;
        prog_use(b->p, build_rows(dy, m), VIEW_R);
        prog_use(b->p, build_rows(x, m), VIEW_R);
        prog_use(b->p, build_rows(stats, m), VIEW_R);
        build_accumulate_tokens(b, dg, build_as_vector(dg->plane0), tok0,
                                tok0 + m.rows);
        build_accumulate_tokens(b, db, build_as_vector(db->plane0), tok0,
                                tok0 + m.rows);
    }
    b->src->grad_done(b->src, w, GRAD_MAIN, 0, 1);
    b->src->grad_done(b->src, bias, GRAD_MAIN, 0, 1);
}

void build_dnorm(gpt_build *b, int layer, const gpt_set *set, prog_view dy,
                 prog_view x, int w, int bias, prog_view stats, prog_view dx)
{
    dnorm_weights(b, layer, set, dy, x, w, bias, stats);
    prog_view vw = build_vector(b, w);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        prog_op *o = build_op(b, OP_DNORM, layer, m);
        o->param = w;
        o->bytes = 16.0 * (double)m.rows * (double)x.cols;
        prog_use(b->p, build_rows(dy, m), VIEW_R);
        prog_use(b->p, build_rows(x, m), VIEW_R);
        prog_use(b->p, vw, VIEW_R);
        prog_use(b->p, build_rows(stats, m), VIEW_R);
        prog_use(b->p, build_rows(dx, m), VIEW_RW);
    }
}

void build_bias(gpt_build *b, int layer, const gpt_set *set, prog_view y,
                int par)
{
    if (par < 0) {
        return;
    }
    prog_view v = build_vector(b, par);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        prog_op *o = build_op(b, OP_BIAS, layer, m);
        o->param = par;
        o->bytes = 8.0 * (double)m.rows * (double)y.cols;
        prog_use(b->p, build_rows(y, m), VIEW_RW);
        prog_use(b->p, v, VIEW_R);
    }
}
