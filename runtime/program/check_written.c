/*
 * Nothing is read that was not written.
 *
 * Each buffer is taken by itself, its views in issue order. What has been
 * written is a list of rectangles on the buffer's grid (its rows are as far
 * apart as in its views; a buffer of vectors is one row), so that a missing
 * panel of columns is found as well as a missing micro-batch. A read is
 * covered if nothing is left of it after taking away all that was written.
 *
 * The newest rectangles are tried first and neighbours are merged, so the
 * list stays short: most reads are covered by one.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/check_impl.h"

typedef struct rect {
    int64_t r0, r1, c0, c1;
} rect;

typedef struct rects {
    rect *at;
    int32_t n, cap;
} rects;

static status rects_add(rects *l, rect x)
{
    if (l->n == l->cap) {
        int32_t cap = l->cap == 0 ? 64 : l->cap * 2;
        TRY(mem_resize((size_t)cap, sizeof(rect), "check", (void **)&l->at));
        l->cap = cap;
    }
    l->at[l->n++] = x;
    return ST_OK;
}

/* True if `into` could be grown to cover x as well. */
static bool merge(rect *into, rect x)
{
    if (into->c0 == x.c0 && into->c1 == x.c1 && into->r0 <= x.r1 &&
        x.r0 <= into->r1) {
        into->r0 = x.r0 < into->r0 ? x.r0 : into->r0;
        into->r1 = x.r1 > into->r1 ? x.r1 : into->r1;
        return true;
    }
    if (into->r0 == x.r0 && into->r1 == x.r1 && into->c0 <= x.c1 &&
        x.c0 <= into->c1) {
        into->c0 = x.c0 < into->c0 ? x.c0 : into->c0;
        into->c1 = x.c1 > into->c1 ? x.c1 : into->c1;
        return true;
    }
    return x.r0 >= into->r0 && x.r1 <= into->r1 && x.c0 >= into->c0 &&
           x.c1 <= into->c1;
}

/* Adds x; what it makes mergeable is merged too, or panels of many
 * micro-batches would stay apart. */
static status note_written(rects *l, rect x)
{
    for (int32_t i = l->n - 1; i >= 0; i--) {
        rect grown = l->at[i];
        if (merge(&grown, x)) {
            l->at[i] = l->at[--l->n];
            x = grown;
            i = l->n;
        }
    }
    return rects_add(l, x);
}

/* What is left of x without w: up to four rectangles. */
static int minus(rect x, rect w, rect out[4])
{
    if (w.r0 >= x.r1 || w.r1 <= x.r0 || w.c0 >= x.c1 || w.c1 <= x.c0) {
        out[0] = x;
        return 1;
    }
    int n = 0;
    if (x.r0 < w.r0) {
        out[n++] = (rect){x.r0, w.r0, x.c0, x.c1};
        x.r0 = w.r0;
    }
    if (w.r1 < x.r1) {
        out[n++] = (rect){w.r1, x.r1, x.c0, x.c1};
        x.r1 = w.r1;
    }
    if (x.c0 < w.c0) {
        out[n++] = (rect){x.r0, x.r1, x.c0, w.c0};
    }
    if (w.c1 < x.c1) {
        out[n++] = (rect){x.r0, x.r1, w.c1, x.c1};
    }
    return n;
}

/* Whether x is covered; `left` is work memory, left->at[0] then what is
 * missing. */
static status is_covered(const rects *written, rect x, rects *left, bool *ok)
{
    left->n = 0;
    TRY(rects_add(left, x));
    for (int32_t w = written->n - 1; w >= 0 && left->n > 0; w--) {
        int32_t before = left->n;
        for (int32_t i = 0; i < before; i++) {
            rect rest[4];
            int n = minus(left->at[i], written->at[w], rest);
            for (int k = 0; k < n; k++) {
                TRY(rects_add(left, rest[k]));
            }
        }
        left->n -= before;
        memmove(left->at, left->at + before, sizeof(rect) * (size_t)left->n);
    }
    *ok = left->n == 0;
    return ST_OK;
}

/* --- one buffer ----------------------------------------------------------- */

typedef struct coverage {
    const program *p;
    int32_t *head; /* by buffer: its first use, -1: none */
    int32_t *next; /* by use */
    struct use {
        int32_t op, view;
    } * uses;
    rects written, left;
} coverage;

static bool is_one_run(const prog_view *w)
{
    return w->rows == 1 || w->cols == w->ld;
}

/* How far rows of the buffer lie apart, as its views say. */
static int64_t grid_of(const coverage *c, int32_t buf)
{
    for (int32_t u = c->head[buf]; u >= 0; u = c->next[u]) {
        const prog_op *o = &c->p->ops[c->uses[u].op];
        const prog_view *w = &c->p->view[o->view0 + c->uses[u].view];
        if (!is_one_run(w)) {
            return w->ld;
        }
    }
    return c->p->bufs[buf].floats;
}

/* Floats [lo, hi) on a grid: a part of a row, whole rows, a part of a row. */
static int run_rects(int64_t lo, int64_t hi, int64_t ld, rect out[3])
{
    int n = 0;
    int64_t row = lo / ld;
    if (lo % ld != 0 || hi - lo < ld) {
        int64_t end = (row + 1) * ld < hi ? (row + 1) * ld : hi;
        out[n++] = (rect){row, row + 1, lo - row * ld, end - row * ld};
        lo = end;
        row++;
    }
    if (hi - lo >= ld) {
        out[n++] = (rect){row, hi / ld, 0, ld};
        lo = hi / ld * ld;
    }
    if (lo < hi) {
        out[n++] = (rect){hi / ld, hi / ld + 1, 0, hi % ld};
    }
    return n;
}

typedef status (*rect_fn)(coverage *c, const struct use *u, rect x);

/* Calls fn for all rectangles of a plane of a view. */
static status for_plane(coverage *c, const struct use *u, int64_t off,
                        int64_t ld, rect_fn fn)
{
    const prog_op *o = &c->p->ops[u->op];
    const prog_view *w = &c->p->view[o->view0 + u->view];
    int64_t col = off % ld;
    if (!is_one_run(w) && w->ld == ld && col + w->cols <= ld) {
        return fn(c, u,
                  (rect){off / ld, off / ld + w->rows, col, col + w->cols});
    }
    int64_t runs = is_one_run(w) ? 1 : w->rows;
    int64_t length = is_one_run(w) ? w->rows * w->cols : w->cols;
    for (int64_t r = 0; r < runs; r++) {
        rect part[3];
        int64_t lo = off + r * w->ld;
        int n = run_rects(lo, lo + length, ld, part);
        for (int k = 0; k < n; k++) {
            TRY(fn(c, u, part[k]));
        }
    }
    return ST_OK;
}

static status read_rect(coverage *c, const struct use *u, rect x)
{
    bool ok = false;
    TRY(is_covered(&c->written, x, &c->left, &ok));
    if (ok) {
        return ST_OK;
    }
    const prog_op *o = &c->p->ops[u->op];
    rect m = c->left.at[0];
    return FAIL(ST_INTERNAL,
                "%s: reads %s, of which rows [%lld, %lld), columns [%lld, "
                "%lld) were never written",
                check_op_text(c->p, u->op).s,
                check_buf_text(c->p, c->p->view[o->view0 + u->view].buf).s,
                (long long)m.r0, (long long)m.r1, (long long)m.c0,
                (long long)m.c1);
}

static status write_rect(coverage *c, const struct use *u, rect x)
{
    (void)u;
    return note_written(&c->written, x);
}

static status walk_buffer(coverage *c, int32_t buf)
{
    int64_t ld = grid_of(c, buf);
    c->written.n = 0;
    /* All reads of an operation come before its writes. */
    for (int32_t u = c->head[buf]; u >= 0;) {
        int32_t end = u;
        for (int pass = 0; pass < 2; pass++) {
            for (end = u; end >= 0 && c->uses[end].op == c->uses[u].op;
                 end = c->next[end]) {
                const struct use *x = &c->uses[end];
                const prog_op *o = &c->p->ops[x->op];
                const prog_stack *s = check_stack_of(c->p, o, x->view);
                int planes = pass == 0 ? check_planes_read(c->p, o, x->view)
                                       : check_planes_written(c->p, o, x->view);
                int64_t off = c->p->view[o->view0 + x->view].off;
                for (int k = 0; k < planes; k++) {
                    TRY(for_plane(c, x, off + (s != NULL ? k * s->plane : 0),
                                  ld, pass == 0 ? read_rect : write_rect));
                }
            }
        }
        u = end;
    }
    return ST_OK;
}

/* Lists the uses of every buffer in issue order: from the back, each put
 * before the others. */
static void list_uses(coverage *c, check_run run)
{
    const program *p = c->p;
    int32_t n = 0;
    for (int32_t i = p->nops - 1; i >= 0; i--) {
        const prog_op *o = &p->ops[i];
        for (int32_t v = o->views - 1; v >= 0 && check_takes(o, run); v--) {
            int32_t buf = p->view[o->view0 + v].buf;
            c->uses[n] = (struct use){i, v};
            c->next[n] = c->head[buf];
            c->head[buf] = n++;
        }
    }
}

status check_written(const program *p, check_run run)
{
    coverage c = {.p = p};
    status st = MEM_NEW(&c.head, p->nbufs + 1, "check");
    if (st == ST_OK) {
        st = MEM_NEW(&c.next, p->nviews + 1, "check");
    }
    if (st == ST_OK) {
        st = MEM_NEW(&c.uses, p->nviews + 1, "check");
    }
    if (st == ST_OK) {
        memset(c.head, -1, sizeof(*c.head) * (size_t)p->nbufs);
        list_uses(&c, run);
    }
    for (int32_t b = 0; st == ST_OK && b < p->nbufs; b++) {
        if (!p->bufs[b].persistent) {
            st = walk_buffer(&c, b);
        }
    }
    mem_free(c.head);
    mem_free(c.next);
    mem_free(c.uses);
    mem_free(c.written.at);
    mem_free(c.left.at);
    return st;
}
