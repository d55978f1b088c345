/*
 * Rows of an embedding table: taking them (rows_get) and summing gradients
 * into them (rows_grad).
 *
 * rows_grad chains the tokens of each id in token order through a small hash
 * table in the work memory; then each distinct id is one independent sum over
 * its chain, walked by leaves like every other sum over tokens, a strip of
 * columns at a time. A leaf's fold starts from +0 and so never ends at -0,
 * which is why leaves without this id can be left out: they would add +0.
 */
#include "runtime/base/status.h"
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/walk.h"

enum { VECS = 8, STRIP = VECS * MATH_LANES, SLOTS_MIN = 16 };

typedef struct chains {
    int32_t *next; /* token -> next token with this id, -1 ends           */
    int32_t *head; /* slot -> first token, -1 is a free slot              */
    int64_t slots; /* a power of two, at most half of them in use         */
} chains;

typedef struct rows_job {
    int64_t C;
    const float *dx;
    int64_t lddx;
    const math_seg *segs;
    int nsegs;
    int leaves;
    int64_t plane_stride;
} rows_job;

static int64_t slots_for(int64_t n)
{
    int64_t slots = SLOTS_MIN;
    while (slots < 2 * n) {
        slots *= 2;
    }
    return slots;
}

size_t math_rows_work_bytes(int64_t n)
{
    return (size_t)(n + slots_for(n)) * sizeof(int32_t);
}

void opt_rows_get(const math_ctx *ctx, int64_t n, int64_t C, const int32_t *ids,
                  int64_t row0, int64_t rows, const float *table, int64_t ldt,
                  float *out, int64_t ldo)
{
    int threads = opt_threads(ctx, n * C);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < n; t++) {
        int64_t row = ids[t] - row0;
        if (row < 0 || row >= rows) {
            memset(out + t * ldo, 0, (size_t)C * sizeof(float));
            continue;
        }
        for (int64_t j = 0; j < C; j += MATH_LANES) {
            v16 x = lane_get(table + row * ldt, j, C, 0);
            lane_put(out + t * ldo, j, C, x + lane_all(0.0F));
        }
    }
}

/* The slot of this id: the one that holds it, or the free one to use. */
static int64_t slot_of(const chains *c, const int32_t *ids, int32_t id)
{
    uint64_t hash = (uint64_t)(uint32_t)id * 0x9E3779B97F4A7C15U >> 32;
    int64_t slot = (int64_t)hash & (c->slots - 1);
    while (c->head[slot] >= 0 && ids[c->head[slot]] != id) {
        slot = (slot + 1) & (c->slots - 1);
    }
    return slot;
}

/* Goes through the tokens backwards, so that every chain runs forwards. */
static void link_tokens(chains *c, int64_t n, const int32_t *ids, int64_t row0,
                        int64_t rows)
{
    for (int64_t s = 0; s < c->slots; s++) {
        c->head[s] = -1;
    }
    for (int64_t t = n - 1; t >= 0; t--) {
        if (ids[t] >= row0 && ids[t] < row0 + rows) {
            int64_t slot = slot_of(c, ids, ids[t]);
            c->next[t] = c->head[slot];
            c->head[slot] = (int32_t)t;
        }
    }
}

/* Adds the chain's tokens before k1 to acc; returns the next token. */
static int32_t fold(const rows_job *jb, const chains *c, int32_t token,
                    int64_t k1, int64_t j0, int64_t width, v16 acc[VECS])
{
    while (token >= 0 && token < k1) {
        const float *row = jb->dx + token * jb->lddx + j0;
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            acc[v] += lane_get(row, v * MATH_LANES, width, 0);
        }
        token = c->next[token];
    }
    return token;
}

static void join(v16 at[][VECS], const walk *w, walk_how how)
{
    for (int v = 0; v < VECS && how != JOIN_KEEP; v++) {
        v16 from = at[w->depth][v];
        v16 *into = &at[w->depth - 1][v];
        *into = how == JOIN_MOVE ? from : *into + from;
    }
}

/* One strip of one row of the gradient; `out` is the row in plane 0. */
static void sum_strip(const rows_job *jb, const chains *c, int32_t token,
                      int64_t j0, int64_t width, float *out)
{
    v16 at[WALK_ENTRIES][VECS];
    walk w;
    walk_clear(&w, jb->leaves);
    for (int i = 0; i < jb->nsegs; i++) {
        const math_seg *sg = &jb->segs[i];
        int top = walk_push(&w, sg);
        if (token >= 0 && token < sg->k1) {
            if (walk_fill(&w) == 0.0F) {
                memset(at[top], 0, sizeof at[top]);
            }
            token = fold(jb, c, token, sg->k1, j0, width, at[top]);
        }
        walk_how how = sg->last ? walk_join(&w) : JOIN_NONE;
        while (how != JOIN_NONE) {
            join(at, &w, how);
            how = walk_join(&w);
        }
    }
    for (int e = 0; e < w.depth; e++) {
        float *p = out + e * jb->plane_stride + j0;
        for (int v = 0; v < VECS && v * MATH_LANES < width; v++) {
            if (!w.empty[e]) { /* empty ones are zeros already */
                lane_put(p, v * MATH_LANES, width, at[e][v]);
            }
        }
    }
}

/* Planes that the sum over these segments leaves. */
static int pieces_of(const math_seg *segs, int nsegs, int leaves)
{
    walk w;
    walk_clear(&w, leaves);
    for (int i = 0; i < nsegs; i++) {
        walk_push(&w, &segs[i]);
        while (segs[i].last && walk_join(&w) != JOIN_NONE) {
        }
    }
    return w.depth;
}

void opt_rows_grad(const math_ctx *ctx, int64_t n, int64_t C,
                   const int32_t *ids, int64_t row0, int64_t rows,
                   const float *dx, int64_t lddx, const math_seg *segs,
                   int nsegs, int leaves, float *grad, int64_t ldg,
                   int64_t plane_stride)
{
    ASSERT(n <= INT32_MAX && ctx->work_bytes >= math_rows_work_bytes(n));
    rows_job jb = {C, dx, lddx, segs, nsegs, leaves, plane_stride};
    chains c = {ctx->work, (int32_t *)ctx->work + n, slots_for(n)};
    int pieces = pieces_of(segs, nsegs, leaves);
    for (int p = 0; p < pieces; p++) {
        opt_zero(ctx, rows, C, grad + p * plane_stride, ldg);
    }
    link_tokens(&c, n, ids, row0, rows);
#pragma omp parallel for num_threads(opt_threads(ctx, n *C))                   \
    schedule(dynamic, 64)
    for (int64_t s = 0; s < c.slots; s++) {
        for (int64_t j0 = 0; c.head[s] >= 0 && j0 < C; j0 += STRIP) {
            sum_strip(&jb, &c, c.head[s], j0, C - j0 < STRIP ? C - j0 : STRIP,
                      grad + (ids[c.head[s]] - row0) * ldg);
        }
    }
}
