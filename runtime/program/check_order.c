/*
 * Memory and order.
 *
 * Placement: buffers that live at the same time share no byte.
 *
 * Order: for any two operations of different streams that touch the same
 * byte, one of them writing, the later one must be certain that the earlier
 * is through. What an operation is certain of is a vector clock: per stream
 * the newest operation that it, its stream before it, or anybody they waited
 * for, has waited for. Bytes are arena bytes, so two buffers that were given
 * the same place count, and so do, at addresses past the arena, the things
 * that operations touch behind the program's back:
 *
 *   the batch's list of rows   made by batch, read by load_rows, drain_rows
 *   leaf sums of the loss      made by loss, used by clip
 *   squares and clip           made by grad_norm, clip; used by update
 *   weights in the store       read by loads, written by update
 *   gradients in the store     written by drains, read by grad_norm, update
 *
 * For each stream a tree over all byte borders remembers the newest operation
 * that wrote, and the newest that touched, each byte. Asking for the newest
 * is enough: who is certain of it is certain of everything before it.
 *
 * Steps follow each other without a stop, so the order of two is checked, one
 * after the other: operation i of the second is number nops + i. The forward
 * part alone runs between steps, with nothing outstanding.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "runtime/program/check_impl.h"

enum { LINE_BYTES = 64, PAD_FLOATS = 16 };

/* --- ranges --------------------------------------------------------------- */

/* Values over slots 0..n-1: raise a range, ask for the most in a range. Node
 * i has children 2i and 2i + 1; `all` holds for every slot below a node, `any`
 * is the most of any of them. */
typedef struct range_max {
    int64_t n;
    int32_t *all;
    int32_t *any;
} range_max;

static status range_init(range_max *t, int64_t slots)
{
    t->n = 1;
    while (t->n < slots) {
        t->n *= 2;
    }
    TRY(MEM_NEW(&t->all, 2 * t->n, "check"));
    return MEM_NEW(&t->any, 2 * t->n, "check");
}

static void range_fini(range_max *t)
{
    mem_free(t->all);
    mem_free(t->any);
}

static int32_t most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void range_raise(range_max *t, int64_t lo, int64_t hi, int32_t value)
{
    for (int64_t l = lo + t->n, r = hi + t->n; l < r; l /= 2, r /= 2) {
        if (l & 1) {
            t->all[l] = most(t->all[l], value);
            l++;
        }
        if (r & 1) {
            r--;
            t->all[r] = most(t->all[r], value);
        }
    }
    /* Every node above a raised one is above the first or the last slot, and
     * so are only nodes that hold such a slot. */
    for (int64_t l = lo + t->n, r = hi - 1 + t->n; l > 0; l /= 2, r /= 2) {
        t->any[l] = most(t->any[l], value);
        t->any[r] = most(t->any[r], value);
    }
}

static int32_t range_most(const range_max *t, int64_t lo, int64_t hi)
{
    int32_t value = 0;
    for (int64_t l = lo + t->n, r = hi + t->n; l < r; l /= 2, r /= 2) {
        if (l & 1) {
            value = most(value, most(t->any[l], t->all[l]));
            l++;
        }
        if (r & 1) {
            r--;
            value = most(value, most(t->any[r], t->all[r]));
        }
    }
    for (int64_t l = lo + t->n, r = hi - 1 + t->n; l > 0; l /= 2, r /= 2) {
        value = most(value, most(t->all[l], t->all[r]));
    }
    return value;
}

/* Sorted borders of byte ranges; slot i is [at[i], at[i + 1]). */
typedef struct borders {
    int64_t *at;
    int64_t n;
} borders;

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void borders_sort(borders *b)
{
    int64_t n = 0;
    qsort(b->at, (size_t)b->n, sizeof(*b->at), by_value);
    for (int64_t i = 0; i < b->n; i++) {
        if (n == 0 || b->at[i] != b->at[n - 1]) {
            b->at[n++] = b->at[i];
        }
    }
    b->n = n;
}

static int64_t slot_of(const borders *b, int64_t byte)
{
    const int64_t *found =
        bsearch(&byte, b->at, (size_t)b->n, sizeof(*b->at), by_value);
    ASSERT(found != NULL);
    return found - b->at;
}

/* --- placement ------------------------------------------------------------ */

/* Kernels may touch the padding behind a buffer. */
static int64_t buf_end(const prog_buf *b)
{
    return b->offset + (b->floats + PAD_FLOATS) * (int64_t)sizeof(float);
}

static bool is_placed(const prog_buf *b)
{
    return b->first >= 0;
}

static status check_place(const program *p, int32_t i)
{
    const prog_buf *b = &p->bufs[i];
    REQUIRE(b->floats > 0, ST_INTERNAL, "%s has %lld floats",
            check_buf_text(p, i).s, (long long)b->floats);
    REQUIRE(b->offset >= 0 && b->offset % LINE_BYTES == 0 &&
                buf_end(b) <= p->peak_bytes,
            ST_INTERNAL,
            "%s lies at [%lld, %lld), outside the plan's %lld bytes or not "
            "at a multiple of %d",
            check_buf_text(p, i).s, (long long)b->offset, (long long)buf_end(b),
            (long long)p->peak_bytes, LINE_BYTES);
    REQUIRE(!b->persistent || (b->first == 0 && b->last == p->nops - 1),
            ST_INTERNAL, "%s is persistent but lives from operation %d to %d",
            check_buf_text(p, i).s, b->first, b->last);
    return ST_OK;
}

typedef struct by_birth {
    int32_t first, buf;
} by_birth;

static int compare_birth(const void *a, const void *b)
{
    const by_birth *x = a;
    const by_birth *y = b;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->buf > y->buf) - (x->buf < y->buf);
}

static status fail_shared(const program *p, int32_t buf)
{
    const prog_buf *b = &p->bufs[buf];
    for (int32_t i = 0; i < p->nbufs; i++) {
        const prog_buf *o = &p->bufs[i];
        if (i != buf && is_placed(o) && o->first <= b->last &&
            b->first <= o->last && o->offset < buf_end(b) &&
            b->offset < buf_end(o)) {
            return FAIL(ST_INTERNAL,
                        "%s at [%lld, %lld), operations %d to %d, and %s at "
                        "[%lld, %lld), operations %d to %d, share bytes while "
                        "both live",
                        check_buf_text(p, i).s, (long long)o->offset,
                        (long long)buf_end(o), o->first, o->last,
                        check_buf_text(p, buf).s, (long long)b->offset,
                        (long long)buf_end(b), b->first, b->last);
        }
    }
    return FAIL(ST_INTERNAL, "%s shares bytes with another that lives",
                check_buf_text(p, buf).s);
}

/* Buffers in order of birth; each place remembers when its last owner dies,
 * which must be before the next is born. */
static status check_sharing(const program *p, by_birth *order, borders *b,
                            range_max *until)
{
    int32_t n = 0;
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (is_placed(&p->bufs[i])) {
            order[n++] = (by_birth){p->bufs[i].first, i};
            b->at[b->n++] = p->bufs[i].offset;
            b->at[b->n++] = buf_end(&p->bufs[i]);
        }
    }
    qsort(order, (size_t)n, sizeof(*order), compare_birth);
    borders_sort(b);
    TRY(range_init(until, b->n));
    for (int32_t k = 0; k < n; k++) {
        const prog_buf *q = &p->bufs[order[k].buf];
        int64_t lo = slot_of(b, q->offset);
        int64_t hi = slot_of(b, buf_end(q));
        if (range_most(until, lo, hi) > q->first) {
            return fail_shared(p, order[k].buf);
        }
        range_raise(until, lo, hi, q->last + 1);
    }
    return ST_OK;
}

status check_places(const program *p, int64_t budget_bytes)
{
    REQUIRE(budget_bytes == 0 || p->peak_bytes <= budget_bytes, ST_BUDGET,
            "the program needs %s of device memory, there is %s; raise "
            "--device-memory",
            units_bytes((double)p->peak_bytes).s,
            units_bytes((double)budget_bytes).s);
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (is_placed(&p->bufs[i])) {
            TRY(check_place(p, i));
        }
    }
    by_birth *order = NULL;
    borders b = {0};
    range_max until = {0};
    status st = MEM_NEW(&order, p->nbufs + 1, "check");
    if (st == ST_OK) {
        st = MEM_NEW(&b.at, 2 * (int64_t)p->nbufs + 1, "check");
    }
    if (st == ST_OK) {
        st = check_sharing(p, order, &b, &until);
    }
    mem_free(order);
    mem_free(b.at);
    range_fini(&until);
    return st;
}

/* --- what an operation touches -------------------------------------------- */

typedef struct touch {
    int64_t lo, hi; /* bytes */
    int mode;
    const char *what; /* of a thing outside the arena, else NULL */
    int32_t buf;
} touch;

/* Things outside the arena, by address past it. */
enum { HID_ROWS, HID_LOSS, HID_CLIP, HID_STORE, HIDDEN_MAX = 4 };

typedef struct hidden {
    int64_t address;
    int mode;
    const char *what;
} hidden;

static hidden store_weight(const prog_op *o, int mode)
{
    return (hidden){HID_STORE + 2 * (int64_t)o->param, mode,
                    "the weights in the store"};
}

static hidden store_gradient(const prog_op *o, int mode)
{
    return (hidden){HID_STORE + 2 * (int64_t)o->param + 1, mode,
                    "the gradient in the store"};
}

static int hidden_of(const prog_op *o, hidden out[HIDDEN_MAX])
{
    static const char rows[] = "the batch's list of rows";
    static const char loss[] = "the sums of the loss";
    static const char clip[] = "the gradient norm";
    bool stored = o->views == 0;
    int n = 0;
    switch ((op_kind)o->kind) {
    case OP_BATCH:
        out[n++] = (hidden){HID_ROWS, VIEW_W, rows};
        break;
    case OP_LOAD_ROWS:
        out[n++] = (hidden){HID_ROWS, VIEW_R, rows};
        out[n++] = store_weight(o, VIEW_R);
        break;
    case OP_LOAD:
        out[n++] = store_weight(o, VIEW_R);
        break;
    case OP_DRAIN_ROWS:
        out[n++] = (hidden){HID_ROWS, VIEW_R, rows};
        out[n++] = store_gradient(o, VIEW_RW);
        break;
    case OP_DRAIN:
        out[n++] = store_gradient(o, VIEW_W);
        break;
    case OP_LOSS:
        out[n++] = (hidden){HID_LOSS, VIEW_W, loss};
        break;
    case OP_GRAD_NORM:
        out[n++] = (hidden){HID_CLIP, VIEW_W, clip};
        if (stored) {
            out[n++] = store_gradient(o, VIEW_R);
        }
        break;
    case OP_CLIP:
        out[n++] = (hidden){HID_LOSS, VIEW_RW, loss};
        out[n++] = (hidden){HID_CLIP, VIEW_RW, clip};
        break;
    case OP_UPDATE:
        out[n++] = (hidden){HID_CLIP, VIEW_R, clip};
        if (stored) {
            out[n++] = store_gradient(o, VIEW_R);
            out[n++] = store_weight(o, VIEW_RW);
        }
        break;
    default:
        break;
    }
    return n;
}

/* Touch k of operation i, from 0; false past the last. A view that ends with
 * its buffer takes the padding behind it along. */
static bool touch_of(const program *p, int32_t i, int32_t k, touch *out)
{
    const prog_op *o = &p->ops[i];
    if (k < o->views) {
        const prog_view *w = &p->view[o->view0 + k];
        const prog_buf *b = &p->bufs[w->buf];
        int64_t end = check_view_end(p, o, k);
        end = end == b->floats ? end + PAD_FLOATS : end;
        *out = (touch){.lo = b->offset + w->off * (int64_t)sizeof(float),
                       .hi = b->offset + end * (int64_t)sizeof(float),
                       .mode = w->mode,
                       .buf = w->buf};
        return true;
    }
    hidden h[HIDDEN_MAX];
    int32_t n = hidden_of(o, h);
    if (k - o->views >= n) {
        return false;
    }
    const hidden *x = &h[k - o->views];
    int64_t base = p->peak_bytes + LINE_BYTES + x->address;
    *out = (touch){
        .lo = base, .hi = base + 1, .mode = x->mode, .what = x->what, -1};
    return true;
}

/* --- order ---------------------------------------------------------------- */

typedef struct order {
    const program *p;
    check_run run;
    int32_t steps;
    borders b;
    bool used[STREAM_COUNT];
    range_max wrote[STREAM_COUNT];   /* newest operation + 1 */
    range_max touched[STREAM_COUNT]; /* the same             */
    int32_t (*clock)[STREAM_COUNT];  /* by operation: newest known done */
    int32_t now[STREAM_COUNT][STREAM_COUNT]; /* by stream */
} order;                                     /* operations by number */

static status order_init(order *x)
{
    const program *p = x->p;
    int64_t most_touches = (int64_t)p->nviews + HIDDEN_MAX * (int64_t)p->nops;
    memset(x->now, -1, sizeof(x->now));
    TRY(mem_alloc((size_t)p->nops * (size_t)x->steps + 1, sizeof(*x->clock),
                  "check", (void **)&x->clock));
    TRY(MEM_NEW(&x->b.at, 2 * most_touches + 1, "check"));
    touch t;
    for (int32_t i = 0; i < p->nops; i++) {
        if (!check_takes(&p->ops[i], x->run)) {
            continue;
        }
        x->used[p->ops[i].stream] = true;
        for (int32_t k = 0; touch_of(p, i, k, &t); k++) {
            x->b.at[x->b.n++] = t.lo;
            x->b.at[x->b.n++] = t.hi;
        }
    }
    borders_sort(&x->b);
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (x->used[s]) {
            TRY(range_init(&x->wrote[s], x->b.n));
            TRY(range_init(&x->touched[s], x->b.n));
        }
    }
    return ST_OK;
}

static void order_fini(order *x)
{
    mem_free(x->clock);
    mem_free(x->b.at);
    for (int s = 0; s < STREAM_COUNT; s++) {
        range_fini(&x->wrote[s]);
        range_fini(&x->touched[s]);
    }
}

static status fail_race(const order *x, int32_t i, const touch *t,
                        int32_t number)
{
    const program *p = x->p;
    int32_t j = number % p->nops;
    bool before = number < p->nops &&
                  x->now[p->ops[i].stream][p->ops[i].stream] >= p->nops;
    touch o;
    int32_t k = 0;
    while (touch_of(p, j, k, &o) && !(o.lo < t->hi && t->lo < o.hi &&
                                      ((o.mode | t->mode) & VIEW_W) != 0)) {
        k++;
    }
    return FAIL(ST_INTERNAL, "%s%s %s %s without waiting for %s%s, which %s %s",
                x->run == RUN_FORWARD ? "forward part alone: " : "",
                check_op_text(p, i).s,
                (t->mode & VIEW_W) != 0 ? "writes" : "reads",
                t->what != NULL ? t->what : check_buf_text(p, t->buf).s,
                check_op_text(p, j).s, before ? " of the step before" : "",
                (o.mode & VIEW_W) != 0 ? "writes" : "reads",
                o.what != NULL ? o.what : check_buf_text(p, o.buf).s);
}

static status check_touch(order *x, int32_t i, const touch *t)
{
    int self = x->p->ops[i].stream;
    int64_t lo = slot_of(&x->b, t->lo);
    int64_t hi = slot_of(&x->b, t->hi);
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (s == self || !x->used[s]) {
            continue;
        }
        const range_max *who =
            (t->mode & VIEW_W) != 0 ? &x->touched[s] : &x->wrote[s];
        int32_t newest = range_most(who, lo, hi) - 1;
        if (newest > x->now[self][s]) {
            return fail_race(x, i, t, newest);
        }
    }
    return ST_OK;
}

static void note_touch(order *x, int32_t number, const touch *t)
{
    int self = x->p->ops[number % x->p->nops].stream;
    int64_t lo = slot_of(&x->b, t->lo);
    int64_t hi = slot_of(&x->b, t->hi);
    range_raise(&x->touched[self], lo, hi, number + 1);
    if ((t->mode & VIEW_W) != 0) {
        range_raise(&x->wrote[self], lo, hi, number + 1);
    }
}

static status order_op(order *x, int32_t step, int32_t i)
{
    const program *p = x->p;
    const prog_op *o = &p->ops[i];
    int32_t number = step * p->nops + i;
    int32_t *now = x->now[o->stream];
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &p->dep[o->dep0 + d];
        int32_t of = step - dep->distance;
        if (of >= 0 && check_takes(&p->ops[dep->op], x->run)) {
            const int32_t *known = x->clock[of * p->nops + dep->op];
            for (int s = 0; s < STREAM_COUNT; s++) {
                now[s] = most(now[s], known[s]);
            }
        }
    }
    now[o->stream] = number;
    memcpy(x->clock[number], now, sizeof(x->clock[number]));
    touch t;
    for (int32_t k = 0; touch_of(p, i, k, &t); k++) {
        TRY(check_touch(x, i, &t));
    }
    for (int32_t k = 0; touch_of(p, i, k, &t); k++) {
        note_touch(x, number, &t);
    }
    return ST_OK;
}

static status order_step(order *x, int32_t step)
{
    for (int32_t i = 0; i < x->p->nops; i++) {
        if (check_takes(&x->p->ops[i], x->run)) {
            TRY(order_op(x, step, i));
        }
    }
    return ST_OK;
}

status check_order(const program *p, check_run run)
{
    order x = {.p = p, .run = run, .steps = run == RUN_STEP ? 2 : 1};
    status st = order_init(&x);
    for (int32_t step = 0; st == ST_OK && step < x.steps; step++) {
        st = order_step(&x, step);
    }
    order_fini(&x);
    return st;
}
