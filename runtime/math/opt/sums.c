/*
 * Matrix sums: expand (one product) and tree_sum (many products, added by the
 * tree of leaves).
 *
 * tree_sum divides the result into boxes, one after another for each thread,
 * and walks all segments for a box before it goes on, so that entries of the
 * stack that have no plane need scratch for a box alone. Neither the boxes
 * nor the threads touch the bits: every element makes the same walk.
 *
 * The free join. A leaf of at most KC summands that would be added to the
 * entry below as soon as it is complete is added by the product itself
 * (beta = 1), which rounds exactly as a separate add does (see matmul.c).
 * Four leaves of 256 tokens so need one scratch entry and one add, not three
 * of each:
 *
 *     leaf 0 -> entry 0;  leaf 1 added to entry 0;
 *     leaf 2 -> entry 1;  leaf 3 added to entry 1;  entry 0 += entry 1
 */
#include <omp.h>

#include "runtime/base/status.h"
#include "runtime/math/matmul.h"
#include "runtime/math/opt/lanes.h"
#include "runtime/math/opt/opt.h"
#include "runtime/math/walk.h"

typedef struct job {
    bool trans_a;
    const math_src *src;
    const math_seg *segs;
    int nsegs;
    const math_stack *stack;
    int64_t ldo;
} job;

/* Where one thread keeps the entries that have no plane. */
typedef struct scratch {
    float *base;
    int64_t stride; /* floats of one entry */
} scratch;

/* One entry of the stack within one box. */
typedef struct entry {
    float *p;
    int64_t ld;
} entry;

void opt_expand(const math_ctx *ctx, int64_t n, int64_t R, int64_t C,
                const float *x, int64_t ldx, const float *w, int64_t ldw,
                float *y, int64_t ldy)
{
    matmul(ctx->threads, false, true, n, R, C, x, ldx, w, ldw, 0.0F, y, ldy);
}

static entry entry_at(const job *jb, const scratch *sc, matmul_box box, int i)
{
    if (i < jb->stack->planes) {
        return (entry){jb->stack->plane0 + i * jb->stack->plane_stride +
                           box.i0 * jb->ldo + box.j0,
                       jb->ldo};
    }
    return (entry){sc->base + (i - jb->stack->planes) * sc->stride,
                   math_pad(box.j1 - box.j0)};
}

static void entry_join(walk_how how, entry into, entry from, int64_t rows,
                       int64_t cols)
{
    if (how == JOIN_KEEP) {
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        float *a = into.p + i * into.ld;
        const float *b = from.p + i * from.ld;
        if (how == JOIN_MOVE) {
            memcpy(a, b, (size_t)cols * sizeof(float));
            continue;
        }
        for (int64_t j = 0; j < cols; j += MATH_LANES) {
            v16 sum = lane_get(a, j, cols, 0) + lane_get(b, j, cols, 0);
            lane_put(a, j, cols, sum);
        }
    }
}

static void multiply(const job *jb, const math_seg *sg, matmul_box box,
                     float beta, entry out)
{
    const math_src *s = &jb->src[sg->src];
    const float *a = jb->trans_a ? s->a + sg->k0 * s->lda + box.i0
                                 : s->a + box.i0 * s->lda + sg->k0;
    matmul_one(jb->trans_a, false, box.i1 - box.i0, box.j1 - box.j0,
               sg->k1 - sg->k0, a, s->lda, s->b + sg->k0 * s->ldb + box.j0,
               s->ldb, beta, out.p, out.ld);
}

/* True if the segment is added to the entry below by its product. */
static bool joins_free(const walk *w, const math_seg *sg, int64_t kblock)
{
    return sg->k1 - sg->k0 <= kblock && walk_adds_to_top(w, sg);
}

/* All segments for one box. */
static void sum_box(const job *jb, const scratch *sc, matmul_box box)
{
    int64_t rows = box.i1 - box.i0;
    int64_t cols = box.j1 - box.j0;
    int64_t kblock = matmul_kblock();
    walk w;
    walk_begin(&w, jb->stack);
    for (int i = 0; i < jb->nsegs; i++) {
        const math_seg *sg = &jb->segs[i];
        bool join_free = joins_free(&w, sg, kblock);
        int top = walk_push(&w, sg);
        if (sg->k1 > sg->k0) {
            int target = join_free ? top - 1 : top;
            float beta = walk_fill(&w);
            multiply(jb, sg, box, join_free ? 1.0F : beta,
                     entry_at(jb, sc, box, target));
        }
        walk_how how = sg->last ? walk_join(&w) : JOIN_NONE;
        while (how != JOIN_NONE) {
            if (!join_free) {
                entry_join(how, entry_at(jb, sc, box, w.depth - 1),
                           entry_at(jb, sc, box, w.depth), rows, cols);
            }
            join_free = false;
            how = walk_join(&w);
        }
    }
    ASSERT(w.depth <= jb->stack->planes);
    for (int e = 0; e < w.depth; e++) {
        entry at = entry_at(jb, sc, box, e);
        for (int64_t i = 0; w.empty[e] && i < rows; i++) {
            memset(at.p + i * at.ld, 0, (size_t)cols * sizeof(float));
        }
    }
}

/* The most entries without a plane that hold numbers at any time. */
static int scratch_entries(const job *jb)
{
    walk w;
    walk_begin(&w, jb->stack);
    int most = 0;
    for (int i = 0; i < jb->nsegs; i++) {
        bool join_free = joins_free(&w, &jb->segs[i], matmul_kblock());
        int held = walk_push(&w, &jb->segs[i]) + (join_free ? 0 : 1);
        most = held > most ? held : most;
        while (jb->segs[i].last && walk_join(&w) != JOIN_NONE) {
        }
    }
    most -= jb->stack->planes;
    return most > 0 ? most : 0;
}

/* Floats of scratch for the largest of `parts` boxes of an m x n result. */
static int64_t box_floats(int64_t parts, int64_t m, int64_t n)
{
    int64_t most = 0;
    for (int64_t p = 0; p < parts; p++) {
        matmul_box b = matmul_part(parts, p, m, n);
        int64_t size = (b.i1 - b.i0) * math_pad(b.j1 - b.j0);
        most = size > most ? size : most;
    }
    return most;
}

/* One thread's part of the result, in boxes that fit its scratch. */
static void sum_part(const job *jb, matmul_box part, float *work,
                     int64_t work_floats, int entries)
{
    int64_t m = part.i1 - part.i0;
    int64_t n = part.j1 - part.j0;
    if (m <= 0 || n <= 0) {
        return;
    }
    int64_t limit = OPT_TILE;
    if (entries > 0 && work_floats / entries < limit) {
        limit = work_floats / entries / MATH_LANES * MATH_LANES;
    }
    int64_t boxes = 1;
    while (entries > 0 && box_floats(boxes, m, n) > limit) {
        /* No box is smaller than one micro-tile: more boxes would not help. */
        ASSERT(boxes < m * n);
        boxes += boxes < 2 ? 1 : 2;
    }
    scratch sc = {work, limit};
    for (int64_t p = 0; p < boxes; p++) {
        matmul_box b = matmul_part(boxes, p, m, n);
        if (b.i1 > b.i0 && b.j1 > b.j0) {
            sum_box(jb, &sc,
                    (matmul_box){b.i0 + part.i0, b.i1 + part.i0, b.j0 + part.j0,
                                 b.j1 + part.j0});
        }
    }
}

void opt_tree_sum(const math_ctx *ctx, bool trans_a, int64_t m, int64_t cols,
                  const math_src src[2], const math_seg *segs, int nsegs,
                  const math_stack *stack, int64_t ldo)
{
    job jb = {trans_a, src, segs, nsegs, stack, ldo};
    int entries = scratch_entries(&jb);
#pragma omp parallel num_threads(ctx->threads)
    {
        int threads = omp_get_num_threads();
        int me = omp_get_thread_num();
        int64_t each = (int64_t)(ctx->work_bytes / sizeof(float)) / threads /
                       MATH_LANES * MATH_LANES;
        sum_part(&jb, matmul_part(threads, me, m, cols),
                 (float *)ctx->work + me * each, each, entries);
    }
}
