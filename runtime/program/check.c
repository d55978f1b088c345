/*
 * The checks of one program: the entry, and what can be said of each
 * operation by itself or with those before it that add to the same sum.
 *
 * Sums. Every accumulating operation says in which state it expects its
 * accumulator; that must be the state the operation before it left. Whoever
 * reads the sum must find it whole: one entry that spans the tree. So a leaf
 * that is left out, comes twice, or is read too early does not pass.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/check_impl.h"

check_text check_op_text(const program *p, int32_t i)
{
    check_text out;
    const prog_op *o = &p->ops[i];
    int n = snprintf(out.s, sizeof(out.s), "operation %d (%s on %s", i,
                     op_kind_name((op_kind)o->kind),
                     op_stream_name((op_stream)o->stream));
    if (o->layer >= 0) {
        n += snprintf(out.s + n, sizeof(out.s) - (size_t)n, ", layer %d",
                      o->layer);
    }
    (void)snprintf(out.s + n, sizeof(out.s) - (size_t)n, ")");
    return out;
}

check_text check_buf_text(const program *p, int32_t b)
{
    check_text out;
    const prog_buf *q = &p->bufs[b];
    int n = snprintf(out.s, sizeof(out.s), "buffer %d (%.32s, %s", b,
                     q->name != NULL ? q->name : "unnamed",
                     buf_class_name((buf_class)q->cls));
    if (q->layer >= 0) {
        n += snprintf(out.s + n, sizeof(out.s) - (size_t)n, ", layer %d",
                      q->layer);
    }
    (void)snprintf(out.s + n, sizeof(out.s) - (size_t)n, ")");
    return out;
}

bool check_takes(const prog_op *o, check_run run)
{
    return run == RUN_STEP || prog_is_forward(o);
}

const prog_stack *check_stack_of(const program *p, const prog_op *o, int32_t v)
{
    int32_t s = v - (o->views - o->stacks);
    return s >= 0 ? &p->stack[o->stack0 + s] : NULL;
}

static tree_state state_after(const program *p, const prog_op *o,
                              const prog_stack *s)
{
    tree_state after = s->state;
    tree_state_after(&after, p->seg + o->seg0, o->segs);
    return after;
}

int check_planes_read(const program *p, const prog_op *o, int32_t v)
{
    const prog_stack *s = check_stack_of(p, o, v);
    if (s == NULL) {
        return (p->view[o->view0 + v].mode & VIEW_R) != 0;
    }
    return o->kind == OP_ALLREDUCE ? s->planes : s->state.depth;
}

int check_planes_written(const program *p, const prog_op *o, int32_t v)
{
    const prog_stack *s = check_stack_of(p, o, v);
    if (s == NULL) {
        return (p->view[o->view0 + v].mode & VIEW_W) != 0;
    }
    return o->kind == OP_ALLREDUCE ? 1 : state_after(p, o, s).depth;
}

int64_t check_view_end(const program *p, const prog_op *o, int32_t v)
{
    const prog_view *w = &p->view[o->view0 + v];
    const prog_stack *s = check_stack_of(p, o, v);
    bool message = o->kind == OP_SEND || o->kind == OP_RECV;
    int64_t end = w->off + (w->rows - 1) * w->ld + (message ? w->ld : w->cols);
    return s != NULL ? end + s->plane * (s->planes - 1) : end;
}

/* --- each operation by itself --------------------------------------------- */

static status check_view(const program *p, int32_t i, int32_t v)
{
    const prog_op *o = &p->ops[i];
    const prog_view *w = &p->view[o->view0 + v];
    REQUIRE(w->buf >= 0 && w->buf < p->nbufs, ST_INTERNAL,
            "%s: view %d names buffer %d of %d", check_op_text(p, i).s, v,
            w->buf, p->nbufs);
    REQUIRE(w->mode >= VIEW_R && w->mode <= VIEW_RW, ST_INTERNAL,
            "%s: view %d of %s has no mode", check_op_text(p, i).s, v,
            check_buf_text(p, w->buf).s);
    REQUIRE(w->rows > 0 && w->cols > 0 && w->ld >= w->cols, ST_INTERNAL,
            "%s: view %d of %s has a wrong shape, %lld x %lld, rows %lld "
            "apart",
            check_op_text(p, i).s, v, check_buf_text(p, w->buf).s,
            (long long)w->rows, (long long)w->cols, (long long)w->ld);
    int64_t end = check_view_end(p, o, v);
    const prog_buf *b = &p->bufs[w->buf];
    REQUIRE(w->off >= 0 && end <= b->floats, ST_INTERNAL,
            "%s: view %d covers floats [%lld, %lld) of %s, which has %lld",
            check_op_text(p, i).s, v, (long long)w->off, (long long)end,
            check_buf_text(p, w->buf).s, (long long)b->floats);
    REQUIRE(b->first <= i && i <= b->last, ST_INTERNAL,
            "%s: touches %s, which lives from operation %d to %d",
            check_op_text(p, i).s, check_buf_text(p, w->buf).s, b->first,
            b->last);
    return ST_OK;
}

static status check_waits(const program *p, int32_t i)
{
    const prog_op *o = &p->ops[i];
    REQUIRE(o->deps == 0 ||
                (o->dep0 >= 0 && o->deps > 0 && o->dep0 + o->deps <= p->ndeps),
            ST_INTERNAL, "%s: its waits are outside the list",
            check_op_text(p, i).s);
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &p->dep[o->dep0 + d];
        REQUIRE(dep->from == i && dep->op >= 0 && dep->op < p->nops,
                ST_INTERNAL, "%s: wait %d is for operation %d of %d",
                check_op_text(p, i).s, d, dep->op, p->nops);
        REQUIRE(dep->distance == 1 || (dep->distance == 0 && dep->op < i),
                ST_INTERNAL,
                "%s: waits for the later %s in the same step (distance %d)",
                check_op_text(p, i).s, check_op_text(p, dep->op).s,
                dep->distance);
        REQUIRE(p->ops[dep->op].awaited, ST_INTERNAL,
                "%s: waits for %s, which is not marked as awaited",
                check_op_text(p, i).s, check_op_text(p, dep->op).s);
    }
    return ST_OK;
}

/* Summands that source j of a sum has: its segments must cover them. */
static int64_t summands(const program *p, const prog_op *o, int j)
{
    const prog_view *a = &p->view[o->view0 + (o->form == FORM_SUM ? 2 * j : 0)];
    bool by_columns = o->form == FORM_SUM && o->kind != OP_DWEIGHT;
    return by_columns ? a->cols : a->rows;
}

/* Segments of each source follow each other without gap or overlap; those of
 * empty leaves have no place. */
static status check_segments(const program *p, int32_t i)
{
    const prog_op *o = &p->ops[i];
    if (o->segs == 0) {
        return ST_OK;
    }
    /* An embedding's gradient takes tokens in its ids' order. */
    bool ids = o->kind == OP_DEMBED;
    int sources = o->form == FORM_SUM ? (o->views - o->stacks) / 2 : 1;
    int64_t at[2] = {0, 0};
    for (int32_t k = 0; k < o->segs; k++) {
        const tree_seg *s = &p->seg[o->seg0 + k];
        bool known = s->src >= 0 && s->src < sources;
        if (known && s->k0 == s->k1) {
            continue;
        }
        REQUIRE(known && s->k0 == at[s->src] && s->k1 > s->k0, ST_INTERNAL,
                "%s: segment %d covers summands [%lld, %lld) of source %d, "
                "expected from %lld",
                check_op_text(p, i).s, k, (long long)s->k0, (long long)s->k1,
                s->src, (long long)(s->src == 0 ? at[0] : at[1]));
        at[s->src] = s->k1;
    }
    for (int j = 0; j < sources; j++) {
        int64_t all = ids ? p->view[o->view0].cols : summands(p, o, j);
        REQUIRE(at[j] == all, ST_INTERNAL,
                "%s: its segments cover %lld of %lld summands of source %d",
                check_op_text(p, i).s, (long long)at[j], (long long)all, j);
    }
    return ST_OK;
}

/* Matrices of a product fit together. */
static status check_product(const program *p, int32_t i)
{
    const prog_op *o = &p->ops[i];
    if (o->form == FORM_NONE) {
        return ST_OK;
    }
    const prog_view *v = &p->view[o->view0];
    int need = o->form == FORM_EXPAND ? 3 : 3 + 2 * (o->views > 3);
    REQUIRE(o->views == need && o->stacks == (o->form == FORM_SUM), ST_INTERNAL,
            "%s: %d views and %d accumulators do not make a "
            "product",
            check_op_text(p, i).s, o->views, o->stacks);
    bool ok = true;
    if (o->form == FORM_EXPAND) {
        ok = v[0].rows == v[2].rows && v[0].cols == v[1].cols &&
             v[1].rows == v[2].cols;
    }
    const prog_view *out = &v[o->views - 1];
    for (int j = 0; o->form == FORM_SUM && j < (o->views - 1) / 2; j++) {
        const prog_view *a = &v[2 * j];
        const prog_view *b = &v[2 * j + 1];
        bool t = o->kind == OP_DWEIGHT;
        ok = ok && (t ? a->rows : a->cols) == b->rows &&
             (t ? a->cols : a->rows) == out->rows && b->cols == out->cols;
    }
    REQUIRE(ok, ST_INTERNAL,
            "%s: the shapes of its matrices do not fit together",
            check_op_text(p, i).s);
    return ST_OK;
}

static status check_op(const program *p, int32_t i)
{
    const prog_op *o = &p->ops[i];
    REQUIRE(o->kind < OP_KIND_COUNT && o->stream < STREAM_COUNT &&
                o->group < GROUP_COUNT && o->form <= FORM_SUM,
            ST_INTERNAL,
            "operation %d: kind %d, stream %d, group %d or form %d is unknown",
            i, o->kind, o->stream, o->group, o->form);
    REQUIRE(o->stacks <= o->views, ST_INTERNAL,
            "%s: %d accumulators but %d views", check_op_text(p, i).s,
            o->stacks, o->views);
    for (int32_t v = 0; v < o->views; v++) {
        TRY(check_view(p, i, v));
    }
    TRY(check_waits(p, i));
    TRY(check_product(p, i));
    return check_segments(p, i);
}

/* --- sums ----------------------------------------------------------------- */

/* One accumulator: plane 0 at [off, end) of its buffer. */
typedef struct sum {
    int64_t off, end;
    tree_state state;
    bool open; /* its last leaf has begun, not ended */
    int32_t next;
} sum;

typedef struct sums {
    const program *p;
    int32_t *head; /* by buffer, -1: none */
    sum *list;
    int32_t n;
} sums;

static bool same_state(const tree_state *a, const tree_state *b)
{
    bool same = a->leaves == b->leaves && a->depth == b->depth;
    for (int i = 0; same && i < a->depth; i++) {
        same = a->spans[i].lo == b->spans[i].lo &&
               a->spans[i].hi == b->spans[i].hi;
    }
    return same;
}

static sum *find_sum(sums *s, const prog_view *w)
{
    for (int32_t k = s->head[w->buf]; k >= 0; k = s->list[k].next) {
        if (s->list[k].off == w->off) {
            return &s->list[k];
        }
    }
    sum *new = &s->list[s->n];
    *new = (sum){.off = w->off, .next = s->head[w->buf]};
    s->head[w->buf] = s->n++;
    return new;
}

/* Leaves come in order; a segment that continues one finds it open. */
static status check_push(const program *p, int32_t i, tree_state *st,
                         bool *open)
{
    const prog_op *o = &p->ops[i];
    for (int32_t k = 0; k < o->segs; k++) {
        const tree_seg *g = &p->seg[o->seg0 + k];
        const tree_span *top = st->depth > 0 ? &st->spans[st->depth - 1] : NULL;
        bool begins =
            top == NULL || (g->leaf >= top->hi && st->depth < TREE_DEPTH_MAX);
        bool continues =
            top != NULL && top->lo == g->leaf && top->hi == g->leaf + 1;
        REQUIRE(g->leaf >= 0 && g->leaf < st->leaves &&
                    (g->first ? begins && !*open : continues && *open),
                ST_INTERNAL,
                "%s: segment %d of leaf %d of %d comes out of order",
                check_op_text(p, i).s, k, g->leaf, st->leaves);
        tree_state_after(st, g, 1);
        *open = !g->last;
    }
    return ST_OK;
}

static status check_accumulate(sums *s, int32_t i, int32_t v)
{
    const program *p = s->p;
    const prog_op *o = &p->ops[i];
    const prog_view *w = &p->view[o->view0 + v];
    const prog_stack *k = check_stack_of(p, o, v);
    REQUIRE(k->state.leaves >= 1 && k->state.leaves <= TREE_LEAVES_MAX &&
                k->state.depth >= 0 && k->state.depth <= k->planes,
            ST_INTERNAL, "%s: accumulator in %s has %d entries in %d planes",
            check_op_text(p, i).s, check_buf_text(p, w->buf).s, k->state.depth,
            k->planes);
    sum *a = find_sum(s, w);
    if (k->state.depth == 0) {
        a->state = k->state;
        a->open = false;
    }
    a->end = w->off + (w->rows - 1) * w->ld + w->cols;
    REQUIRE(same_state(&a->state, &k->state), ST_INTERNAL,
            "%s: expects %d entries in the sum in %s, the operation before "
            "left %d",
            check_op_text(p, i).s, k->state.depth, check_buf_text(p, w->buf).s,
            a->state.depth);
    REQUIRE((w->mode & VIEW_W) != 0 &&
                (k->state.depth == 0 || (w->mode & VIEW_R) != 0),
            ST_INTERNAL,
            "%s: adds to the sum in %s but its view does not %s it",
            check_op_text(p, i).s, check_buf_text(p, w->buf).s,
            (w->mode & VIEW_W) != 0 ? "read" : "write");
    TRY(check_push(p, i, &a->state, &a->open));
    REQUIRE(a->state.depth <= k->planes, ST_INTERNAL,
            "%s: needs %d planes for the sum in %s, there are %d",
            check_op_text(p, i).s, a->state.depth, check_buf_text(p, w->buf).s,
            k->planes);
    return ST_OK;
}

static bool has_no_gap(const tree_state *s)
{
    for (int i = 0; i + 1 < s->depth; i++) {
        if (s->spans[i].hi != s->spans[i + 1].lo) {
            return false;
        }
    }
    return true;
}

/* The pieces become the sum of the whole tree. */
static status check_reduce(sums *s, int32_t i, int32_t v)
{
    const program *p = s->p;
    const prog_op *o = &p->ops[i];
    const prog_view *w = &p->view[o->view0 + v];
    const prog_stack *k = check_stack_of(p, o, v);
    int64_t end = w->off + (w->rows - 1) * w->ld + w->cols;
    for (int32_t n = s->head[w->buf]; n >= 0; n = s->list[n].next) {
        sum *a = &s->list[n];
        if (a->off >= end || a->end <= w->off) {
            continue;
        }
        REQUIRE(!a->open && a->state.depth == k->planes &&
                    has_no_gap(&a->state),
                ST_INTERNAL,
                "%s: reduces %d pieces of %s, the sum there has %d%s%s",
                check_op_text(p, i).s, k->planes, check_buf_text(p, w->buf).s,
                a->state.depth, a->open ? " and an open leaf" : "",
                has_no_gap(&a->state) ? "" : " and lacks a leaf between them");
        a->state.depth = 1;
        a->state.spans[0] = (tree_span){0, a->state.leaves};
    }
    return ST_OK;
}

static status check_read_sum(const sums *s, int32_t i, int32_t v)
{
    const program *p = s->p;
    const prog_view *w = &p->view[p->ops[i].view0 + v];
    int64_t end = w->off + (w->rows - 1) * w->ld + w->cols;
    for (int32_t n = s->head[w->buf]; n >= 0; n = s->list[n].next) {
        const sum *a = &s->list[n];
        if (a->off >= end || a->end <= w->off) {
            continue;
        }
        REQUIRE(a->state.depth == 1 && !a->open && a->state.spans[0].lo == 0 &&
                    a->state.spans[0].hi == a->state.leaves,
                ST_INTERNAL,
                "%s: reads %s before its sum is whole (%d entries, the first "
                "spans leaves [%d, %d) of %d)",
                check_op_text(p, i).s, check_buf_text(p, w->buf).s,
                a->state.depth, a->state.spans[0].lo, a->state.spans[0].hi,
                a->state.leaves);
    }
    return ST_OK;
}

static status check_sums_of(sums *s, int32_t i)
{
    const program *p = s->p;
    const prog_op *o = &p->ops[i];
    for (int32_t v = 0; v < o->views; v++) {
        if (check_stack_of(p, o, v) == NULL) {
            if ((p->view[o->view0 + v].mode & VIEW_R) != 0) {
                TRY(check_read_sum(s, i, v));
            }
        } else if (o->kind == OP_ALLREDUCE) {
            TRY(check_reduce(s, i, v));
        } else {
            TRY(check_accumulate(s, i, v));
        }
    }
    return ST_OK;
}

static status check_sums(const program *p)
{
    sums s = {.p = p};
    status st = MEM_NEW(&s.head, p->nbufs + 1, "check");
    if (st == ST_OK) {
        st = MEM_NEW(&s.list, p->nstacks + 1, "check");
    }
    if (st == ST_OK) {
        memset(s.head, -1, sizeof(*s.head) * (size_t)p->nbufs);
    }
    for (int32_t i = 0; st == ST_OK && i < p->nops; i++) {
        st = check_sums_of(&s, i);
    }
    mem_free(s.head);
    mem_free(s.list);
    return st;
}

/* An operation of a tail comes after the guard and nothing outside its tail
 * waits for it: whether it runs is known when it is reached. The tails are
 * alternatives, so each is checked with what is not guarded; of those there
 * are now, one is empty. */
static status check_tail(const program *p, int32_t i)
{
    const prog_op *o = &p->ops[i];
    REQUIRE(o->tail == TAIL_ALWAYS || (p->guard >= 0 && p->guard < i),
            ST_INTERNAL, "%s: a guarded operation before its guard",
            check_op_text(p, i).s);
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &p->dep[o->dep0 + d];
        int tail = p->ops[dep->op].tail;
        REQUIRE(dep->distance > 0 || tail == TAIL_ALWAYS || tail == o->tail,
                ST_INTERNAL, "%s: waits for operation %d, which may not run",
                check_op_text(p, i).s, dep->op);
    }
    return ST_OK;
}

status prog_check(const program *p, int64_t budget_bytes)
{
    for (int32_t i = 0; i < p->nops; i++) {
        TRY(check_op(p, i));
        TRY(check_tail(p, i));
    }
    TRY(check_places(p, budget_bytes));
    TRY(check_sums(p));
    for (int run = RUN_STEP; run <= RUN_FORWARD; run++) {
        TRY(check_written(p, (check_run)run));
        TRY(check_order(p, (check_run)run));
    }
    return ST_OK;
}
