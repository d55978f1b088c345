/*
 * The fast kernels that sum by leaves: against the tree by its definition or
 * the plain kernels, and bit for bit over random threads and random divisions
 * of rows, columns, segments and calls.
 *
 * Values past the last real column are NaN in every input and must neither
 * matter nor be overwritten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/math_fixture.h"

/* ---- tree sums -------------------------------------------------------- */

typedef struct deal {
    int leaves;
    int lo, hi; /* the leaves summed here   */
    int64_t n;  /* summands of all of them  */
    int nsegs;  /* one segment a leaf       */
    math_seg segs[TREE_LEAVES_MAX];
} deal;

/* Deals about n summands to all leaves; takes leaves [lo, hi) of them. */
static deal make_deal(int leaves, int lo, int hi, int64_t n)
{
    deal d = {leaves, lo, hi, 0, 0, {{0}}};
    int64_t first = leaf_start(n, leaves, lo);
    for (int i = lo; i < hi; i++) {
        d.segs[d.nsegs++] = (math_seg){i,
                                       0,
                                       leaf_start(n, leaves, i) - first,
                                       leaf_start(n, leaves, i + 1) - first,
                                       1,
                                       1};
    }
    d.n = leaf_start(n, leaves, hi) - first;
    return d;
}

/* Cuts segments at random: whole leaves always, inside a leaf every `unit`
 * summands from its start. Returns how many segments there are. */
static int cut_segments(const deal *d, int64_t unit, math_seg *out)
{
    int used = 0;
    for (int i = 0; i < d->nsegs; i++) {
        math_seg s = d->segs[i];
        int64_t units = (s.k1 - s.k0 + unit - 1) / unit;
        do {
            int64_t take = units > 1 ? pick(1, units) : units;
            int64_t k1 = s.k0 + take * unit;
            bool ends = take >= units;
            out[used] = s;
            out[used].k1 = ends ? s.k1 : k1;
            out[used].last = ends;
            out[used].first = s.first;
            s.k0 = out[used].k1;
            s.first = 0;
            units -= take;
            used++;
        } while (units > 0);
    }
    return used;
}

/* Runs over random calls of consecutive segments. `run` makes one call. */
typedef void call_fn(void *arg, const math_seg *segs, int nsegs,
                     const math_stack *stack);

static int run_calls(const math_seg *segs, int nsegs, int leaves, float *planes,
                     int64_t stride, call_fn *run, void *arg)
{
    math_stack stack = {planes, stride, 0, leaves, 0, {{0, 0}}};
    for (int i = 0; i < nsegs;) {
        int count = (int)pick(1, nsegs - i);
        tree_state after = {.leaves = leaves, .depth = stack.depth};
        memcpy(after.spans, stack.spans, sizeof(after.spans));
        int depth = tree_state_after(&after, segs + i, count);
        /* Exactly the planes in use before or after. */
        stack.planes = stack.depth > depth ? stack.depth : depth;
        run(arg, segs + i, count, &stack);
        stack.depth = depth;
        memcpy(stack.spans, after.spans, sizeof(after.spans));
        i += count;
    }
    return stack.depth;
}

typedef struct product {
    bool trans_a;
    int64_t m, cols, k, ldo;
    math_src src[2];
} product;

static void product_call(void *arg, const math_seg *segs, int nsegs,
                         const math_stack *stack)
{
    product *p = arg;
    /* Sometimes so little scratch that boxes become small. */
    math_ctx c = *any();
    if (next_random() & 1) {
        c.work_bytes = sizeof(float) * 4 * 16 * 400;
    }
    /* Rows may be divided, too: each part is a sum of its own. */
    int64_t cut = pick(0, p->m);
    int64_t rows[2] = {cut, p->m - cut};
    for (int part = 0; part < 2; part++) {
        int64_t i0 = part ? cut : 0;
        math_src src[2] = {p->src[0], p->src[1]};
        math_stack st = *stack;
        src[0].a += p->trans_a ? i0 : i0 * src[0].lda;
        src[1].a += p->trans_a ? i0 : i0 * src[1].lda;
        st.plane0 += i0 * p->ldo;
        math_opt.tree_sum(&c, p->trans_a, rows[part], p->cols, src, segs, nsegs,
                          &st, p->ldo);
    }
}

/* One node of the tree by its definition, into out (m x cols). False if it
 * is empty. Uses buffers[depth] for right children. */
static bool node_by_hand(const product *p, const deal *d, tree_span node,
                         float *out, int depth)
{
    int64_t size = p->m * p->cols;
    if (node.hi - node.lo == 1) {
        const math_seg *s = &d->segs[node.lo - d->lo];
        const math_src *o = &p->src[0];
        matmul_one(p->trans_a, false, p->m, p->cols, s->k1 - s->k0,
                   o->a + (p->trans_a ? s->k0 * o->lda : s->k0), o->lda,
                   o->b + s->k0 * o->ldb, o->ldb, 0.0F, out, p->cols);
        return s->k1 > s->k0;
    }
    int part = 1;
    while (part * 2 < node.hi - node.lo) {
        part *= 2;
    }
    tree_span left = {node.lo, node.lo + part};
    tree_span right = {node.lo + part, node.hi};
    float *other = buf[4] + depth * size;
    bool any_left = node_by_hand(p, d, left, out, depth + 1);
    bool any_right = node_by_hand(p, d, right, other, depth + 1);
    for (int64_t i = 0; i < size && any_right; i++) {
        out[i] = any_left ? out[i] + other[i] : other[i];
    }
    return any_left || any_right;
}

static void check_product(const product *p, const deal *d, const float *planes,
                          int64_t stride, int depth)
{
    tree_span pieces[TREE_DEPTH_MAX * 2];
    int n = tree_pieces(d->leaves, d->lo, d->hi, pieces);
    assert_int_equal(n, depth);
    for (int i = 0; i < n; i++) {
        int64_t size = p->m * p->cols;
        if (!node_by_hand(p, d, pieces[i], buf[5], 0)) {
            memset(buf[5], 0, sizeof(float) * (size_t)size);
        }
        for (int64_t r = 0; r < p->m; r++) {
            assert_memory_equal(planes + i * stride + r * p->ldo,
                                buf[5] + r * p->cols,
                                sizeof(float) * (size_t)p->cols);
        }
        assert_gaps(planes + i * stride, p->m, p->cols, p->ldo);
    }
}

/* Against the definition, bit for bit, for leaves of more and less than one
 * block of k, empty leaves, ranges of leaves, and segments in random calls.
 * Two sources hold the same numbers, so that every segment may pick one. */
static void tree_sum_is_the_tree(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        int leaves = (int)pick(1, round % 10 ? 9 : 30);
        int lo = round % 3 ? 0 : (int)pick(0, leaves - 1);
        int hi = round % 3 ? leaves : (int)pick(lo + 1, leaves);
        int64_t n = round % 4 == 0   ? pick(0, leaves + 3)
                    : round % 4 == 1 ? pick(0, 200)
                                     : pick(100, 2500);
        deal d = make_deal(leaves, lo, hi, n);
        product p = {round & 1, pick(1, 40), pick(1, 60), d.n, 0, {{0}}};
        int64_t lda = (p.trans_a ? p.m : d.n) + pick(0, 3) + 1;
        int64_t ldb = p.cols + pick(0, 3);
        int64_t a_rows = p.trans_a ? d.n : p.m;
        p.ldo = p.cols + pick(0, 20);
        fill(buf[0], a_rows, p.trans_a ? p.m : d.n, lda);
        fill(buf[1], d.n, p.cols, ldb);
        memcpy(buf[2], buf[0], sizeof(float) * (size_t)(a_rows * lda));
        memcpy(buf[3], buf[1], sizeof(float) * (size_t)(d.n * ldb));
        p.src[0] = (math_src){buf[0], lda, buf[1], ldb};
        p.src[1] = (math_src){buf[2], lda, buf[3], ldb};
        math_seg segs[256];
        int nsegs = cut_segments(&d, matmul_kblock(), segs);
        for (int i = 0; i < nsegs; i++) {
            segs[i].src = (int32_t)(next_random() & 1);
        }
        int64_t stride = p.m * p.ldo;
        fill(buf[6], 16 * p.m, p.cols, p.ldo);
        int depth =
            run_calls(segs, nsegs, leaves, buf[6], stride, product_call, &p);
        check_product(&p, &d, buf[6], stride, depth);
    }
}

static void products_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int64_t n = pick(1, 60);
        int64_t R = pick(1, 90);
        int64_t C = pick(1, 600);
        fill(buf[0], n, C, C + 3);
        fill(buf[1], R, C, C + 1);
        fill(buf[2], n, R, R + 5);
        fill(buf[3], n, R, R + 5);
        math_ref.expand(any(), n, R, C, buf[0], C + 3, buf[1], C + 1, buf[2],
                        R + 5);
        math_opt.expand(any(), n, R, C, buf[0], C + 3, buf[1], C + 1, buf[3],
                        R + 5);
        assert_close(buf[3], R + 5, buf[2], R + 5, n, R);
        assert_gaps(buf[3], n, R, R + 5);
        int leaves = (int)pick(1, 8);
        deal d = make_deal(leaves, 0, leaves, C);
        math_src src[2] = {{buf[0], C + 3, buf[4], R}, {0}};
        fill(buf[4], C, R, R);
        math_stack to_ref = {buf[2], 0, 1, leaves, 0, {{0, 0}}};
        math_stack to_opt = {buf[3], 0, 1, leaves, 0, {{0, 0}}};
        math_ref.tree_sum(any(), false, n, R, src, d.segs, d.nsegs, &to_ref,
                          R + 5);
        math_opt.tree_sum(any(), false, n, R, src, d.segs, d.nsegs, &to_opt,
                          R + 5);
        assert_close(buf[3], R + 5, buf[2], R + 5, n, R);
    }
}

/* ---- sums over tokens ------------------------------------------------- */

typedef struct columns {
    int64_t R, ld;
    const float *x, *dy, *stats;
    float *other; /* planes of dbeta */
    const math_ops *op;
} columns;

static void col_call(void *arg, const math_seg *segs, int nsegs,
                     const math_stack *stack)
{
    columns *c = arg;
    int64_t cut = pick(0, c->R);
    math_stack right = *stack;
    right.plane0 += cut;
    c->op->col_sum(any(), cut, c->x, c->ld, segs, nsegs, stack);
    c->op->col_sum(any(), c->R - cut, c->x + cut, c->ld, segs, nsegs, &right);
}

static void norm_call(void *arg, const math_seg *segs, int nsegs,
                      const math_stack *stack)
{
    columns *c = arg;
    math_stack db = *stack;
    db.plane0 = c->other;
    c->op->norm_grad(any(), c->R, c->dy, c->ld, c->x, c->ld, c->stats, segs,
                     nsegs, stack, &db);
}

static void token_sums_agree_and_divide(void **state)
{
    (void)state;
    for (int round = 0; round < 80; round++) {
        int leaves = (int)pick(1, 12);
        int lo = round % 3 ? 0 : (int)pick(0, leaves - 1);
        int hi = round % 3 ? leaves : (int)pick(lo + 1, leaves);
        deal d = make_deal(leaves, lo, hi, pick(0, round % 2 ? 300 : 10));
        columns c = {pick(1, 300), 0, buf[0], buf[1], buf[2], NULL, NULL};
        int64_t stride = math_pad(c.R);
        c.ld = c.R + pick(0, 20);
        fill(buf[0], d.n, c.R, c.ld);
        fill(buf[1], d.n, c.R, c.ld);
        fill(buf[2], d.n, 2, 2);
        math_seg cuts[1024];
        int ncuts = cut_segments(&d, 1, cuts);
        int depth = 0;
        /* 0: plain, 1: fast in one segment a leaf, 2: fast, divided. */
        for (int way = 0; way < 3; way++) {
            float *out = buf[3 + way];
            fill(out, 48, c.R, stride);
            c.op = way ? &math_opt : &math_ref;
            const math_seg *segs = way == 2 ? cuts : d.segs;
            int nsegs = way == 2 ? ncuts : d.nsegs;
            c.other = out + 32 * stride;
            depth = run_calls(segs, nsegs, leaves, out, stride, col_call, &c);
            run_calls(segs, nsegs, leaves, out + 16 * stride, stride, norm_call,
                      &c);
        }
        assert_int_equal(depth,
                         tree_pieces(leaves, lo, hi,
                                     (tree_span[TREE_DEPTH_MAX * 2]){{0, 0}}));
        for (int which = 0; which < 3; which++) {
            int64_t at = which * 16 * stride;
            assert_close(buf[4] + at, stride, buf[3] + at, stride, depth, c.R);
            assert_same(buf[4] + at, buf[5] + at, depth, c.R, stride);
            assert_gaps(buf[5] + at, depth, c.R, stride);
        }
    }
}

static void rows_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        int leaves = (int)pick(1, 9);
        int lo = round % 3 ? 0 : (int)pick(0, leaves - 1);
        int hi = round % 3 ? leaves : (int)pick(lo + 1, leaves);
        deal d = make_deal(leaves, lo, hi, pick(0, 400));
        int64_t rows = pick(1, round % 2 ? 5 : 200);
        int64_t row0 = pick(0, 50);
        int64_t C = pick(1, 200);
        int64_t ld = C + pick(0, 9);
        tree_span pieces[TREE_DEPTH_MAX * 2];
        int planes = tree_pieces(leaves, lo, hi, pieces);
        for (int64_t t = 0; t < d.n; t++) {
            ids[t] = (int32_t)(row0 + pick(-2, rows + 1));
        }
        fill(buf[0], d.n, C, ld);
        fill(buf[1], planes * rows, C, ld);
        fill(buf[2], planes * rows, C, ld);
        math_ref.rows_grad(any(), d.n, C, ids, row0, rows, buf[0], ld, d.segs,
                           d.nsegs, leaves, buf[1], ld, rows * ld);
        math_seg cuts[1024];
        int ncuts = cut_segments(&d, 1, cuts);
        math_opt.rows_grad(any(), d.n, C, ids, row0, rows, buf[0], ld, cuts,
                           ncuts, leaves, buf[2], ld, rows * ld);
        /* The plain twin adds one summand after another, too: same bits. */
        assert_same(buf[1], buf[2], planes * rows, C, ld);
        assert_gaps(buf[2], planes * rows, C, ld);
        /* A part of the table has the bits of that part. */
        int64_t cut = pick(0, rows);
        math_opt.rows_grad(any(), d.n, C, ids, row0 + cut, rows - cut, buf[0],
                           ld, d.segs, d.nsegs, leaves, buf[3], ld,
                           (rows - cut) * ld);
        for (int p = 0; p < planes; p++) {
            assert_same(buf[3] + p * (rows - cut) * ld,
                        buf[2] + (p * rows + cut) * ld, rows - cut, C, ld);
        }
        /* Taking rows. */
        fill(buf[4], d.n, C, ld);
        fill(buf[5], d.n, C, ld);
        math_ref.rows_get(any(), d.n, C, ids, row0, rows, buf[1], ld, buf[4],
                          ld);
        math_opt.rows_get(any(), d.n, C, ids, row0, rows, buf[1], ld, buf[5],
                          ld);
        assert_same(buf[4], buf[5], d.n, C, ld);
        assert_gaps(buf[5], d.n, C, ld);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_sum_is_the_tree),
        cmocka_unit_test(products_agree),
        cmocka_unit_test(token_sums_agree_and_divide),
        cmocka_unit_test(rows_agree),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
