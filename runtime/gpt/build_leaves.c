/*
 * Where sums and parameters are cut: data leaves into segments of tokens,
 * tensor leaves into segments of rows, shards into panels.
 */
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
            "data leaves; raise --batch to %d",
            d, sh->dp, (long long)sh->N, sh->D, sh->D);
    sh->seq_first = tok0 / sh->T;
    sh->seqs = (tok1 - tok0) / sh->T;
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

data_segs build_data_segs(const gpt_shape *sh, int64_t tok0, int64_t tok1)
{
    int64_t base = sh->seq_first * sh->T;
    return (data_segs){.sh = sh,
                       .lo = base + tok0,
                       .hi = base + tok1,
                       .at = base + tok0,
                       .leaf = sh->data_lo};
}

bool build_next_seg(data_segs *it, tree_seg *out)
{
    const gpt_shape *sh = it->sh;
    for (; it->leaf < sh->data_hi; it->leaf++) {
        int64_t g0 = gpt_leaf_token(sh, it->leaf);
        int64_t g1 = gpt_leaf_token(sh, it->leaf + 1);
        int64_t from = g0 > it->at ? g0 : it->at;
        int64_t to = g1 < it->hi ? g1 : it->hi;
        if (from < to) {
            it->at = step_end(sh, from, to);
            *out = (tree_seg){.leaf = it->leaf - sh->data_base,
                              .k0 = from - it->lo,
                              .k1 = it->at - it->lo,
                              .first = from == g0,
                              .last = it->at == g1};
            return true;
        }
    }
    return false;
}

int build_state_after(const gpt_shape *sh, tree_state *state, int64_t tok0,
                      int64_t tok1)
{
    data_segs it = build_data_segs(sh, tok0, tok1);
    tree_seg seg;
    while (build_next_seg(&it, &seg)) {
        tree_state_after(state, &seg, 1);
    }
    return state->depth;
}

int64_t build_cut(const gpt_shape *sh, int64_t tok, int64_t end, int64_t limit)
{
    data_segs it = build_data_segs(sh, tok, end);
    tree_seg seg;
    int64_t cut = 0;
    while (build_next_seg(&it, &seg)) {
        for (int64_t k = seg.k0 + sh->kblock;; k += sh->kblock) {
            int64_t at = k < seg.k1 ? k : seg.k1;
            if (cut > 0 && at > limit) {
                return tok + cut;
            }
            cut = at;
            if (at == seg.k1) {
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
            int depth = build_state_after(sh, &state, tok, cut);
            planes = depth > planes ? depth : planes;
            tok = cut;
        }
    }
    return planes;
}

/* --- panels --------------------------------------------------------------- */

param_shard build_shard(const gpt_build *b, int par)
{
    return param_rows(b->a, &b->ps->list[par], b->sh.S, b->sh.tensor_lo,
                      b->sh.tensor_hi);
}

int64_t build_panel_most(const gpt_build *b, int par)
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
    int64_t rows = build_shard(b, par).rows;
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
        it->rows =
            panel_end(starts, nleaves, row0, build_panel_most(b, par)) - row0;
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
