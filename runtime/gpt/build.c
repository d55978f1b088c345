/*
 * Leaves, panels, and the three matmul shapes every block is made of:
 *
 *   build_expand   y[:, r] = x W[r]^T          rows of W make columns
 *   build_sum      y = sum over r of a[:, r] W[r]   by tensor leaves
 *   build_dweight  dW[r] = left[:, r]^T right   by data leaves
 *
 * each panel by panel (outer) and micro-batch by micro-batch (inner), so a
 * panel that had to be loaded serves all micro-batches.
 */
#include <string.h>

#include "runtime/gpt/build_internal.h"

/* --- shape and leaves ----------------------------------------------------- */

int64_t gpt_leaf_token(const gpt_shape *sh, int i)
{
    return sh->N >= sh->D ? leaf_start(sh->N, sh->D, i) * sh->T
                          : leaf_start(sh->N * sh->T, sh->D, i);
}

/* A complete subtree splits like a tree of its own. */
static void own_tree(int n, int lo, int hi, int32_t *base, int32_t *leaves)
{
    bool alone = tree_is_node(n, (tree_span){lo, hi});
    *base = alone ? lo : 0;
    *leaves = alone ? hi - lo : n;
}

status gpt_shape_share(gpt_shape *sh, int d, int t)
{
    REQUIRE(sh->N * sh->T >= sh->D, ST_CONFIG,
            "a batch of %lld tokens cannot be cut into %d data leaves; "
            "raise --batch or lower --data-leaves",
            (long long)(sh->N * sh->T), sh->D);
    sh->data_lo = leaf_of_rank(sh->D, sh->dp, d);
    sh->data_hi = leaf_of_rank(sh->D, sh->dp, d + 1);
    sh->tensor_lo = leaf_of_rank(sh->S, sh->tp, t);
    sh->tensor_hi = leaf_of_rank(sh->S, sh->tp, t + 1);
    int64_t tok0 = gpt_leaf_token(sh, sh->data_lo);
    int64_t tok1 = gpt_leaf_token(sh, sh->data_hi);
    REQUIRE(tok1 > tok0 && sh->tensor_hi > sh->tensor_lo, ST_CONFIG,
            "data share %d or tensor share %d would be empty", d, t);
    REQUIRE(tok0 % sh->T == 0 && tok1 % sh->T == 0, ST_CONFIG,
            "data share %d of %d would cut a sequence: %lld sequences in %d "
            "data leaves; use a batch that is a multiple of %d",
            d, sh->dp, (long long)sh->N, sh->D, sh->dp);
    sh->seq_first = tok0 / sh->T;
    sh->seqs = (tok1 - tok0) / sh->T;
    REQUIRE(sh->seqs + sh->D < SEGS_MAX, ST_CONFIG,
            "a rank's share of %lld sequences is too large, at most %d; lower "
            "--batch or use more ranks",
            (long long)sh->seqs, SEGS_MAX - sh->D - 1);
    own_tree(sh->D, sh->data_lo, sh->data_hi, &sh->data_base, &sh->data_tree);
    own_tree(sh->S, sh->tensor_lo, sh->tensor_hi, &sh->tensor_base,
             &sh->tensor_tree);
    return ST_OK;
}

/* End of the fold step that begins at token g of a leaf ending at `end`: a
 * step is one sequence's part of the leaf; whole blocks of k chain to the
 * same bits, so steps of whole blocks are taken together. */
static int64_t step_end(const gpt_shape *sh, int64_t g, int64_t end)
{
    int64_t e = g;
    do {
        int64_t next = (e / sh->T + 1) * sh->T;
        e = next < end ? next : end;
    } while (e < end && (e - g) % sh->kblock == 0);
    return e;
}

int build_data_segs(const gpt_shape *sh, int64_t tok0, int64_t tok1,
                    tree_seg *segs)
{
    int64_t base = sh->seq_first * sh->T;
    int64_t lo = base + tok0;
    int64_t hi = base + tok1;
    int n = 0;
    for (int leaf = sh->data_lo; leaf < sh->data_hi; leaf++) {
        int64_t g0 = gpt_leaf_token(sh, leaf);
        int64_t g1 = gpt_leaf_token(sh, leaf + 1);
        int64_t from = g0 > lo ? g0 : lo;
        int64_t to = g1 < hi ? g1 : hi;
        while (from < to) {
            int64_t e = step_end(sh, from, to);
            ASSERT(n < SEGS_MAX);
            segs[n++] = (tree_seg){.leaf = leaf - sh->data_base,
                                   .k0 = from - lo,
                                   .k1 = e - lo,
                                   .first = from == g0,
                                   .last = e == g1};
            from = e;
        }
    }
    return n;
}

int64_t build_cut(const gpt_shape *sh, int64_t tok, int64_t end, int64_t limit)
{
    tree_seg segs[SEGS_MAX];
    int n = build_data_segs(sh, tok, end, segs);
    int64_t cut = 0;
    for (int i = 0; i < n; i++) {
        for (int64_t k = segs[i].k0 + sh->kblock;; k += sh->kblock) {
            int64_t at = k < segs[i].k1 ? k : segs[i].k1;
            if (cut > 0 && at > limit) {
                return tok + cut;
            }
            cut = at;
            if (at == segs[i].k1) {
                break;
            }
        }
    }
    return tok + cut;
}

int gpt_acc_planes(const gpt_shape *sh, const gpt_range *mbs, int nmb,
                   int64_t chunk_tokens)
{
    tree_state state = {.leaves = sh->data_tree};
    int planes = 1;
    for (int i = 0; i < nmb; i++) {
        int64_t tok = mbs[i].seq0 * sh->T;
        int64_t end = tok + mbs[i].seqs * sh->T;
        while (tok < end) {
            int64_t cut =
                chunk_tokens > 0 ? build_cut(sh, tok, end, chunk_tokens) : end;
            tree_seg segs[SEGS_MAX];
            int n = build_data_segs(sh, tok, cut, segs);
            int depth = tree_state_after(&state, segs, n);
            planes = depth > planes ? depth : planes;
            tok = cut;
        }
    }
    return planes;
}

/* --- panels --------------------------------------------------------------- */

static param_shard shard(const gpt_build *b, int par)
{
    return param_rows(b->a, &b->ps->list[par], b->sh.S, b->sh.tensor_lo,
                      b->sh.tensor_hi);
}

/* Most rows of a panel: whole blocks of k; of the vocabulary also whole
 * blocks of the softmax. */
static int64_t panel_most(const gpt_build *b, int par)
{
    int64_t most = b->src->panel_rows(b->src, par);
    int64_t unit = b->sh.kblock;
    while (b->ps->list[par].axis == AXIS_VOCAB && unit % MATH_XENT_BLOCK != 0) {
        unit += b->sh.kblock;
    }
    return most > unit ? most / unit * unit : unit;
}

/* Where a panel of at most `most` rows from row0 ends: inside a leaf that is
 * larger, else with the last leaf that fits. Few large panels keep matmul at
 * its rate: on gpt-neo-125m a quarter of a matrix ran at 0.9 of the whole. */
static int64_t panel_end(const int64_t *starts, int nleaves, int64_t row0,
                         int64_t most)
{
    int leaf = 0;
    while (leaf + 1 < nleaves && starts[leaf + 1] <= row0) {
        leaf++;
    }
    if (starts[leaf + 1] - row0 > most) {
        return row0 + most;
    }
    while (leaf + 1 < nleaves && starts[leaf + 2] - row0 <= most) {
        leaf++;
    }
    return starts[leaf + 1];
}

bool gpt_next_panel(const gpt_build *b, int par, gpt_panel *it)
{
    int64_t rows = shard(b, par).rows;
    int64_t row0 = it->row0 + it->rows;
    if (row0 >= rows) {
        return false;
    }
    *it = (gpt_panel){.row0 = row0, .rows = rows};
    if (!b->src->whole) {
        int64_t starts[TREE_LEAVES_MAX + 1];
        int nleaves = b->sh.tensor_hi - b->sh.tensor_lo;
        param_leaf_rows(b->a, &b->ps->list[par], b->sh.S, b->sh.tensor_lo,
                        b->sh.tensor_hi, starts);
        it->rows = panel_end(starts, nleaves, row0, panel_most(b, par)) - row0;
    }
    return true;
}

int build_row_segs(const gpt_build *b, int par, int64_t row0, int64_t rows,
                   tree_seg *segs)
{
    int64_t starts[TREE_LEAVES_MAX + 1];
    int nleaves = b->sh.tensor_hi - b->sh.tensor_lo;
    param_leaf_rows(b->a, &b->ps->list[par], b->sh.S, b->sh.tensor_lo,
                    b->sh.tensor_hi, starts);
    int n = 0;
    for (int i = 0; i < nleaves; i++) {
        int64_t lo = starts[i] > row0 ? starts[i] : row0;
        int64_t end = row0 + rows;
        int64_t hi = starts[i + 1] < end ? starts[i + 1] : end;
        /* An empty leaf goes with the rows behind it, or with the last. */
        bool empty = starts[i] == starts[i + 1] && starts[i] >= row0 &&
                     (starts[i] < end || end == starts[nleaves]);
        if (lo < hi || empty) {
            segs[n++] =
                (tree_seg){.leaf = b->sh.tensor_lo + i - b->sh.tensor_base,
                           .k0 = lo - row0,
                           .k1 = (empty ? lo : hi) - row0,
                           .first = lo == starts[i],
                           .last = hi == starts[i + 1]};
        }
    }
    return n;
}

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
    return build_as_vector(b->src->weights(b->src, par, 0, shard(b, par).rows));
}

prog_view gpt_tokens(gpt_build *b, const char *name, buf_class cls, int layer,
                     const gpt_set *set, int64_t cols)
{
    int64_t n = set->range.seqs * b->sh.T;
    int64_t ld = cols > 2 ? math_pad(cols) : cols;
    int32_t buf = prog_buffer(b->p, name, cls, layer, n * ld, false);
    return prog_whole(b->p, buf, n, cols, ld);
}

void build_accumulate(gpt_build *b, gpt_acc *acc, prog_view plane,
                      const tree_seg *segs, int nsegs)
{
    prog_stack s = {
        .state = acc->state, .planes = acc->planes, .plane = acc->plane};
    prog_use(b->p, plane, acc->state.depth > 0 ? VIEW_RW : VIEW_W);
    prog_accumulate(b->p, &s);
    if (prog_last(b->p)->segs == 0) {
        prog_segments(b->p, segs, nsegs);
    }
    int depth = tree_state_after(&acc->state, segs, nsegs);
    ASSERT(depth <= acc->planes);
}

static void matmul_cost(prog_op *o, double n, double rows, double cols)
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
            matmul_cost(o, (double)m.rows, (double)pn.rows, (double)w.cols);
            prog_use(b->p, build_rows(x, m), VIEW_R);
            prog_use(b->p, w, VIEW_R);
            prog_use(b->p, prog_sub(y, m.row0, m.rows, pn.row0, pn.rows),
                     VIEW_W);
        }
    }
}

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
                    (double)panel_most(w->b, w->pairs[j].par);
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
    int64_t most = panel_most(w->b, w->pairs[j].par);
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
        matmul_cost(o, (double)m.rows, rows, (double)b->a->C);
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
            tree_seg segs[SEGS_MAX];
            int64_t tok0 = m.range.seq0 * b->sh.T;
            int n = build_data_segs(&b->sh, tok0, tok0 + m.rows, segs);
            prog_op *o = build_op(b, OP_DWEIGHT, layer, m);
            o->form = FORM_SUM;
            o->param = par;
            o->row0 = pn.row0;
            o->rows = pn.rows;
            matmul_cost(o, (double)m.rows, (double)pn.rows, (double)right.cols);
            prog_use(b->p, prog_sub(left, m.row0, m.rows, pn.row0, pn.rows),
                     VIEW_R);
            prog_use(b->p, build_rows(right, m), VIEW_R);
            build_accumulate(b, acc, acc->plane0, segs, n);
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
    int64_t rows = shard(b, par).rows;
    gpt_acc *acc = b->src->grad(b->src, par, GRAD_MAIN, 0, rows, b->acc_planes);
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        tree_seg segs[SEGS_MAX];
        int64_t tok0 = m.range.seq0 * b->sh.T;
        int n = build_data_segs(&b->sh, tok0, tok0 + m.rows, segs);
        prog_op *o = build_op(b, OP_DBIAS, layer, m);
        o->param = par;
        o->rows = rows;
        o->bytes = 4.0 * (double)m.rows * (double)dy.cols;
        prog_use(b->p, build_rows(dy, m), VIEW_R);
        build_accumulate(b, acc, build_as_vector(acc->plane0), segs, n);
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
        tree_seg segs[SEGS_MAX];
        int64_t tok0 = m.range.seq0 * b->sh.T;
        int n = build_data_segs(&b->sh, tok0, tok0 + m.rows, segs);
        prog_op *o = build_op(b, OP_DNORM_W, layer, m);
        o->param = w;
        o->bytes = 8.0 * (double)m.rows * (double)x.cols;
        prog_use(b->p, build_rows(dy, m), VIEW_R);
        prog_use(b->p, build_rows(x, m), VIEW_R);
        prog_use(b->p, build_rows(stats, m), VIEW_R);
        build_accumulate(b, dg, build_as_vector(dg->plane0), segs, n);
        build_accumulate(b, db, build_as_vector(db->plane0), segs, n);
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
