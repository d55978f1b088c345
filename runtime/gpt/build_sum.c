/*
 * y = sum over r of a[:, r] W[r], by tensor leaves: of one parameter, or of
 * two whose rows share the leaves (a parallel block's output and MLP).
 */
#include <string.h>

#include "runtime/gpt/build_internal.h"

/* One piece of a sum: panels of one or two parameters and their segments. */
typedef struct sum_item {
    int npairs;
    int pair[2]; /* index into the caller's pairs */
    int64_t row0[2];
    int64_t rows[2];
    tree_seg segs[2 * TREE_LEAVES_MAX];
    int nsegs;
} sum_item;

/* Walks a sum leaf by leaf, in a leaf the first parameter's rows before the
 * second's: all in one item, or a panel an item. Rows of leaf i of pair j are
 * [starts[j][i], starts[j][i + 1]). */
typedef struct sum_walk {
    const gpt_build *b;
    const sum_pair *pairs;
    int npairs;
    int nleaves;
    int64_t starts[2][TREE_LEAVES_MAX + 1];
    int leaf;
    int64_t row[2]; /* next row of each pair */
} sum_walk;

static sum_walk sum_begin(const gpt_build *b, const sum_pair *pairs, int npairs)
{
    sum_walk w = {.b = b, .pairs = pairs, .npairs = npairs};
    w.nleaves = b->sh.tensor_hi - b->sh.tensor_lo;
    for (int j = 0; j < npairs; j++) {
        param_leaf_rows(b->a, &b->ps->list[pairs[j].par], b->sh.S,
                        b->sh.tensor_lo, b->sh.tensor_hi, w.starts[j]);
    }
    return w;
}

/* The pair whose rows come next in this leaf, or npairs. */
static int sum_pair_now(const sum_walk *w)
{
    int j = 0;
    while (j < w->npairs && w->row[j] >= w->starts[j][w->leaf + 1]) {
        j++;
    }
    return j;
}

static bool leaf_empty(const sum_walk *w)
{
    for (int j = 0; j < w->npairs; j++) {
        if (w->starts[j][w->leaf] < w->starts[j][w->leaf + 1]) {
            return false;
        }
    }
    return true;
}

/* Adds `rows` next rows of pair j in the current leaf, at k0 of operand src,
 * and moves on. */
static void sum_take(sum_walk *w, sum_item *it, int j, int src, int64_t k0,
                     int64_t rows)
{
    bool first = w->row[j] == w->starts[j][w->leaf];
    for (int i = 0; i < j; i++) {
        first = first && w->starts[i][w->leaf] == w->starts[i][w->leaf + 1];
    }
    w->row[j] += rows;
    it->segs[it->nsegs++] =
        (tree_seg){.leaf = w->b->sh.tensor_lo + w->leaf - w->b->sh.tensor_base,
                   .src = src,
                   .k0 = k0,
                   .k1 = k0 + rows,
                   .first = first,
                   .last = sum_pair_now(w) == w->npairs};
}

/* Passes leaves that are done; empty ones leave a mark. */
static void sum_skip(sum_walk *w, sum_item *it)
{
    while (w->leaf < w->nleaves && sum_pair_now(w) == w->npairs) {
        if (leaf_empty(w)) {
            it->segs[it->nsegs++] = (tree_seg){
                .leaf = w->b->sh.tensor_lo + w->leaf - w->b->sh.tensor_base,
                .first = 1,
                .last = 1};
        }
        w->leaf++;
    }
}

/* Whole leaves up to `end`, of every pair that has rows there. */
static void sum_leaves(sum_walk *w, sum_item *it, int end)
{
    int src[2] = {0, 0};
    for (int j = 0; j < w->npairs; j++) {
        src[j] = it->npairs;
        it->row0[src[j]] = w->row[j];
        it->rows[src[j]] = w->starts[j][end] - w->row[j];
        it->pair[src[j]] = j;
        it->npairs += it->rows[src[j]] > 0;
    }
    while (w->leaf < end) {
        int j = sum_pair_now(w);
        sum_take(w, it, j, src[j], w->row[j] - it->row0[src[j]],
                 w->starts[j][w->leaf + 1] - w->row[j]);
        sum_skip(w, it);
    }
}

/* One past the last leaf that fits into a panel with all from here on. */
static int sum_fits(const sum_walk *w)
{
    int end = w->leaf;
    while (end < w->nleaves) {
        double part = 0;
        for (int j = 0; j < w->npairs; j++) {
            part += (double)(w->starts[j][end + 1] - w->row[j]) /
                    (double)build_panel_most(w->b, w->pairs[j].par);
        }
        if (part > 1) {
            break;
        }
        end++;
    }
    return end;
}

static bool sum_next(sum_walk *w, sum_item *it)
{
    memset(it, 0, sizeof(*it));
    sum_skip(w, it);
    if (w->leaf >= w->nleaves) {
        return false;
    }
    int end = w->b->src->whole ? w->nleaves : sum_fits(w);
    if (end > w->leaf) {
        sum_leaves(w, it, end);
        return true;
    }
    int j = sum_pair_now(w);
    int64_t most = build_panel_most(w->b, w->pairs[j].par);
    int64_t left = w->starts[j][w->leaf + 1] - w->row[j];
    it->npairs = 1;
    it->pair[0] = j;
    it->row0[0] = w->row[j];
    it->rows[0] = left < most ? left : most;
    sum_take(w, it, j, 0, 0, it->rows[0]);
    sum_skip(w, it);
    return true;
}

static int sum_planes(const gpt_build *b, const sum_pair *pairs, int npairs)
{
    tree_state state = {.leaves = b->sh.tensor_tree};
    sum_walk w = sum_begin(b, pairs, npairs);
    sum_item it;
    int planes = 1;
    while (sum_next(&w, &it)) {
        int depth = tree_state_after(&state, it.segs, it.nsegs);
        planes = depth > planes ? depth : planes;
    }
    return planes;
}

int build_sum_planes(const gpt_build *b, const int *list, int nparams)
{
    sum_pair pairs[2] = {{list[0], {0}}, {nparams > 1 ? list[1] : 0, {0}}};
    return sum_planes(b, pairs, nparams);
}

gpt_acc build_sum_acc(gpt_build *b, int layer, const gpt_set *set, int planes)
{
    int64_t n = set->range.seqs * b->sh.T;
    int64_t ld = math_pad(b->a->C);
    int32_t buf =
        prog_buffer(b->p, "sum", BUF_WORKING, layer, planes * n * ld, false);
    return (gpt_acc){.plane0 = prog_whole(b->p, buf, n, b->a->C, ld),
                     .plane = n * ld,
                     .planes = planes,
                     .state = {.leaves = b->sh.tensor_tree}};
}

static void emit_sum_item(gpt_build *b, op_kind kind, int layer,
                          const gpt_set *set, const sum_pair *pairs,
                          const sum_item *it, gpt_acc *acc)
{
    prog_view w[2];
    for (int j = 0; j < it->npairs; j++) {
        w[j] = b->src->weights(b->src, pairs[it->pair[j]].par, it->row0[j],
                               it->rows[j]);
    }
    gpt_acc start = *acc;
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        prog_op *o = build_op(b, kind, layer, m);
        o->form = FORM_SUM;
        o->param = pairs[it->pair[0]].par;
        o->row0 = it->row0[0];
        double rows = 0;
        for (int j = 0; j < it->npairs; j++) {
            prog_use(b->p,
                     prog_sub(pairs[it->pair[j]].a, m.row0, m.rows, it->row0[j],
                              it->rows[j]),
                     VIEW_R);
            prog_use(b->p, w[j], VIEW_R);
            rows += (double)it->rows[j];
        }
        o->rows = (int64_t)rows;
        build_matmul_cost(o, (double)m.rows, rows, (double)b->a->C);
        *acc = start;
        build_accumulate(b, acc, build_rows(acc->plane0, m), it->segs,
                         it->nsegs);
    }
}

prog_view build_sum(gpt_build *b, op_kind kind, int layer, const gpt_set *set,
                    const sum_pair *pairs, int npairs)
{
    gpt_acc acc = build_sum_acc(b, layer, set, sum_planes(b, pairs, npairs));
    sum_walk w = sum_begin(b, pairs, npairs);
    sum_item it;
    while (sum_next(&w, &it)) {
        emit_sum_item(b, kind, layer, set, pairs, &it, &acc);
    }
    for (int i = 0; b->sh.tp > 1 && i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        gpt_emit_allreduce(b, GROUP_TENSOR, STREAM_TENSOR, layer, -1,
                           build_rows(acc.plane0, m), acc.plane,
                           acc.state.depth, b->sh.S, b->sh.tp);
        prog_last(b->p)->seq0 = m.range.seq0;
        prog_last(b->p)->seqs = m.range.seqs;
    }
    return acc.plane0;
}
