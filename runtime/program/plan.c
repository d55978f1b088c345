/*
 * prog_finish: the memory plan (place.c), and the waits between streams.
 *
 * Two operations of one stream are ordered already. An operation of another
 * stream must be waited for if both touch the same bytes and one of them
 * writes. Either they name the same buffer, or the later buffer lies where the
 * earlier one was (reuse.h). Each operation gets at most one wait per other
 * stream (the newest operation there), and none for what its stream is known
 * to have waited for, directly or through others (a vector clock). Validation
 * leaves out all but the forward part, and may then need a second wait: for
 * the newest operation there that it runs.
 *
 * Steps follow each other without a stop, so an operation also waits for
 * operations of the step before (distance 1): by the same rules, with the
 * clocks that streams have at the end of a step. Only those that come later
 * in the program count; of what comes earlier, this step's turn has been
 * waited for.
 *
 *     load     L0 ---- L1 ---- L2            L2 lies where L0's panel was:
 *                \       \    /              it waits for C0, which read it;
 *     compute     C0 ---- C1 /               C1 waits for L1
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/program.h"
#include "runtime/program/reuse.h"

/* What a run leaves out cannot pass on what it waited for, so each has clocks,
 * and waits, of its own. */
typedef struct run {
    bool forward;
    int32_t (*clock)[STREAM_COUNT]; /* per op: newest op known done        */
    int32_t now[STREAM_COUNT][STREAM_COUNT]; /* per stream: the same       */
} run;

/* A step that follows another: what its streams know of the one before. */
typedef struct follower {
    int32_t (*clock)[STREAM_COUNT];
    int32_t now[STREAM_COUNT][STREAM_COUNT];
    int32_t last[STREAM_COUNT]; /* newest op there that has views          */
    uint8_t *streams;           /* per buffer: who has touched it by now   */
} follower;

/* How a buffer was touched. What only reads is apart from what writes: a
 * buffer may be read ten thousand times after one write, and none of its
 * readers cares for the others. */
enum { READS, WRITES, HOWS };

/* Newest touch of a buffer, by stream; -1: none. */
typedef struct lanes {
    int32_t head[STREAM_COUNT][HOWS];
} lanes;

typedef struct planner {
    program *p;
    reuse *bytes; /* of buffers that are through                          */
    run runs[RUNS];
    follower next;
    lanes *touched; /* per buffer                                          */
    struct touch {
        int32_t op, next;
        int64_t lo, hi;
    } * touches;
    int32_t ntouches;
    prog_dep *asked;     /* waits that the compiler asked for           */
    int32_t *asked_head; /* per op                                      */
    int32_t *asked_next;
} planner;

/* --- waits ---------------------------------------------------------------- */

static bool takes(const planner *pl, const run *r, int32_t op)
{
    return !r->forward || prog_is_forward(&pl->p->ops[op]);
}

static void clock_join(int32_t *into, const int32_t *from)
{
    for (int s = 0; s < STREAM_COUNT; s++) {
        into[s] = from[s] > into[s] ? from[s] : into[s];
    }
}

static bool has_touched(const planner *pl, int32_t b, int stream)
{
    const int32_t *head = pl->touched[b].head[stream];
    return head[READS] >= 0 || head[WRITES] >= 0;
}

/* The newest touch from t on, later than `after`, of bytes [lo, hi); or -1. */
static int32_t newest_overlap(const planner *pl, const run *r, int32_t t,
                              int64_t lo, int64_t hi, int32_t after)
{
    for (; t >= 0; t = pl->touches[t].next) {
        const struct touch *x = &pl->touches[t];
        if (x->op <= after) {
            break;
        }
        if (x->lo < hi && lo < x->hi && takes(pl, r, x->op)) {
            return x->op;
        }
    }
    return -1;
}

/* Notes in newest[] the latest operation per stream, later than `after`, that
 * conflicts with bytes [lo, hi) of buffer b touched in `mode` by stream `self`.
 * Those that are known to be done (now) may be left out.
 *
 * A stream's newest touch as a rule overlaps or is known to be done, so this
 * looks at one or two per stream. One list of a buffer's touches, read back to
 * its last write, took 4.6 s for 512 sequences of 2,048 tokens of GPT-J cut
 * tp2.pp4, now 0.3 s, and for 1,024 over a minute, now 0.5 s. */
static void newest_conflicts(const planner *pl, const run *r, int32_t b,
                             int self, int64_t lo, int64_t hi, int mode,
                             int32_t after, const int32_t *now, int32_t *newest)
{
    for (int s = 0; s < STREAM_COUNT; s++) {
        const int32_t *head = pl->touched[b].head[s];
        int first = (mode & VIEW_W) != 0 ? READS : WRITES;
        for (int how = first; s != self && how < HOWS; how++) {
            int32_t least = now[s] > newest[s] ? now[s] : newest[s];
            least = least > after ? least : after;
            int32_t op = newest_overlap(pl, r, head[how], lo, hi, least);
            newest[s] = op > newest[s] ? op : newest[s];
        }
    }
}

/* First touch of buffer b by this stream: whoever had these bytes before
 * must be through. */
static void reuse_conflicts(const planner *pl, const run *r, int32_t b,
                            int self, int32_t *newest)
{
    reuse_ops had;
    reuse_find(pl->bytes, &pl->p->bufs[b], &had);
    for (int s = 0; s < STREAM_COUNT; s++) {
        int32_t op = had.newest[r - pl->runs][s];
        newest[s] = s != self && op > newest[s] ? op : newest[s];
    }
}

/* Buffer b is through: its bytes may be another's. */
static void retire(planner *pl, int32_t b)
{
    reuse_ops ops;
    memset(&ops, -1, sizeof(ops));
    for (int k = 0; k < RUNS; k++) {
        for (int s = 0; s < STREAM_COUNT; s++) {
            for (int how = 0; how < HOWS; how++) {
                int32_t *newest = &ops.newest[k][s];
                int32_t op = newest_overlap(pl, &pl->runs[k],
                                            pl->touched[b].head[s][how], 0,
                                            INT64_MAX, *newest);
                *newest = op > *newest ? op : *newest;
            }
        }
    }
    reuse_note(pl->bytes, &pl->p->bufs[b], &ops);
}

/* End of view v of an operation; the last views are its stacks', and cover
 * all planes. */
static int64_t view_end(const program *p, const prog_op *o, int32_t v)
{
    const prog_view *w = &p->view[o->view0 + v];
    int64_t end = w->off + (w->rows - 1) * w->ld + w->cols;
    int32_t s = v - (o->views - o->stacks);
    if (s >= 0) {
        const prog_stack *st = &p->stack[o->stack0 + s];
        end += st->plane * (st->planes - 1);
    }
    return end;
}

static void note_touch(planner *pl, int32_t op, const prog_view *v, int64_t lo,
                       int64_t hi)
{
    struct touch *t = &pl->touches[pl->ntouches];
    int how = (v->mode & VIEW_W) != 0 ? WRITES : READS;
    int32_t *head = &pl->touched[v->buf].head[pl->p->ops[op].stream][how];
    *t = (struct touch){op, *head, lo, hi};
    *head = pl->ntouches++;
}

/* The newest operation of each other stream that operation i must find done
 * in this run: by its views, and by what the compiler asked for. */
static void find_newest(const planner *pl, const run *r, int32_t i,
                        int32_t newest[STREAM_COUNT])
{
    const program *p = pl->p;
    const prog_op *o = &p->ops[i];
    int self = o->stream;
    for (int s = 0; s < STREAM_COUNT; s++) {
        newest[s] = -1;
    }
    for (int32_t v = 0; v < o->views; v++) {
        const prog_view *w = &p->view[o->view0 + v];
        newest_conflicts(pl, r, w->buf, self, w->off, view_end(p, o, v),
                         w->mode, -1, r->now[self], newest);
        if (!has_touched(pl, w->buf, self) && !p->bufs[w->buf].persistent) {
            reuse_conflicts(pl, r, w->buf, self, newest);
        }
    }
    for (int32_t d = pl->asked_head[i]; d >= 0; d = pl->asked_next[d]) {
        const prog_dep *dep = &pl->asked[d];
        int s = p->ops[dep->op].stream;
        if (dep->distance == 0 && dep->op > newest[s] &&
            takes(pl, r, dep->op)) {
            newest[s] = dep->op;
        }
    }
}

/* Adds a wait to the end unless operation i has it already. */
static void add_wait(program *p, prog_dep dep, int32_t first)
{
    for (int32_t d = first; d < p->ndeps; d++) {
        if (p->dep[d].op == dep.op) {
            return;
        }
    }
    p->dep[p->ndeps++] = dep;
    p->ops[dep.op].awaited = 1;
}

/* The stream whose newest operation is the latest of those not yet known to
 * be done, or -1. */
static int latest(const int32_t *newest, const int32_t *now)
{
    int best = -1;
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (newest[s] > now[s] && (best < 0 || newest[s] > newest[best])) {
            best = s;
        }
    }
    return best;
}

/* Operation i's waits in this run, and what it knows to be done then. */
static void wait_in_run(planner *pl, run *r, int32_t i, int32_t first)
{
    int self = pl->p->ops[i].stream;
    int32_t *now = r->now[self];
    int32_t newest[STREAM_COUNT];
    find_newest(pl, r, i, newest);
    /* The latest first: it may have waited for the others. */
    for (int s = latest(newest, now); s >= 0; s = latest(newest, now)) {
        add_wait(pl->p, (prog_dep){i, newest[s], 0}, first);
        clock_join(now, r->clock[newest[s]]);
    }
    now[self] = i;
    memcpy(r->clock[i], now, sizeof(r->clock[i]));
}

/* The waits of operation i in its step: those the compiler asked for, then
 * derived ones. */
static void derive_waits(planner *pl, int32_t i)
{
    program *p = pl->p;
    prog_op *o = &p->ops[i];
    int32_t first = p->ndeps;
    for (int k = 0; k < RUNS; k++) {
        if (takes(pl, &pl->runs[k], i)) {
            wait_in_run(pl, &pl->runs[k], i, first);
        }
    }
    o->dep0 = first;
    o->deps = p->ndeps - first;
    for (int32_t v = 0; v < o->views; v++) {
        const prog_view *w = &p->view[o->view0 + v];
        note_touch(pl, i, w, w->off, view_end(p, o, v));
    }
    for (int32_t v = 0; v < o->views; v++) {
        int32_t b = p->view[o->view0 + v].buf;
        if (p->bufs[b].last == i && !p->bufs[b].persistent) {
            retire(pl, b);
        }
    }
}

/* --- waits on the step before --------------------------------------------- */

/* Whoever will have these bytes later in a step, had them in the one before. */
static void reuse_before(const planner *pl, int32_t b, int self,
                         int32_t *newest)
{
    const prog_buf *mine = &pl->p->bufs[b];
    reuse_ops had;
    reuse_find(pl->bytes, mine, &had);
    for (int s = 0; s < STREAM_COUNT; s++) {
        int32_t op = had.newest[0][s];
        if (s != self && op > mine->last && op > newest[s]) {
            newest[s] = op;
        }
    }
}

/* The same for the step before: what comes later than i in the program. */
static void find_before(planner *pl, int32_t i, int32_t newest[STREAM_COUNT])
{
    const program *p = pl->p;
    const prog_op *o = &p->ops[i];
    int self = o->stream;
    for (int32_t v = 0; v < o->views; v++) {
        const prog_view *w = &p->view[o->view0 + v];
        newest_conflicts(pl, &pl->runs[0], w->buf, self, w->off,
                         view_end(p, o, v), w->mode, i, pl->next.now[self],
                         newest);
        if ((pl->next.streams[w->buf] & (1u << self)) == 0 &&
            !p->bufs[w->buf].persistent) {
            reuse_before(pl, w->buf, self, newest);
        }
    }
}

/* True if the stream knows that no other touches anything any more. */
static bool knows_all(const follower *f, int self)
{
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (s != self && f->last[s] > f->now[self][s]) {
            return false;
        }
    }
    return true;
}

/* Waits of operation i on the step before, and what it knows of it then. */
static void wait_before(planner *pl, int32_t i, prog_dep *out, int32_t *n)
{
    program *p = pl->p;
    follower *f = &pl->next;
    const prog_op *o = &p->ops[i];
    int32_t *now = f->now[o->stream];
    int32_t newest[STREAM_COUNT];
    for (int32_t d = 0; d < o->deps; d++) {
        clock_join(now, f->clock[p->dep[o->dep0 + d].op]);
    }
    memset(newest, -1, sizeof(newest));
    for (int32_t d = pl->asked_head[i]; d >= 0; d = pl->asked_next[d]) {
        const prog_dep *dep = &pl->asked[d];
        int s = p->ops[dep->op].stream;
        if (dep->distance == 1 && dep->op > newest[s]) {
            newest[s] = dep->op;
        }
    }
    if (!knows_all(f, o->stream)) {
        find_before(pl, i, newest);
    }
    for (int s = latest(newest, now); s >= 0; s = latest(newest, now)) {
        out[(*n)++] = (prog_dep){i, newest[s], 1};
        p->ops[newest[s]].awaited = 1;
        clock_join(now, pl->runs[0].clock[newest[s]]);
    }
    memcpy(f->clock[i], now, sizeof(f->clock[i]));
    for (int32_t v = 0; v < o->views; v++) {
        f->streams[p->view[o->view0 + v].buf] |= (uint8_t)(1u << o->stream);
    }
}

/* Into one list: an operation's waits in its step, then those before. */
static status merge_waits(program *p, const prog_dep *before, int32_t nbefore)
{
    prog_dep *all = NULL;
    int32_t n = 0;
    int32_t b = 0;
    TRY(MEM_NEW(&all, p->ndeps + nbefore + 1, "plan"));
    for (int32_t i = 0; i < p->nops; i++) {
        prog_op *o = &p->ops[i];
        memcpy(all + n, p->dep + o->dep0, sizeof(*all) * (size_t)o->deps);
        o->dep0 = n;
        n += o->deps;
        for (; b < nbefore && before[b].from == i; b++) {
            all[n++] = before[b];
        }
        o->deps = n - o->dep0;
    }
    mem_free(p->dep);
    p->dep = all;
    p->ndeps = n;
    p->cap_deps = n + 1;
    return ST_OK;
}

static status derive_before(planner *pl)
{
    program *p = pl->p;
    follower *f = &pl->next;
    prog_dep *before = NULL;
    int32_t n = 0;
    memcpy(f->now, pl->runs[0].now, sizeof(f->now));
    memset(f->last, -1, sizeof(f->last));
    for (int32_t i = 0; i < p->nops; i++) {
        if (p->ops[i].views > 0) {
            f->last[p->ops[i].stream] = i;
        }
    }
    TRY(MEM_NEW(&before, (int64_t)p->nops * STREAM_COUNT + 1, "plan"));
    for (int32_t i = 0; i < p->nops; i++) {
        wait_before(pl, i, before, &n);
    }
    status st = merge_waits(p, before, n);
    mem_free(before);
    return st;
}

static status derive_all_waits(planner *pl)
{
    program *p = pl->p;
    int64_t most = (int64_t)p->nops * RUNS * STREAM_COUNT + 1;
    TRY(MEM_NEW(&p->dep, most, "plan"));
    for (int32_t i = 0; i < p->nops; i++) {
        derive_waits(pl, i);
    }
    return derive_before(pl);
}

static status planner_init(planner *pl, program *p)
{
    memset(pl, 0, sizeof(*pl));
    pl->p = p;
    int32_t asked = p->ndeps;
    pl->asked = p->dep;
    p->dep = NULL;
    p->ndeps = 0;
    size_t nb = (size_t)p->nbufs + 1;
    TRY(reuse_create(p, &pl->bytes));
    TRY(mem_alloc(nb, sizeof(*pl->touched), "plan", (void **)&pl->touched));
    TRY(MEM_NEW(&pl->touches, p->nviews + 1, "plan"));
    for (int k = 0; k < RUNS; k++) {
        run *r = &pl->runs[k];
        r->forward = k == 1;
        memset(r->now, -1, sizeof(r->now));
        TRY(mem_alloc((size_t)p->nops + 1, sizeof(*r->clock), "plan",
                      (void **)&r->clock));
    }
    TRY(mem_alloc((size_t)p->nops + 1, sizeof(*pl->next.clock), "plan",
                  (void **)&pl->next.clock));
    TRY(MEM_NEW(&pl->next.streams, nb, "plan"));
    TRY(MEM_NEW(&pl->asked_head, p->nops + 1, "plan"));
    TRY(MEM_NEW(&pl->asked_next, asked + 1, "plan"));
    memset(pl->touched, -1, nb * sizeof(*pl->touched));
    memset(pl->asked_head, -1, sizeof(int32_t) * ((size_t)p->nops + 1));
    for (int32_t d = 0; d < asked; d++) {
        pl->asked_next[d] = pl->asked_head[pl->asked[d].from];
        pl->asked_head[pl->asked[d].from] = d;
    }
    return ST_OK;
}

static void planner_fini(planner *pl)
{
    reuse_destroy(pl->bytes);
    mem_free(pl->touched);
    mem_free(pl->touches);
    for (int k = 0; k < RUNS; k++) {
        mem_free(pl->runs[k].clock);
    }
    mem_free(pl->next.clock);
    mem_free(pl->next.streams);
    mem_free(pl->asked);
    mem_free(pl->asked_head);
    mem_free(pl->asked_next);
}

status prog_finish(program *p)
{
    if (p->failed != ST_OK) {
        return p->failed;
    }
    if (p->guard >= 0) {
        p->ops[p->guard].awaited = 1; /* by every stream with a tail */
    }
    TRY(prog_arrange(p));
    planner pl;
    status st = planner_init(&pl, p);
    if (st == ST_OK) {
        st = derive_all_waits(&pl);
    }
    planner_fini(&pl);
    return st;
}
