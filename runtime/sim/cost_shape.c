/* From operations to what they ask of laws. */
#include <math.h>
#include <string.h>

#include "runtime/sim/cost_impl.h"

static const prog_view *view_of(const cost_pricing *pr, const prog_op *o, int i)
{
    return &pr->p->view[o->view0 + i];
}

static void by_rows(sim_shape *t, sim_kernel k, double rows, double cols)
{
    t->kernel = k;
    t->count[TERM_OP] = 1;
    t->count[TERM_ROW] = rows;
    t->items = rows * cols;
}

static void by_view(const cost_pricing *pr, const prog_op *o, int i,
                    sim_kernel k, sim_shape *t)
{
    const prog_view *v = view_of(pr, o, i);
    by_rows(t, k, (double)v->rows, (double)v->cols);
}

static sim_product product_of(const cost_pricing *pr, const prog_op *o,
                              tree_seg *whole)
{
    const prog_view *a = view_of(pr, o, 0);
    if (o->form == FORM_EXPAND) {
        const prog_view *w = view_of(pr, o, 1);
        *whole = (tree_seg){.k1 = w->cols, .first = 1, .last = 1};
        return (sim_product){.m = (double)a->rows,
                             .n = (double)w->rows,
                             .segs = whole,
                             .nsegs = 1};
    }
    const prog_view *out = view_of(pr, o, o->views - 1);
    bool trans = o->kind == OP_DWEIGHT;
    return (sim_product){.m = (double)(trans ? a->cols : a->rows),
                         .n = (double)out->cols,
                         .segs = &pr->p->seg[o->seg0],
                         .nsegs = o->segs,
                         .state = pr->p->stack[o->stack0].state,
                         .sum = true};
}

/* Floats of operands and result. */
static double items_of(const sim_product *p)
{
    double k = 0;
    for (int i = 0; i < p->nsegs; i++) {
        k += (double)(p->segs[i].k1 - p->segs[i].k0);
    }
    return p->m * p->n + (p->m + p->n) * k;
}

static void by_product(const cost_pricing *pr, const prog_op *o, int threads,
                       sim_shape *t)
{
    const machine *m = pr->in->m;
    tree_seg whole;
    sim_product p = product_of(pr, o, &whole);
    t->kernel = o->form == FORM_EXPAND  ? KERNEL_EXPAND
                : o->kind == OP_DWEIGHT ? KERNEL_DWEIGHT
                                        : KERNEL_SUM;
    sim_product_counts(m, &m->level[0].law[t->kernel], &p, threads, t->count);
    t->items = items_of(&p);
}

static void by_attention(const cost_pricing *pr, const prog_op *o, int threads,
                         sim_shape *t)
{
    const arch *a = pr->in->a;
    int64_t heads = view_of(pr, o, 0)->cols / (3 * a->D) * o->seqs;
    bool backward = o->kind == OP_DATTENTION;
    t->kernel = backward ? KERNEL_DATTENTION : KERNEL_ATTENTION;
    sim_attention_counts(pr->in->m, pr->in->sh.T, a->window[o->layer], a->D,
                         heads, backward, threads, t->count);
}

/* Rows of an embedding that a batch names: the expectation for tokens that
 * are evenly spread over the vocabulary. */
static double rows_named(const cost_pricing *pr)
{
    double v = pr->in->a->V;
    double n = (double)(pr->in->sh.seqs * pr->in->sh.T);
    return v * (1 - pow(1 - 1 / v, n));
}

static void by_param(const cost_pricing *pr, const prog_op *o, sim_kernel k,
                     sim_shape *t)
{
    if (o->views > 0) {
        by_view(pr, o, 0, k, t);
    } else {
        by_rows(t, k, (double)o->rows, (double)pr->in->ps->list[o->param].cols);
    }
}

static void by_kind(const cost_pricing *pr, const prog_op *o, sim_shape *t)
{
    double cols = o->param >= 0 ? (double)pr->in->ps->list[o->param].cols : 0;
    switch ((op_kind)o->kind) {
    case OP_BATCH:
        by_rows(t, KERNEL_BATCH, (double)(o->seqs * pr->in->sh.T), 1);
        break;
    case OP_LOAD:
        by_rows(t, KERNEL_COPY, 1, (double)o->rows * cols);
        break;
    case OP_LOAD_ROWS:
        by_rows(t, KERNEL_COPY, rows_named(pr), cols);
        break;
    case OP_DRAIN:
        by_rows(t, KERNEL_DRAIN, (double)o->rows, cols);
        break;
    case OP_DRAIN_ROWS:
        by_rows(t, KERNEL_DRAIN, rows_named(pr), cols);
        break;
    case OP_EMBED:
        by_view(pr, o, 2, KERNEL_EMBED, t);
        break;
    case OP_POSITION:
        by_view(pr, o, 1, KERNEL_ADD, t);
        t->count[TERM_OP] = o->seqs;
        break;
    case OP_NORM:
        by_view(pr, o, 0, KERNEL_NORM, t);
        break;
    case OP_BIAS:
        by_view(pr, o, 0, KERNEL_BIAS, t);
        break;
    case OP_ROPE:
        by_view(pr, o, 0, KERNEL_ROPE, t);
        break;
    case OP_ACT:
        by_view(pr, o, 0, KERNEL_ACT, t);
        break;
    case OP_RESIDUAL:
        by_view(pr, o, 0, KERNEL_RESIDUAL, t);
        break;
    case OP_XENT_STATS:
        by_view(pr, o, 0, KERNEL_XENT_STATS, t);
        break;
    case OP_XENT_PICK:
        by_rows(t, KERNEL_XENT_PICK, (double)view_of(pr, o, 0)->rows, 0);
        break;
    case OP_XENT_LOSS:
        by_rows(t, KERNEL_XENT_LOSS, (double)view_of(pr, o, 0)->rows,
                (double)o->arg);
        break;
    case OP_XENT_GRAD:
        by_view(pr, o, 0, KERNEL_XENT_GRAD, t);
        break;
    case OP_DBIAS:
        by_view(pr, o, 0, KERNEL_DBIAS, t);
        break;
    case OP_DNORM:
        by_view(pr, o, 0, KERNEL_DNORM, t);
        break;
    case OP_DNORM_W:
        by_view(pr, o, 0, KERNEL_DNORM_W, t);
        break;
    case OP_DACT:
        by_view(pr, o, 0, KERNEL_DACT, t);
        break;
    case OP_DEMBED:
        by_view(pr, o, 1, KERNEL_DEMBED, t);
        break;
    case OP_ADD:
        by_view(pr, o, 0, KERNEL_ADD, t);
        break;
    case OP_ZERO:
        by_view(pr, o, 0, KERNEL_ZERO, t);
        break;
    case OP_GRAD_NORM:
        if (pr->in->store) {
            by_rows(t, KERNEL_STORE_NORM, (double)o->rows, 0);
        } else {
            by_param(pr, o, KERNEL_GRAD_NORM, t);
        }
        break;
    case OP_UPDATE:
        by_param(pr, o, KERNEL_UPDATE, t);
        break;
    case OP_CACHE:
        by_view(pr, o, 0, KERNEL_COPY, t);
        break;
    case OP_ROW:
        by_view(pr, o, 1, KERNEL_COPY, t);
        break;
    case OP_FORWARD: /* by_product, by_attention */
    case OP_DINPUT:
    case OP_DWEIGHT:
    case OP_ATTENTION:
    case OP_DATTENTION:
    case OP_SEND: /* transfers have links */
    case OP_RECV:
    case OP_ALLREDUCE:
    case OP_LOSS: /* a few additions */
    case OP_CLIP:
    case OP_KIND_COUNT:
        t->kernel = KERNEL_COUNT;
        break;
    }
}

/* Threads that share the operation: copies and what a store does beside
 * compute have one, and so have small element-wise operations. */
static int threads_of(const cost_pricing *pr, const prog_op *o,
                      const sim_shape *t, int all)
{
    switch ((op_kind)o->kind) {
    case OP_BATCH:
    case OP_LOAD:
    case OP_LOAD_ROWS:
    case OP_DRAIN:
    case OP_DRAIN_ROWS:
    case OP_XENT_PICK:
        return 1;
    case OP_GRAD_NORM:
        if (pr->in->store) {
            return 1;
        }
        break;
    default:
        break;
    }
    return t->items < (double)pr->in->m->serial_items ? 1 : all;
}

void cost_shape(const cost_pricing *pr, const prog_op *o, int threads,
                sim_shape *t)
{
    memset(t->count, 0, sizeof(t->count));
    t->items = 0;
    t->kernel = KERNEL_COUNT;
    t->threads = threads;
    switch ((op_kind)o->kind) {
    case OP_FORWARD:
    case OP_DINPUT:
    case OP_DWEIGHT:
        by_product(pr, o, threads, t);
        break;
    case OP_ATTENTION:
    case OP_DATTENTION:
        by_attention(pr, o, threads, t);
        break;
    default:
        by_kind(pr, o, t);
        t->threads = threads_of(pr, o, t, threads);
        break;
    }
}

void cost_shape_clearing(const cost_pricing *pr, const prog_op *o, int threads,
                         sim_shape *t)
{
    const prog_view *g = view_of(pr, o, 2);
    memset(t->count, 0, sizeof(t->count));
    by_rows(t, KERNEL_ZERO, (double)g->rows, (double)g->cols);
    t->threads = threads_of(pr, o, t, threads);
}
