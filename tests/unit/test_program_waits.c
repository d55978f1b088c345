/*
 * The waits that prog_finish derives, against a plain twin: for every
 * operation it looks at all others, view by view. Programs at random, and
 * those of both compilers; the waits must be the same ones in the same order.
 */
#include "partition/compile.h"
#include "partition/plan.h"
#include "runtime/base/rng.h"
#include "tests/unit/program_make.h"
#include "ws/compile.h"

enum { WHOLE, FORWARD, WAYS, MOST_OPS = 2500 };

/* What a stream knows to be done, by operation that it has run. */
typedef struct clocks {
    int32_t of[STREAM_COUNT];
} clocks;

typedef struct twin {
    const program *p; /* finished: with places, and the waits to expect */
    const prog_dep *asked;
    int32_t nasked;
    clocks *at[WAYS]; /* by operation */
    clocks *before;   /* the same, of the step before */
    int32_t found;    /* waits that were compared */
} twin;

/* --- what conflicts ------------------------------------------------------- */

static bool runs(const twin *t, int way, int32_t i)
{
    return way == WHOLE || prog_is_forward(&t->p->ops[i]);
}

static int64_t end_of(const program *p, const prog_op *o, int32_t v)
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

static bool views_clash(const program *p, const prog_op *a, int32_t v,
                        const prog_op *b, int32_t w)
{
    const prog_view *x = &p->view[a->view0 + v];
    const prog_view *y = &p->view[b->view0 + w];
    return x->buf == y->buf && ((x->mode | y->mode) & VIEW_W) != 0 &&
           x->off < end_of(p, b, w) && y->off < end_of(p, a, v);
}

/* The earlier owner of bytes of b, whose last operation is before or, with
 * the steps one behind the other, is not. */
static bool lies_there(const program *p, int32_t earlier, int32_t b)
{
    const prog_buf *x = &p->bufs[earlier];
    const prog_buf *y = &p->bufs[b];
    return !x->persistent && x->offset < y->offset + prog_buf_bytes(y) &&
           y->offset < x->offset + prog_buf_bytes(x);
}

/* No operation of i's stream before i names buffer b. */
static bool first_touch(const program *p, int32_t i, int32_t b)
{
    for (int32_t j = 0; j < i; j++) {
        for (int32_t v = 0; v < p->ops[j].views; v++) {
            if (p->ops[j].stream == p->ops[i].stream &&
                p->view[p->ops[j].view0 + v].buf == b) {
                return false;
            }
        }
    }
    return !p->bufs[b].persistent;
}

/* View v of operation i must find operation j through: in its step, or, if j
 * comes later, in the step before. */
static bool must_wait(const twin *t, int32_t i, int32_t v, bool first,
                      int32_t j)
{
    const program *p = t->p;
    const prog_op *o = &p->ops[i];
    int32_t b = p->view[o->view0 + v].buf;
    for (int32_t w = 0; w < p->ops[j].views; w++) {
        int32_t other = p->view[p->ops[j].view0 + w].buf;
        bool through = j < i ? p->bufs[other].last < i : j > p->bufs[b].last;
        if (views_clash(p, o, v, &p->ops[j], w) ||
            (first && through && lies_there(p, other, b))) {
            return true;
        }
    }
    return false;
}

/* The newest operation of each other stream, in the step of i or in the one
 * before, that i waits for. */
static clocks newest_of(const twin *t, int way, int32_t i, int distance)
{
    clocks n;
    memset(&n, -1, sizeof(n));
    const prog_op *o = &t->p->ops[i];
    int32_t lo = distance == 0 ? 0 : i + 1;
    int32_t hi = distance == 0 ? i : t->p->nops;
    for (int32_t v = 0; v < o->views; v++) {
        bool first = first_touch(t->p, i, t->p->view[o->view0 + v].buf);
        for (int32_t j = lo; j < hi; j++) {
            int s = t->p->ops[j].stream;
            if (s != o->stream && j > n.of[s] && runs(t, way, j) &&
                must_wait(t, i, v, first, j)) {
                n.of[s] = j;
            }
        }
    }
    for (int32_t d = 0; d < t->nasked; d++) {
        const prog_dep *dep = &t->asked[d];
        int s = t->p->ops[dep->op].stream;
        if (dep->from == i && dep->distance == distance && dep->op > n.of[s] &&
            runs(t, way, dep->op)) {
            n.of[s] = dep->op;
        }
    }
    return n;
}

/* --- who waits ------------------------------------------------------------ */

static void join_clocks(clocks *into, const clocks *from)
{
    for (int s = 0; s < STREAM_COUNT; s++) {
        into->of[s] = from->of[s] > into->of[s] ? from->of[s] : into->of[s];
    }
}

/* The latest of what is not known, or -1. */
static int32_t next_wait(const clocks *newest, const clocks *now)
{
    int32_t best = -1;
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (newest->of[s] > now->of[s] && newest->of[s] > best) {
            best = newest->of[s];
        }
    }
    return best;
}

static void expect_wait(twin *t, int32_t i, int32_t k, prog_dep want)
{
    const prog_op *o = &t->p->ops[i];
    const prog_dep *got = &t->p->dep[o->dep0 + k];
    if (k >= o->deps || got->from != i || got->op != want.op ||
        got->distance != want.distance) {
        fail_msg("wait %d of operation %d: %d at distance %d, not %d at %d", k,
                 i, k < o->deps ? got->op : -1, k < o->deps ? got->distance : 0,
                 want.op, want.distance);
    }
    t->found++;
}

/* The waits of operation i in its step; returns how many. */
static int32_t waits_within(twin *t, int32_t i, clocks now[WAYS][STREAM_COUNT])
{
    prog_dep had[WAYS * STREAM_COUNT];
    int32_t n = 0;
    for (int way = 0; way < WAYS; way++) {
        if (!runs(t, way, i)) {
            continue;
        }
        clocks *mine = &now[way][t->p->ops[i].stream];
        clocks newest = newest_of(t, way, i, 0);
        for (int32_t j = next_wait(&newest, mine); j >= 0;
             j = next_wait(&newest, mine)) {
            bool again = false;
            for (int32_t k = 0; k < n; k++) {
                again = again || had[k].op == j;
            }
            if (!again) {
                had[n] = (prog_dep){i, j, 0};
                expect_wait(t, i, n, had[n]);
                n++;
            }
            join_clocks(mine, &t->at[way][j]);
        }
        mine->of[t->p->ops[i].stream] = i;
        t->at[way][i] = *mine;
    }
    return n;
}

/* Those on the step before, behind n others. */
static void waits_on_before(twin *t, int32_t i, int32_t n,
                            clocks known[STREAM_COUNT])
{
    const prog_op *o = &t->p->ops[i];
    clocks *mine = &known[o->stream];
    for (int32_t k = 0; k < n; k++) {
        join_clocks(mine, &t->before[t->p->dep[o->dep0 + k].op]);
    }
    clocks newest = newest_of(t, WHOLE, i, 1);
    for (int32_t j = next_wait(&newest, mine); j >= 0;
         j = next_wait(&newest, mine)) {
        expect_wait(t, i, n++, (prog_dep){i, j, 1});
        join_clocks(mine, &t->at[WHOLE][j]);
    }
    assert_int_equal(o->deps, n);
    t->before[i] = *mine;
}

/* p is finished; `asked` are the waits that it was given. Returns how many it
 * has. */
static int32_t compare_waits(const program *p, const prog_dep *asked,
                             int32_t nasked)
{
    twin t = {.p = p, .asked = asked, .nasked = nasked};
    clocks now[WAYS][STREAM_COUNT];
    memset(now, -1, sizeof(now));
    int32_t *counts = calloc((size_t)p->nops + 1, sizeof(*counts));
    t.before = calloc((size_t)p->nops + 1, sizeof(*t.before));
    for (int way = 0; way < WAYS; way++) {
        t.at[way] = calloc((size_t)p->nops + 1, sizeof(*t.at[way]));
    }
    for (int32_t i = 0; i < p->nops; i++) {
        counts[i] = waits_within(&t, i, now);
    }
    for (int32_t i = 0; i < p->nops; i++) {
        waits_on_before(&t, i, counts[i], now[WHOLE]);
    }
    free(counts);
    free(t.before);
    free(t.at[WHOLE]);
    free(t.at[FORWARD]);
    return t.found;
}

/* Finishes p, and compares. */
static int32_t finish_and_compare(program *p)
{
    int32_t n = p->ndeps;
    prog_dep *asked = calloc((size_t)n + 1, sizeof(*asked));
    if (n > 0) {
        memcpy(asked, p->dep, (size_t)n * sizeof(*asked));
    }
    finish(p);
    int32_t found = compare_waits(p, asked, n);
    assert_int_equal(found, p->ndeps);
    free(asked);
    return found;
}

/* --- at random ------------------------------------------------------------ */

/* Numbers of one seed, one after the other. */
typedef struct dice {
    uint64_t seed, next;
} dice;

static int32_t below(dice *d, int32_t n)
{
    return (int32_t)rng_below(d->seed, 0, d->next++, n);
}

static void add_views(program *p, dice *d)
{
    static const view_mode modes[] = {VIEW_R, VIEW_R, VIEW_W, VIEW_RW};
    for (int32_t v = below(d, 4); v > 0; v--) {
        int32_t b = below(d, p->nbufs);
        int64_t all = p->bufs[b].floats;
        int64_t off = below(d, 3) == 0 ? below(d, (int32_t)all) : 0;
        int64_t n =
            below(d, 3) == 0 ? 1 + below(d, (int32_t)(all - off)) : all - off;
        prog_view view = prog_whole(p, b, 1, all, all);
        prog_use(p, prog_sub(view, 0, 1, off, n), modes[below(d, 4)]);
    }
}

/* Many operations on few buffers, which lie where others were; half of it
 * forward. */
static void make_random(program *p, dice *d)
{
    int32_t nops = 2 + below(d, 60);
    int32_t streams = 2 + below(d, STREAM_COUNT - 1);
    prog_init(p);
    for (int32_t b = 1 + below(d, 20); b > 0; b--) {
        prog_buffer(p, "x", BUF_WORKING, -1, 1 + below(d, 40),
                    below(d, 8) == 0);
    }
    for (int32_t i = 0; i < nops; i++) {
        p->phase = 2 * i < nops ? PHASE_FORWARD : PHASE_BACKWARD;
        op(p, below(d, 16) == 0 ? OP_CLIP : OP_ACT,
           (op_stream)below(d, streams));
        add_views(p, d);
        if (i > 0 && below(d, 6) == 0) {
            prog_wait(p, i, below(d, i), 0);
        }
        if (below(d, 6) == 0) {
            prog_wait(p, i, below(d, nops), 1);
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    int64_t found = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        dice d = {seed, 0};
        program p;
        make_random(&p, &d);
        found += finish_and_compare(&p);
        prog_fini(&p);
    }
    assert_true(found > 20000);
}

/* --- of the compilers ----------------------------------------------------- */

/* The same operations, to be finished anew; what they waited for is asked. */
static void copy_program(const program *from, program *to)
{
    prog_init(to);
    for (int32_t i = 0; i < from->nbufs; i++) {
        const prog_buf *b = &from->bufs[i];
        prog_buffer(to, b->name, (buf_class)b->cls, b->layer, b->floats,
                    b->persistent);
    }
    for (int32_t i = 0; i < from->nops; i++) {
        const prog_op *o = &from->ops[i];
        to->phase = (op_phase)o->phase;
        prog_add(to, (op_kind)o->kind, (op_stream)o->stream, o->layer);
        for (int32_t v = 0; v < o->views; v++) {
            const prog_view *w = &from->view[o->view0 + v];
            prog_use(to, *w, (view_mode)w->mode);
        }
        for (int32_t s = 0; s < o->stacks; s++) {
            prog_accumulate(to, &from->stack[o->stack0 + s]);
        }
    }
}

/* Without what the compiler asked for, and with all waits asked. */
static void compare_copies(const program *from)
{
    for (int asked = 0; asked < 2; asked++) {
        program p;
        copy_program(from, &p);
        for (int32_t d = 0; asked == 1 && d < from->ndeps; d++) {
            const prog_dep *dep = &from->dep[d];
            prog_wait(&p, dep->from, dep->op, dep->distance);
        }
        assert_true(finish_and_compare(&p) > 0);
        prog_fini(&p);
    }
}

typedef struct model {
    arch a;
    params ps;
} model;

static void open_model(const char *name, int layers, model *m)
{
    assert_int_equal(arch_open(name, &m->a), ST_OK);
    assert_int_equal(arch_cut(&m->a, layers), ST_OK);
    assert_int_equal(params_init(&m->a, &m->ps), ST_OK);
}

static const char *const names[] = {"gpt-neo-tiny", "gpt-j-tiny"};
static const gpt_shape job = {
    .N = 8, .T = 24, .D = 4, .S = 4, .kblock = 16, .threads = 2};

/* Returns how many classes had waits to compare. */
static int compare_plan(const model *m, const char *text, bool recompute)
{
    plan p;
    program_set set;
    int n = 0;
    assert_int_equal(plan_parse(text, &p), ST_OK);
    p.recompute = recompute;
    p.micro_batch = 1;
    assert_int_equal(partition_compile(&m->a, &m->ps, &p, job, 0, &set), ST_OK);
    for (int32_t c = 0; c < set.nclasses; c++) {
        assert_true(set.classes[c].nops < MOST_OPS);
        if (set.classes[c].ndeps > 0) {
            compare_copies(&set.classes[c]);
            n++;
        }
    }
    program_set_fini(&set);
    return n;
}

static void test_partitioned(void **state)
{
    static const char *const plans[] = {"tp2", "pp2", "dp2.tp2", "dp2.pp2",
                                        "tp2.pp2"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        model m;
        open_model(names[i], 2, &m);
        for (size_t k = 0; k < sizeof(plans) / sizeof(plans[0]); k++) {
            assert_true(compare_plan(&m, plans[k], k % 2 == i) > 0);
        }
        params_fini(&m.ps);
    }
}

static void test_streamed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        model m;
        open_model(names[i], 2, &m);
        for (int re = WS_RECOMPUTE_NONE; re <= WS_RECOMPUTE_FULL; re++) {
            ws_config config = {.micro_batch = 2,
                                .recompute = (ws_recompute)re,
                                .panel_bytes = 32768};
            ws_choice choice;
            program_set set;
            assert_int_equal(
                ws_compile(&m.a, &m.ps, job, &config, &set, &choice), ST_OK);
            assert_true(set.classes[0].nops < MOST_OPS);
            compare_copies(&set.classes[0]);
            program_set_fini(&set);
        }
        params_fini(&m.ps);
    }
}

/* As many reads by another stream as a large batch has: one look back each.
 * Walking all of them takes minutes, this half a second. */
static void test_many_reads(void **state)
{
    enum { READS = 400000 };
    (void)state;
    program p;
    prog_init(&p);
    int32_t b = load(&p, 0);
    for (int i = 0; i < READS; i++) {
        map(&p, i % 2 == 0 ? STREAM_COMPUTE : STREAM_TENSOR, b, -1);
    }
    map(&p, STREAM_LOAD, -1, b);
    finish(&p);
    assert_waits(&p, 1, 1, (int32_t[]){0});
    assert_waits(&p, 3, 0, NULL);
    assert_waits(&p, READS + 1, 2, (int32_t[]){READS - 1, READS});
    prog_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_partitioned),
        cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_many_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
