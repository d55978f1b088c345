/*
 * prog_arrange: live ranges and the memory plan.
 *
 * Persistent buffers lie at the bottom. The others are placed largest first,
 * each in the smallest gap that is free during its whole live range; live
 * ranges are intervals of the issue order.
 *
 * What is taken is kept as bytes, not as buffers, in a binary tree over time,
 * so that thousands of buffers side by side are one span. A node has two lists:
 * `through`, bytes of buffers that live through all of its time and not of its
 * parent's, and `within`, bytes of all that live in some of it. What is taken
 * during a live range is `within` of the few nodes it is made of, and `through`
 * of all nodes above these:
 *
 *     time      0   1   2   3   4   5   6   7
 *     buffer        [-----------]                at 1, at 2-3 and at 4
 *     query             [-------]                within 2-3 and 4, through all
 *                                                above: 0-3, 4-5, 4-7, 0-7
 *
 * Time passes only from the end of a buffer to the beginning of another: two
 * ranges meet if neither ends before the other begins.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/program.h"

enum { ALIGN_BYTES = 64, PAD_FLOATS = 16 };

/* Bytes [lo, hi) of the arena. */
typedef struct span {
    int64_t lo, hi;
} span;

/* A sorted list of spans that do not touch, somewhere in the pool. */
typedef struct spans {
    int32_t at, n, cap;
} spans;

typedef struct node {
    spans through, within;
} node;

/* Most lists that one query reads: on each level of the tree two nodes above
 * and two inside. */
enum { LISTS_MAX = 4 * 32 };

typedef struct placer {
    program *p;
    int32_t *time;  /* per operation                                       */
    int32_t leaves; /* times, up to a power of two                        */
    node *nodes;    /* a heap from 1 on                                   */
    span *pool;
    int32_t used, cap;
    status failed; /* of the pool                                         */
} placer;

/* What a query has still to read of a list. */
typedef struct reader {
    const span *next, *end;
} reader;

typedef struct query {
    const placer *pl;
    int32_t from, to;
    reader lists[LISTS_MAX];
    int n;
} query;

int64_t prog_buf_bytes(const prog_buf *b)
{
    int64_t bytes = (b->floats + PAD_FLOATS) * (int64_t)sizeof(float);
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static void find_live_ranges(program *p)
{
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        for (int32_t v = 0; v < o->views; v++) {
            prog_buf *b = &p->bufs[p->view[o->view0 + v].buf];
            b->first = b->first < 0 ? i : b->first;
            b->last = i;
        }
    }
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (p->bufs[i].persistent) {
            p->bufs[i].first = 0;
            p->bufs[i].last = p->nops - 1;
        }
    }
}

/* --- what is taken -------------------------------------------------------- */

/* Room at the end of the pool for a list of twice the length. What has failed
 * stays failed: a span is missing. */
static void make_room(placer *pl, spans *s)
{
    int32_t want = s->cap == 0 ? 2 : 2 * s->cap;
    if (want > pl->cap - pl->used) {
        int32_t cap = 2 * pl->cap + want;
        pl->failed =
            mem_extend((size_t)cap, sizeof(span), "plan", (void **)&pl->pool);
        if (pl->failed != ST_OK) {
            return;
        }
        pl->cap = cap;
    }
    if (s->n > 0) {
        memcpy(pl->pool + pl->used, pl->pool + s->at,
               (size_t)s->n * sizeof(span));
    }
    s->at = pl->used;
    s->cap = want;
    pl->used += want;
}

/* The first span of a list that ends at `bytes` or behind. */
static int32_t first_behind(const span *list, int32_t n, int64_t bytes)
{
    int32_t lo = 0;
    int32_t hi = n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if (list[mid].hi < bytes) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Adds bytes to a list; joins what touches. */
static void take(placer *pl, spans *s, span add)
{
    if (pl->failed != ST_OK) {
        return;
    }
    span *list = pl->pool + s->at;
    int32_t lo = first_behind(list, s->n, add.lo);
    int32_t end = lo; /* the first that begins behind add.hi */
    while (end < s->n && list[end].lo <= add.hi) {
        add.lo = list[end].lo < add.lo ? list[end].lo : add.lo;
        add.hi = list[end].hi > add.hi ? list[end].hi : add.hi;
        end++;
    }
    if (end == lo && s->n == s->cap) {
        make_room(pl, s);
        if (pl->failed != ST_OK) {
            return;
        }
        list = pl->pool + s->at;
    }
    if (end != lo + 1) {
        memmove(list + lo + 1, list + end, (size_t)(s->n - end) * sizeof(span));
        s->n += 1 - (end - lo);
    }
    list[lo] = add;
}

/* Node k holds the times [lo, lo + size). */
static void take_in(placer *pl, int32_t k, int32_t lo, int32_t size,
                    const query *q, span add)
{
    if (q->to < lo || lo + size <= q->from) {
        return;
    }
    take(pl, &pl->nodes[k].within, add);
    if (q->from <= lo && lo + size - 1 <= q->to) {
        take(pl, &pl->nodes[k].through, add);
        return;
    }
    take_in(pl, 2 * k, lo, size / 2, q, add);
    take_in(pl, 2 * k + 1, lo + size / 2, size / 2, q, add);
}

static void read_list(query *q, const spans *s)
{
    if (s->n > 0) {
        const span *list = q->pl->pool + s->at;
        q->lists[q->n++] = (reader){list, list + s->n};
    }
}

static void gather(query *q, int32_t k, int32_t lo, int32_t size)
{
    const node *at = &q->pl->nodes[k];
    if (q->to < lo || lo + size <= q->from || at->within.n == 0) {
        return;
    }
    if (q->from <= lo && lo + size - 1 <= q->to) {
        read_list(q, &at->within);
        return;
    }
    read_list(q, &at->through);
    gather(q, 2 * k, lo, size / 2);
    gather(q, 2 * k + 1, lo + size / 2, size / 2);
}

/* Passes all spans that begin at or before *end, and moves it behind them.
 * Returns where the next one begins, or INT64_MAX. */
static int64_t pass_spans(query *q, int64_t *end)
{
    int64_t next;
    do {
        next = INT64_MAX;
        for (int i = 0; i < q->n; i++) {
            reader *r = &q->lists[i];
            while (r->next < r->end && r->next->lo <= *end) {
                *end = r->next->hi > *end ? r->next->hi : *end;
                r->next++;
            }
            if (r->next == r->end) {
                q->lists[i--] = q->lists[--q->n];
            } else {
                next = r->next->lo < next ? r->next->lo : next;
            }
        }
    } while (next <= *end);
    return next;
}

/* The lowest of the smallest gaps of at least `want` bytes. */
static int64_t find_gap(query *q, int64_t want)
{
    int64_t best = -1;
    int64_t best_gap = INT64_MAX;
    int64_t end = 0;
    int64_t next = pass_spans(q, &end);
    while (next != INT64_MAX) {
        int64_t gap = next - end;
        if (gap >= want && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        end = next;
        next = pass_spans(q, &end);
    }
    return best >= 0 ? best : end;
}

/* --- placing -------------------------------------------------------------- */

/* Order of placement: persistent first, then by size. */
static int by_size(const void *a, const void *b, void *arg)
{
    const prog_buf *bufs = arg;
    const prog_buf *x = &bufs[*(const int32_t *)a];
    const prog_buf *y = &bufs[*(const int32_t *)b];
    if (x->persistent != y->persistent) {
        return y->persistent - x->persistent;
    }
    if (x->floats != y->floats) {
        return x->floats < y->floats ? 1 : -1;
    }
    return *(const int32_t *)a < *(const int32_t *)b ? -1 : 1;
}

static void place(placer *pl, prog_buf *b)
{
    int64_t bytes = prog_buf_bytes(b);
    query q = {.pl = pl, .from = pl->time[b->first], .to = pl->time[b->last]};
    gather(&q, 1, 0, pl->leaves);
    b->offset = find_gap(&q, bytes);
    int64_t end = b->offset + bytes;
    take_in(pl, 1, 0, pl->leaves, &q, (span){b->offset, end});
    pl->p->peak_bytes = end > pl->p->peak_bytes ? end : pl->p->peak_bytes;
}

static status place_all(placer *pl)
{
    program *p = pl->p;
    int32_t *order = NULL;
    TRY(MEM_NEW(&order, p->nbufs + 1, "plan"));
    int32_t n = 0;
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (p->bufs[i].first >= 0) {
            order[n++] = i;
        }
    }
    qsort_r(order, (size_t)n, sizeof(*order), by_size, p->bufs);
    for (int32_t i = 0; i < n && pl->failed == ST_OK; i++) {
        place(pl, &p->bufs[order[i]]);
    }
    mem_free(order);
    return pl->failed;
}

enum { BEGINS = 1, ENDS = 2 }; /* a buffer, at an operation */

static status placer_init(placer *pl, program *p)
{
    memset(pl, 0, sizeof(*pl));
    pl->p = p;
    TRY(MEM_NEW(&pl->time, p->nops + 1, "plan"));
    for (int32_t i = 0; i < p->nbufs; i++) {
        const prog_buf *b = &p->bufs[i];
        if (b->first >= 0) {
            pl->time[b->first] |= BEGINS;
            pl->time[b->last] |= ENDS;
        }
    }
    int32_t now = 0;
    bool ended = false;
    for (int32_t i = 0; i < p->nops; i++) {
        int32_t what = pl->time[i];
        if (ended && (what & BEGINS) != 0) {
            now++;
            ended = false;
        }
        ended = ended || (what & ENDS) != 0;
        pl->time[i] = now;
    }
    pl->leaves = 1;
    while (pl->leaves <= now) {
        pl->leaves *= 2;
    }
    /* Room for the few spans a buffer leaves on the way down, as a rule. */
    pl->cap = 8 * p->nbufs + 64;
    TRY(mem_extend((size_t)pl->cap, sizeof(span), "plan", (void **)&pl->pool));
    return MEM_NEW(&pl->nodes, 2 * (int64_t)pl->leaves, "plan");
}

static void placer_fini(placer *pl)
{
    mem_free(pl->time);
    mem_free(pl->nodes);
    mem_free(pl->pool);
}

/* --- what lives at once --------------------------------------------------- */

typedef struct live {
    int64_t bytes;
    int32_t when;
} live;

/* The operation where most bytes are live. */
static status find_most_live(const program *p, live *out)
{
    int64_t *delta = NULL;
    TRY(MEM_NEW(&delta, p->nops + 2, "plan"));
    for (int32_t i = 0; i < p->nbufs; i++) {
        if (p->bufs[i].first >= 0) {
            delta[p->bufs[i].first] += prog_buf_bytes(&p->bufs[i]);
            delta[p->bufs[i].last + 1] -= prog_buf_bytes(&p->bufs[i]);
        }
    }
    int64_t now = 0;
    *out = (live){0, 0};
    for (int32_t i = 0; i < p->nops; i++) {
        now += delta[i];
        *out = now > out->bytes ? (live){now, i} : *out;
    }
    mem_free(delta);
    return ST_OK;
}

status prog_most_live(program *p, int64_t *bytes)
{
    live most;
    TRY(p->failed);
    find_live_ranges(p);
    TRY(find_most_live(p, &most));
    *bytes = most.bytes;
    return ST_OK;
}

/* Bytes by class when most are live. */
static status count_classes(program *p)
{
    live most;
    TRY(find_most_live(p, &most));
    for (int32_t i = 0; i < p->nbufs; i++) {
        const prog_buf *b = &p->bufs[i];
        if (b->first >= 0 && b->first <= most.when && most.when <= b->last) {
            p->class_bytes[b->cls] += prog_buf_bytes(b);
        }
    }
    return ST_OK;
}

status prog_arrange(program *p)
{
    if (p->failed != ST_OK || p->placed) {
        return p->failed;
    }
    find_live_ranges(p);
    placer pl;
    status st = placer_init(&pl, p);
    if (st == ST_OK) {
        st = place_all(&pl);
    }
    placer_fini(&pl);
    if (st == ST_OK) {
        st = count_classes(p);
    }
    p->placed = st == ST_OK;
    return st;
}
